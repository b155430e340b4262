// The other end of worker.js: runs the engine and answers messages.

import { Budget, engine, init, memoryBytes, plan } from "./index.js";

const objects = new Map(); // streams and files by number: { object, budget, list }
const budgets = new Map();
const pulls = new Map(); // what the main thread has been asked for
let last = 0;
let opening = 0;

function post(message, budget, transfer = []) {
  const figures = budget && { budget: budget.number, reserved: budget.of.reserved, peak: budget.of.peak };
  postMessage({ ...message, ...figures, memory: memoryBytes() }, transfer);
}

const pull = (list) =>
  new Promise((resolve) => {
    const id = ++last;
    pulls.set(id, resolve);
    post({ id, pull: list });
  });

function register(entry) {
  objects.set(++last, entry);
  return last;
}

const root = {
  plan: (options) => plan(options),
  async open(list, options, number, bytes) {
    if (!budgets.has(number)) budgets.set(number, { number, of: new Budget(bytes) });
    const budget = budgets.get(number);
    opening++;
    try {
      return register({ object: await engine.open(() => pull(list), options, budget.of), budget });
    } finally {
      opening--;
    }
  },
};

async function run({ to, method, args }) {
  const { object, budget } = to === 0 ? { object: root } : (objects.get(to) ?? {});
  if (!object) return {}; // closed
  const value = await object[method](...args);
  if (method === "close") objects.delete(to);
  if (objects.size + opening === 0) budgets.clear(); // nothing of theirs is in use
  if (method === "next" && value) {
    const { index, url, size } = value;
    return { value: { ref: register({ object: value, budget }), index, url, size }, budget };
  }
  const isBytes = value instanceof Uint8Array;
  return { value, budget, transfer: isBytes ? [value.buffer] : [] };
}

onmessage = async ({ data }) => {
  if (data.module) return void init(data.module).catch(() => {}); // told by the first call
  if (data.pulled) {
    pulls.get(data.pulled)?.(data.source);
    pulls.delete(data.pulled);
    return;
  }
  try {
    const { value, budget, transfer } = await run(data);
    post({ id: data.id, value }, budget, transfer);
  } catch (error) {
    // An error's own properties would be lost on the way.
    const plain = error?.code ? { ...error, message: error.message } : error;
    post({ id: data.id, error: plain }, objects.get(data.to)?.budget);
  }
};
