/**
 * Downloads, verifies, unpacks and hands over any number of files in an amount of memory that you
 * choose, in every browser and in Node.
 *
 * Sizes are numbers of bytes, times are milliseconds.
 *
 * @example
 * for await (const file of stream(urls, { unpack: true, budget: 64 << 20 })) {
 *   for await (const line of file.lines()) console.log(line);
 * }
 */

/** One thing to download, and what is known of it beforehand: another size or digest fails it. */
export interface Source {
  url: string | URL;
  /** A name of your own, which the report repeats. */
  key?: string;
  /** Expected length on the wire in bytes. */
  size?: number;
  /** Expected MD5 of the bytes on the wire, in hexadecimal. */
  md5?: string;
  /** Expected SHA-256 of the bytes on the wire, in hexadecimal. */
  sha256?: string;
  /** For the source's own origin; with headers of its own, a source is not redirected. */
  headers?: HeadersInit;
}

/** A list of any kind. It is pulled only as places come free, and never held. */
export type Sources =
  | Iterable<string | URL | Source>
  | AsyncIterable<string | URL | Source>
  | ReadableStream<string | URL | Source>;

export interface UnpackOptions {
  /** Default: told from the content. Other content than a name like `.zip` says is an error. */
  format?: "plain" | "zip" | "gzip" | "zstd";
  /** Bytes of one entry as they really come out. Default 16 GiB. */
  maxEntrySize?: number;
  /** Bytes of all entries. Default 64 GiB. */
  maxArchiveSize?: number;
  /** Default 65,536; each costs 48 bytes of the budget. */
  maxEntries?: number;
  /** Bytes out for each byte in, past 16 MiB of an entry. Default 200. */
  maxRatio?: number;
  /** Default 4,096. */
  maxNameBytes?: number;
  /** Default 2 MiB. */
  maxZstdWindow?: number;
  /** Deviations of zip archives to let pass. */
  allow?: {
    prefixedData?: boolean;
    trailingData?: boolean;
    duplicateNames?: boolean;
    descriptorFlagMismatch?: boolean;
    suspiciousComment?: boolean;
  };
}

/** How a file is downloaded. */
export interface TransferOptions {
  /** What the stream is called in messages of who waits for whom. Default: "stream 1" and so on. */
  name?: string;
  /** Most files in flight. Default 10. */
  limit?: number;
  /** Whether fewer than `limit` are sought that do as well. Default: no. */
  adaptLimit?: boolean;
  /** Requests a second to each host, and how many at once after a pause. Default: unbounded, and 1. */
  hostRate?: number;
  hostBurst?: number;
  /** Requests a second to all hosts together. Default: unbounded. */
  totalRate?: number;
  /** Bytes a second, from all hosts together. Default: unbounded. */
  bytesPerSecond?: number;
  /** Sources pulled ahead, where hosts are several or have to wait. Default 64. */
  lookAhead?: number;
  /** Whether files come as they are ready (default) or as they were listed. */
  order?: "ready" | "list";
  /** Retries in a row without progress. Default 4. */
  retries?: number;
  /** Longest `Retry-After` that is waited for. Default 300,000. */
  maxRetryAfter?: number;
  /** How long to wait for the next bytes while some are wanted. Default 30,000. */
  idleTimeout?: number;
  /** Fewest bytes a second over `ratePeriod`; 0 is none. Default 100. */
  minRate?: number;
  /** Default 60,000. */
  ratePeriod?: number;
  /** Largest file on the wire. Default 1 TiB. */
  maxFileSize?: number;
  /** Whether a 404 is a failure (default), or passed over. */
  notFound?: "fail" | "skip";
  /** Whether and how to unpack zip, gzip and zstd. Default: no. */
  unpack?: boolean | UnpackOptions;
  /** Largest block. Default 128 KiB, 256 KiB from a worker. */
  blockBytes?: number;
  /** Length of the ranges in which large files are asked for. Default 1 MiB. */
  segmentBytes?: number;
  /** Segments fetched ahead of the one being read. Default 1. */
  segmentsAhead?: number;
  /** Bytes that every file may keep for `bytes()` and `text()`. Default 1 MiB. */
  collect?: number;
  /** Whether reports have the SHA-256 of what was received. */
  sha256?: boolean;
  /** Open bodies for each host. Default 6, as browsers have it. */
  bodiesPerHost?: number;
  /** As for `fetch()`. Default "same-origin". */
  credentials?: "omit" | "same-origin" | "include";
  /** As for `fetch()`. Default "no-store": segments of two versions must not mix. */
  cache?: "default" | "no-store" | "reload" | "no-cache" | "force-cache";
}

