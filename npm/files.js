// Streams and files as users see them, over an engine that does the work.

/** An error with a stable `code`, and `retryable`; `url` and `status` where there are some. */
export class NarrowsError extends Error {
  constructor({ message, ...details }, options) {
    super(message, options);
    this.name = "NarrowsError";
    Object.assign(this, details);
  }
}

const ignore = () => {};

/** What the engine threw, as an error. */
export const fail = (thrown) =>
  thrown instanceof Error || typeof thrown?.code !== "string" ? thrown : new NarrowsError(thrown);

/** An error of the caller's own making. */
export const refusal = (code, message, url) => new NarrowsError({ code, message, url, retryable: false });
const invalid = (message) => refusal("options", message);

/** Bytes that may be in use at once, by all streams it is given to. */
export class Budget {
  static DEFAULT = 64 * 1024 * 1024;
  #watch = () => ({ reserved: 0, peak: 0 });
  #engine;

  constructor(bytes = Budget.DEFAULT) {
    if (!(Number.isSafeInteger(bytes) && bytes > 0 && bytes < 2 ** 31)) {
      throw invalid(`a budget must be 1 to 2^31 - 1 bytes, not ${bytes}`);
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
    if (engine !== (this.#engine ??= engine)) throw invalid("a budget serves this page or one worker");
    this.#watch = read;
  }
}

/** An address as seen from the page, also for an engine that is elsewhere. */
const absolute = (url) => {
  try {
    return new URL(url, globalThis.document?.baseURI).href;
  } catch {
    return String(url); // the engine will say what it makes of it
  }
};

/** A source as the engine wants it. */
function toSource(source) {
  if (typeof source === "string" || source instanceof URL) return { url: absolute(source) };
  if (source === null || typeof source !== "object" || !("url" in source)) {
    throw invalid(`a source must be an address or an object with one in \`url\`, not ${source}`);
  }
  const { url, size, md5, sha256, headers } = source;
  return { url: absolute(url), size, md5, sha256, headers: headers && Object.fromEntries(new Headers(headers)) };
}

/** An iterator over any list: of iterables, async iterables, or a ReadableStream's reader. */
function iterate(sources) {
  if (sources?.[Symbol.asyncIterator]) return sources[Symbol.asyncIterator]();
  if (typeof sources !== "string" && sources?.[Symbol.iterator]) return sources[Symbol.iterator]();
  if (typeof sources?.getReader === "function") {
    const reader = sources.getReader(); // not every engine's streams are iterable
    return { next: () => reader.read(), return: () => reader.cancel() };
  }
  throw invalid("sources must be an iterable or a ReadableStream");
}

/** Moves a buffer out of the consumer's hand: what it kept of it is empty from now on. */
export function takeBack(buffer) {
  if (!buffer?.byteLength) return undefined; // none lent, or given away
  return buffer.transfer ? buffer.transfer() : structuredClone(buffer, { transfer: [buffer] });
}

/** Runs calls one after another: an engine answers one at a time. */
function queue() {
  let last = Promise.resolve();
  return (call) => (last = last.catch(ignore).then(call));
}

export const makeStream = (engine, sources, options) => new FileStream(engine, sources, options);

class FileStream {
  #engine;
  #raw; // a promise of the engine's stream, once it was needed
  #iterator;
  #options;
  #over = false; // everything was handed out
  #closed = false;
  #open = new Set(); // files that were handed out and have not ended
  #error; // what ends the stream: { reason }
  #listError; // what ended the list
  #inTurn = queue();
  #release;
  #gone; // a promise of its end
  #final; // its last counters
  #tell; // of progress
  #interval;
  #timer;

  constructor(engine, sources, { budget, signal, onProgress, progressInterval = 100, unpack, ...rest } = {}) {
    const aborted = () => this.#end({ reason: signal.reason });
    this.#release = () => signal?.removeEventListener("abort", aborted);
    this.budget = budget instanceof Budget ? budget : new Budget(budget);
    this.#options = { ...rest, unpack: unpack === true ? {} : unpack || undefined };
    this.#iterator = iterate(sources);
    if (signal?.aborted) aborted();
    else signal?.addEventListener("abort", aborted);
    this.#engine = engine;
    this.#tell = onProgress && ((stats) => stats && onProgress(stats));
    this.#interval = progressInterval;
  }

  #begin() {
    if (!this.#closed) this.#raw ??= this.#start();
    return this.#raw;
  }

  async #start() {
    try {
      const raw = await this.#engine.open(() => this.#pull(), this.#options, this.budget);
      if (this.#closed) raw.close();
      else if (this.#tell) {
        this.#timer = setInterval(() => raw.stats().then(this.#tell, ignore), this.#interval);
        this.#timer.unref?.();
      }
      return raw;
    } catch (error) {
      this.#end();
      throw fail(error);
    }
  }

  /** The next source for the engine. What the list throws is for the consumer. */
  async #pull() {
    try {
      const { done, value } = await this.#iterator.next();
      return done || this.#closed ? undefined : toSource(value);
    } catch (error) {
      this.#listError = { reason: error };
      return undefined;
    }
  }

  #end(error) {
    if (this.#closed) return;
    this.#closed = true;
    this.#error ??= error;
    for (const file of this.#open) file.stop();
    this.#gone = this.#raw
      ?.then(async (raw) => {
        this.#final = await raw?.stats().catch(ignore);
        await raw?.close();
      })
      .catch(ignore)
      .then(() => this.#tell?.(this.#final));
    this.#release();
    clearInterval(this.#timer);
    (async () => this.#iterator.return?.())().catch(ignore); // it may be what is running
  }

  /** The next file whose first bytes are there, or that has failed. */
  next() {
    return this.#inTurn(() => this.#next());
  }

  async #next() {
    const raw = await this.#begin();
    let file;
    try {
      file = this.#closed ? undefined : await raw.next();
    } catch (error) {
      this.#end({ reason: fail(error) });
    }
    if (file && !this.#closed) {
      const ended = () => (this.#open.delete(value), this.#endWhenOver());
      const value = new NarrowsFile(file, this.#options, () => this.#error, ended);
      this.#open.add(value);
      return { done: false, value };
    }
    await file?.close(); // it came too late
    this.#over = true;
    this.#endWhenOver();
    await this.#gone;
    const error = this.#error ?? this.#listError;
    if (error) throw error.reason;
    return { done: true, value: undefined };
  }

  /** Files may still be read when the last has been handed out. */
  #endWhenOver() {
    if (this.#over && this.#open.size === 0) this.#end();
  }

  /** Ends everything: what is open is aborted, its memory given back. `break` calls it. */
  async return(value) {
    this.#end();
    await this.#gone;
    return { done: true, value };
  }

  /** For one loop; a file that it passed over is given up, for it has a place. */
  [Symbol.asyncIterator]() {
    let last;
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        if (last?.untouched) last.stop();
        const next = await this.next();
        last = next.value;
        return next;
      },
      return: (value) => this.return(value),
    };
  }

  /** A snapshot of the counters; undefined before there is one. */
  async stats() {
    return this.#final ?? (await this.#raw)?.stats();
  }

  /** What each file in flight is at. */
  async transfers() {
    return (await (await this.#raw)?.transfers()) ?? [];
  }

  /** Changes how many may be in flight, from now on. */
  async setLimit(limit) {
    if (!Number.isSafeInteger(limit) || limit < 1) throw invalid(`a limit must be at least 1, not ${limit}`);
    await (await this.#begin())?.setLimit(limit);
  }

  /** Ends the stream in order: what has not been delivered is delivered as cancelled. */
  async cancel() {
    await (await this.#begin())?.cancel();
  }

  /** Reads every file with `work`, several at once, and counts how they ended. */
  async each(work) {
    const counts = { done: 0, skipped: 0, failed: 0, cancelled: 0 };
    const running = new Set();
    for await (const file of this) {
      file.untouched = false;
      const run = (async () => {
        try {
          await null; // until `run` is there
          await work(file);
        } finally {
          running.delete(run);
          counts[(await file.cancel()).outcome]++;
        }
      })();
      run.catch((reason) => this.#end({ reason }));
      running.add(run);
    }
    await Promise.all(running);
    await this.#gone;
    return counts;
  }
}
if (Symbol.asyncDispose) FileStream.prototype[Symbol.asyncDispose] = FileStream.prototype.return;

/** Reading in blocks: what files and their entries have in common. */
class Readable {
  /** Blocks, each lent until the next is asked for: then it is taken back, and empty. */
  async *[Symbol.asyncIterator]() {
    try {
      for (let block; (block = await this.nextBlock()); ) yield block;
    } finally {
      this.stop();
    }
  }

  /** Everything as text. */
  async text(max) {
    return new TextDecoder().decode(await this.bytes(max));
  }

  /** Lines of UTF-8 without their ends. */
  async *lines({ maxLength = 1 << 20 } = {}) {
    const decoder = new TextDecoder();
    let rest = "";
    const checked = (line) => {
      if (line.length <= maxLength) return line;
      throw refusal("line_too_long", `${this.url}: a line exceeds ${maxLength} characters`, this.url);
    };
    for await (const block of this) {
      const lines = (rest + decoder.decode(block, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) yield checked(line.endsWith("\r") ? line.slice(0, -1) : line);
      checked(rest);
    }
    rest += decoder.decode();
    if (rest) yield rest;
  }

  /** A byte stream that holds nothing itself. */
  toReadableStream() {
    const source = {
      pull: async (controller) => {
        const block = await this.nextBlock();
        if (!block) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else controller.enqueue(block.slice());
      },
      cancel: () => this.stop(),
    };
    try {
      return new ReadableStream({ ...source, type: "bytes" }, { highWaterMark: 0 });
    } catch {
      return new ReadableStream(source, { highWaterMark: 0 }); // no byte streams here
    }
  }
}

class NarrowsFile extends Readable {
  #raw;
  #ended;
  #reason;
  #lent;
  #closing; // a promise of the report
  #entry; // the one that blocks are of; null before the first
  #inTurn = queue();
  untouched = true;

  constructor(raw, { collect = 1 << 20 }, reason, ended) {
    super();
    this.#raw = raw;
    this.#reason = reason;
    this.#ended = ended;
    this.collectMax = collect;
    this.index = raw.index;
    this.url = raw.url;
    this.size = raw.size;
  }

  async #read(read) {
    this.untouched = false;
    try {
      return await this.#inTurn(read);
    } catch (error) {
      this.stop();
      const ended = this.#reason();
      throw ended ? ended.reason : fail(error);
    }
  }

  /** The next block of the whole file, or of the entry that is open. */
  async nextBlock(entry = this.#entry) {
    if (entry !== this.#entry) throw invalid("the entry is not open");
    return this.#read(async () => {
      const block = await this.#raw.nextBlock(this.#lent);
      this.#lent = block?.buffer;
      if (!block && entry === undefined) this.stop(); // the end
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
    } finally {
      this.#entry = null;
      this.stop();
    }
  }

  /** Everything at once, if it has room: see the option `collect`. */
  async bytes(max = this.collectMax) {
    const bytes = await this.#read(() => this.#raw.collect(max));
    await this.cancel(); // its memory is JavaScript's now
    return bytes;
  }

  /** How it ended; undefined before. */
  async report() {
    return this.#closing ?? this.#raw.report();
  }

  stop() {
    return this.cancel().catch(ignore);
  }

  /** Ends it where it is, and says how. */
  cancel() {
    this.untouched = false;
    this.#closing ??= (async () => {
      takeBack(this.#lent);
      this.#lent = undefined;
      try {
        return await this.#raw.close();
      } finally {
        this.#ended();
      }
    })();
    return this.#closing;
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
    return this.#file.nextBlock(this);
  }

  stop() {} // what is left is skipped when the next entry is asked for

  async bytes(max = this.#file.collectMax) {
    const parts = [];
    let length = 0;
    for await (const block of this) {
      length += block.length;
      if (!(length <= max)) {
        const message = `${this.url}: entry ${this.name} is larger than ${max} bytes; read its blocks`;
        throw refusal("too_big_to_collect", message, this.url);
      }
      parts.push(block.slice());
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }
}
