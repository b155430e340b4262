// Lists of any kind, and the sources in them.

import { invalid } from "./errors.js";

/** An address as seen from the page, also for an engine that is elsewhere. */
const absolute = (url) => {
  try {
    return new URL(url, globalThis.document?.baseURI).href;
  } catch {
    return String(url); // the engine will say what it makes of it
  }
};

/** A source as the engine wants it. */
export function toSource(source) {
  if (typeof source === "string" || source instanceof URL) return { url: absolute(source) };
  if (!source?.url) throw invalid(`a source must be an address or have a url, not ${source}`);
  let { url, key, size, md5, sha256, headers } = source;
  try {
    headers &&= Object.fromEntries(new Headers(headers));
  } catch {
    throw invalid("a header is malformed"); // the platform's message would show its value
  }
  return { url: absolute(url), key, size, md5, sha256, headers };
}

/** An iterator over any list: of iterables, async iterables, or a ReadableStream's reader. */
export function iterate(sources) {
  const list = sources?.[Symbol.asyncIterator] ?? (typeof sources !== "string" && sources?.[Symbol.iterator]);
  if (list) return list.call(sources);
  if (typeof sources?.getReader === "function") {
    const reader = sources.getReader(); // not every engine's streams are iterable
    return { next: () => reader.read(), return: () => reader.cancel() };
  }
  throw invalid("sources must be an iterable or a ReadableStream");
}