export interface StreamOptions extends TransferOptions {
  /** Bytes that may be in use at once, or a budget that streams share. Default 64 MiB, below 2 GiB. */
  budget?: number | Budget;
  /** Ends the stream; what it throws then is the signal's reason, whatever its type. */
  signal?: AbortSignal;
  /** Called every `progressInterval`, and at the end. */
  onProgress?: (stats: Stats) => void;
  /** Default 100. */
  progressInterval?: number;
  /**
   * What makes a file done: that it was read to its end (default), or that `finish()` was called after that. Choose
   * "explicit" where what you made of a file must be stored somewhere before it counts. In `each()`, a file is done
   * when `work` has ended well, in either case.
   */
  commit?: "read" | "explicit";
}

/** Bytes that may be in use at once, by all streams of this page, or of one worker, it is given to. */
export class Budget {
  /** Fewer than 2 GiB. */
  constructor(bytes?: number);
  readonly bytes: number;
  /** Bytes reserved now. */
  readonly reserved: number;
  /** Most bytes that were ever reserved: never more than `bytes`. */
  readonly peak: number;
}

/** What is thrown. `code` is stable; `message` is for people. */
export class NarrowsError extends Error {
  readonly name: "NarrowsError";
  readonly code: ErrorCode;
  /** Without user, password and query. */
  readonly url?: string;
  /** HTTP status of the last answer. */
  readonly status?: number;
  /** Whether the same download may well succeed later. */
  readonly retryable: boolean;
  /** Tries: the first, and one more after each failure that was retried. */
  readonly attempts?: number;
  /** Those thrown away included. */
  readonly bytesReceived?: number;
  /** Bytes accepted as the file's: none twice, in order, of one version. */
  readonly bytesAccepted?: number;
  /** Where memory is what lacks: bytes needed. */
  readonly needed?: number;
}

export type ErrorCode =
  // the caller
  | "options"
  | "budget_too_small"
  | "bad_line"
  | "too_big_to_collect"
  | "over_budget"
  | "blocks_held"
  | "storage"
  | "line_too_long"
  | "cancelled"
  // the network
  | "connect"
  | "dns"
  | "refused"
  | "proxy"
  | "interrupted"
  | "idle"
  | "too_slow"
  | "blocked"
  | "bad_url"
  | "redirect"
  | "tls"
  | "protocol"
  // the origin's answer
  | "status"
  | "not_found"
  | "denied"
  | "overloaded"
  | "cut"
  | "bad_range"
  | "changed"
  | "too_long"
  | "needs_ranges"
  | "too_large"
  | "size_mismatch"
  | "digest_mismatch"
  | "encoding"
  // the content: kinds of broken or hostile archives
  | "truncated"
  | "wrong_format"
  | "bad_signature"
  | "trailing_data"
  | "bad_header"
  | "bad_deflate"
  | "bad_zstd"
  | "host_down"
  | "rejected"
  | "crc_mismatch"
  | "compressed_size_mismatch"
  | "duplicate_name"
  | "unicode_path_differs"
  | "missing_local_entry"
  | "missing_central_entry"
  | "duplicate_central_entry"
  | "directory_mismatch"
  | "descriptor_flag_mismatch"
  | "count_mismatch"
  | "directory_size_mismatch"
  | "directory_offset_mismatch"
  | "locator_mismatch"
  | "suspicious_comment"
  | "unsupported"
  | "limit"
  // what later versions add
  | (string & {});

/** How a file ended. */
export interface Report {
  /** Its place in the list, from 0. */
  index: number;
  /** Your own name for it. */
  key?: string;
  /** Without user, password, query and fragment. */
  url: string;
  outcome: "done" | "skipped" | "failed" | "cancelled";
  /** Of one that is done: what shows that the end of the data is its end. */
  proof?: "expected" | "structure" | "length" | "unverified_version" | "unverified_end";
  /** Of one that failed. */
  code?: ErrorCode;
  message?: string;
  /** Of one that failed: whether the same download may well succeed later. */
  retryable?: boolean;
  status?: number;
  /** Tries: the first, and one more after each failure that was retried. */
  attempts: number;
  /** Requests, of which an attempt may have many: one for each segment. */
  requests: number;
  /** Those thrown away included. */
  bytesReceived: number;
  bytesAccepted: number;
  bytesOut: number;
  entries: number;
  sha256?: string;
  elapsed: number;
}

/**
 * A stream at one moment. `pulled` is always the sum of `queued`, `inFlight`, `uncommitted`, `done`, `skipped`,
 * `failed` and `cancelled`.
 */
export interface Stats {
  /** Bytes of the budget reserved now, at most so far, and in all. */
  reserved: number;
  reservedPeak: number;
  capacity: number;
  /** Files in flight, of at most `limit`; `requesting` to `received` tell what they are at. */
  inFlight: number;
  limit: number;
  /** Sources pulled from the list; of these, not in flight (they wait, or back off), and read but not yet finished. */
  pulled: number;
  queued: number;
  uncommitted: number;
  requesting: number;
  receiving: number;
  /** Waiting for their consumer to make room for the next segment. */
  waiting: number;
  backingOff: number;
  received: number;
  bytesIn: number;
  bytesRefetched: number;
  bytesOut: number;
  requests: number;
  retries: number;
  /** Requests answered with 429 or 503. */
  refusals: number;
  done: number;
  skipped: number;
  failed: number;
  cancelled: number;
  /** Bytes of blocks in the consumer's hand, and for how long the oldest has been there. */
  held: number;
  heldFor: number;
  /** For how long the oldest file has been in flight. */
  oldest: number;
  /** Who waited for whom, after a wait for memory in which nothing moved for some seconds. It is on the console, too. */
  stalled?: string;
}

