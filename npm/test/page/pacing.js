// Scenarios of what stands between a stream and something slower: batches, rates, hosts that refuse.

import { fails, sleep } from "./helpers.js";

export const pacing = {
  /** Items go out in batches and each ends once, whatever becomes of its batch. */
  async batches() {
    const { batches } = await import("../../batches.js");
    const ends = new Map();
    const options = { batchItems: 50, maxItems: 100, minBackoff: 1, maxBackoff: 5, breakerFor: 1, attempts: 4 };
    const buffer = batches({ ...options, onEnd: ({ value, end }) => ends.set(value.id, [...(ends.get(value.id) ?? []), end]) });
    const pushed = (async () => {
      for (let id = 0; id < 250; id++) await buffer.push({ id }, { bytes: 100 });
      await buffer.close();
    })();
    let calls = 0;
    let most = 0;
    for await (const batch of buffer) {
      most = Math.max(most, (await buffer.stats()).items);
      if (++calls === 1) continue; // nothing is said of it: it comes back
      if (calls === 2) batch.retry("500");
      else if (calls === 3) batch.unavailable();
      else if (calls === 4) batch.settle(({ value }) => (value.id % 2 ? "delivered" : ["abandoned", "never"]));
      else batch.commit();
    }
    await pushed;
    await sleep(0);
    const told = [...ends.values()];
    const { accepted, delivered, abandoned, items, health } = await buffer.stats();
    const refused = await fails(() => buffer.push({ id: -1 }));
    const unknown = await fails(() => batches({ batchItem: 3 }).stats());
    return {
      once: told.length === 250 && told.every((ended) => ended.length === 1),
      adds: accepted === delivered + abandoned && items === 0 && abandoned > 0 && abandoned <= 50,
      bounded: most <= 100,
      health,
      refused: refused.message,
      unknown: unknown.message,
    };
  },

  /** A rate is kept, and a refusal of the host's costs no file. */
  async rates({ stream }, base) {
    const names = (function* () {
      for (let name = 0; name < 6; name++) yield `${base}/bytes/1000?name=rate${name}`;
    })();
    const start = performance.now();
    const files = stream(names, { hostRate: 10, limit: 6 });
    await files.each((file) => file.bytes());
    const elapsed = performance.now() - start;
    const busy = stream([`${base}/bytes/1000?status=503&times=1&name=${Math.random()}`]);
    await busy.each((file) => file.bytes());
    const { done, refusals } = await busy.stats();
    return { kept: elapsed >= 480 && elapsed < 5000, done: (await files.stats()).done, refused: [done, refusals] };
  },
};
