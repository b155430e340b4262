import { naive, narrows, type Shown, type Way } from "./bar-ways";
import { Chart } from "./charts";
import { NO_ORIGIN, ORIGIN } from "./sources";

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const input = (id: string) => element<HTMLInputElement>(id);
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0);

const prices = new Chart(
  element("prices"),
  [
    { label: "high", color: "unpacking" },
    { label: "low", color: "naive" },
    { label: "close", color: "draining" },
  ],
  { unit: "", shown: 5000, fromZero: false },
);
const memory = new Chart(element("memory"), [
  { label: "charged", color: "draining", fill: true },
  { label: "held, the naive way", color: "naive", fill: true },
  { label: "WebAssembly", color: "holding" },
]);

let running: AbortController | undefined;
let csv = "";
let fileName = "";

function say(text: string, isError = false): void {
  element("message").textContent = text;
  element("message").classList.toggle("error", isError);
}

/** Days since a month began. */
const dayOf = (time: number, month: string) => 1 + (time - Date.parse(`${month}-01`)) / 86_400_000;

async function watch(way: Way, isNaive: boolean, month: string, waiting: Shown[], isOver: () => boolean): Promise<void> {
  const began = performance.now();
  let [peak, bars] = [0, 0];
  for (;;) {
    const over = isOver();
    const { trades, held, wasm, received, text } = await way.progress();
    peak = Math.max(peak, held);
    const some = waiting.splice(0);
    bars += some.length;
    prices.extend(some.map(({ closeTime, high, low, close }) => [dayOf(closeTime, month), [high, low, close]]));
    memory.add((performance.now() - began) / 1000, [isNaive ? null : held / 1e6, isNaive ? held / 1e6 : null, isNaive ? null : wasm / 1e6]);
    element("bars").textContent = bars.toLocaleString("en");
    element("count").textContent = trades.toLocaleString("en");
    element("held").textContent = megabytes(held);
    element("peak").textContent = megabytes(peak);
    element("received").textContent = megabytes(received);
    element("text").textContent = megabytes(text);
    if (over) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function start(): Promise<void> {
  if (!ORIGIN) throw new Error(NO_ORIGIN);
  const [market, symbol, month, trades] = ["market", "symbol", "month", "trades"].map((id) => input(id).value);
  const url = `${ORIGIN}/with/trades=${trades}/data/${market}/monthly/aggTrades/${symbol}/${symbol}-aggTrades-${month}.zip`;
  const isNaive = input("way").value === "naive";
  prices.clear();
  memory.clear();
  say("The origin makes the month up, which takes some seconds the first time.");
  element("held-label").textContent = isNaive ? "MB held" : "MB charged";
  element("start").textContent = "Stop";
  input("save").disabled = true;
  running = new AbortController();
  const waiting: Shown[] = [];
  const job = { url, thresholdDbps: Number(input("width").value), onBars: (bars: Shown[]) => void waiting.push(...bars), signal: running.signal };
  const began = performance.now();
  const way = isNaive ? naive(job) : narrows(job, input("way").value === "worker");
  let over = false;
  const watching = watch(way, isNaive, month!, waiting, () => over);
  try {
    csv = await way.finished;
    fileName = `${symbol}-${month}-bars.csv`;
    input("save").disabled = false;
    say(`${isNaive ? "The naive way" : "narrows"}: ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  } catch (error) {
    say(running.signal.aborted ? "Stopped." : (error as Error).message, !running.signal.aborted);
  } finally {
    over = true;
    await watching;
    running = undefined;
    element("start").textContent = "Start";
  }
}

element<HTMLFormElement>("job").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) return running.abort();
  start().catch((error: unknown) => say((error as Error).message, true));
});
element("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
  link.download = fileName;
  link.click();
  URL.revokeObjectURL(link.href);
});
