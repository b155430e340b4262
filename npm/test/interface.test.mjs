// The package in Node, and in pages and workers of three engines: one body of tests for all.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { unzipSync } from "fflate";
import * as narrows from "narrows";
import { scenarios } from "./page/scenarios.js";
import { launch, missing } from "./support/browsers.mjs";
import { command, serve, startOrigin } from "./support/servers.mjs";

let origin, files;
before(async () => ([origin, files] = await Promise.all([startOrigin(), serve()])));
after(() => (origin.close(), files.close()));

// [path, faults, code]: as on native, but where the platform tells less.
const FAULTS = [
  ["/bytes/300000", "", "done"],
  ["/bytes/300000", "reset=100000&times=1", "done"],
  ["/bytes/300000", "status=404", "not_found"],
  ["/bytes/300000", "status=403", "denied"],
  ["/bytes/300000", "status=500", "status"],
  ["/bytes/300000", "status=503&retry-after=1&times=1", "done"],
  ["/bytes/300000", "status=503&retry-after=4000", "overloaded"],
  ["/bytes/300000", "cut=1000", "cut|interrupted"],
  ["/bytes/300000", "stall=1000", "idle"],
  ["/bytes/300000", "reset=100000&times=1&change", "changed|done"], // done, if none was handed out before
  ["/bytes/90000000", "no-ranges", "needs_ranges"],
  ["/bytes/9000000", "no-ranges&no-length", "needs_ranges"],
  ["/gdeltv2/20260101000000.export.CSV.zip", "", "done"],
  ["/ticks/2026-01-01.csv.gz", "mb=1", "done"],
];

let naive;
/** The rows of the origin's first day, counted with everything in memory. */
function naiveRows() {
  naive ??= (async () => {
    const list = await (await fetch(`${origin.base}/gdeltv2/masterfilelist.txt?from=20260101&days=1`)).text();
    let rows = 0;
    for (const line of list.trim().split("\n")) {
      const zip = new Uint8Array(await (await fetch(line.split(" ")[2])).arrayBuffer());
      for (const text of Object.values(unzipSync(zip))) rows += text.reduce((sum, byte) => sum + (byte === 10), 0);
    }
    return rows;
  })();
  return naive;
}

let native;
/** Bars of three days of the origin, as the command makes them. */
function nativeBars() {
  native ??= [10, 100].map((width) => {
    const days = ["--symbol", "BTCUSDT", "--from", "2024-03-01", "--to", "2024-03-03", "--threshold-dbps", width];
    const args = ["bars", "--base", `${origin.base}/with/trades=20000`, ...days, "--stdout"];
    return [width, execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })];
  });
  return Object.fromEntries(native);
}

