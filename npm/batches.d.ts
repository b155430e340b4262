// Batches: a bounded buffer between a stream and something that takes groups. Times are milliseconds.

export { NarrowsError } from "./index.js";

/** Loads the module, which happens by itself otherwise: from the package, or from what is given. */
export function init(input?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<void>;

export interface BatchOptions<T> {
  /** Items held at most, those in flight included. Default 1,000. */
  maxItems?: number;
  /** Bytes held at most. Default 8 MiB. */
  maxBytes?: number;
  /** Bytes of the largest item: reserved for as long as there is the buffer. Default 64 KiB. */
  maxItemBytes?: number;
  /** Items of a batch at most; so many make one due. Default 100. */
  batchItems?: number;
  /** Bytes of a batch at most; so many make one due. Default 1 MiB. */
  batchBytes?: number;
  /** A batch is due when its oldest item has waited for so long. Default 30,000. */
  flushAfter?: number;
  /** Batches in flight at once. Default 1. */
  maxInFlight?: number;
  /** What happens to an item that finds the buffer full. Default: `push()` waits. */
  overflow?: "wait" | "drop-oldest" | "drop-newest";
  /** Times that an item is tried before it is abandoned. Default 3. */
  attempts?: number;
  /** Ceilings of the first wait and of any wait before an item is tried again. Default 1,000 and 60,000. */
  minBackoff?: number;
  maxBackoff?: number;
  /** Items held for longer are evicted. Default 3,600,000. */
  maxAge?: number;
  /** How often that is looked after while nothing else happens. Default 900,000. */
  sweepEvery?: number;
  /** Items older than this by their own age end as fallbacks. Default 7,200,000. */
  staleAfter?: number;
  /** By how much an item counts as older for each level of its priority. Default 60,000. */
  priorityWorth?: number;
  /** Batches in a row that fail before the destination is left alone, and for how long at first. Default 5 and 1,000. */
  breakerAfter?: number;
  breakerFor?: number;
  /** Bytes that may be reserved. Default 64 MiB. Streams have budgets of their own. */
  budget?: number;
  /** Called once for each item, when it has ended: to write it down, or to apply a fallback. */
  onEnd?: (ended: Ended<T>) => void;
}

/** An item that has ended. */
export interface Ended<T> {
  value: T;
  /** Its number, in the order of pushing. */
  number: number;
  end: "delivered" | "abandoned" | "evicted" | "fallback";
  /** Why it was abandoned or fell back; of one that was evicted, the bound. */
  reason?: string;
  attempts: number;
  heldFor: number;
}

/** An item of a batch. */
export interface Member<T> {
  value: T;
  /** The same in every attempt: an idempotency key. */
  number: number;
  /** From 1. */
  attempt: number;
}

/** What becomes of an item, and why. */
export type Settled = "delivered" | "retry" | ["retry" | "abandoned" | "fallback", string];

/** Items in flight, until something is said of them. Left alone by a loop, they come back to be tried again. */
export interface Batch<T> {
  readonly items: Member<T>[];
  commit(): void;
  /** Those whose last attempt this was are abandoned, for this reason. */
  retry(reason?: string): void;
  abandon(reason?: string): void;
  /** The destination was not there, which is held against no item. `after`: when it wants to be asked again. */
  unavailable(after?: number): void;
  /** Each item has its own answer, as where an API takes seven of ten. */
  settle(settled: (item: Member<T>) => Settled): void;
}

/** A buffer at one moment. `accepted` is the sum of `items`, `delivered`, `abandoned`, `fallback` and all evicted. */
export interface BatchStats {
  items: number;
  maxItems: number;
  bytes: number;
  maxBytes: number;
  reserved: number;
  inFlight: number;
  /** Pushes that wait for room. */
  waiting: number;
  utilisation: number;
  meanAge: number;
  maxAge: number;
  accepted: number;
  delivered: number;
  abandoned: number;
  fallback: number;
  evictedItems: number;
  evictedBytes: number;
  evictedAge: number;
  attempts: number;
  retried: number;
  failedBatches: number;
  breaker: "closed" | "open" | "half_open";
  /** One line for logs. */
  health: string;
}

/** A bounded buffer. It is iterated over batches that are due. */
export interface Batches<T> extends AsyncIterable<Batch<T>> {
  /**
   * Puts an item in; gives its number, once there is room. `bytes` is what it counts for: by default the length of a
   * typed array, or twice that of the value's JSON. `age` is how old it is by its own time.
   */
  push(value: T, options?: { bytes?: number; priority?: number; age?: number }): Promise<number>;
  /** The next batch; undefined once the buffer is closed and everything has ended. */
  next(): Promise<Batch<T> | undefined>;
  flush(): Promise<void>;
  close(): Promise<void>;
  stats(): Promise<BatchStats>;
}

/** A buffer that batches are taken from. */
export function batches<T>(options?: BatchOptions<T>): Batches<T>;
