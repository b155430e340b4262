// The consumer: counts rows, keeps the last few, and takes no more than it was told to.
import type { Consumer } from "./ways";

const ROWS_SHOWN = 6;

export class PacedConsumer implements Consumer {
  rows = 0;
  last: string[] = [];
  /** Megabytes a second; 0 is no limit. */
  pace = 0;
  #free = 0; // when the last block will have been taken, in ms
  #gate: Promise<void> | undefined;
  #open = () => {};

  constructor(readonly failed: Consumer["failed"]) {}

  get paused(): boolean {
    return this.#gate !== undefined;
  }

  pause(): void {
    this.#gate ??= new Promise((resolve) => (this.#open = resolve));
  }

  resume(): void {
    this.#gate = undefined;
    this.#open();
  }

  async take(block: Uint8Array): Promise<void> {
    for (let at = block.indexOf(10); at >= 0; at = block.indexOf(10, at + 1)) this.rows++;
    const end = new TextDecoder().decode(block.subarray(Math.max(0, block.length - 4096)));
    const lines = end.split("\n").slice(1, -1);
    if (lines.length > 0) this.last = lines.slice(-ROWS_SHOWN).map((line) => line.slice(0, 160));
    if (this.pace > 0) {
      // All files share one pace: each block takes its time after the one before it.
      const now = performance.now();
      this.#free = Math.max(now, this.#free) + block.length / 1000 / this.pace;
      const wait = this.#free - now;
      if (wait > 10) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    await this.#gate;
  }
}
