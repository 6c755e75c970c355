// Why nothing more is watched, in words for people.
import { TabFault } from "./tab";

/** What happened, and what helps: trying again, more deposit, nothing, or joining again, for which nobody is asked. */
export interface Leaving { words: string; remedy: "again" | "more" | "none" | "rejoin" }

export const SPENT: Leaving = { words: "The deposit is spent.", remedy: "more" };

const ENDINGS: Leaving[] = [
  { words: "The node stopped: it got no payment for what it sent.", remedy: "again" },
  { words: "Too little of the stream could be shown here, so the node stopped it.", remedy: "again" },
  SPENT,
  { words: "The price that you agreed to is over.", remedy: "again" },
  { words: "The channel that pays for it is at its end.", remedy: "more" },
  { words: "The broadcast has ended.", remedy: "none" },
  { words: "It is watched in another window.", remedy: "again" },
];

export const endedBecause = (ending: number): Leaving => ENDINGS[ending] ?? { words: "The node stopped.", remedy: "again" };

/** Reasons that a person can do something about; the others are faults of one of the two programs. */
export function refusedBecause(reason: number): Leaving {
  if (reason === 12) return SPENT;
  if (reason >= 15 && reason <= 17) return { words: "The channel that paid for it is closed, or about to be.", remedy: "more" };
  if (reason === 23) {
    return { words: "What this account watched before, in another program or page, is settled first.", remedy: "again" };
  }
  return { words: `The node refused a payment (reason ${reason}). Nothing more is paid.`, remedy: "again" };
}

/** Of something that did not fit, or could not be done. */
export function becauseOf(error: unknown): Leaving {
  if (error instanceof TabFault) return { words: `${error.message} Nothing more is paid.`, remedy: "again" };
  console.error(error);
  return { words: "This browser could not go on paying.", remedy: "again" };
}
