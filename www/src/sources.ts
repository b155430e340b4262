// What can be downloaded: generated days at the demo's origin, addresses, files of this machine.

/** Where the demo's origin serves; empty where the page is served without one. */
export const ORIGIN: string = import.meta.env.VITE_ORIGIN ?? "";

export const NO_ORIGIN = "This page was built without the demo's origin. `npm run demo` starts both.";

export type Kind = "gdelt" | "trades" | "urls" | "drop";

export const ABOUT: Record<Kind, string> = {
  gdelt: "672 zips of about 110 KB, 580 KB of text each, as GDELT publishes every 15 minutes.",
  trades: "10 zips of about 16 MB, 80 MB of text each, as exchanges publish every day.",
  urls: "Zips, gzip, zstd or plain files. Their servers must allow this page to read them (CORS).",
  drop: "Read in pieces from this machine, without a server.",
};

const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);

function* gdelt(): Generator<string> {
  for (let at = START; at < START + 7 * DAY; at += DAY / 96) {
    const slot = new Date(at).toISOString().replace(/\D/g, "").slice(0, 14);
    yield `${ORIGIN}/gdeltv2/${slot}.export.CSV.zip`;
  }
}

function* trades(): Generator<string> {
  for (let at = START; at < START + 10 * DAY; at += DAY) {
    yield `${ORIGIN}/trades/${new Date(at).toISOString().slice(0, 10)}.zip?mb=80`;
  }
}

/** Addresses with the names to show for them; what was made for it is released by `release`. */
export interface List {
  urls: string[];
  names: string[];
  release(): void;
}

export function list(kind: Kind, text: string, files: File[]): List {
  if ((kind === "gdelt" || kind === "trades") && !ORIGIN) throw new Error(NO_ORIGIN);
  if (kind === "drop") {
    if (files.length === 0) throw new Error("Choose or drop some files first.");
    const urls = files.map((file) => URL.createObjectURL(file));
    return { urls, names: files.map((file) => file.name), release: () => urls.forEach((url) => URL.revokeObjectURL(url)) };
  }
  const lines = text.split(/\s+/).filter(Boolean);
  const urls = kind === "urls" ? lines : [...(kind === "gdelt" ? gdelt() : trades())];
  if (urls.length === 0) throw new Error("Give at least one address.");
  const name = (url: string) => url.split(/[?#]/)[0]?.split("/").pop() || url;
  return { urls, names: urls.map(name), release: () => {} };
}
