// Runs the module: `node run.mjs MODULE simulate FIRST END`, or `inflate MEGABYTES`.
import { readFileSync } from "node:fs";

const [path, what, first, end] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(path), {});
const wasm = instance.exports;

const actions = {
  simulate: () => console.log(BigInt.asUintN(64, wasm.simulate(BigInt(first), BigInt(end))).toString()),
  inflate: async () => {
    wasm.prepare(Number(first));
    const packed = new Uint8Array(wasm.memory.buffer, wasm.packed(), wasm.packed_length()).slice();
    const native = async () => {
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      let bytes = 0;
      for await (const chunk of stream) bytes += chunk.length;
      return bytes;
    };
    const ours = async () => Number(wasm.inflate());
    const times = { ours: [], native: [] };
    for (let round = 0; round < 7; round++) {
      for (const [name, run] of Object.entries({ ours, native })) {
        const start = performance.now();
        const bytes = await run();
        times[name].push(performance.now() - start);
        if (bytes !== Number(first) << 20) throw new Error(`${name}: ${bytes} bytes`);
      }
    }
    const rate = (name) => Number(first) / (times[name].sort((a, b) => a - b)[3] / 1000);
    const [a, b] = [rate("ours"), rate("native")];
    console.log(`wasm inflate ${a.toFixed(0)} MiB/s, DecompressionStream ${b.toFixed(0)} MiB/s, ratio ${(a / b).toFixed(2)}`);
  },
};
await actions[what]();
