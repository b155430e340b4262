// Downloads for which the test measures the tab's memory from outside.
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const MB = 1_000_000;

/** Takes `pause` ms for every megabyte. */
function consumer(pause) {
  let owed = 0;
  return async (bytes) => {
    for (owed += bytes; owed >= MB; owed -= MB) await sleep(pause);
  };
}

globalThis.ours = async (place, urls, { limit = 4, budget = 32 * 1024 * 1024, pause = 50, ...rest } = {}) => {
  const { stream, memoryBytes } = await import(place === "worker" ? "/npm/worker.js" : "/npm/index.js");
  let bytes = 0;
  const reading = stream(urls, { limit, budget, ...rest });
  const counts = await reading.each(async (file) => {
    const consume = consumer(pause);
    for await (const block of file) {
      bytes += block.length;
      await consume(block.length);
    }
  });
  return { ...counts, bytes, peak: reading.budget.peak, wasm: memoryBytes?.() };
};

globalThis.byHand = async (urls, { limit = 4, pause = 50 } = {}) => {
  const rest = urls[Symbol.iterator]();
  let bytes = 0;
  const worker = async () => {
    const consume = consumer(pause);
    for (const url of rest) {
      const buffer = await (await fetch(url)).arrayBuffer();
      bytes += buffer.byteLength;
      await consume(buffer.byteLength);
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return { bytes };
};

/** A month of trades to bars. */
globalThis.bars = async (place, url) => {
  const { stream } = await import(place === "worker" ? "/npm/worker.js" : "/npm/index.js");
  const { rangeBars } = await import("/npm/bars.js");
  const bars = await rangeBars({ thresholdDbps: 250 });
  for await (const file of stream([url], { unpack: true, budget: 16 * 1024 * 1024, collect: 0 })) {
    for await (const block of file) bars.push(block);
    bars.endFile();
  }
  return bars.counts();
};

/** Everything is loaded and does nothing. */
globalThis.idle = async (place) => {
  const { plan } = await import(place === "worker" ? "/npm/worker.js" : "/npm/index.js");
  await plan();
  await (await import("/npm/bars.js")).init();
  await sleep(500);
};
