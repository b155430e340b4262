// A file and its entries, over what an engine hands out.

import { fail, ignore, invalid } from "./errors.js";
import { Readable, queue, takeBack } from "./readable.js";

export class NarrowsFile extends Readable {
  #raw;
  #ended;
  #reason;
  #lent;
  #closing; // a promise of the report
  #proven; // whether everything has been read
  #entry; // the one that blocks are of; null before the first
  #inTurn = queue();
  untouched = true;

  constructor(raw, { collect = 1 << 20 }, explicit, reason, ended) {
    super();
    this.#raw = raw;
    this.#reason = reason;
    this.#ended = ended;
    this.explicit = explicit; // whether only `finish()` makes it done
    this.collectMax = collect;
    ({ index: this.index, url: this.url, size: this.size } = raw);
  }

  async #read(read) {
    this.untouched = false;
    try {
      return await this.#inTurn(read);
    } catch (error) {
      // An entry that is too big is the entry's failure.
      if (!this.#entry || error.code !== "too_big_to_collect") this.stop();
      const ended = this.#reason();
      throw ended ? ended.reason : fail(error);
    }
  }

  #check(entry) {
    if (entry !== this.#entry) throw invalid("the entry is not open");
  }

  /** Everything has been read. */
  #end() {
    this.#proven = true;
    return this.explicit || this.finish().catch(ignore);
  }

  /** The next block of the whole file, or of the entry that is open. */
  async nextBlock(marks, entry = this.#entry) {
    this.#check(entry);
    return this.#read(async () => {
      const block = await this.#raw.nextBlock(this.#lent, marks && !entry);
      this.#lent = block?.buffer;
      if (block === undefined && entry === undefined) this.#end();
      return block;
    });
  }

  /** The entries of an archive, one at a time; what is left of one is skipped. */
  async *entries() {
    this.#entry = null;
    try {
      for (let entry; (entry = await this.#read(() => this.#raw.nextEntry())); this.#entry = null) {
        yield (this.#entry = new Entry(this, entry));
      }
      this.#end();
    } finally {
      this.#entry = null;
      this.stop();
    }
  }

  /** Everything at once, if it has room: see the option `collect`. */
  async bytes(max = this.collectMax, entry = this.#entry) {
    this.#check(entry);
    const bytes = await this.#read(() => this.#raw.collect(max));
    if (entry === undefined) await this.#end(); // its memory is JavaScript's now
    return bytes;
  }

  /** How it ended; undefined before. */
  async report() {
    return this.#closing ?? this.#raw.report();
  }

  /** Leaves it, unless it only waits to be committed. */
  stop() {
    return this.#proven || this.cancel().catch(ignore);
  }

  #close(how, reason) {
    this.untouched = false;
    this.#closing ??= (async () => {
      takeBack(this.#lent);
      this.#lent = undefined;
      try {
        return await this.#raw.close(how, reason);
      } finally {
        this.#ended();
      }
    })();
    return this.#closing;
  }

  /** What came is committed: it is done, if that was everything. Says how it ended. */
  finish() {
    return this.#close("finish");
  }

  /** What came could not be kept: it has failed. Says how it ended. */
  fail(reason) {
    return this.#close("fail", String(reason?.message ?? reason));
  }

  /** Ends it where it is, and says how. */
  cancel() {
    return this.#close("close");
  }
}

class Entry extends Readable {
  #file;

  constructor(file, description) {
    super();
    this.#file = file;
    Object.assign(this, description);
    this.url = file.url;
  }

  nextBlock() {
    return this.#file.nextBlock(false, this);
  }

  stop() {} // what is left is skipped when the next entry is asked for

  bytes(max) {
    return this.#file.bytes(max, this);
  }
}
