// What the last action was refused with: shown until it is dismissed, until an action succeeds, or until what it
// speaks of is no longer as it was.
import type { ChildName, Snapshot } from "./ipc";
import { reason } from "./words";

/** What an action is about. */
export type About = ChildName | "streams" | "wallet" | "library";

export class Refusal {
  words = $state<string | null>(null);
  #about: About = "node";
  #now: Snapshot | null = null;
  /** How what it is about was when the action began. */
  #was = "";

  /** Does it; null where it was refused. What answers with nothing does so as `null`, which is told as undefined. */
  async attempt<T>(about: About, action: () => Promise<T>): Promise<T | null> {
    const was = state(about, this.#now);
    try {
      const done = await action();
      this.words = null;
      return done ?? (undefined as T);
    } catch (error) {
      [this.words, this.#about, this.#was] = [reason(error), about, was];
      return null;
    }
  }

  dismiss(): void {
    this.words = null;
  }

  /** Takes in what there is now. */
  see(now: Snapshot): void {
    this.#now = now;
    if (this.words !== null && state(this.#about, now) !== this.#was) this.words = null;
  }
}

/** What may change a refusal's mind. */
function state(about: About, now: Snapshot | null): string {
  if (!now) return "";
  if (about === "wallet") return (now.wallet.known ?? []).map((account) => account.address).join();
  if (about === "library") return "";
  if (about !== "streams") return `${now[about].state} ${now[about].live}`;
  return [now.node.state, ...(now.streams.known ?? []).map((stream) => `${stream.playback_id} ${stream.status}`)].join();
}

/** The page's one. */
export const refusal = new Refusal();
