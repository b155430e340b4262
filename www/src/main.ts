import { Chart } from "./charts";
import { PacedConsumer } from "./consumer";
import { ABOUT, list, type Kind } from "./sources";
import { naive, narrows, type Moment, type Way } from "./ways";

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const input = (id: string) => element<HTMLInputElement>(id);
const form = element<HTMLFormElement>("job");
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0);

const memory = new Chart(element("memory"), [
  { label: "charged", color: "draining", fill: true },
  { label: "budget", color: "dim", dash: [6, 4] },
  { label: "held, the naive way", color: "naive", fill: true },
  { label: "WebAssembly", color: "holding" },
  { label: "JavaScript", color: "waiting" },
]);
const throughput = new Chart(element("throughput"), [
  { label: "received", color: "draining", fill: true },
  { label: "handed out", color: "unpacking" },
]);

let dropped: File[] = [];
let running: Way | undefined;
let consumer: PacedConsumer | undefined;
let began = 0;

/** The tab's JavaScript heap, where the browser tells it. */
const heap = () => (performance as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize;
element("heap-figure").hidden = heap() === undefined;

function say(text: string, isError = false): void {
  const message = element("message");
  message.textContent = text;
  message.classList.toggle("error", isError);
}

const kind = () => new FormData(form).get("source") as Kind;

function showSource(): void {
  element("about").textContent = ABOUT[kind()];
  element("urls").hidden = kind() !== "urls";
  element("drop").hidden = kind() !== "drop";
}

function showDropped(files: Iterable<File>): void {
  dropped = [...files];
  element("drop").querySelector("span")!.textContent =
    dropped.length === 0 ? "Drop files here, or choose them." : dropped.map(({ name }) => name).join(", ");
}

function showLanes(lanes: Moment["lanes"], names: string[]): void {
  const place = element("lanes");
  const rows = lanes.slice(0, 24).map(({ index, state }) => {
    const row = document.createElement("li");
    row.className = state;
    const name = document.createElement("span");
    name.textContent = names[index] ?? String(index);
    const bar = document.createElement("i");
    bar.title = state.replace("_", " ");
    row.append(name, bar);
    return row;
  });
  place.replaceChildren(...rows);
}

function showFailure(name: string, code: string, message: string): void {
  const place = element("outcomes");
  place.querySelector(".empty")?.remove();
  const row = document.createElement("li");
  const what = document.createElement("b");
  what.textContent = code;
  row.append(what, ` ${name}: ${message}`);
  place.prepend(row);
  while (place.children.length > 100) place.lastElementChild!.remove();
}

/** Samples the job until it ends, and once more then. */
async function watch(way: Way, isNaive: boolean, budget: number, names: string[], isOver: () => boolean): Promise<void> {
  let before: { at: number; in: number; out: number } | undefined;
  let peak = 0;
  for (;;) {
    const over = isOver();
    const now = await way.moment();
    const at = performance.now();
    const seconds = before ? (at - before.at) / 1000 : 1;
    const rate = (bytes: number, last: number | undefined) => (last === undefined ? 0 : (bytes - last) / 1e6 / seconds);
    const [received, out] = [rate(now.bytesIn, before?.in), rate(now.bytesOut, before?.out)];
    before = { at, in: now.bytesIn, out: now.bytesOut };
    peak = Math.max(peak, now.held);
    const script = heap();
    const time = (at - began) / 1000;
    memory.add(time, [
      isNaive ? null : now.held / 1e6,
      budget / 1e6,
      isNaive ? now.held / 1e6 : null,
      now.wasm / 1e6,
      script === undefined ? null : script / 1e6,
    ]);
    throughput.add(time, [received, out]);
    element("held").textContent = megabytes(now.held);
    element("peak").textContent = megabytes(peak);
    element("wasm").textContent = megabytes(now.wasm);
    element("heap").textContent = megabytes(script ?? 0);
    element("rate").textContent = received.toFixed(1);
    element("rows").textContent = (consumer?.rows ?? 0).toLocaleString("en");
    element("done").textContent = String(now.done);
    element("failed").textContent = String(now.failed);
    element("last").textContent = consumer?.last.join("\n") ?? "";
    showLanes(now.lanes, names);
    if (over) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function start(): Promise<void> {
  const { urls, names, release } = list(kind(), input("urls").value, dropped);
  const budget = Number(input("budget").value) * 1024 * 1024;
  const way = input("way").value;
  const isNaive = way === "naive";
  consumer = new PacedConsumer((index, code, message) => showFailure(names[index] ?? "", code, message));
  consumer.pace = Number(input("pace").value);
  memory.clear();
  throughput.clear();
  const none = document.createElement("li");
  none.className = "empty";
  none.textContent = "None so far.";
  element("outcomes").replaceChildren(none);
  element("held-label").textContent = isNaive ? "MB held" : "MB charged";
  say("");
  began = performance.now();
  const job = { urls, limit: Number(input("limit").value), budget, consumer };
  running = isNaive ? naive(job) : narrows(job, way === "worker");
  let over = false;
  const watching = watch(running, isNaive, budget, names, () => over);
  element("start").textContent = "Stop";
  input("pause").disabled = false;
  try {
    await running.finished;
    say(`${isNaive ? "The naive way" : "narrows"}: ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  } catch (error) {
    say((error as Error).message, true);
  } finally {
    over = true;
    await watching;
    running = undefined;
    resume();
    release();
    element("start").textContent = "Start";
    input("pause").disabled = true;
  }
}

function resume(): void {
  consumer?.resume();
  element("pause").setAttribute("aria-pressed", "false");
  element("pause").textContent = "Pause the consumer";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) {
    resume();
    running.stop();
    return;
  }
  start().catch((error: unknown) => say((error as Error).message, true));
});
element("pause").addEventListener("click", () => {
  if (consumer?.paused) return resume();
  consumer?.pause();
  element("pause").setAttribute("aria-pressed", "true");
  element("pause").textContent = "Resume the consumer";
});
form.addEventListener("change", showSource);
input("limit").addEventListener("input", () => (element("limit-value").textContent = input("limit").value));
input("pace").addEventListener("change", () => {
  if (consumer) consumer.pace = Number(input("pace").value);
});
input("files").addEventListener("change", () => showDropped(input("files").files ?? []));
const drop = element("drop");
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]] as const) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", over);
  });
}
drop.addEventListener("drop", (event) => showDropped(event.dataTransfer?.files ?? []));
showSource();