/** The tests of one place: `run(name, ...args)` runs a scenario there. */
function everywhere(run, place) {
  it("counts every row within the budget", async () => {
    const seen = await run("rows", origin.base);
    assert.deepEqual(seen, { ...seen, done: 96, failed: 0, peakIsWithin: true, reserved: 0 });
    assert.equal(seen.rows, await naiveRows());
  });
  it("hands items over in batches, each once", async () => {
    const seen = await run("batches");
    assert.deepEqual(seen, { ...seen, once: true, adds: true, bounded: true });
    assert.match(seen.health, /^buffer health: size=0\/100, utilization=0.0%/);
    assert.match(seen.refused, /closed/);
    assert.match(seen.unknown, /unknown option `batchItem`/);
  });
  it("makes the command's bars of trades, byte for byte", async () => {
    const seen = await run("bars", origin.base);
    assert.deepEqual(seen, { ...seen, resumed: true, sound: true, unfinished: [10, 100] });
    assert.deepEqual(seen.text, nativeBars());
    assert.deepEqual(seen.counts, { ...seen.counts, trades: 60_000, rejected: 0, reordered: 0, gaps: 0, missingTrades: 0 });
    assert.ok(seen.counts.bars > 100, `${seen.counts.bars} bars`);
  });
  it("says what trades are none, and what is missing", async () => {
    assert.deepEqual(await run("badTrades"), {
      rejected: [{ message: 'row 2, price "free": not a decimal number', row: "2,free,1,2,2,2000,true" }],
      gaps: [{ missing: 3, after: 1, before: 5, silence: 2000 }],
      bars: [[100, 101, 100, 101, 2]],
      back: true,
      refused: ["NarrowsError", "rejected", 'row 1, price "free": not a decimal number'],
      after: 0,
      ended: [101],
      thrown: ["mine", 0, true],
      options: [
        "options: option `thresholdDbps`: expected a whole number, or several, from 1 to 100000",
        "options: option `thresholdDbps`: expected a whole number, or several, from 1 to 100000",
        "options: unknown option `treshold`; the options are thresholdDbps, gate, reorder, maxSilence, badRows, gaps",
        'options: option `state`: "x" is no time and number of a trade',
        "options: option `state`: it is of other thresholds or another gate",
      ],
    });
  });
  it("makes typed columns of rows, and files of them", async () => {
    const seen = await run("tables");
    assert.deepEqual(seen, {
      rows: 2,
      kinds: ["int64", "decimal", "utf8", "dictionary", "boolean", "float64", "timestamp_us"],
      values: [
        ["1n", "1.50", 'a, "b"\n', "buy", true, 0.1, "1700000000000000n"],
        ["-9007199254740993n", "-0.05", null, "sell", false, null, "1700000000000001n"],
      ],
      files: { arrow: [255, 255, 255, 255, 0, 0, 0, 0], parquet: [..."PAR1PAR1"].map((letter) => letter.charCodeAt(0)) },
      columns: ["id", "x"],
      skipped: [[1, 2], [{ message: 'row 3, a "x": not a number', row: "x" }], 1],
      refused: ["rejected", 'row 1, "a,b": not the header exchange,symbol,timestamp,local'],
      options: [
        "options: option `schema`: expected a table's name, or lines of columns",
        `options: option \`schema\`: no table is known by this name, and line 1, "tardis.trade": nothing stands behind it`,
        'options: option `columns`: there is no column "b"',
        "options: option `as`: expected one of columns, parquet, arrow",
        "options: unknown option `colums`; the options are schema, columns, as, badRows, source",
      ],
    });
  });
  it("keeps rates, and loses nothing to a refusal", async () => {
    assert.deepEqual(await run("rates", origin.base), { kept: true, done: 6, refused: [1, 1] });
  });
  it("reads a file in every way alike", async () => {
    assert.deepEqual(await run("ways", origin.base), { names: ["20260101004500.export.CSV"], lengths: "equal" });
  });
  it("takes lists of all kinds and pulls them lazily", async () => {
    const seen = await run("lists", origin.base);
    assert.deepEqual(seen.totals, [40780, 40780, 40780]);
    assert.ok(seen.ahead <= 3, `${seen.ahead} sources pulled for 2 places`);
    assert.match(seen.broken.message, /no more lists/);
    assert.match(seen.wrong.message, /a source must be/);
    assert.match(seen.none.message, /sources must be/);
  });
  it("refuses options by name", async () => {
    const [unknown, type, nested, small, word, zero, planned] = await run("options");
    assert.match(unknown.message, /unknown option `limitt`/);
    assert.match(type.message, /option `limit`/);
    assert.match(nested.message, /unknown option `unpack.maxRato`/);
    assert.equal(small.code, "budget_too_small");
    assert.ok(small.needed > 1000);
    assert.match(word.message, /option `order`/);
    assert.match(zero.message, /`limit` must be at least 1/);
    assert.ok(planned);
  });
  it("gives every fault its code", async () => {
    const codes = await run("faults", origin.base, FAULTS);
    const wrong = FAULTS.filter(([, , code], index) => !code.split("|").includes(codes[index]));
    assert.deepEqual(wrong, [], codes.join());
  });
  it("leaves nothing behind", async () => {
    const seen = await run("leaving", origin.base);
    assert.deepEqual(seen, {
      before: true,
      cancelled: "cancelled",
      afterBreak: [0, 0],
      "abort enough": ["enough", 0, 0],
      "abort 7": [7, 0, 0],
      "abort null": [null, 0, 0],
      "abort TimeoutError: late": ["TimeoutError", 0, 0],
      abortedBefore: "before",
      unread: [30, 0],
    });
  });
  it("shows no secret, whatever fails", async () => {
    const { leaks, codes } = await run("secrets", origin.base, [...FAULTS, ["/entries/two.zip", ""]]);
    assert.deepEqual(leaks, []);
    assert.ok(codes >= 8, `${codes} codes`);
  });
  it("ends lines with their entries", async () => {
    assert.deepEqual(await run("entriesLines", origin.base), ["a1", "a2", "b1", "b2"]);
  });
  it("says who waits for whom", async () => {
    const { stalled, seconds, inner, said } = await run("stalling", origin.base);
    assert.match(stalled, /the inner has waited 5 s .* the outer holds/);
    assert.ok(seconds <= 8, `${seconds} s`);
    assert.equal(inner, 3); // it goes on once the other has given back
    assert.ok(said == null || said.includes(stalled)); // a worker has a console of its own
  });
  it("is done when that is committed", async () => {
    assert.deepEqual(await run("commits", origin.base), {
      before: "no report yet",
      outcomes: ["done", "failed storage false", "cancelled"],
      stats: [1, 1, 2],
      each: [4, 0],
      word: "options",
      limit: "options",
    });
  });
  it("lends blocks", async () => assert.equal(await run("lending", origin.base), true));
  it("lets careless users get away with it", async () => {
    const { ahead, ...seen } = await run("careless", origin.base);
    assert.deepEqual(seen, {
      texts: [40, 0],
      shared: [8, 2_400_000],
      code: "bad_url",
      thrown: "mine",
      ended: "enough",
      list: "no more lists",
      codes: ["denied"],
      left: "options",
      unawaited: "nothing was thrown",
      twice: "options",
      passedOver: "denied",
      nan: "too_big_to_collect",
      raced: "cancelled",
      progress: [true, 3],
      open: 0,
    });
    assert.ok(ahead <= 6, `${ahead} sources pulled for 2 places`);
  });
  it("holds no body open for a consumer that stops", async () => {
    const seen = await run("stopping", origin.base, "/bytes/8000000", 3000);
    assert.deepEqual(seen, { ...seen, open: [0, 0, 0], other: 200000, bytes: 80_000_000, reserved: 0 });
  });
}

