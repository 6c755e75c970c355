// Keeps a stream playing: asks the node what the stream is doing, joins it, and joins again when that ends.
import { ApiError, type StreamInfo } from "../lib/api";
import { PlayerFailed, type Player } from "../lib/player";
import { Stillness } from "./still";

export type Phase =
  | { at: "loading"; words: string }
  /** Not begun, or ended. */
  | { at: "waiting"; words: string; hint: string }
  /** `still`: no new picture came for a while. */
  | { at: "playing"; player: Player; still: boolean }
  /** It is tried again at `retryMs` of `Date.now()`. */
  | { at: "failed"; words: string; retryMs: number }
  /** There is no such stream, nor will there be. */
  | { at: "unknown"; words: string };

export interface Session {
  /** As the node said last. */
  info: StreamInfo | null;
  phase: Phase;
}

/** Told why what was joined ended by itself; null where a person knows, and it is asked anew at once. */
export type Lost = (why: string | null) => void;

/** What the session does not do itself. */
export interface Ways {
  info(signal: AbortSignal): Promise<StreamInfo>;
  /** `note` is told what it tries, `lost` that what it gave ended by itself. */
  join(info: StreamInfo, note: (words: string) => void, lost: Lost): Promise<Player>;
  /** The stream does not play now. */
  idle(info: StreamInfo): void;
  /** How many pictures were decoded so far; null where that says nothing. */
  pictures(): number | null;
}

/** From an answer of the node to the next question. */
const ASK_MS = 2000;
/** A question without an answer counts as failed. */
const ANSWER_LIMIT_MS = 5000;
/** How often the picture is looked at. */
const LOOK_MS = 250;
/** From one failure to the next attempt; the last one stays. */
const PAUSES_MS = [1000, 2000, 4000, 8000, 15_000];

const PENDING = { words: "The broadcast has not begun yet.", hint: "It plays here as soon as it does." };
const ENDED = { words: "The broadcast has ended.", hint: "If it begins again, it plays here." };
const ARCHIVED = { words: "The broadcast has ended.", hint: "It is over for good." };

/** Runs until the returned function is called. */
export function watch(ways: Ways, changed: (now: Session) => void): () => void {
  const session: Session = { info: null, phase: { at: "loading", words: "Finding the stream" } };
  let player: Player | null = null;
  let failures = 0;
  /** Why the last question failed, while the stream plays on. */
  let unanswered: string | null = null;
  /** How often it was left: what was asked for before concerns nobody any more. */
  let left = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let looks: ReturnType<typeof setInterval> | undefined;

  const show = () => changed({ ...session });
  const enter = (phase: Phase) => { session.phase = phase; show(); };
  const next = (pauseMs: number) => { timer = setTimeout(() => void ask(), pauseMs); };
  const pause = () => PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)] ?? ASK_MS;

  function leave() {
    left += 1;
    clearTimeout(timer);
    clearInterval(looks);
    unanswered = null;
    player?.stop();
    player = null;
  }

  function fail(words: string) {
    leave();
    const pauseMs = pause();
    enter({ at: "failed", words, retryMs: Date.now() + pauseMs });
    next(pauseMs);
  }

  /** One question at a time: the next one is asked after the answer. */
  async function ask(): Promise<void> {
    const then = left;
    try {
      const info = await ways.info(AbortSignal.timeout(ANSWER_LIMIT_MS));
      if (then !== left) return;
      session.info = info;
      unanswered = null;
    } catch (error) {
      if (then === left) refused(error);
      return;
    }
    if (session.info.status !== "live") {
      leave();
      failures = 0;
      enter({ at: "waiting", ...waitingFor(session.info) });
      ways.idle(session.info);
      next(ASK_MS);
    } else if (player) {
      failures = 0;
      show();
      next(ASK_MS);
    } else {
      await begin(session.info, then);
    }
  }

  function refused(error: unknown) {
    if (error instanceof ApiError && error.code === "stream_not_found") {
      leave();
      enter({ at: "unknown", words: error.message });
    } else if (session.phase.at === "playing") {
      // The media takes other ways: it is played for as long as it comes.
      unanswered = sentence(error);
      next(pause());
    } else {
      fail(sentence(error));
    }
  }

  async function begin(info: StreamInfo, then: number): Promise<void> {
    enter({ at: "loading", words: "Joining" });
    try {
      const note = (words: string) => { if (then === left) enter({ at: "loading", words }); };
      let joined: Player | null = null;
      /** What ended before there was something to end. */
      let early: { why: string | null } | null = null;
      const ended = (why: string | null) => {
        if (!joined) early ??= { why };
        if (!joined || player !== joined) return;
        if (why !== null) return fail(why);
        leave();
        void ask();
      };
      joined = await ways.join(info, note, ended);
      if (then !== left) return joined.stop();
      player = joined;
      failures = 0;
      enter({ at: "playing", player, still: false });
      const stillness = new Stillness(performance.now());
      looks = setInterval(() => look(stillness.look(ways.pictures(), performance.now())), LOOK_MS);
      next(ASK_MS);
      if (early) ended((early as { why: string | null }).why);
    } catch (error) {
      if (then === left) fail(sentence(error));
    }
  }

  function look(still: boolean) {
    if (session.phase.at !== "playing") return;
    if (still && unanswered) fail(unanswered);
    else if (still !== session.phase.still) enter({ ...session.phase, still });
  }

  void ask();
  return leave;
}

const waitingFor = ({ status }: StreamInfo) =>
  status === "archived" ? ARCHIVED : status === "ended" ? ENDED : PENDING;

/** Nothing but sentences that were written for people. */
export function sentence(error: unknown): string {
  if (error instanceof ApiError || error instanceof PlayerFailed) return error.message;
  console.error(error);
  return "This browser could not play the stream.";
}
