// narrows in a dedicated worker: the interface of index.js, with the work on another thread.
//
// Sources are pulled by messages, blocks come by transfer, and a block's buffer goes back with
// the request for the next one: that is how the worker knows that its memory is free again.

import { NarrowsError, ignore, refusal, rethrow } from "./errors.js";
import { makeStream } from "./stream.js";

export { Budget } from "./budget.js";
export { NarrowsError } from "./errors.js";

const BLOCK = 256 * 1024; // larger than elsewhere: each is a message both ways

const closed = () => refusal("cancelled", "the worker was closed");

/** The report of a file whose worker is gone. */
const lost = (index, url) => ({
  index,
  url,
  outcome: "cancelled",
  attempts: 0,
  requests: 0,
  bytesReceived: 0,
  bytesAccepted: 0,
  bytesOut: 0,
  entries: 0,
  elapsed: 0,
});

/** What a file that is over has for its reader. */
function again({ outcome, index, bytesOut, ...report }, method) {
  const { url } = report;
  if (outcome === "failed") throw new NarrowsError(report);
  if (outcome === "cancelled") throw refusal("cancelled", `${url}: the file was closed before its end`, url);
  if (method === "collect") throw refusal("options", `${url}: it has been read`, url);
}

/** A worker that is started when there is work, and replaced when it has grown and is idle. */
export class NarrowsWorker {
  #start;
  #module;
  #recycleAbove;
  #worker;
  #calls = new Map(); // id -> { resolve, reject }
  #lists = new Map(); // stream -> its pull function
  #figures = new Map(); // budget -> { reserved, peak }
  #budgets = new WeakMap(); // budget -> its number
  #last = 0;
  #memory = 0;

  constructor({ worker, module, recycleAbove = 64 * 1024 * 1024 } = {}) {
    this.#start = worker ?? (() => new Worker(new URL("./worker-thread.js", import.meta.url), { type: "module" }));
    this.#module = module;
    this.#recycleAbove = recycleAbove;
  }

  /** Downloads `sources`, some at a time. */
  stream(sources, options) {
    return makeStream(this, sources, options);
  }

  /** The memory that a stream with these options needs at most. */
  async plan({ budget, signal, onProgress, progressInterval, ...options } = {}) {
    const bytes = budget?.bytes ?? budget;
    const plan = await this.#call(0, "plan", [{ blockBytes: BLOCK, ...options, budget: bytes }]).catch(rethrow);
    this.#recycle();
    return plan;
  }

  /** Bytes of the worker's WebAssembly memory when it was last heard of. */
  get memoryBytes() {
    return this.#memory;
  }

  /** Ends the worker and all that it does. The next stream starts another. */
  close() {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#memory = 0;
    this.#lists.clear();
    for (const figures of this.#figures.values()) figures.reserved = 0;
    for (const { reject } of this.#calls.values()) reject(closed());
    this.#calls.clear();
  }

  /** For streams: what `engine.open` of index.js does, by messages. */
  async open(pull, options, budget) {
    const list = ++this.#last;
    if (!this.#budgets.has(budget)) this.#budgets.set(budget, ++this.#last);
    const number = this.#budgets.get(budget);
    const figures = this.#figures.get(number) ?? { reserved: 0, peak: budget.peak };
    this.#figures.set(number, figures);
    budget.watch(this, () => figures);
    const worker = this.#ensure();
    this.#lists.set(list, pull);
    let stream;
    try {
      stream = await this.#call(0, "open", [list, { blockBytes: BLOCK, ...options }, number, budget.bytes]);
    } catch (error) {
      this.#lists.delete(list);
      throw error;
    }
    const isGone = () => worker !== this.#worker;
    const on = (to, method, args, transfer) =>
      isGone() ? Promise.reject(closed()) : this.#call(to, method, args, transfer);
    // Of a worker that is gone, nothing is left to be closed, nor told; also if it goes meanwhile.
    const after = (...call) =>
      on(...call).catch((error) => {
        if (!isGone()) throw error;
      });
    const file = ({ ref, index, url, size }) => {
      let closing;
      const read = async (method, args, transfer) => {
        const report = await closing; // then the worker knows it no more
        if (report) return again(report, method);
        return on(ref, method, args, transfer);
      };
      return {
        index,
        url,
        size,
        // To post a buffer is to take it back.
        nextBlock: (lent, marks) =>
          lent?.byteLength ? read("nextBlock", [lent, marks, true], [lent]) : read("nextBlock", [undefined, marks]),
        nextEntry: () => read("nextEntry", []),
        collect: (max) => read("collect", [max]),
        report: () => after(ref, "report", []),
        close: (how, reason) =>
          (closing = after(ref, "close", [how, reason])
            .catch(ignore)
            .then((report) => report ?? lost(index, url))), // closed with its worker
      };
    };
    return {
      next: async () => {
        const next = await on(stream, "next", []);
        return next && file(next);
      },
      stats: () => after(stream, "stats", []),
      transfers: () => after(stream, "transfers", []),
      setLimit: (limit) => after(stream, "setLimit", [limit]),
      cancel: () => after(stream, "cancel", []),
      close: async () => {
        await after(stream, "close", []).catch(ignore); // closed with the worker
        if (isGone()) return;
        this.#lists.delete(list);
        this.#recycle();
      },
    };
  }

  #recycle() {
    if (this.#lists.size > 0 || this.#calls.size > 0) return;
    this.#figures.clear(); // budgets keep theirs
    if (this.#memory > this.#recycleAbove) this.close();
  }

  #ensure() {
    if (this.#worker) return this.#worker;
    const worker = (this.#worker = this.#start());
    worker.onmessage = ({ data }) => worker === this.#worker && this.#receive(data);
    worker.onerror = ({ message }) => {
      if (worker !== this.#worker) return;
      const error = new Error(`the worker cannot run: ${message ?? "its script could not be loaded"}`);
      for (const { reject } of this.#calls.values()) reject(error);
      this.#calls.clear();
      this.close();
    };
    if (this.#module) worker.postMessage({ module: this.#module });
    return worker;
  }

  #call(to, method, args, transfer = []) {
    const worker = this.#ensure();
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      try {
        worker.postMessage({ id, to, method, args }, transfer);
      } catch (error) {
        throw refusal("options", `an option cannot be sent to the worker: ${error.message}`);
      }
      this.#calls.set(id, { resolve, reject });
    });
  }

  async #receive({ id, value, error, pull, memory, budget, reserved, peak }) {
    this.#memory = memory;
    const figures = this.#figures.get(budget);
    if (figures) Object.assign(figures, { reserved, peak: Math.max(peak, figures.peak) });
    if (pull) {
      const worker = this.#worker;
      const source = await this.#lists.get(pull)?.();
      try {
        worker.postMessage({ pulled: id, source });
      } catch {
        worker.postMessage({ pulled: id, source: { url: source.url, size: "none that can be sent" } }); // fails as malformed
      }
      return;
    }
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(error);
  }
}

const shared = new NarrowsWorker();
export const stream = (sources, options) => shared.stream(sources, options);
export const plan = (options) => shared.plan(options);
/** Ends the worker that `stream` and `plan` share. */
export const close = () => shared.close();
