// What modules of jobs throw are messages: of options, or of rows.

import { invalid, refusal } from "./errors.js";

const REJECTED = "rejected: ";

/** Does some work of a module's; its messages become errors. */
export function attempt(work) {
  try {
    return work();
  } catch (error) {
    if (typeof error !== "string") throw error;
    throw error.startsWith(REJECTED) ? refusal("rejected", error.slice(REJECTED.length)) : invalid(error);
  }
}
