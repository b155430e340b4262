// A month of trades to range bars: narrows, and the loop that people write over fflate.

const ours = (module) => async (url, thresholdDbps) => {
  const [{ stream }, { rangeBars }] = await Promise.all([import(module), import("/npm/bars.js")]);
  const bars = await rangeBars({ thresholdDbps });
  let made = 0;
  for await (const file of stream([url], { unpack: true, collect: 0 })) {
    for await (const block of file) made += bars.push(block).length;
    made += bars.endFile().length;
  }
  const { trades } = bars.counts();
  bars.close();
  return { trades, bars: made };
};

const RUNNERS = {
  narrows: ours("/npm/index.js"),
  worker: ours("/npm/worker.js"),

  async fflate(url, thresholdDbps) {
    const { Unzip, UnzipInflate } = await import("/node_modules/fflate/esm/browser.js");
    const decoder = new TextDecoder();
    const seen = { trades: 0, bars: 0 };
    let carry = "";
    let bar;
    const take = (block, isLast) => {
      const lines = (carry + decoder.decode(block, { stream: !isLast })).split("\n");
      carry = lines.pop();
      for (const line of lines) {
        const fields = line.split(",");
        const [price, quantity, time] = [Number(fields[1]), Number(fields[2]), Number(fields[5])];
        if (!(price > 0)) continue;
        const isSale = fields[6].toLowerCase() === "true";
        const fills = Number(fields[4]) - Number(fields[3]) + 1;
        seen.trades++;
        bar ??= { openTime: time, open: price, high: price, low: price, volume: 0, turnover: 0, bought: 0, sold: 0, fills: 0, trades: 0, first: Number(fields[0]) };
        bar.high = Math.max(bar.high, price);
        bar.low = Math.min(bar.low, price);
        bar.close = price;
        bar.closeTime = time;
        bar.last = Number(fields[0]);
        bar.volume += quantity;
        bar.turnover += price * quantity;
        bar[isSale ? "sold" : "bought"] += quantity;
        bar.fills += fills;
        bar.trades++;
        if (Math.abs(price - bar.open) >= (bar.open * thresholdDbps) / 100_000 && time !== bar.openTime) {
          seen.bars++;
          bar = undefined;
        }
      }
    };
    const unzip = new Unzip((entry) => {
      entry.ondata = (error, block, isLast) => {
        if (error) throw error;
        take(block, isLast);
      };
      entry.start();
    });
    unzip.register(UnzipInflate);
    const reader = (await fetch(url)).body.getReader();
    for (let read; !(read = await reader.read()).done; ) unzip.push(read.value);
    unzip.push(new Uint8Array(0), true);
    return seen;
  },
};

globalThis.raceBars = async (name, url, thresholdDbps) => {
  const start = performance.now();
  const seen = await RUNNERS[name](url, thresholdDbps);
  return { ...seen, time: performance.now() - start };
};
