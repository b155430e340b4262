// The three engines behind one small interface: `open(address)`, `call(name, ...args)`, `close()`.
//
// Chromium is driven by Playwright, the system's Firefox and WebKit by WebDriver (W3C, 2018),
// for Playwright's own builds of those cannot be had everywhere.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

/** Where a command is, if it is. */
export const which = (name) => (process.env.PATH ?? "").split(":").map((folder) => `${folder}/${name}`).find(existsSync);

const QUIET = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const DRIVERS = {
  chromium: {
    driver: () => which("chromedriver"),
    args: (port) => [`--port=${port}`],
    capabilities: {
      browserName: "chrome",
      "goog:chromeOptions": { binary: which("chromium"), args: ["--headless", "--no-sandbox", ...QUIET] },
    },
  },
  firefox: {
    driver: () => which("firefox-esr") && which("geckodriver"),
    args: (port) => ["--port", port, "--log", "fatal"],
    capabilities: {
      browserName: "firefox",
      "moz:firefoxOptions": { binary: which("firefox-esr"), args: ["-headless"] },
    },
  },
  webkit: { driver: () => which("WebKitWebDriver"), args: (port) => [`--port=${port}`], capabilities: {} },
};

/** Why an engine cannot be used here, if it cannot. */
export function missing(name) {
  if (name === "chromium") return which("chromium") ? undefined : "chromium is not installed";
  if (!DRIVERS[name].driver()) return `${name} or its driver is not installed`;
  if (name === "webkit" && !process.env.DISPLAY && !which("Xvfb")) return "webkit needs a display";
}

export const launch = (name, options) => (name === "chromium" ? launchChromium(options) : launchDriver(name));

/** An engine with nobody watching its network: Playwright has Chromium keep 200 MB of bodies. */
export const launchUnwatched = (name, capabilities) => launchDriver(name, capabilities);

async function launchChromium({ args = [] } = {}) {
  const browser = await chromium.launch({ executablePath: which("chromium"), args: [...QUIET, ...args] });
  const page = await browser.newPage();
  return {
    page,
    open: (address) => page.goto(address),
    call: (name, ...args) => page.evaluate(([name, args]) => globalThis[name](...args), [name, args]),
    close: () => browser.close(),
  };
}

/** A port that is free now. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

let display; // for all WebKits of this process

async function xDisplay() {
  if (process.env.DISPLAY) return process.env.DISPLAY;
  if (!display) {
    const number = 100 + (process.pid % 900);
    const child = spawn("Xvfb", [`:${number}`, "-screen", "0", "1280x800x24"], { stdio: "ignore" });
    process.on("exit", () => child.kill());
    child.unref();
    display = `:${number}`;
    await sleep(1000);
  }
  return display;
}

async function launchDriver(name, more) {
  const { driver, args, capabilities } = DRIVERS[name];
  const port = await freePort();
  const env = name === "webkit" ? { ...process.env, DISPLAY: await xDisplay() } : process.env;
  // A group of its own, so that whatever it starts ends with it.
  const child = spawn(driver(), args(String(port)), { stdio: "ignore", env, detached: true });
  const end = () => {
    try {
      process.kill(-child.pid);
    } catch {
      // It has ended.
    }
  };
  process.on("exit", end);
  const base = `http://127.0.0.1:${port}`;
  const ask = async (method, path, body) => {
    const response = await fetch(base + path, {
      method,
      headers: { "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${name}: ${value.error}: ${value.message}`);
    return value;
  };
  for (let tries = 0; ; tries++) {
    try {
      await ask("GET", "/status");
      break;
    } catch (error) {
      if (tries === 50) throw error;
      await sleep(100);
    }
  }
  const { sessionId } = await ask("POST", "/session", { capabilities: { alwaysMatch: { ...capabilities, ...more } } });
  const session = `/session/${sessionId}`;
  await ask("POST", `${session}/timeouts`, { script: 300_000, pageLoad: 60_000 });
  return {
    pid: child.pid,
    open: (url) => ask("POST", `${session}/url`, { url }),
    async call(name, ...args) {
      const script = `const [name, args, done] = arguments;
        Promise.resolve().then(() => globalThis[name](...args)).then(
          (value) => done({ value }), (error) => done({ error: String(error?.stack ?? error) }));`;
      const { value, error } = await ask("POST", `${session}/execute/async`, { script, args: [name, args] });
      if (error) throw new Error(error);
      return value;
    },
    async close() {
      await ask("DELETE", session).catch(() => {});
      process.off("exit", end);
      end();
    },
  };
}
