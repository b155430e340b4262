// A week of zips, downloaded, unpacked and counted: narrows and what people write by hand.

const count = (block) => {
  let rows = 0;
  for (let at = block.indexOf(10); at >= 0; at = block.indexOf(10, at + 1)) rows++;
  return rows;
};

/** Some at a time, by hand. */
async function pool(urls, limit, work) {
  const rest = urls[Symbol.iterator]();
  const worker = async () => {
    for (const url of rest) await work(url);
  };
  await Promise.all(Array.from({ length: limit }, worker));
}

/** The first entry of a zip that has its sizes in front, as these have. */
function entryOf(zip) {
  const view = new DataView(zip.buffer, zip.byteOffset);
  const start = 30 + view.getUint16(26, true) + view.getUint16(28, true);
  return zip.subarray(start, start + view.getUint32(18, true));
}

/** Downloads a zip and unpacks it by what the platform has. */
async function unzipByHand(url, take) {
  const zip = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const text = new Blob([entryOf(zip)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = text.getReader();
  for (let read; !(read = await reader.read()).done; ) take(read.value);
}

const ours = (module) => async (urls, limit) => {
  const { stream } = await import(module);
  let rows = 0;
  const counts = await stream(urls, { limit, unpack: true, collect: 0 }).each(async (file) => {
    for await (const block of file) rows += count(block);
  });
  if (counts.done !== urls.length) throw new Error(JSON.stringify(counts));
  return rows;
};

const RUNNERS = {
  page: ours("/npm/index.js"),
  worker: ours("/npm/worker.js"),
  async hand(urls, limit) {
    let rows = 0;
    await pool(urls, limit, (url) => unzipByHand(url, (block) => (rows += count(block))));
    return rows;
  },
  async fflate(urls, limit) {
    const { Unzip, UnzipInflate } = await import("/node_modules/fflate/esm/browser.js");
    let rows = 0;
    await pool(urls, limit, async (url) => {
      const reader = (await fetch(url)).body.getReader();
      const unzip = new Unzip((entry) => {
        entry.ondata = (error, block) => {
          if (error) throw error;
          rows += count(block);
        };
        entry.start();
      });
      unzip.register(UnzipInflate);
      for (let read; !(read = await reader.read()).done; ) unzip.push(read.value);
      unzip.push(new Uint8Array(0), true);
    });
    return rows;
  },
  async zipjs(urls, limit) {
    const { ZipReaderStream } = await import("/node_modules/@zip.js/zip.js/index.js");
    let rows = 0;
    await pool(urls, limit, async (url) => {
      const entries = (await fetch(url)).body.pipeThrough(new ZipReaderStream()).getReader();
      for (let entry; !(entry = await entries.read()).done; ) {
        const reader = entry.value.readable.getReader();
        for (let read; !(read = await reader.read()).done; ) rows += count(read.value);
      }
    });
    return rows;
  },
};

/** As by hand, with the work in a worker: what its thread's main thread sees of it. */
RUNNERS.handworker = (urls, limit) =>
  new Promise((resolve) => {
    const work = async (urls, limit) => {
      const send = (block) => postMessage(block, [block.buffer]);
      await pool(urls, limit, (url) => unzipByHand(url, (block) => send(block.slice())));
      postMessage(undefined);
    };
    const script = `${pool}; ${entryOf}; ${unzipByHand}; (${work})(${JSON.stringify(urls)}, ${limit});`;
    const worker = new Worker(URL.createObjectURL(new Blob([script])));
    let rows = 0;
    worker.onmessage = ({ data }) => {
      if (data) return void (rows += count(data));
      worker.terminate();
      resolve(rows);
    };
  });

/** The longest time for which the thread did not come back, in ms. */
function watchGaps() {
  let longest = 0;
  let last = performance.now();
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    port2.postMessage(0);
  };
  port2.postMessage(0);
  return () => (port1.close(), longest);
}

// How long tasks with a worker's message take, with the microtasks that follow: what of a gap is ours.
let tasks = [];
const { get, set } = Object.getOwnPropertyDescriptor(Worker.prototype, "onmessage");
Object.defineProperty(Worker.prototype, "onmessage", {
  get,
  set(handle) {
    set.call(this, (event) => {
      const start = performance.now();
      handle(event);
      let later = 200; // microtasks: more than any chain of ours
      const last = () => (later-- > 0 ? queueMicrotask(last) : tasks.push(performance.now() - start));
      if (tasks) last();
    });
  },
});

globalThis.race = async (name, urls, limit, gaps) => {
  const longTasks = [];
  if (PerformanceObserver.supportedEntryTypes.includes("longtask")) {
    const observer = new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)));
    observer.observe({ type: "longtask" });
  }
  const stop = gaps ? watchGaps() : () => 0;
  tasks = gaps ? [] : undefined;
  const start = performance.now();
  const rows = await RUNNERS[name](urls, limit);
  const time = performance.now() - start;
  return { rows, time, gap: stop(), task: Math.max(0, ...(tasks ?? [])), longTasks };
};
