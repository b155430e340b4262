// The embedded origin, and a server for the package's files and the tests' pages.
import { spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { once } from "node:events";

export const root = new URL("../../../", import.meta.url).pathname;

/** The command. */
export const command = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "release/narrows");

/** Starts `narrows origin`; it ends with this process, or with `close`. */
export async function startOrigin(...args) {
  const child = spawn(command, ["origin", "--until-stdin-closes", ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const base = String(line).trim();
  return { base, close: () => child.kill() };
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".css": "text/css" };

/** Serves a folder of the repository. */
export async function serve(folder = root) {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(decodeURIComponent(new URL(request.url, "http://x").pathname)));
    try {
      const file = statSync(path).isDirectory() ? join(path, "index.html") : path;
      const body = readFileSync(file);
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    close: () => (server.closeAllConnections(), server.close()),
  };
}
