// A bounded buffer between a stream and something that takes groups. The interface is described in
// batches.d.ts; the buffer and its rules are in the module, the items stay here.

import { ignore, invalid } from "./errors.js";
import { loader } from "./loading.js";
import load, { RawBatches } from "./wasm/batches.js";

export { NarrowsError } from "./errors.js";

/** Loads the module; further calls give the same promise. A failed load may be tried again. */
export const init = loader(load, () => new URL("./wasm/batches_bg.wasm", import.meta.url), ignore);

/** A buffer that batches are taken from. */
export const batches = (options) => new Batches(options);

class Batches {
  #raw; // a promise
  #items = new Map(); // those that have not ended, by what the module knows them by
  #next = 0;

  constructor({ budget = 2 ** 26, onEnd, ...options } = {}) {
    const told = (id, end, reason, attempts, heldFor, number) => {
      const value = this.#items.get(id);
      this.#items.delete(id);
      onEnd?.({ value, number, end, reason, attempts, heldFor });
    };
    this.#raw = init().then(() => RawBatches.open(options, budget, told));
    this.#raw.catch(ignore); // whoever uses it learns of it
  }

  async #use(work) {
    try {
      return await work(await this.#raw);
    } catch (error) {
      throw typeof error === "string" ? invalid(error) : error;
    }
  }

  /** Puts an item in, which counts for so many bytes; gives its number, once there is room. */
  async push(value, { bytes, priority = 0, age = 0 } = {}) {
    bytes ??= ArrayBuffer.isView(value) ? value.byteLength : 2 * (JSON.stringify(value)?.length ?? 8);
    if (!(bytes >= 0)) throw invalid(`an item counts for 0 bytes or more, not ${bytes}`);
    const id = this.#next++;
    this.#items.set(id, value);
    try {
      return await this.#use((raw) => raw.push(id, bytes, priority, age));
    } catch (error) {
      this.#items.delete(id);
      throw error;
    }
  }

  /** The next batch that is due; undefined once the buffer is closed and everything has ended. */
  async next() {
    const raw = await this.#use((raw) => raw.next());
    return raw && new Batch(raw, this.#items);
  }

  async *[Symbol.asyncIterator]() {
    for (let batch; (batch = await this.next()); ) {
      try {
        yield batch;
      } finally {
        batch.retry("the loop went on without an answer"); // unless there was one
      }
    }
  }

  /** Makes a batch due of what there is. */
  flush() {
    return this.#use((raw) => raw.flush());
  }

  /** Takes nothing more; what there is goes out at once. */
  close() {
    return this.#use((raw) => raw.close());
  }

  stats() {
    return this.#use((raw) => raw.stats());
  }
}

class Batch {
  #raw;
  #settled = false; // what is said after the first time is no news

  constructor(raw, values) {
    this.#raw = raw;
    const figures = raw.items();
    this.items = Array.from({ length: figures.length / 3 }, (_, index) => {
      const [id, number, attempt] = figures.subarray(3 * index, 3 * index + 3);
      return { value: values.get(id), number, attempt };
    });
  }

  /** Each item has its own answer: `settled(item)` gives "delivered", or what else and why. */
  settle(settled) {
    if (this.#settled) return;
    const answers = this.items.map((item) => [settled(item) ?? "retry"].flat());
    this.#settled = true;
    this.#raw.settle(
      answers.map(([verdict]) => `${verdict}`),
      answers.map(([verdict, reason]) => `${reason ?? verdict}`),
    );
  }

  /** All were delivered. */
  commit() {
    this.settle(() => "delivered");
  }

  /** All are tried again, but for those whose last attempt this was. */
  retry(reason = "retried") {
    this.settle(() => ["retry", reason]);
  }

  /** All are given up. */
  abandon(reason = "abandoned") {
    this.settle(() => ["abandoned", reason]);
  }

  /** The destination was not there, which is held against no item. `after`: when it wants to be asked again. */
  unavailable(after = -1) {
    this.#settled = true;
    this.#raw.unavailable(after);
  }
}
