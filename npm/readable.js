// Reading in blocks: what files and their entries have in common.

import { ignore, refusal } from "./errors.js";

/** Moves a buffer out of the consumer's hand: what it kept of it is empty from now on. */
export function takeBack(buffer) {
  if (!buffer?.byteLength) return undefined; // none lent, or given away
  return buffer.transfer ? buffer.transfer() : structuredClone(buffer, { transfer: [buffer] });
}

/** Runs calls one after another: an engine answers one at a time. */
export function queue() {
  let last = Promise.resolve();
  return (call) => (last = last.catch(ignore).then(call));
}

const bare = (line) => (line.endsWith("\r") ? line.slice(0, -1) : line);

export class Readable {
  /** Blocks, each lent until the next is asked for: then it is taken back, and empty. */
  async *[Symbol.asyncIterator]() {
    try {
      for (let block; (block = await this.nextBlock()); ) yield block;
    } finally {
      this.stop();
    }
  }

  /** Everything as text. */
  async text(max) {
    return new TextDecoder().decode(await this.bytes(max));
  }

  /** Lines of UTF-8 without their ends. The end of an entry ends a line. */
  async *lines({ maxLength = 1 << 20 } = {}) {
    const decoder = new TextDecoder();
    let rest = "";
    const checked = (line) => {
      if (line.length <= maxLength) return bare(line);
      throw refusal("line_too_long", `${this.url}: a line exceeds ${maxLength} characters`, this.url);
    };
    try {
      for (;;) {
        const block = await this.nextBlock(true); // null where an entry ends
        const lines = (rest + decoder.decode(block ?? undefined, { stream: !!block })).split("\n");
        rest = block ? lines.pop() : "";
        if (!block && lines.at(-1) === "") lines.pop();
        for (const line of lines) yield checked(line);
        checked(rest);
        if (block === undefined) return;
      }
    } finally {
      this.stop();
    }
  }

  /** A byte stream that holds nothing itself. */
  toReadableStream() {
    const source = {
      pull: async (controller) => {
        const block = await this.nextBlock();
        if (!block) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else controller.enqueue(block.slice());
      },
      cancel: () => this.stop(),
    };
    try {
      return new ReadableStream({ ...source, type: "bytes" }, { highWaterMark: 0 });
    } catch {
      return new ReadableStream(source, { highWaterMark: 0 }); // no byte streams here
    }
  }
}