describe("in Node", () => everywhere((name, ...args) => scenarios[name](narrows, ...args)));

for (const name of ["chromium", "firefox", "webkit"]) {
  for (const place of ["page", "worker"]) {
    describe(`in ${name}, ${place}`, { skip: missing(name) }, () => {
      let browser;
      before(async () => {
        browser = await launch(name);
        await browser.open(`${files.base}/npm/test/page/`);
      });
      after(() => browser?.close());
      everywhere((scenario, ...args) => browser.call("scenario", place, scenario, ...args));
      if (place === "worker") {
        it("ends with its worker", async () => {
          assert.deepEqual(await browser.call("closing", origin.base), { code: "cancelled", open: 0, reserved: 0 });
        });
        it("replaces a worker that has grown", async () => {
          assert.deepEqual(await browser.call("recycling", origin.base), [true, 0, true, 0]);
        });
      } else {
        it("keeps pages and workers apart", async () => {
          assert.deepEqual(await browser.call("mixing"), [true, true, "options", "options", "bad_line", false]);
        });
        it("says what CORS hides", async () => {
          const codes = await browser.call("scenario", "page", "faults", origin.base, [
            ["/bytes/300000", "no-cors"],
            ["/bytes/300000", "hide"],
            ["/bytes/300000", "redirect="],
          ]);
          assert.deepEqual(codes, ["blocked", "done", "connect"]);
        });
      }
    });
  }
}
