// Every control of the page, as a visitor uses it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { zipSync } from "fflate";
import { chromium } from "playwright-core";
import { createServer } from "vite";
import { missing, which } from "../../npm/test/support/browsers.mjs";
import { root, startOrigin } from "../../npm/test/support/servers.mjs";

describe("the page", { skip: missing("chromium") }, () => {
  let origin, server, browser, page, errors;
  before(async () => {
    origin = await startOrigin();
    process.env.VITE_ORIGIN = origin.base;
    server = await createServer({ root: `${root}www`, configFile: `${root}www/vite.config.js`, logLevel: "error", server: { host: "127.0.0.1", port: 0 } });
    await server.listen();
    browser = await chromium.launch({ executablePath: which("chromium") });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    origin?.close();
  });

  const address = () => server.resolvedUrls.local[0];
  const number = async (id) => Number((await page.textContent(`#${id}`)).replaceAll(",", ""));
  const fresh = async (options = {}, path = "") => {
    await page?.close();
    page = await browser.newPage(options);
    errors = [];
    page.on("pageerror", ({ message }) => errors.push(message));
    page.on("console", (message) => message.type() === "error" && !/503|404/.test(message.text()) && errors.push(message.text()));
    page.on("request", (request) => /^https?:\/\/(?!127\.0\.0\.1)/.test(request.url()) && errors.push(`left: ${request.url()}`));
    await page.goto(address() + path);
  };
  const ended = () => page.waitForFunction(() => document.getElementById("start").textContent === "Start", null, { timeout: 90_000 });
  const run = async () => {
    await page.click("#start");
    await ended();
  };

  for (const way of ["page", "worker", "naive"]) {
    it(`runs a week of GDELT: ${way}`, async () => {
      await fresh();
      await page.selectOption("#pace", "0");
      await page.selectOption("#way", way);
      await run();
      assert.equal(await number("done"), 672);
      assert.equal(await number("rows"), 945_411);
      assert.equal(await number("failed"), 0);
      assert.match(await page.textContent("#message"), /\d s\./);
      assert.ok((await page.textContent("#last")).includes("2026"));
      if (way !== "naive") assert.ok((await number("peak")) <= 67.2);
      assert.deepEqual(errors, []);
    });
  }

  it("shows the network stop while the consumer is paused, and stops", async () => {
    await fresh();
    await page.selectOption("#pace", "4");
    await page.selectOption("#budget", "32");
    await page.focus("#limit");
    await page.keyboard.press("ArrowLeft");
    assert.equal(await page.textContent("#limit-value"), "5");
    await page.focus("#start");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => Number(document.getElementById("done").textContent) > 2);
    await page.click("#pause");
    assert.equal(await page.getAttribute("#pause", "aria-pressed"), "true");
    await page.waitForFunction(() => document.getElementById("rate").textContent === "0.0");
    const rows = await number("rows");
    await page.waitForTimeout(500);
    assert.equal(await number("rows"), rows);
    assert.ok((await page.locator("#lanes li.holding").count()) >= 1);
    await page.selectOption("#pace", "40");
    await page.click("#pause");
    await page.waitForFunction((before) => Number(document.getElementById("rows").textContent.replaceAll(",", "")) > before, rows);
    await page.click("#start");
    await ended();
    assert.equal(await number("held"), 0);
    assert.deepEqual(errors, []);
  });

  it("takes addresses, and says which failed and why", async () => {
    await fresh();
    await page.click("text=Your URLs");
    await page.fill("#urls", `${origin.base}/ticks/2026-01-01.csv.gz?mb=1\n${origin.base}/bytes/10?status=404\n`);
    await page.selectOption("#pace", "0");
    await run();
    assert.deepEqual([await number("done"), await number("failed")], [1, 1]);
    assert.match(await page.textContent("#outcomes"), /not_found.*404/);
    await page.fill("#urls", "");
    await page.click("#start");
    await page.waitForSelector("#message.error");
    assert.match(await page.textContent("#message"), /at least one address/);
  });

  it("reads zips of this machine", async () => {
    await fresh();
    await page.click("text=Your zips");
    const zip = Buffer.from(zipSync({ "a.csv": new TextEncoder().encode("1\n2\n3\n") }));
    await page.setInputFiles("#files", [{ name: "a.zip", mimeType: "application/zip", buffer: zip }]);
    for (const way of ["page", "worker"]) {
      await page.selectOption("#way", way);
      await run();
      assert.deepEqual([await number("done"), await number("rows")], [1, 3], await page.textContent("#outcomes"));
    }
    assert.deepEqual(errors, []);
  });

  it("runs trades", async () => {
    await fresh();
    await page.click("text=Ten days of trades");
    await page.selectOption("#pace", "0");
    await page.click("#start");
    await page.waitForFunction(() => Number(document.getElementById("done").textContent) >= 1, null, { timeout: 90_000 });
    await page.click("#start");
    await ended();
    assert.equal(await number("failed"), 0);
  });

  for (const way of ["page", "worker", "naive"]) {
    it(`makes bars of a month of trades: ${way}`, async () => {
      await fresh({}, "bars.html");
      await page.selectOption("#trades", "20000");
      await page.selectOption("#width", "50");
      await page.selectOption("#way", way);
      await run();
      assert.match(await page.textContent("#message"), /\d s\./);
      assert.equal(await number("count"), 620_000);
      const bars = await number("bars");
      if (way !== "naive") assert.ok((await number("peak")) <= 16.8);
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
      assert.equal(download.suggestedFilename(), "BTCUSDT-2024-01-bars.csv");
      const rows = readFileSync(await download.path(), "utf8").trimEnd().split("\n");
      assert.equal(rows.length, 1 + bars);
      assert.deepEqual(errors, []);
    });
  }

  it("stops bars, and says what it cannot have", async () => {
    await fresh({}, "bars.html");
    await page.click("#start");
    await page.waitForFunction(() => document.getElementById("start").textContent === "Stop");
    await page.click("#start");
    await ended();
    assert.equal(await page.textContent("#message"), "Stopped.");
    await page.route("**/data/**", (route) => route.fulfill({ status: 404, headers: { "access-control-allow-origin": "*" } }));
    await run();
    assert.match(await page.textContent("#message.error"), /404/);
    assert.equal(await page.isDisabled("#save"), true);
  });

  for (const [colorScheme, width, path] of ["light", "dark"].flatMap((scheme) => [360, 1280].flatMap((width) => ["", "bars.html"].map((path) => [scheme, width, path])))) {
    it(`fits, ${colorScheme}, ${width} px, ${path || "index.html"}`, async () => {
      await fresh({ colorScheme, viewport: { width, height: 800 } }, path);
      await page.click("#start");
      await page.waitForTimeout(path ? 4000 : 1000);
      const [needed, had] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(needed <= had, `${needed} px wide`);
      if (process.env.SCREENSHOTS) {
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/${path.split(".")[0] || "index"}-${colorScheme}-${width}.png`, fullPage: true });
      }
      assert.deepEqual(errors, []);
    });
  }
});
