// A stream of files as users see it, over an engine that does the work.

import { Budget } from "./budget.js";
import { fail, ignore, rethrow } from "./errors.js";
import { NarrowsFile } from "./file.js";
import { queue } from "./readable.js";
import { iterate, toSource } from "./sources.js";

export const makeStream = (engine, sources, options) => new FileStream(engine, sources, options);

class FileStream {
  #engine;
  #raw; // a promise of the engine's stream, once it was needed
  #iterator;
  #options;
  #explicit; // whether only `finish()` makes files done
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

  constructor(engine, sources, { budget, signal, onProgress, progressInterval = 100, ...rest } = {}) {
    this.#explicit = rest.commit === "explicit";
    const aborted = () => this.#end({ reason: signal.reason });
    this.#release = () => signal?.removeEventListener("abort", aborted);
    this.budget = budget instanceof Budget ? budget : new Budget(budget);
    this.#options = { limit: 10, ...rest };
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
        this.#timer = setInterval(() => raw.stats().then(this.#tell).catch(ignore), this.#interval);
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
    for (const file of this.#open) file.cancel().catch(ignore);
    this.#gone = this.#raw
      ?.then(async (raw) => {
        this.#final = await raw?.stats().catch(ignore);
        await raw?.close();
      })
      .catch(ignore)
      .then(() => this.#tell?.(this.#final))
      .catch(ignore);
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
      const value = new NarrowsFile(file, this.#options, this.#explicit, () => this.#error, ended);
      this.#open.add(value);
      return { done: false, value };
    }
    await file?.close(); // it came too late
    this.#over = true;
    this.#endWhenOver();
    await this.#gone;
    const error = this.#error ?? this.#listError;
    if (error) throw error.reason;
    return { done: true };
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
    await (await this.#begin())?.setLimit(limit).catch(rethrow);
    this.#options.limit = limit;
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
      file.explicit = true; // what `work` makes of it decides
      const run = (async () => {
        let report;
        try {
          await null; // until `run` is there
          await work(file);
          report = file.finish();
        } catch (reason) {
          report = file.fail(reason);
          throw reason;
        } finally {
          counts[(await report).outcome]++;
          running.delete(run);
        }
      })();
      run.catch((reason) => this.#end({ reason }));
      running.add(run);
      while (running.size >= this.#options.limit) await Promise.race(running);
    }
    await Promise.all(running);
    await this.#gone;
    return counts;
  }
}
FileStream.prototype[Symbol.asyncDispose ?? Symbol()] = FileStream.prototype.return;
