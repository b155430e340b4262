// Scenarios of jobs: trades to range bars, in the module and from stream to bar.

import { fails } from "./helpers.js";

const day = (base, date) => `${base}/with/trades=20000/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-${date}.zip`;
const DAYS = ["2024-03-01", "2024-03-02", "2024-03-03"];
const WIDTHS = [10, 100];
const row = (id, price, time) => `${id},${price},1,${id},${id},${time},true\n`;
const encode = (text) => new TextEncoder().encode(text);

export const jobs = {
  /** Three days to bars: whole, and broken off at every file to go on from text. */
  async bars({ stream }, base) {
    const { rangeBars, csvHeader } = await import("../../bars.js");
    const run = async (options, seen, dates) => {
      const bars = await rangeBars({ thresholdDbps: WIDTHS, ...options });
      const urls = dates.map((date) => day(base, date));
      for await (const file of stream(urls, { unpack: true, order: "list" })) {
        for await (const block of file) seen.push(...bars.push(block));
        seen.push(...bars.endFile());
      }
      return bars;
    };
    const whole = [];
    const bars = await run({}, whole, DAYS);
    const counts = bars.counts();
    const parts = [];
    let state;
    for (const date of DAYS) {
      const part = await run({ state }, parts, [date]);
      state = part.state();
      part.close();
    }
    const text = (width) => csvHeader() + "\n" + whole.filter((bar) => bar.thresholdDbps === width).map((bar) => `${bar.csv}\n`).join("");
    const [bar] = whole;
    const last = bars.end();
    return {
      text: Object.fromEntries(WIDTHS.map((width) => [width, text(width)])),
      counts,
      resumed: JSON.stringify(parts) === JSON.stringify(whole) && state === (await run({}, [], DAYS)).state(),
      sound: bar.low <= bar.open && bar.high >= bar.close && bar.openTime < bar.closeTime && Math.round(bar.vwap * 1e8) === Number(bar.csv.split(",")[20]),
      unfinished: last.map((bar) => bar.thresholdDbps),
    };
  },

  /** What is no trade, what is missing, and what breaks off. */
  async badTrades() {
    const { rangeBars } = await import("../../bars.js");
    const rejected = [];
    const gaps = [];
    const bars = await rangeBars({ thresholdDbps: 250, badRows: "skip", onRejected: (told) => rejected.push(told), onGap: (gap) => gaps.push(gap) });
    const text = row(1, "100", 1000) + "2,free,1,2,2,2000,true\n" + row(5, "101", 3000);
    const made = [];
    for (const byte of encode(text)) made.push(...bars.push(Uint8Array.of(byte)));
    made.push(...bars.endFile());
    const before = bars.state();
    bars.push(encode(row(6, "200", 4000)));
    bars.rollBack();
    const strict = await rangeBars({ thresholdDbps: 250 });
    const refused = await fails(() => strict.push(encode("1,free,1,1,1,1000,true\n")));
    const whole = await rangeBars({ thresholdDbps: 250 });
    whole.push(encode(row(1, "100", 1000) + row(2, "101", 2000).trimEnd()));
    const ended = whole.end().map(({ close }) => close); // without endFile()
    const told = await rangeBars({ thresholdDbps: 250, onGap: () => { throw new Error("mine"); } }); // prettier-ignore
    told.push(encode(row(1, "100", 1000) + row(9, "100", 2000)));
    const thrown = await fails(() => told.endFile());
    const after = strict.push(encode(row(1, "100", 1000) + row(2, "101", 2000))); // as if it had not come
    return {
      rejected,
      gaps,
      bars: made.map(({ open, close, low, high, volume }) => [open, close, low, high, volume]),
      back: before === bars.state(),
      refused: [refused.name, refused.code, refused.message],
      after: after.length,
      ended,
      thrown: [thrown.message, told.counts().trades, told.state() === (await rangeBars({ thresholdDbps: 250 })).state()],
      options: [
        await fails(() => rangeBars({ thresholdDbps: 0 })),
        await fails(() => rangeBars({ thresholdDbps: [] })),
        await fails(() => rangeBars({ thresholdDbps: 1, treshold: 2 })),
        await fails(() => rangeBars({ thresholdDbps: 1, state: "x" })),
        await fails(() => rangeBars({ thresholdDbps: 1, state: before })),
      ].map(({ code, message }) => `${code}: ${message}`),
    };
  },

  /** Rows to columns, and to files that others read. */
  async tables() {
    const { table } = await import("../../tables.js");
    const schema = "header: none\nint64 id\ndecimal(2) price\nutf8? note\ndictionary side\nboolean own\nfloat64? x\ntimestamp at";
    const text = '1,1.50,"a, ""b""\n",buy,true,0.1,1700000000000\n-9007199254740993,-0.05,,sell,false,,1700000000000001\n';
    const read = async (options, made = []) => {
      const some = await table({ schema, ...options });
      for (const byte of encode(text)) made.push(...some.push(Uint8Array.of(byte)));
      made.push(...some.end()); // with what is left of the file
      const { rows } = some.counts();
      some.close();
      return [rows, made];
    };
    const [rows, [batch]] = await read({});
    const shown = (value) => (typeof value === "bigint" ? `${value}n` : value);
    const files = {};
    for (const as of ["arrow", "parquet"]) {
      const [, chunks] = await read({ as, source: "mem://a" });
      const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
      files[as] = [...bytes.subarray(0, 4), ...bytes.subarray(-4)];
    }
    const rejected = [];
    const some = await table({ schema: "float64 a", badRows: "skip", onRejected: (told) => rejected.push(told) });
    const { values } = [...some.push(encode("a\n1\nx\n2\n")), ...some.endFile()][0].columns.a;
    const strict = await table({ schema: "tardis.quotes" });
    const refused = await fails(() => strict.push(encode("a,b\n")));
    return {
      rows,
      kinds: Object.values(batch.columns).map(({ kind }) => kind),
      values: [0, 1].map((row) => Object.values(batch.row(row)).map(shown)),
      files,
      columns: Object.keys((await read({ columns: ["x", "id"] }))[1][0].columns),
      skipped: [[...values], rejected, some.counts().rejected],
      refused: [refused.code, refused.message.slice(0, 60)],
      options: [
        await fails(() => table({})),
        await fails(() => table({ schema: "tardis.trade" })),
        await fails(() => table({ schema: "int64 a", columns: ["b"] })),
        await fails(() => table({ schema: "int64 a", as: "csv" })),
        await fails(() => table({ schema: "int64 a", colums: [] })),
      ].map(({ code, message }) => `${code}: ${message}`),
    };
  },
};
