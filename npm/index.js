// narrows on the thread it is called from. The interface is described in index.d.ts.

import load, { RawBudget, RawStream, plan as rawPlan } from "./wasm/narrows.js";
import { Budget } from "./budget.js";
import { ignore, rethrow } from "./errors.js";
import { loader } from "./loading.js";
import { takeBack } from "./readable.js";
import { makeStream } from "./stream.js";

export { Budget } from "./budget.js";
export { NarrowsError } from "./errors.js";

let memory;

/** Loads the module; further calls give the same promise. A failed load may be tried again. */
export const init = loader(
  load,
  () => new URL("./wasm/narrows_bg.wasm", import.meta.url),
  (module) => ({ memory } = module),
);

/** Bytes of WebAssembly memory. It grows and never shrinks. */
export const memoryBytes = () => memory?.buffer.byteLength ?? 0;

// A thread that others need must be given back now and then: after so many ms, but not for less
// work than that many bytes, for waiting for the network has given it back already.
const SLICE = 8;
const WORK = 2 ** 19;
let sliceEnd = 0;
let work = 0;

function nextTask() {
  if (globalThis.scheduler?.yield) return globalThis.scheduler.yield();
  if (globalThis.setImmediate) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), resolve());
    port2.postMessage(0);
  });
}

async function yielding(read) {
  if (work >= WORK && performance.now() > sliceEnd) {
    await nextTask();
    sliceEnd = performance.now() + SLICE;
    work = 0;
  }
  const block = await read();
  work += block?.length ?? 0;
  return block;
}

const rawBudgets = new WeakMap();

function rawBudget(budget) {
  if (!rawBudgets.has(budget)) {
    const raw = new RawBudget(budget.bytes);
    budget.watch(engine, () => ({ reserved: raw.reserved(), peak: raw.peak() }));
    rawBudgets.set(budget, raw);
  }
  return rawBudgets.get(budget);
}

// Buffers of files that have ended, for the next ones: a fresh one is slow at first touch. At
// most so many, none larger than that.
const SPARE = 8;
const SPARE_BYTES = 2 ** 18;
const spare = [];

async function nextBlock(raw, marks, into = spare.pop()) {
  const block = await raw.nextBlock(into, !!marks);
  if (!block && into?.byteLength <= SPARE_BYTES && spare.length < SPARE) spare.push(into);
  return block;
}

function localFile(raw) {
  let collecting;
  return {
    index: raw.index,
    url: raw.url,
    size: raw.size,
    // A buffer that came by message is nobody else's already.
    nextBlock: (lent, marks, isOurs) => yielding(() => nextBlock(raw, marks, isOurs ? lent : takeBack(lent))),
    nextEntry: () => yielding(() => raw.nextEntry()),
    collect: (max) => (collecting = raw.collect(max)),
    report: () => raw.report(),
    async close(how = "close", reason) {
      const report = raw[how](reason);
      if (!report) await collecting?.catch(ignore); // it has the file until it notices
      return report ?? raw.report();
    },
  };
}

/** What `stream.js` stands on: here the module itself, in worker.js messages to one. */
export const engine = {
  async open(pull, options, budget) {
    await init();
    const raw = new RawStream(pull, options, rawBudget(budget));
    return {
      next: async () => {
        const file = await raw.next();
        return file && localFile(file);
      },
      stats: async () => raw.stats(),
      transfers: () => raw.transfers(),
      setLimit: async (limit) => raw.setLimit(limit),
      cancel: () => raw.cancel(),
      close: () => raw.close(),
    };
  },
};

/** Downloads `sources`, some at a time. */
export const stream = (sources, options) => makeStream(engine, sources, options);

/** The memory that a stream with these options needs at most, in bytes, term by term. */
export const plan = ({ budget, ...options } = {}) =>
  init().then(() => rawPlan(options, budget?.bytes ?? budget ?? Budget.DEFAULT)).catch(rethrow);
