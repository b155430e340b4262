// What a tab needs at its peak over its idle base, by the kernel's count, in three engines.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launchUnwatched, missing } from "./support/browsers.mjs";
import { begin, grown } from "./support/memory.mjs";
import { serve, startOrigin } from "./support/servers.mjs";

let origin, files;
before(async () => ([origin, files] = await Promise.all([startOrigin(), serve()])));
after(() => (origin.close(), files.close()));

const BOUNDS = { chromium: 64, firefox: 64, webkit: 96 };
const FILES = Number(process.env.MEMORY_FILES ?? 60);

for (const [name, bound] of Object.entries(BOUNDS)) {
  describe(`in ${name}`, { skip: missing(name) ?? (process.platform !== "linux" && "needs /proc") }, () => {
    const measure = async (run, place = "page") => {
      const browser = await launchUnwatched(name);
      try {
        await browser.open(`${files.base}/npm/test/page/memory.html`);
        await browser.call("idle", place);
        const bases = begin(browser.pid);
        const seen = await run(browser);
        return { ...seen, ...grown(bases) };
      } finally {
        await browser.close();
      }
    };
    const urls = Array.from({ length: FILES }, (_, index) => `/bytes/20000000?name=${index}`);
    const expected = FILES * 20_000_000;

    for (const place of ["page", "worker"]) {
      it(`${FILES} files of 20 MB, four at a time, slowly, in a ${place}`, async (test) => {
        const seen = await measure((browser) => browser.call("ours", place, urls.map((url) => origin.base + url)), place);
        test.diagnostic(`${name}, ${place}: ${seen.megabytes.toFixed(0)} MB (${seen.name}), budget's peak ${seen.peak}`);
        assert.equal(seen.bytes, expected);
        assert.ok(seen.megabytes <= bound, `${seen.megabytes} MB`);
      });
    }
    it("one file of 1 GB", async (test) => {
      const url = [`${origin.base}/bytes/1000000000`];
      const seen = await measure((browser) => browser.call("ours", "page", url, { pause: 10 }));
      test.diagnostic(`${name}: ${seen.megabytes.toFixed(0)} MB (${seen.name})`);
      assert.equal(seen.bytes, 1_000_000_000);
      assert.ok(seen.megabytes <= bound, `${seen.megabytes} MB`);
    });
    for (const place of ["page", "worker"]) {
      it(`a month of trades to range bars, in a ${place}`, async (test) => {
        const month = "data/spot/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01.zip";
        const url = `${origin.base}/with/trades=100000/${month}`;
        await (await fetch(url)).arrayBuffer(); // made once, outside of the measurement
        const seen = await measure((browser) => browser.call("bars", place, url), place);
        test.diagnostic(`${name}, ${place}: ${seen.megabytes.toFixed(0)} MB (${seen.name}), ${seen.bars} bars`);
        assert.deepEqual([seen.trades, seen.rejected, seen.gaps], [3_100_000, 0, 0]);
        assert.ok(seen.megabytes <= bound, `${seen.megabytes} MB`);
      });
    }
    it("by hand it costs several times as much", async (test) => {
      const seen = await measure((browser) => browser.call("byHand", urls.map((url) => origin.base + url)));
      test.diagnostic(`${name}, by hand: ${seen.megabytes.toFixed(0)} MB (${seen.name})`);
      assert.equal(seen.bytes, expected);
    });
  });
}
