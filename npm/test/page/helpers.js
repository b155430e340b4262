// What the scenarios share: addresses of the origin, and what it still sends.

export const slot = (base, index) => {
  const at = new Date(Date.UTC(2026, 0, 1) + index * 900_000).toISOString().replace(/\D/g, "").slice(0, 14);
  return `${base}/gdeltv2/${at}.export.CSV.zip`;
};
export const count = (block) => {
  let lines = 0;
  for (let at = block.indexOf(10); at >= 0; at = block.indexOf(10, at + 1)) lines++;
  return lines;
};
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const opened = async (base) => Number(await (await fetch(`${base}/origin/open`)).text());

/** Waits until the origin sends nothing: how many bodies it still sends after a while. */
export async function quiet(base) {
  for (let tries = 0; tries < 50 && (await opened(base)) > 0; tries++) await sleep(50);
  return opened(base);
}

export async function fails(work) {
  try {
    await work();
    return "nothing was thrown";
  } catch (error) {
    const { name, code, status, retryable, needed, message } = error ?? {};
    return error instanceof Error ? { name, code, status, retryable, needed, message } : { thrown: error };
  }
}