/** A file in flight, or that has ended while its consumer still holds a block of it. */
export interface Transfer {
  index: number;
  phase: "requesting" | "receiving" | "waiting" | "backing_off" | "received";
  /** Bytes of the budget it has reserved. */
  reserved: number;
}

/**
 * Reading in blocks. A block is lent until the next is asked for, or the file is left: its memory serves again,
 * and what was kept of it is empty. Keep a copy (`block.slice()`), or use `bytes()`.
 */
export interface Readable extends AsyncIterable<Uint8Array<ArrayBuffer>> {
  /** Without user, password, query and fragment. */
  readonly url: string;
  /** The next block; undefined at the end. */
  nextBlock(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Everything, if it is no larger than `max`, which is the option `collect` by default. */
  bytes(max?: number): Promise<Uint8Array<ArrayBuffer>>;
  text(max?: number): Promise<string>;
  /** Lines of UTF-8 without their ends; none longer than `maxLength` characters (1 Mi). An entry's end ends a line. */
  lines(options?: { maxLength?: number }): AsyncGenerator<string, void>;
  /** A byte stream that holds nothing itself. */
  toReadableStream(): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** A file whose first bytes are there, or that has failed: reading it then throws. */
export interface NarrowsFile extends Readable {
  /** Its place in the list, from 0. */
  readonly index: number;
  /** Its length on the wire, as far as it is known. */
  readonly size?: number;
  /** The entries of an archive, one at a time; what is left of one is skipped. */
  entries(): AsyncGenerator<Entry, void>;
  /** How it ended; undefined before. */
  report(): Promise<Report | undefined>;
  /** Says that what came is stored: it is done, if that was everything, and cancelled otherwise. */
  finish(): Promise<Report>;
  /** Says that what came could not be stored: it has failed, with the code "storage". */
  fail(reason: unknown): Promise<Report>;
  /** Ends it where it is: its exchange is aborted, its memory given back. */
  cancel(): Promise<Report>;
}

export interface Entry extends Readable {
  readonly index: number;
  /** As the archive has it: to be shown, not to be opened. */
  readonly name: string;
  /** The name as a path that stays below where it is put; undefined if it would not. */
  readonly path?: string;
  readonly isDirectory: boolean;
  /** What the archive says; never a promise. */
  readonly declaredSize?: number;
}

/** Several loops may read one stream; each file goes to one of them. */
export interface FileStream extends AsyncIterable<NarrowsFile> {
  readonly budget: Budget;
  /** The next file, whatever has become of those before; one that is not read must be cancelled. */
  next(): Promise<IteratorResult<NarrowsFile, undefined>>;
  /** Ends everything; leaving a loop calls it. */
  return(value?: unknown): Promise<IteratorReturnResult<unknown>>;
  /**
   * Reads all files with `work`, as many at once as are in flight, and counts how they ended. A file is done when `work`
   * has ended well; what it throws ends the stream.
   */
  each(work: (file: NarrowsFile) => unknown): Promise<Record<Report["outcome"], number>>;
  /** The counters; undefined before the stream has begun. */
  stats(): Promise<Stats | undefined>;
  /** What each file in flight is at, in the list's order. */
  transfers(): Promise<Transfer[]>;
  /** Changes how many may be in flight. A lower limit lets those in flight finish. */
  setLimit(limit: number): Promise<void>;
  /** Ends in order: what has not been delivered is delivered as cancelled. */
  cancel(): Promise<void>;
}

/** Memory, term by term. */
export interface Plan {
  exchange: number;
  segments: number;
  contentDecoder: number;
  decoder: number;
  blocks: number;
  collect: number;
  state: number;
  /** All of it: what one file needs, and the smallest budget. */
  workingSet: number;
  /** What the stream will need at most: the limit's working sets, or the budget. */
  peak: number;
}

/** Downloads `sources`, some at a time. Nothing happens before the first file is asked for. */
export function stream(sources: Sources, options?: StreamOptions): FileStream;

/** The memory that a stream with these options will need at most. */
export function plan(options?: StreamOptions): Promise<Plan>;

/**
 * Loads the module; called by itself where it is needed. `input` is for bundlers that do not find
 * it by themselves: its address, a response, its bytes or the compiled module.
 */
export function init(input?: string | URL | Request | Response | BufferSource | WebAssembly.Module): Promise<void>;

/** Bytes of WebAssembly memory. It grows and never shrinks; a worker can be replaced. */
export function memoryBytes(): number;
