// The two ways from a month of trades to bars: narrows', and the one people write by hand.
import { Budget, memoryBytes, stream } from "narrows";
import { csvHeader, rangeBars, type RangeBars } from "narrows/bars";
import { NarrowsWorker } from "narrows/worker";
import { unzip } from "./ways";

/** What the page shows of a bar. */
export interface Shown {
  closeTime: number;
  high: number;
  low: number;
  close: number;
}

export interface Progress {
  trades: number;
  /** Bytes held: charged to the budget, or, the naive way, in buffers, strings and rows. */
  held: number;
  wasm: number;
  received: number;
  text: number;
}

export interface Job {
  url: string;
  thresholdDbps: number;
  onBars(bars: Shown[]): void;
  signal: AbortSignal;
}

export interface Way {
  progress(): Promise<Progress>;
  /** The bars as CSV, when all trades are read. */
  finished: Promise<string>;
}

const pause = () => new Promise((resolve) => setTimeout(resolve));

export function narrows({ url, thresholdDbps, onBars, signal }: Job, inWorker: boolean): Way {
  const worker = inWorker ? new NarrowsWorker() : undefined;
  const budget = new Budget(16 << 20);
  const files = (worker ?? { stream }).stream([url], { budget, unpack: true, collect: 0, signal });
  let bars: RangeBars | undefined;
  let text = 0;
  const run = async () => {
    bars = await rangeBars({ thresholdDbps });
    const rows = [csvHeader()];
    const made = (some: ReturnType<RangeBars["push"]>) => {
      rows.push(...some.map(({ csv }) => csv));
      onBars(some);
    };
    for await (const file of files) {
      for await (const block of file) {
        text += block.length;
        made(bars.push(block));
      }
      made(bars.endFile());
    }
    made(bars.end());
    return `${rows.join("\n")}\n`;
  };
  return {
    finished: run().finally(() => worker?.close()),
    async progress() {
      const received = (await files.stats())?.bytesIn ?? 0;
      const wasm = worker ? worker.memoryBytes : memoryBytes();
      return { trades: bars?.counts().trades ?? 0, held: budget.reserved, wasm, received, text };
    },
  };
}

/** All text in memory, all rows as objects, then the bars. */
export function naive({ url, thresholdDbps, onBars, signal }: Job): Way {
  const now: Progress = { trades: 0, held: 0, wasm: 0, received: 0, text: 0 };
  const run = async () => {
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const zip = await response.arrayBuffer();
    now.received = now.held = zip.byteLength;
    const bytes = await unzip(zip);
    now.text = bytes.length;
    now.held += bytes.length;
    const lines = new TextDecoder().decode(bytes).split("\n");
    now.held += bytes.length; // one byte a character, at least
    const trades: { price: number; quantity: number; time: number }[] = [];
    for (const line of lines) {
      const [, price, quantity, , , time] = line.split(",");
      if (!(Number(price) > 0)) continue; // a header, or the end
      trades.push({ price: Number(price), quantity: Number(quantity), time: Number(time) });
      now.held += 40; // three doubles and what an object is
      if (trades.length % 200_000 === 0) await pause();
      signal.throwIfAborted();
    }
    const rows = ["close_time_ms,open,high,low,close,volume"];
    let bar: (Shown & { open: number; volume: number; openTime: number }) | undefined;
    for (const { price, quantity, time } of trades) {
      now.trades++;
      bar ??= { open: price, high: price, low: price, close: price, volume: 0, openTime: time, closeTime: time };
      bar = { ...bar, high: Math.max(bar.high, price), low: Math.min(bar.low, price), close: price, closeTime: time, volume: bar.volume + quantity };
      const delta = (bar.open * thresholdDbps) / 100_000;
      if (Math.abs(price - bar.open) >= delta && time !== bar.openTime) {
        rows.push([bar.closeTime, bar.open, bar.high, bar.low, bar.close, bar.volume].join());
        onBars([bar]);
        bar = undefined;
      }
      if (now.trades % 200_000 === 0) await pause();
    }
    return `${rows.join("\n")}\n`;
  };
  return { finished: run(), progress: async () => ({ ...now }) };
}
