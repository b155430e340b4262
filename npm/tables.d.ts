// Delimited text to typed columns, or to files of them (Arrow IPC, Parquet), while it streams.

export { NarrowsError } from "./index.js";

/** Loads the module, which happens by itself otherwise: from the package, or from what is given. */
export function init(input?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<void>;

export interface TableOptions {
  /**
   * A known table, such as `tardis.trades`, `gdelt.export` or `binance.spot.aggTrades`; or a line for each column: its
   * kind (int64, float64, decimal(8), utf8, dictionary, boolean, timestamp_ms, timestamp_us, timestamp), a `?` if empty
   * fields are nulls, and its name. Before them may stand `separator: tab` and `header: none` or `header: detected`.
   */
  schema: string;
  /** The columns to keep; others are not parsed. Default: all. */
  columns?: string[];
  /** What a row means that does not fit: what is being read throws (default), or it is passed over. */
  badRows?: "fail" | "skip";
  /** What a file that is written says it was made of. */
  source?: string;
  /** Called for each row that is passed over, before `push()` returns. */
  onRejected?: (rejected: { message: string; row: string }) => void;
}

/** Values of one column; arrays are the caller's to keep. */
export type Column = {
  readonly name: string;
  /** Which rows have a value, as 0 or 1; absent if all have. */
  readonly present?: Uint8Array;
  /** The value of a row: null where there is none. */
  get(row: number): bigint | number | string | boolean | null;
} & (
  | { readonly kind: "int64" | "timestamp_ms" | "timestamp_us"; readonly values: BigInt64Array }
  | { readonly kind: "float64"; readonly values: Float64Array }
  | { readonly kind: "boolean"; readonly values: Uint8Array }
  | { readonly kind: "decimal"; readonly values: string[] }
  /** Text of a row is `bytes` from `offsets[row]` to `offsets[row + 1]`. */
  | { readonly kind: "utf8"; readonly bytes: Uint8Array; readonly offsets: Int32Array }
  | { readonly kind: "dictionary"; readonly keys: Int32Array; readonly values: string[] }
);

/** Up to 8,192 rows, column by column. */
export interface Batch {
  readonly rows: number;
  readonly columns: Record<string, Column>;
  /** A row as an object. */
  row(index: number): Record<string, bigint | number | string | boolean | null>;
}

/** A table in the making. Where something throws, it is of no further use. */
export interface Table<T> {
  /** Takes a block of a file, wherever it was cut; gives what has come together. */
  push(block: Uint8Array): T[];
  /** A file has ended; another of its kind may begin, whose header is its own. */
  endFile(): T[];
  /** Ends the file, if one was begun: there are no more. Gives what is left. */
  end(): T[];
  counts(): { rows: number; rejected: number };
  /** Frees the module's memory; nothing else is to be called then. */
  close(): void;
}

/**
 * Begins a table: as columns, or as the bytes of a file, chunk by chunk. Parquet holds a row group of 16 MiB until it
 * is whole; Arrow's stream holds a batch.
 *
 * @example
 * const trades = await table({ schema: "tardis.trades", columns: ["timestamp", "price"] });
 * for await (const file of stream(urls, { unpack: true })) {
 *   for await (const block of file) for (const { columns } of trades.push(block)) draw(columns.price.values);
 *   for (const { columns } of trades.endFile()) draw(columns.price.values);
 * }
 */
export function table(options: TableOptions & { as?: "columns" }): Promise<Table<Batch>>;
export function table(options: TableOptions & { as: "arrow" | "parquet" }): Promise<Table<Uint8Array<ArrayBuffer>>>;
