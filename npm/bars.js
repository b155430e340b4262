// Range bars from trades while they stream. The interface is described in bars.d.ts; rows, their order, gaps and bars
// are the module's.

import { attempt } from "./attempt.js";
import { ignore } from "./errors.js";
import { loader } from "./loading.js";
import load, { RawBars, header } from "./wasm/bars.js";

export { NarrowsError } from "./errors.js";

/** Loads the module; further calls give the same promise. A failed load may be tried again. */
export const init = loader(load, () => new URL("./wasm/bars_bg.wasm", import.meta.url), ignore);

// The order in which the module has the numbers of a bar; before them is the place of its threshold.
const NAMES = [
  "openTime", "closeTime", "open", "high", "low", "close", "volume", "turnover", "buyVolume", "sellVolume",
  "buyTurnover", "sellTurnover", "firstTradeId", "lastTradeId", "firstAggTradeId", "lastAggTradeId",
  "individualTradeCount", "aggRecordCount", "buyTradeCount", "sellTradeCount", "vwap", "duration", "ofi",
  "vwapCloseDeviation", "priceImpact", "kyleLambdaProxy", "tradeIntensity", "volumePerTrade", "aggressionRatio",
  "aggregationDensity", "turnoverImbalance",
]; // prettier-ignore
const COUNTS = ["trades", "bars", "rejected", "reordered", "gaps", "missingTrades"];
const named = (names, numbers, from = 0) => Object.fromEntries(names.map((name, at) => [name, numbers[from + at]]));

/** Loads the module and begins bars, or goes on from a state. */
export async function rangeBars({ state, onRejected, onGap, ...options } = {}) {
  await init();
  const raw = attempt(() => new RawBars(options, state));
  return new RangeBars(raw, [options.thresholdDbps].flat(), { onRejected, onGap });
}

class RangeBars {
  #raw;
  #thresholds;
  #tell;

  constructor(raw, thresholds, tell) {
    this.#raw = raw;
    this.#thresholds = thresholds;
    this.#tell = tell;
  }

  #made(work, isEnd) {
    attempt(work);
    try {
      for (const [what, ...about] of this.#raw.told()) {
        if (what === "gap") this.#tell.onGap?.(named(["missing", "after", "before", "silence"], about));
        else this.#tell.onRejected?.({ message: about[0], row: about[1] });
      }
    } catch (error) {
      this.#raw.rollBack(); // as where the module throws: the file does not count
      throw error;
    }
    if (isEnd) this.#raw.commit();
    const numbers = this.#raw.numbers();
    if (numbers.length === 0) return [];
    const rows = this.#raw.rows().split("\n");
    const width = NAMES.length + 1;
    return Array.from({ length: numbers.length / width }, (_, index) => ({
      thresholdDbps: this.#thresholds[numbers[index * width]],
      ...named(NAMES, numbers, index * width + 1),
      csv: rows[index],
    }));
  }

  /** Takes a block of the file; gives the bars that ended in it. */
  push(block) {
    return this.#made(() => this.#raw.push(block));
  }

  /** The file has ended, and counts; another may begin. */
  endFile() {
    return this.#made(() => this.#raw.endFile(), true);
  }

  /** Ends the file, if one was begun, and the bars in the making: there are no more files. */
  end() {
    return this.#made(() => this.#raw.endBars(), true);
  }

  /** The file that was begun does not count. */
  rollBack() {
    this.#raw.rollBack();
  }

  /** What other bars go on from, as it was at the end of the last file. */
  state() {
    return this.#raw.state();
  }

  counts() {
    return named(COUNTS, this.#raw.counts());
  }

  /** Frees the module's memory; nothing else is to be called then. */
  close() {
    this.#raw.free();
  }
}

/** The columns of `csv`, once the module is loaded. */
export const csvHeader = () => header().trimEnd();
