// Builds the npm package's module: cargo, wasm-bindgen, wasm-opt, and the inline variant.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const root = new URL("../", import.meta.url).pathname;
const target = "wasm32-unknown-unknown";
const folder = process.env.CARGO_TARGET_DIR ?? `${root}target`;
const env = { ...process.env, CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: process.env.WASM_FLAGS ?? "-C target-feature=+simd128" };
const run = (command, ...args) => execFileSync(command, args, { cwd: root, stdio: "inherit", env });

/** The command of the version that the crates are of: another one would refuse them. */
function bindgen() {
  const version = /name = "wasm-bindgen"\nversion = "(.*)"/.exec(readFileSync(`${root}Cargo.lock`, "utf8"))[1];
  const own = `${folder}/tools/bin/wasm-bindgen`;
  for (const command of ["wasm-bindgen", own]) {
    try {
      if (execFileSync(command, ["--version"], { encoding: "utf8" }).trim() === `wasm-bindgen ${version}`) return command;
    } catch {
      // It is not there.
    }
  }
  console.log(`installing wasm-bindgen ${version}, which takes some minutes`);
  run("cargo", "install", "--quiet", "wasm-bindgen-cli", "--version", version, "--root", `${folder}/tools`);
  return own;
}

run("rustup", "target", "add", target);
const crates = { narrows: "narrows-wasm", batches: "narrows-wasm-batches", bars: "narrows-wasm-bars", tables: "narrows-wasm-tables" };
for (const crate of Object.values(crates)) run("cargo", "build", "--quiet", "--profile", "wasm", "--target", target, "-p", crate);
const module = (name) => `${root}npm/wasm/${name}_bg.wasm`;
for (const [name, crate] of Object.entries(crates)) {
  const built = `${folder}/${target}/wasm/${crate.replaceAll("-", "_")}.wasm`;
  run(bindgen(), "--target", "web", "--no-typescript", "--out-dir", "npm/wasm", "--out-name", name, built);
  run(`${root}node_modules/.bin/wasm-opt`, "-O3", "--strip-producers", "-o", module(name), module(name));
}

const base64 = readFileSync(module("narrows")).toString("base64");
writeFileSync(
  `${root}npm/inline.js`,
  `// The module inside, for where no second file can be served.
import * as narrows from "./index.js";

export { Budget, NarrowsError, memoryBytes } from "./index.js";

let loading;
const bytes = () => Uint8Array.from(atob("${base64}"), (character) => character.charCodeAt(0));
export const init = () => (loading ??= narrows.init(bytes()));
export const stream = (...args) => (init(), narrows.stream(...args));
export const plan = (...args) => (init(), narrows.plan(...args));
`,
);
for (const file of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(root + file, `${root}npm/${file}`);

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;
for (const name of Object.keys(crates)) {
  const packed = gzipSync(readFileSync(module(name)), { level: 9 }).length;
  console.log(`module ${name}: ${kilobytes(statSync(module(name)).size)}, gzipped ${kilobytes(packed)}`);
}
