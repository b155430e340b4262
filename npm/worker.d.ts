/** narrows in a dedicated worker: the same interface, with the work on another thread. */
import type { FileStream, Plan, Sources, StreamOptions } from "./index.js";

export { Budget, NarrowsError } from "./index.js";
export type * from "./index.js";

export interface WorkerOptions {
  /** Starts the worker: for bundlers that do not find `worker-thread.js` by themselves. */
  worker?: () => Worker;
  /** The module, for such bundlers: its address, its bytes, or the compiled module. */
  module?: string | BufferSource | WebAssembly.Module;
  /** WebAssembly memory above which an idle worker is replaced. Default 64 MiB. */
  recycleAbove?: number;
}

/** A worker of one's own. It is started when there is work. */
export class NarrowsWorker {
  constructor(options?: WorkerOptions);
  stream(sources: Sources, options?: StreamOptions): FileStream;
  plan(options?: StreamOptions): Promise<Plan>;
  /** Bytes of its WebAssembly memory when it was last heard of. */
  readonly memoryBytes: number;
  /** Ends the worker and all that it does. */
  close(): void;
}

/** Downloads `sources` in a worker that all calls share. */
export function stream(sources: Sources, options?: StreamOptions): FileStream;
export function plan(options?: StreamOptions): Promise<Plan>;
/** Ends the shared worker. */
export function close(): void;
