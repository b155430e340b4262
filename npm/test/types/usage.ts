// Compiled, never run: what users write must pass, and what is wrong must not.
import { Budget, NarrowsError, init, memoryBytes, plan, stream, type NarrowsFile, type Stats } from "narrows";
import { csvHeader, rangeBars, type Bar } from "narrows/bars";
import { batches, type Ended } from "narrows/batches";
import { table } from "narrows/tables";
import { NarrowsWorker, stream as inWorker } from "narrows/worker";

async function usage(signal: AbortSignal): Promise<number> {
  await init();
  const budget = new Budget(64 << 20);
  let total: number = memoryBytes();
  for await (const file of stream(["https://a/b.zip", new URL("https://a/c"), { url: "https://a/d", size: 3 }], {
    budget,
    signal,
    unpack: { maxEntrySize: 1 << 30, allow: { trailingData: true } },
    onProgress: (stats: Stats) => void stats.reserved,
  })) {
    for await (const entry of file.entries()) {
      const name: string = entry.name;
      for await (const block of entry) total += block.length + name.length;
    }
    const outcome: "done" | "skipped" | "failed" | "cancelled" | undefined = (await file.report())?.outcome;
    void outcome;
  }
  const counts = await inWorker(
    (async function* () {
      yield "https://a/e";
    })(),
    { order: "list" },
  ).each(async (file: NarrowsFile) => {
    for await (const line of file.lines()) total += line.length;
    new Response(file.toReadableStream());
  });
  total += counts.done + (await plan({ limit: 3 })).peak;
  new NarrowsWorker({ recycleAbove: 1 << 20 }).close();
  return total;
}

export async function inBatches(): Promise<number> {
  const letters: Ended<{ id: number }>[] = [];
  const buffer = batches<{ id: number }>({ batchItems: 50, overflow: "drop-oldest", onEnd: (ended) => letters.push(ended) });
  const number: number = await buffer.push({ id: 1 }, { bytes: 20, priority: 1 });
  await buffer.close();
  for await (const batch of buffer) batch.settle(({ value, attempt }) => (value.id + attempt > 3 ? ["abandoned", "why"] : "delivered"));
  return number + (await buffer.stats()).delivered;
}
export async function toBars(): Promise<string[]> {
  const bars = await rangeBars({ thresholdDbps: [100, 250], gaps: "end-bar", onGap: ({ missing }) => console.log(missing) });
  const made: Bar[] = [];
  for await (const file of stream(["https://a/b.zip"], { unpack: true, order: "list" })) {
    for await (const block of file) made.push(...bars.push(block));
    made.push(...bars.endFile());
  }
  return [csvHeader(), ...made.map(({ csv }) => csv), bars.state()];
}
export async function toTables(blocks: Uint8Array[]): Promise<Blob> {
  const trades = await table({ schema: "tardis.trades", columns: ["price"] });
  const price = trades.push(blocks[0]!)[0]?.columns.price;
  if (price?.kind === "float64") console.log(price.values.at(-1)?.toFixed(2), price.get(0));
  const file = await table({ schema: "float64 a", as: "parquet" });
  return new Blob([...blocks.flatMap((block) => file.push(block)), ...file.endFile(), ...file.end()]);
}
// @ts-expect-error: no such policy
rangeBars({ thresholdDbps: 250, gaps: "explode" });
// @ts-expect-error: no width
rangeBars({});

// @ts-expect-error: no such policy
batches({ overflow: "explode" });
// @ts-expect-error: misspelt
stream([], { limitt: 3 });
// @ts-expect-error: no such order
stream([], { order: "random" });
// @ts-expect-error: a source needs an address
stream([{ size: 3 }]);
// @ts-expect-error: one address is no list
inWorker(new URL("https://a/"));

export function code(error: unknown): string | undefined {
  return error instanceof NarrowsError && error.retryable ? error.code : undefined;
}
export default usage;
