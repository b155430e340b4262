// `npm run demo`: builds what is missing, starts the demo's origin and the page.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "vite";

const root = new URL("../", import.meta.url).pathname;
const run = (command, ...args) => execFileSync(command, args, { cwd: root, stdio: "inherit" });

console.log("building the origin …");
run("cargo", "build", "--release", "--quiet", "-p", "narrows-cli");
if (!["narrows", "bars"].every((name) => existsSync(`${root}npm/wasm/${name}_bg.wasm`))) {
  console.log("building the package …");
  run("node", "scripts/build-npm.mjs");
}
const target = process.env.CARGO_TARGET_DIR ?? `${root}target`;
const origin = spawn(`${target}/release/narrows`, ["origin", "--until-stdin-closes"], { stdio: ["pipe", "pipe", "inherit"] });
const [line] = await once(origin.stdout, "data");
process.env.VITE_ORIGIN = String(line).trim();
const server = await createServer({ root: `${root}www`, configFile: `${root}www/vite.config.js`, server: { host: "127.0.0.1", port: Number(process.env.PORT ?? 5173) } });
await server.listen();
console.log(`the origin is at ${process.env.VITE_ORIGIN}; open`);
server.printUrls();
