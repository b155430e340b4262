// A consumer that stops, over HTTP/1.1 and HTTP/2: nginx with TLS in front of the origin, with a
// certificate of a CA made for the test. A body left open would block others of its connection.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, launchUnwatched, missing, which } from "./support/browsers.mjs";
import { serve, startOrigin } from "./support/servers.mjs";

const STOP = Number(process.env.STOP_MS ?? 3000);
const nginx = which("nginx") ?? ["/usr/sbin/nginx"].find((path) => which("openssl") && path);

function certificate(folder) {
  const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=a CA of the test");
  openssl("req", ...key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=127.0.0.1");
  writeFileSync(join(folder, "names"), "subjectAltName=IP:127.0.0.1");
  openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "certificate.pem", "-days", "2", "-extfile", "names");
}

describe("a consumer that stops", { skip: !nginx && "nginx or openssl is not installed" }, () => {
  let folder, origin, files, server;
  const bases = {};
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "narrows-nginx-"));
    [origin, files] = await Promise.all([startOrigin(), serve()]);
    certificate(folder);
    const [one, two] = [await freePort(), await freePort()];
    const host = (port, protocol) => `server {
      listen 127.0.0.1:${port} ssl${protocol};
      ssl_certificate ${folder}/certificate.pem;
      ssl_certificate_key ${folder}/key.pem;
      location / { proxy_pass ${origin.base}; proxy_buffering off; proxy_http_version 1.1; }
    }`;
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder};`);
    writeFileSync(
      join(folder, "nginx.conf"),
      `daemon off; pid ${folder}/pid; error_log stderr error;
      events {}
      http { log_format protocol $server_protocol; access_log ${folder}/log protocol; ${temporary.join(" ")} ${host(one, "")} ${host(two, " http2")} }`,
    );
    server = spawn(nginx, ["-p", folder, "-c", join(folder, "nginx.conf")], { stdio: ["ignore", "ignore", "inherit"] });
    Object.assign(bases, { "HTTP/1.1": `https://127.0.0.1:${one}`, "HTTP/2": `https://127.0.0.1:${two}` });
    await sleep(500);
    assert.equal(server.exitCode, null, "nginx did not start");
  });
  after(() => {
    server?.kill();
    origin?.close();
    files?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const name of ["chromium", "firefox", "webkit"]) {
    for (const protocol of ["HTTP/1.1", "HTTP/2"]) {
      it(`holds no body and starves nobody: ${name}, ${protocol}`, { skip: missing(name) }, async () => {
        const browser = await launchUnwatched(name, { acceptInsecureCerts: true });
        try {
          await browser.open(`${files.base}/npm/test/page/`);
          writeFileSync(join(folder, "log"), "");
          const seen = await browser.call("scenario", "page", "stopping", bases[protocol], "/bytes/8000000", STOP);
          assert.deepEqual(seen, { ...seen, open: [0, 0, 0], other: 200_000, bytes: 80_000_000, reserved: 0 });
          const spoken = new Set(readFileSync(join(folder, "log"), "utf8").trim().split("\n"));
          assert.deepEqual([...spoken], [protocol === "HTTP/2" ? "HTTP/2.0" : "HTTP/1.1"]);
        } finally {
          await browser.close();
        }
      });
    }
  }
});
