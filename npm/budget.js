// A budget as users see it; the engine keeps the books.

import { invalid } from "./errors.js";

/** Bytes that may be in use at once, by all streams it is given to. */
export class Budget {
  static DEFAULT = 2 ** 26;
  #watch = () => ({ reserved: 0, peak: 0 });
  #engine;

  constructor(bytes = Budget.DEFAULT) {
    if ((bytes | 0) !== bytes || bytes < 1) {
      throw invalid(`a budget is 1 to 2^31 - 1 bytes, not ${bytes}`);
    }
    this.bytes = bytes;
  }

  /** Bytes reserved now. */
  get reserved() {
    return this.#watch().reserved;
  }

  /** Most bytes that were ever reserved. */
  get peak() {
    return this.#watch().peak;
  }

  /** For engines: how to read the figures. Two that share one would each use all of it. */
  watch(engine, read) {
    if (engine !== (this.#engine ??= engine)) throw invalid("a budget serves one page or worker");
    this.#watch = read;
  }
}
