// Delimited text to typed columns, or to files of them, while it streams. The interface is described in tables.d.ts.

import { attempt } from "./attempt.js";
import { ignore } from "./errors.js";
import { loader } from "./loading.js";
import load, { RawTable } from "./wasm/tables.js";

export { NarrowsError } from "./errors.js";

/** Loads the module; further calls give the same promise. A failed load may be tried again. */
export const init = loader(load, () => new URL("./wasm/tables_bg.wasm", import.meta.url), ignore);

/** Loads the module and begins a table. */
export async function table({ onRejected, ...options } = {}) {
  await init();
  const raw = attempt(() => new RawTable(options));
  return new Table(raw, onRejected, !options.as || options.as === "columns");
}

class Table {
  #raw;
  #onRejected;
  #asColumns;

  constructor(raw, onRejected, asColumns) {
    this.#raw = raw;
    this.#onRejected = onRejected;
    this.#asColumns = asColumns;
  }

  #read(work) {
    attempt(work);
    for (const [message, row] of this.#raw.told()) this.#onRejected?.({ message, row });
    if (this.#asColumns) return this.#raw.batches().map(([rows, columns]) => new Batch(rows, columns));
    const bytes = this.#raw.bytes();
    return bytes.length > 0 ? [bytes] : [];
  }

  /** Takes a block of a file; gives what has come together. */
  push(block) {
    return this.#read(() => this.#raw.push(block));
  }

  /** A file has ended; another of its kind may begin. */
  endFile() {
    return this.#read(() => this.#raw.endFile());
  }

  /** Ends the file, if one was begun: there are no more. Gives what is left. */
  end() {
    const left = this.#raw.isWithin() ? this.endFile() : [];
    const bytes = attempt(() => this.#raw.end());
    return bytes.length > 0 ? [...left, bytes] : left;
  }

  counts() {
    const [rows, rejected] = this.#raw.counts();
    return { rows, rejected };
  }

  /** Frees the module's memory; nothing else is to be called then. */
  close() {
    this.#raw.free();
  }
}

/** Rows, column by column. */
class Batch {
  constructor(rows, columns) {
    this.rows = rows;
    this.columns = Object.fromEntries(columns.map((column) => [column[0], new Column(...column)]));
  }

  /** A row as an object. */
  row(index) {
    return Object.fromEntries(Object.entries(this.columns).map(([name, column]) => [name, column.get(index)]));
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

class Column {
  constructor(name, kind, present, values, more) {
    this.name = name;
    this.kind = kind;
    this.present = present;
    if (kind === "utf8") [this.bytes, this.offsets] = [values, more];
    else if (kind === "dictionary") [this.keys, this.values] = [values, more];
    else this.values = values;
  }

  /** The value of a row: null where there is none. */
  get(row) {
    if (this.present && !this.present[row]) return null;
    if (this.kind === "utf8") return decoder.decode(this.bytes.subarray(this.offsets[row], this.offsets[row + 1]));
    if (this.kind === "dictionary") return this.values[this.keys[row]];
    return this.kind === "boolean" ? this.values[row] === 1 : this.values[row];
  }
}
