// The packed package, installed into small projects of the usual tools, and run there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { launch, missing } from "./support/browsers.mjs";
import { root, serve, startOrigin } from "./support/servers.mjs";

const bin = (name) => join(root, "node_modules/.bin", name);
const run = (cwd, command, ...args) => execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>`;
// What a user would write: on the page and, where the tool finds the worker by itself, in one.
const MAIN = (imports) => `${imports}
globalThis.rows = async (url, inWorker) => {
  let lines = 0;
  for await (const file of (inWorker ? worker.stream : narrows.stream)([url], { unpack: true }))
    for await (const line of file.lines()) lines += line.length > 0;
  if (inWorker) worker.close();
  return lines;
};`;
const BOTH = MAIN(`import * as narrows from "narrows"; import * as worker from "narrows/worker";`);

describe("the packed package", () => {
  let folder, origin, url, expected;
  /** The rows that Node finds through a module of the package. */
  const inNode = (module) =>
    Number(run(folder, "node", "--input-type=module", "-e", `
      import { stream, init } from "${module}";
      await Promise.all([init(), init()]);
      let rows = 0;
      for await (const file of stream([${JSON.stringify(url)}], { unpack: true })) for await (const line of file.lines()) rows += line.length > 0;
      console.log(rows);`));
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "narrows-packaging-"));
    const [{ filename, files }] = JSON.parse(run(join(root, "npm"), "npm", "pack", "--json", "--pack-destination", folder));
    assert.ok(files.some(({ path }) => path === "wasm/narrows_bg.wasm"));
    assert.ok(!files.some(({ path }) => path.startsWith("test/")), "tests are packed");
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
    run(folder, "npm", "install", "--no-audit", "--no-fund", "--offline", join(folder, filename));
    origin = await startOrigin();
    url = `${origin.base}/gdeltv2/20260101000000.export.CSV.zip`;
    expected = inNode("narrows");
    assert.ok(expected > 1000);
  });
  after(() => {
    origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const project = (name, files) => {
    const place = join(folder, name);
    mkdirSync(place);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(place, file), text);
    return place;
  };
  const inBrowser = async (base, ways) => {
    const browser = await launch("chromium");
    try {
      await browser.open(base);
      for (const inWorker of ways) assert.equal(await browser.call("rows", url, inWorker), expected, `in a worker: ${inWorker}`);
    } finally {
      await browser.close();
    }
  };

  it("runs in Node, inline too", () => {
    assert.equal(inNode("narrows/inline"), expected);
  });

  const chromium = { skip: missing("chromium") };

  it("runs through Vite, developing and built", chromium, async () => {
    const { build, createServer } = await import("vite");
    const config = { optimizeDeps: { exclude: ["narrows"] }, worker: { format: "es" } };
    const place = project("vite", { "index.html": PAGE, "main.js": BOTH, "vite.config.js": `export default ${JSON.stringify(config)}` });
    const shared = { root: place, configFile: join(place, "vite.config.js"), logLevel: "error" };
    const server = await createServer({ ...shared, server: { host: "127.0.0.1", port: 0, fs: { allow: [folder] } } });
    await server.listen();
    try {
      await inBrowser(server.resolvedUrls.local[0], [false, true]);
    } finally {
      await server.close();
    }
    await build(shared);
    const built = await serve(join(place, "dist"));
    await inBrowser(built.base, [false, true]).finally(built.close);
  });

  it("runs through webpack", chromium, async () => {
    const place = project("webpack", { "main.js": BOTH });
    run(place, bin("webpack"), "--mode", "production", "--entry", "./main.js", "--output-path", "dist", "--output-public-path", "auto");
    writeFileSync(join(place, "dist/index.html"), `<!doctype html><link rel="icon" href="data:,"><script src="main.js"></script>`);
    const built = await serve(join(place, "dist"));
    await inBrowser(built.base, [false, true]).finally(built.close);
  });

  it("runs through esbuild, with the module inline or beside", chromium, async () => {
    const inline = MAIN(`import * as narrows from "narrows/inline";`);
    const beside = MAIN(`import * as narrows from "narrows"; narrows.init("/narrows.wasm");`);
    const place = project("esbuild", { "inline.js": inline, "beside.js": beside });
    for (const name of ["inline", "beside"]) {
      const out = join(place, name);
      run(place, bin("esbuild"), `${name}.js`, "--bundle", "--format=esm", "--minify", `--outfile=${out}/main.js`, "--log-level=error");
      writeFileSync(join(out, "index.html"), PAGE);
      cpSync(join(root, "npm/wasm/narrows_bg.wasm"), join(out, "narrows.wasm"));
      const built = await serve(out);
      await inBrowser(built.base, [false]).finally(built.close);
    }
  });

  it("is small", (test) => {
    const place = project("size", { "main.js": `export * from "narrows";` });
    // Of the interface alone: what wasm-bindgen generates is counted with the module.
    const out = run(place, bin("esbuild"), "main.js", "--bundle", "--format=esm", "--minify", "--external:*/narrows.js", "--log-level=error");
    test.diagnostic(`interface ${out.length} bytes, minified`);
    assert.ok(out.length <= 8192, `${out.length} bytes`);
    const module = readFileSync(join(root, "npm/wasm/narrows_bg.wasm"));
    const packed = run(place, "node", "-e", `console.log(require("zlib").gzipSync(require("fs").readFileSync(${JSON.stringify(join(root, "npm/wasm/narrows_bg.wasm"))})).length)`);
    test.diagnostic(`module ${module.length} bytes, gzipped ${packed.trim()}`);
    assert.ok(Number(packed) <= 220_000);
  });
});
