// A month of trades to range bars in browsers: `node benches/browsers/bars.mjs [--rounds 5] [chromium firefox webkit]`.
//
// Prints medians of runs in turns, as ratios of narrows' time in the page; above 1 is slower. narrows' bars have 31
// exact columns, the loop's a dozen floats.
import { launchUnwatched, missing } from "../../npm/test/support/browsers.mjs";
import { serve, startOrigin } from "../../npm/test/support/servers.mjs";

const args = process.argv.slice(2);
const at = args.indexOf("--rounds");
const rounds = at < 0 ? 5 : Number(args.splice(at, 2)[1]);
const engines = args.length ? args : ["chromium", "firefox", "webkit"];
const RUNNERS = ["narrows", "worker", "fflate"];

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const origin = await startOrigin();
const files = await serve();
const url = `${origin.base}/with/trades=100000/data/spot/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01.zip`;
const size = (await (await fetch(url)).arrayBuffer()).byteLength; // generated once

for (const name of engines) {
  if (missing(name)) {
    console.log(`${name}: skipped, ${missing(name)}`);
    continue;
  }
  const browser = await launchUnwatched(name);
  await browser.open(`${files.base}/benches/browsers/`);
  const runs = Object.fromEntries(RUNNERS.map((runner) => [runner, []]));
  for (let round = -1; round < rounds; round++) {
    for (const runner of RUNNERS) {
      const seen = await browser.call("raceBars", runner, url, 250);
      if (round >= 0) runs[runner].push(seen);
    }
  }
  const time = (runner) => median(runs[runner].map(({ time }) => time));
  const [{ trades, bars }] = runs.narrows;
  console.log(`\n${name}: ${trades.toLocaleString("en")} trades, ${(size / 1e6).toFixed(0)} MB, to ${bars} bars, ${rounds} rounds`);
  for (const runner of RUNNERS) {
    console.log(`  ${runner.padEnd(8)} ${time(runner).toFixed(0).padStart(6)} ms  ${(time(runner) / time("narrows")).toFixed(2)}  ${runs[runner][0].bars} bars`);
  }
  await browser.close();
}
origin.close();
files.close();
process.exit(0);
