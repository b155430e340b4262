// Errors with a code.

/** An error with a stable `code`, and `retryable`; `url` and `status` where there are some. */
export class NarrowsError extends Error {
  constructor({ message, ...details }) {
    super(message);
    this.name = "NarrowsError";
    Object.assign(this, details);
  }
}

export const ignore = () => {};

/** What the engine threw, as an error. */
export const fail = (thrown) => (thrown?.code && !(thrown instanceof Error) ? new NarrowsError(thrown) : thrown);

/** Passes on what the engine threw. */
export const rethrow = (thrown) => {
  throw fail(thrown);
};

/** An error of the caller's own making. */
export const refusal = (code, message, url) => new NarrowsError({ code, message, url, retryable: false });
export const invalid = (message) => refusal("options", message);
