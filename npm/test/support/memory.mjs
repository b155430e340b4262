// Resident memory of a browser's processes, as the kernel counts it (proc(5)).
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const status = (pid) => {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return { parent: kilobytes("PPid"), now: kilobytes("VmRSS"), peak: kilobytes("VmHWM"), name: /^Name:\s+(.*)$/m.exec(text)[1] };
};

/** What Chromium runs a process for. */
const role = (pid) => /--type=([\w-]+)/.exec(readFileSync(`/proc/${pid}/cmdline`, "latin1"))?.[1];

/** All processes below `pid`. */
function tree(pid) {
  const all = new Map();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      all.set(Number(entry), status(entry));
    } catch {
      // It has ended.
    }
  }
  const found = new Set([pid]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const [child, { parent }] of all) if (found.has(parent)) found.add(child);
  }
  return [...found].filter((pid) => all.has(pid));
}

/** Forgets the peaks so far, and notes what each process has now. */
export function begin(pid) {
  const bases = new Map();
  for (const child of tree(pid)) {
    try {
      writeFileSync(`/proc/${child}/clear_refs`, "5");
      bases.set(child, status(child).now);
    } catch {
      // It has ended.
    }
  }
  return bases;
}

/** The growth of the process that grew most, in MB, and its name: the one that runs the page. */
export function grown(bases) {
  let most = { megabytes: 0, name: "none" };
  for (const [pid, base] of bases) {
    try {
      const { peak, name } = status(pid);
      const megabytes = ((peak - base) * 1024) / 1e6;
      if (process.env.MEMORY_ALL) console.log(role(pid) ?? name, megabytes.toFixed(0), (base / 1000).toFixed(0));
      if (megabytes > most.megabytes) most = { megabytes, name: role(pid) ?? name };
    } catch {
      // It has ended.
    }
  }
  return most;
}
