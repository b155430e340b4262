// The two ways to do the job: narrows', and the one people write by hand.
import { Budget, memoryBytes, stream, type FileStream } from "narrows";
import { NarrowsWorker } from "narrows/worker";

/** What a way tells the page while it runs, and once more at its end. */
export interface Moment {
  /** Bytes held: charged to the budget, or, the naive way, in buffers. */
  held: number;
  wasm: number;
  bytesIn: number;
  bytesOut: number;
  done: number;
  failed: number;
  /** What each file in flight is at. */
  lanes: { index: number; state: string }[];
}

/** The page's consumer: takes blocks at its pace, or none while it is paused. */
export interface Consumer {
  take(block: Uint8Array): Promise<void>;
  failed(index: number, code: string, message: string): void;
}

export interface Way {
  moment(): Promise<Moment>;
  /** Ready when all is done or stopped. */
  finished: Promise<void>;
  stop(): void;
}

export interface Job {
  urls: string[];
  limit: number;
  budget: number;
  consumer: Consumer;
}

const STATES = { requesting: "requesting", receiving: "draining", waiting: "waiting", received: "waiting", backing_off: "backing_off" };

export function narrows({ urls, limit, budget, consumer }: Job, inWorker: boolean): Way {
  const worker = inWorker ? new NarrowsWorker() : undefined;
  const controller = new AbortController();
  const options = { limit, budget: new Budget(budget), unpack: true, collect: 0, signal: controller.signal };
  const files: FileStream = (worker ?? { stream }).stream(urls, options);
  const reading = new Set<number>();
  const holding = new Set<number>();
  const run = async () => {
    await files.each(async (file) => {
      reading.add(file.index);
      try {
        for await (const block of file) {
          holding.add(file.index);
          await consumer.take(block);
          holding.delete(file.index);
        }
      } catch (error) {
        if (controller.signal.aborted) return;
        const { code = "error", message } = error as { code?: string; message: string };
        consumer.failed(file.index, code, message);
      } finally {
        reading.delete(file.index);
        holding.delete(file.index);
      }
    });
  };
  const finished = run()
    .catch((error: unknown) => {
      if (!controller.signal.aborted) throw error;
    })
    .finally(() => worker?.close());
  return {
    finished,
    stop: () => controller.abort(),
    async moment() {
      const [stats, transfers] = await Promise.all([files.stats(), files.transfers()]);
      const state = (index: number, phase: keyof typeof STATES) =>
        holding.has(index) ? "holding" : reading.has(index) && phase !== "backing_off" ? "unpacking" : STATES[phase];
      return {
        held: files.budget.reserved,
        wasm: worker ? worker.memoryBytes : memoryBytes(),
        bytesIn: stats?.bytesIn ?? 0,
        bytesOut: stats?.bytesOut ?? 0,
        done: stats?.done ?? 0,
        failed: stats?.failed ?? 0,
        lanes: transfers.map(({ index, phase }) => ({ index, state: state(index, phase) })),
      };
    },
  };
}

/** The text of a zip's first entry, whole: sizes are in front in the demo's files. */
export async function unzip(bytes: ArrayBuffer): Promise<Uint8Array> {
  const view = new DataView(bytes);
  if (bytes.byteLength < 30 || view.getUint32(0, true) !== 0x04034b50) return new Uint8Array(bytes);
  const start = 30 + view.getUint16(26, true) + view.getUint16(28, true);
  const packed = new Blob([new Uint8Array(bytes, start, view.getUint32(18, true))]);
  return new Uint8Array(await new Response(packed.stream().pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer());
}

/** Every file whole in memory, and downloads that do not wait for the consumer. */
export function naive({ urls, limit, consumer }: Job): Way {
  const now = { held: 0, bytesIn: 0, bytesOut: 0, done: 0, failed: 0 };
  const lanes = new Map<number, string>();
  const queue: { index: number; text: Uint8Array }[] = [];
  let stopped = false;
  let wake = () => {};
  let rest = urls.length;
  const download = async (url: string, index: number) => {
    lanes.set(index, "draining");
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`status ${response.status}`);
      const bytes = await response.arrayBuffer();
      now.bytesIn += bytes.byteLength;
      lanes.set(index, "unpacking");
      const text = await unzip(bytes);
      now.held += text.byteLength;
      queue.push({ index, text });
      lanes.set(index, "holding");
      wake();
    } catch (error) {
      now.failed++;
      lanes.delete(index);
      consumer.failed(index, "error", (error as Error).message);
    }
    rest--;
    wake();
  };
  const all = urls.entries();
  const downloads = Array.from({ length: limit }, async () => {
    for (const [index, url] of all) if (!stopped) await download(url, index);
  });
  const consume = async () => {
    while (!stopped && (rest > 0 || queue.length > 0)) {
      const next = queue.shift();
      if (!next) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      for (let at = 0; at < next.text.length && !stopped; at += 131_072) await consumer.take(next.text.subarray(at, at + 131_072));
      now.held -= next.text.byteLength;
      now.bytesOut += next.text.byteLength;
      now.done++;
      lanes.delete(next.index);
    }
  };
  return {
    finished: Promise.all([...downloads, consume()]).then(() => {}),
    stop: () => ((stopped = true), wake()),
    moment: async () => ({ ...now, wasm: memoryBytes(), lanes: [...lanes].map(([index, state]) => ({ index, state })) }),
  };
}
