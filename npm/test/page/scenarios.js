// What is done in every place where the package runs: a page, a worker behind a page, Node.
// Each scenario takes `narrows` and the origin's address, and gives what the test compares.
// Pages are told by name which to run: see the end.

import { count, fails, opened, quiet, sleep, slot } from "./helpers.js";
import { jobs } from "./jobs.js";
import { pacing } from "./pacing.js";

export const scenarios = {
  ...jobs,
  ...pacing,

  /** A day of zips, read by several tasks: every row is counted. */
  async rows({ stream, Budget }, base, slots = 96) {
    const budget = new Budget();
    let rows = 0;
    const sources = (function* () {
      for (let index = 0; index < slots; index++) yield slot(base, index);
    })();
    const counts = await stream(sources, { budget, unpack: true, limit: 6 }).each(async (file) => {
      for await (const block of file) rows += count(block);
    });
    return { ...counts, rows, peakIsWithin: budget.peak > 0 && budget.peak <= budget.bytes, reserved: budget.reserved };
  },

  /** Every way to read a file gives the same. */
  async ways({ stream }, base) {
    const of = async (read, options) => {
      for await (const file of stream([slot(base, 3)], { unpack: true, ...options })) return await read(file);
    };
    const lengths = {};
    let fromBlocks = 0;
    await of(async (file) => {
      for await (const block of file) fromBlocks += block.length;
    });
    lengths.blocks = fromBlocks;
    lengths.bytes = (await of((file) => file.bytes())).length;
    lengths.text = new TextEncoder().encode(await of((file) => file.text())).length;
    const rows = [];
    await of(async (file) => {
      for await (const line of file.lines()) rows.push(line);
    });
    lengths.lines = new TextEncoder().encode(rows.join("\n") + "\n").length;
    const names = [];
    await of(async (file) => {
      for await (const entry of file.entries()) {
        names.push(entry.name);
        lengths.entry = (await entry.bytes()).length;
      }
    });
    const through = await of((file) => new Response(file.toReadableStream()).arrayBuffer());
    lengths.readable = through.byteLength;
    return { names, lengths: [...new Set(Object.values(lengths))].length === 1 ? "equal" : lengths };
  },

  /** Lists of all kinds, pulled no further than there is room. */
  async lists({ stream }, base) {
    const urls = Array.from({ length: 40 }, (_, index) => `${base}/bytes/${1000 + index}`);
    const total = async (sources) => {
      let bytes = 0;
      for await (const file of stream(sources, { order: "list" })) bytes += (await file.bytes()).length;
      return bytes;
    };
    let pulled = 0;
    const lazy = async function* () {
      for (const url of urls) {
        pulled++;
        yield { url: new URL(url), size: Number(url.slice(url.lastIndexOf("/") + 1)) };
      }
    };
    const files = stream(lazy(), { limit: 2 });
    await files.next();
    await sleep(200);
    const ahead = pulled;
    await files.return();
    const readable = new ReadableStream({
      start(controller) {
        for (const url of urls) controller.enqueue(url);
        controller.close();
      },
    });
    const broken = async function* () {
      yield urls[0];
      throw new RangeError("no more lists");
    };
    return {
      totals: [await total(urls), await total(lazy()), await total(readable)],
      ahead,
      broken: await fails(() => total(broken())),
      wrong: await fails(() => total([7])),
      none: await fails(async () => stream("http://x/")),
    };
  },

  /** Options that cannot work are refused by name. */
  async options({ stream, plan }) {
    const refused = (options) => fails(() => stream(["http://127.0.0.1/"], options).next());
    return [
      await refused({ limitt: 3 }),
      await refused({ limit: "ten" }),
      await refused({ unpack: { maxRato: 3 } }),
      await refused({ budget: 1000 }),
      await refused({ order: "random" }),
      await refused({ limit: 0 }),
      (await plan({ limit: 4, unpack: true })).workingSet > 0,
    ];
  },

  /** Every fault comes to its code; the rest of the stream goes on. */
  async faults({ stream }, base, cases) {
    const codes = [];
    const urls = cases.map(([path, faults]) => `${base}${path}?${faults}&run=${Math.random()}`);
    const options = { order: "list", retries: 2, idleTimeout: 1500, unpack: true };
    for await (const file of stream(urls, options)) {
      const thrown = await fails(async () => {
        for await (const block of file) void block;
      });
      const report = await file.report();
      codes.push(thrown.code ?? report.outcome);
    }
    return codes;
  },

  /** `break`, an abort and a forgotten file: connections close, memory is given back. */
  async leaving({ stream, Budget }, base) {
    const slow = Array.from({ length: 20 }, (_, index) => `${base}/bytes/${5_000_000 + index}?rate=200000`);
    const budget = new Budget();
    const seen = {};
    for await (const file of stream(slow, { budget, limit: 4 })) {
      for await (const block of file) {
        seen.before = (await opened(base)) > 0 && budget.reserved > 0 && block.length > 0;
        break;
      }
      seen.cancelled = (await file.report()).outcome;
      break;
    }
    seen.afterBreak = [await quiet(base), budget.reserved];
    for (const reason of ["enough", 7, null, new DOMException("late", "TimeoutError")]) {
      const controller = new AbortController();
      const thrown = await fails(async () => {
        for await (const file of stream(slow, { budget, limit: 4, signal: controller.signal })) {
          setTimeout(() => controller.abort(reason), 20);
          for await (const block of file) void block;
        }
      });
      seen[`abort ${reason}`] = [thrown.name ?? thrown.thrown ?? null, await quiet(base), budget.reserved];
    }
    const aborted = await fails(() => stream(slow, { signal: AbortSignal.abort("before") }).next());
    seen.abortedBefore = aborted.thrown;
    let handed = 0;
    const quick = Array.from({ length: 30 }, (_, index) => `${base}/bytes/${10 + index}`);
    for await (const file of stream(quick, { budget, limit: 2 })) handed += file.index >= 0; // none is read
    seen.unread = [handed, budget.reserved];
    return seen;
  },

  /** A block is lent until the next is asked for; what was kept of it is empty then. */
  async lending({ stream }, base) {
    const lengths = [];
    for await (const file of stream([`${base}/bytes/900000`], {})) {
      let kept;
      for await (const block of file) {
        if (kept) lengths.push(kept.length);
        kept = block;
      }
    }
    return lengths.every((length) => length === 0) && lengths.length > 1;
  },

  /** A consumer that stops: no body stays open, and others are served. */
  async stopping({ stream, Budget }, base, path, ms) {
    const budget = new Budget(32 * 1024 * 1024);
    const urls = Array.from({ length: 10 }, (_, index) => `${base}${path}?name=${index}`);
    const seen = { stopped: 0, other: 0, bytes: 0 };
    const reading = stream(urls, { budget, limit: 4 });
    for await (const file of reading) {
      for await (const block of file) {
        seen.bytes += block.length;
        if (seen.stopped++ > 0) continue;
        await sleep(ms);
        const { requesting, receiving } = await reading.stats();
        seen.open = [requesting, receiving, await opened(base)];
        for await (const probe of stream([`${base}/bytes/200000`], {})) seen.other = (await probe.bytes()).length;
      }
    }
    seen.reserved = budget.reserved;
    return seen;
  },

  /** Walks the ways to fail with marked secrets: what of all that comes out shows one. */
  async secrets({ stream, Budget }, base, cases) {
    const leaks = [];
    const codes = new Set();
    const told = [];
    const console = globalThis.console;
    const quiet = Object.fromEntries(["log", "warn", "error", "info", "debug"].map((level) => [level, console[level]]));
    for (const level in quiet) console[level] = (...args) => told.push(args.map(String).join(" "));
    const note = (what, value) => {
      const seen = new Set();
      const walk = (value) => {
        if (typeof value === "string") return value;
        if (value === null || typeof value !== "object" || seen.has(value)) return String(value);
        seen.add(value);
        return Reflect.ownKeys(value).map((name) => walk(value[name])).join(" ");
      };
      const text = walk(value);
      if (/S3CRET/i.test(text)) leaks.push(`${what}: ${text.slice(0, 300)}`);
    };
    const secret = base.replace("://", "://us3cret:pS3CRET@");
    const sources = [
      ...cases.map(([path, faults]) => `${secret}${path}?${faults}&token=S3CRET`),
      ...["ftp://u:S3CRET@h/x?S3CRET", "http://u:S3CRET@127.0.0.1:1/?S3CRET", "http://u:S3CRET@["],
      { url: `${secret}/bytes/10?S3CRET`, size: -1, headers: { "x-key": "S3CRET" } },
      { url: `${secret}/bytes/10?S3CRET`, md5: "00".repeat(16), headers: { authorization: "Bearer S3CRET" } },
      { url: `${secret}/bytes/100.zip?S3CRET` },
      { url: `${secret}/bytes/100?/x.zip&S3CRET#.zip` },
      `${secret}/bytes/100.zip?S3CRET`,
    ];
    const options = { retries: 0, idleTimeout: 700, unpack: true, order: "list", limit: 20 };
    const reading = stream(sources, options);
    const readers = [
      async (file) => { for await (const block of file) note("block", block.length); },
      async (file) => { for await (const line of file.lines({ maxLength: 10 })) note("line", line.length); },
      (file) => file.bytes(5),
      async (file) => { for await (const entry of file.entries()) note("entry", await entry.bytes(3)); },
    ];
    for await (const file of reading) {
      note("file", { url: file.url, index: file.index, size: file.size });
      const thrown = await fails(() => readers[file.index % 4](file));
      const again = await fails(() => file.nextBlock());
      try {
        await readers[(file.index + 1) % 4](file);
      } catch (error) {
        note("error", error);
        note("stack", error.stack);
        note("cause", error.cause);
      }
      note("thrown", [thrown, again]);
      codes.add(thrown.code);
      note("report", await (file.index % 2 ? file.fail("full") : file.cancel()));
    }
    note("stats", await reading.stats());
    const bad = await fails(() => stream([{ url: base, headers: { "x-key": "S3CRET\n" } }]).next());
    note("header", bad);
    const closed = stream([`${secret}/bytes/9000000?rate=1000&S3CRET`], { budget: new Budget() });
    const { value: file } = await closed.next();
    await closed.return();
    note("closed", await fails(() => file.nextBlock()));
    note("console", told);
    Object.assign(console, quiet);
    return { leaks, codes: codes.size };
  },

  /** Lines end with their entries. */
  async entriesLines({ stream }, base) {
    const lines = [];
    for await (const file of stream([`${base}/entries/two.zip`], { unpack: true })) {
      for await (const line of file.lines()) lines.push(line);
    }
    return lines;
  },

  /** A stream inside the loop of another on one budget: within seconds it says who waits for whom. */
  async stalling({ stream, Budget }, base) {
    const budget = new Budget(16 << 20);
    const urls = (count) => Array.from({ length: count }, (_, index) => `${base}/bytes/${3_000_000 + index}`);
    const warn = console.warn;
    let said;
    console.warn = (text) => (said = String(text));
    const outer = stream(urls(20), { budget, limit: 8, name: "the outer" });
    const inner = stream(urls(3), { budget, unpack: true, name: "the inner" });
    const seen = { inner: 0 };
    const count = async (file) => void (seen.inner += (await file.bytes(4_000_000)).length > 0);
    let next;
    for await (const file of outer) {
      void file;
      next = inner.next();
      next.catch(() => {});
      const start = performance.now();
      for (let stats; !seen.stalled && performance.now() - start < 15_000; await sleep(100)) {
        stats = await inner.stats();
        seen.stalled = stats?.stalled;
      }
      seen.seconds = Math.round((performance.now() - start) / 1000);
      break; // the outer's memory is free, so the inner goes on
    }
    await count((await next).value);
    for await (const file of inner) await count(file);
    console.warn = warn;
    return { ...seen, said };
  },

  /** Done when it is committed, where that is asked for. */
  async commits({ stream }, base) {
    const urls = ["a", "b", "c", "d"].map((name) => `${base}/bytes/5000?name=${name}`);
    const seen = {};
    const files = stream(urls, { commit: "explicit", order: "list", limit: 4 });
    const outcomes = [];
    for await (const file of files) {
      await file.bytes();
      if (file.index === 0) seen.before = (await file.report()) ?? "no report yet";
      if (file.index === 0) outcomes.push(await file.finish());
      if (file.index === 1) outcomes.push(await file.fail(new Error("the disk is full")));
      if (file.index === 2) outcomes.push(await file.cancel());
      if (file.index === 3) break; // never said
    }
    seen.outcomes = outcomes.map(({ outcome, code, retryable }) => [outcome, code, retryable].join(" ").trim());
    const { done, failed, cancelled } = await files.stats();
    seen.stats = [done, failed, cancelled];
    const counts = await stream(urls, { commit: "read" }).each((file) => file.bytes());
    seen.each = [counts.done, counts.cancelled];
    seen.word = (await fails(() => stream(urls, { commit: "never" }).next())).code;
    seen.limit = (await fails(() => stream(urls).setLimit(0))).code;
    return seen;
  },

  /** What people do without thinking, and must get away with. */
  async careless({ stream, Budget }, base) {
    const seen = {};
    const urls = (count) => Array.from({ length: count }, (_, index) => slot(base, index));
    const tight = new Budget(16 << 20); // a dozen of what `text()` may take
    let texts = 0;
    for await (const file of stream(urls(40), { budget: tight, unpack: true, limit: 2 })) {
      if ((await file.text()).length > 0) texts++;
    }
    seen.texts = [texts, tight.reserved];

    // Two loops over one stream, and blocks asked for several at a time.
    let [files, bytes] = [0, 0];
    const shared = stream(Array(8).fill(`${base}/bytes/300000`), { limit: 3 });
    const loop = async () => {
      for await (const file of shared) {
        files++;
        for (let blocks; (blocks = await Promise.all([file.nextBlock(), file.nextBlock(), file.nextBlock()]))[2]; );
        const { bytesOut } = await file.report();
        bytes += bytesOut;
      }
    };
    await Promise.all([loop(), loop()]);
    seen.shared = [files, bytes];

    // A list of what fails at once, beside a consumer that is busy.
    let pulled = 0;
    const bad = (function* () {
      while (pulled < 10_000) yield (pulled++, "nonsense://x");
    })();
    for await (const file of stream(bad, { limit: 2 })) {
      await sleep(200);
      seen.code = (await fails(() => file.bytes())).code;
      break;
    }
    seen.ahead = pulled;

    // Work that throws where no promise is yet, and a list that ends its own stream.
    seen.thrown = (await fails(() => stream(urls(2)).each(() => { throw new Error("mine"); }))).message;
    const controller = new AbortController();
    const ending = (function* () {
      yield* urls(1);
      controller.abort("enough");
      yield* urls(3);
    })();
    seen.ended = (await fails(async () => {
      for await (const file of stream(ending, { limit: 1, signal: controller.signal })) await file.bytes();
    })).thrown;

    // A file's own failure is not the list's.
    const broken = (async function* () {
      yield `${base}/bytes/300000?status=403`;
      throw new Error("no more lists");
    })();
    const codes = [];
    seen.list = (await fails(async () => {
      for await (const file of stream(broken)) codes.push((await fails(() => file.bytes())).code);
    })).message;
    seen.codes = codes;

    // An entry that has been left, a maximum that is none, a race with the clock.
    for await (const file of stream(urls(1), { unpack: true })) {
      const entries = file.entries();
      const { value: first } = await entries.next();
      await entries.next();
      seen.left = (await fails(() => first.bytes())).code;
    }
    for await (const file of stream(urls(1), { unpack: true })) {
      const unawaited = [];
      for await (const entry of file.entries()) unawaited.push(fails(() => entry.bytes()));
      seen.unawaited = await unawaited[0]; // in its turn
    }
    for await (const file of stream(urls(1), { unpack: true })) {
      seen.twice = (await file.text()).length > 0 && (await fails(() => file.text())).code;
    }
    const passedOver = [];
    for await (const file of stream([`${base}/bytes/10?status=403`])) passedOver.push(file);
    seen.passedOver = (await fails(() => passedOver[0].bytes())).code;
    for await (const file of stream(urls(1), { unpack: true })) {
      for await (const entry of file.entries()) seen.nan = (await fails(() => entry.bytes(NaN))).code;
    }
    await stream([`${base}/bytes/9000000?rate=1000000`], { collect: 9_000_000 }).each(async (file) => {
      file.bytes().catch(() => {});
      await sleep(50);
      seen.raced = (await file.cancel()).outcome;
    });
    const progress = [];
    for await (const file of stream(urls(3), { onProgress: (stats) => progress.push(stats), progressInterval: 1 })) {
      await file.bytes();
    }
    seen.progress = [progress.every(Boolean), progress.at(-1).done];
    seen.open = await quiet(base);
    return seen;
  },
};

