// How a state looks; its words say the same.
import type { Child, State } from "./ipc";

/** Red, as "live", is for what is live and for nothing else. */
export type Tone = "good" | "warn" | "bad" | "quiet" | "live";

const TONES: Record<State, Tone> = {
  stopped: "quiet", starting: "warn", running: "good", stopping: "warn", failed: "bad", restarting: "warn",
};

export function tone(child: Child): Tone {
  if (child.live) return "live";
  return child.failure?.reason === "not_built" ? "quiet" : TONES[child.state];
}
