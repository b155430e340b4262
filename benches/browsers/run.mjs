// Races in browsers: `node benches/browsers/run.mjs [--rounds 5] [chromium firefox webkit]`.
//
// Prints medians of runs in turns, as ratios of narrows' time in the page; above 1 is slower.
import { launchUnwatched, missing } from "../../npm/test/support/browsers.mjs";
import { serve, startOrigin } from "../../npm/test/support/servers.mjs";

const args = process.argv.slice(2);
const at = args.indexOf("--rounds");
const rounds = at < 0 ? 5 : Number(args.splice(at, 2)[1]);
const engines = args.length ? args : ["chromium", "firefox", "webkit"];
const RUNNERS = ["page", "worker", "hand", "fflate", "zipjs"];
const [SLOTS, LIMIT] = [673, 6];

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const origin = await startOrigin();
const files = await serve();
const urls = Array.from({ length: SLOTS }, (_, index) => {
  const slot = new Date(Date.UTC(2026, 0, 1) + index * 900_000).toISOString().replace(/\D/g, "").slice(0, 14);
  return `${origin.base}/gdeltv2/${slot}.export.CSV.zip`;
});
for (const url of urls) await (await fetch(url)).arrayBuffer(); // generated once

for (const name of engines) {
  if (missing(name)) {
    console.log(`${name}: skipped, ${missing(name)}`);
    continue;
  }
  const browser = await launchUnwatched(name);
  await browser.open(`${files.base}/benches/browsers/`);
  const times = Object.fromEntries(RUNNERS.map((runner) => [runner, []]));
  const rows = new Set();
  for (let round = -1; round < rounds; round++) {
    for (const runner of RUNNERS) {
      const seen = await browser.call("race", runner, urls, LIMIT, false);
      rows.add(seen.rows);
      if (round >= 0) times[runner].push(seen.time);
    }
  }
  const ours = median(times.page);
  console.log(`\n${name}: ${SLOTS} zips, ${LIMIT} at a time, ${rounds} rounds${rows.size > 1 ? `; ROWS DIFFER: ${[...rows]}` : ""}`);
  for (const runner of RUNNERS) {
    const time = median(times[runner]);
    console.log(`  ${runner.padEnd(7)} ${time.toFixed(0).padStart(6)} ms  ${(time / ours).toFixed(2)}`);
  }
  for (const runner of ["page", "worker", "handworker"]) {
    const seen = [];
    for (let round = 0; round < 3; round++) seen.push(await browser.call("race", runner, urls, LIMIT, true));
    const gap = median(seen.map(({ gap }) => gap)).toFixed(1);
    const task = median(seen.map(({ task }) => task)).toFixed(1);
    const longTasks = seen.flatMap(({ longTasks }) => longTasks).length;
    const ours = runner === "page" ? "" : `, longest task with a worker's message ${task} ms`;
    console.log(`  ${runner}: the main thread was away for ${gap} ms at most${ours} (medians of 3 runs); tasks over 50 ms: ${longTasks}`);
  }
  await browser.close();
}
origin.close();
files.close();
process.exit(0);
