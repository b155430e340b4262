// Range bars from aggregate trades as Binance publishes them, while they stream. Times are milliseconds.

export { NarrowsError } from "./index.js";

/** Loads the module, which happens by itself otherwise: from the package, or from what is given. */
export function init(input?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<void>;

export interface BarsOptions {
  /** Widths of bars in tenths of a basis point, 1 to 100,000: 250 is 0.25 %. Several are made in one pass. */
  thresholdDbps: number | number[];
  /** Whether no bar ends at the time at which it began. Default true. */
  gate?: boolean;
  /** Trades that are at most so many rows late are put in order, within a file; each takes 56 bytes. Default 1,000. */
  reorder?: number;
  /** Silence for longer is a gap, too. Default: none is. */
  maxSilence?: number;
  /** What a row means that is no trade: what is being read throws (default), or it is passed over. */
  badRows?: "fail" | "skip";
  /** What trades missing between two others mean: nothing but `onGap` (default), the end of the bar before, or an error. */
  gaps?: "report" | "end-bar" | "fail";
  /** What `state()` of other bars of the same thresholds and gate gave. */
  state?: string;
  /**
   * Called for each row that is passed over, before `push()` returns; what it throws, `push()` throws. Of a trade that is
   * out of order, `row` says what was read of it.
   */
  onRejected?: (rejected: { message: string; row: string }) => void;
  /** Called for each gap: trades missing, the aggregate trades around it, the time between them. */
  onGap?: (gap: { missing: number; after: number; before: number; silence: number }) => void;
}

/** A bar. Prices and volumes are in units, and floats: `csv` has all digits. */
export interface Bar {
  thresholdDbps: number;
  /** Times of its first and its last trade, with fractions of a millisecond. */
  openTime: number;
  closeTime: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  turnover: number;
  buyVolume: number;
  sellVolume: number;
  buyTurnover: number;
  sellTurnover: number;
  firstTradeId: number;
  lastTradeId: number;
  firstAggTradeId: number;
  lastAggTradeId: number;
  individualTradeCount: number;
  aggRecordCount: number;
  buyTradeCount: number;
  sellTradeCount: number;
  vwap: number;
  duration: number;
  ofi: number;
  vwapCloseDeviation: number;
  priceImpact: number;
  kyleLambdaProxy: number;
  tradeIntensity: number;
  volumePerTrade: number;
  aggressionRatio: number;
  aggregationDensity: number;
  turnoverImbalance: number;
  /** Exact, as a row of the columns of `csvHeader()`: prices and volumes in units of 1e-8, turnovers of 1e-16. */
  csv: string;
}

/** Bars in the making: a block, and about 60 KB with the default `reorder`, however many trades there are. */
export interface RangeBars {
  /**
   * Takes a block of a file, wherever it was cut; gives the bars that ended in it. Where it throws, the file does not
   * count, nor do the bars it has given since the last `endFile()`.
   */
  push(block: Uint8Array): Bar[];
  /** The file has ended, and counts, unless this throws; another may begin. */
  endFile(): Bar[];
  /** Ends the file, if one was begun, and the bars in the making: there are no more files. */
  end(): Bar[];
  /** The file that was begun does not count: for one that broke off. */
  rollBack(): void;
  /** What other bars go on from, here or natively, bit for bit: as it was at the end of the last file. */
  state(): string;
  counts(): { trades: number; bars: number; rejected: number; reordered: number; gaps: number; missingTrades: number };
  /** Frees the module's memory; nothing else is to be called then. */
  close(): void;
}

/**
 * Begins bars, or goes on from a state.
 *
 * @example
 * const bars = await rangeBars({ thresholdDbps: 250 });
 * for await (const file of stream(urls, { unpack: true, order: "list" })) {
 *   for await (const block of file) draw(bars.push(block));
 *   draw(bars.endFile());
 * }
 */
export function rangeBars(options: BarsOptions): Promise<RangeBars>;

/** The columns of `csv`, once the module is loaded. */
export function csvHeader(): string;