if (globalThis.document) {
  const places = { page: () => import("/npm/index.js"), worker: () => import("/npm/worker.js") };
  globalThis.scenario = async (place, name, ...args) => scenarios[name](await places[place](), ...args);
  globalThis.closing = async (base) => {
    // A worker that is closed in mid-stream.
    const { NarrowsWorker, Budget } = await places.worker();
    const worker = new NarrowsWorker();
    const budget = new Budget();
    const files = worker.stream([`${base}/bytes/9000000?rate=100000`], { budget });
    let watched;
    const thrown = await fails(async () => {
      for await (const file of files) {
        setTimeout(async () => {
          watched = Promise.all([files.stats(), files.transfers()]);
          for (let turns = 0; turns < 20; turns++) await null; // both are sent, and no answer can be there
          worker.close();
        }, 100);
        for await (const block of file) void block;
      }
    });
    await watched; // who only watches is told nothing of its end
    await Promise.all([files.stats(), files.transfers()]);
    return { code: thrown.code, open: await quiet(base), reserved: budget.reserved };
  };
  // A budget that two engines would each use whole, what cannot be posted, an address of the page's.
  globalThis.mixing = async () => {
    const [page, worker] = [await places.page(), await places.worker()];
    const budget = new page.Budget();
    const read = async ({ stream }, url, options) => {
      for await (const file of stream([url], options)) return (await file.bytes()).length > 0;
    };
    return [
      await read(page, "index.html", { budget }),
      await read(worker, "index.html"),
      (await fails(() => read(worker, "index.html", { budget }))).code,
      (await fails(() => read(worker, "index.html", { onprogress: () => {} }))).code,
      (await fails(() => read(worker, { url: "index.html", md5: () => {} }))).code,
      await read(page, URL.createObjectURL(new Blob([])), {}),
    ];
  };
  globalThis.recycling = async (base) => {
    const { NarrowsWorker } = await places.worker();
    const worker = new NarrowsWorker({ recycleAbove: 1 });
    const grown = [];
    for (let round = 0; round < 2; round++) {
      for await (const file of worker.stream([`${base}/bytes/100000`])) {
        await file.bytes();
        grown.push(worker.memoryBytes > 0);
      }
      await sleep(50);
      grown.push(worker.memoryBytes); // gone with its worker
    }
    return grown;
  };
}
