// Which numbered seconds played: those of whose pictures ninety in a hundred were shown in time. A browser tells of
// pictures as they are presented, by their RTP timestamps, of how many were presented since the one before, and of how
// many were thrown away. No clock and no money inside.

/** Of video (RFC 6184 §8.2.1). */
export const RATE = 90_000;
/** In hundredths: what must be shown of a second for it to have played. */
const SHARE = 90;
/** The interval between pictures is the median of so many. */
const INTERVALS = 30;
/** Until a stream has told its own. */
const NOMINAL = RATE / 30;
/** A step this much longer than the usual interval is a freeze (the bound of WebRTC's freezeCount). */
export const FREEZE_MS = 150;
/** Pictures that are remembered, so that a beginning which is told late finds them: four seconds of 60. */
const RECENT = 256;
/** Seconds with pictures that are not decided. Beyond it pictures count for nothing, which costs a viewer nothing. */
const OPEN = 64;
/** Beginnings that are not over. */
const SEGMENTS = 8;

export interface Picture {
  /** As it was sent: 32 bits. */
  rtpTimestamp: number;
  /** How many were presented since the last one that was told of, with this one. */
  presented: number;
  /** How many came since then and were not presented. */
  dropped: number;
  /** It ended a freeze of the screen. */
  isLate: boolean;
}

/** All up to `tick`, from the last that was decided: of `played`, those before it did not. */
export type Decided = { tick: number; played: boolean };

interface Step { before: number | null; at: number; presented: number; dropped: number; isLate: boolean }
interface Segment { at: number; first: number }
interface Count { due: number; shown: number }

/** Of a picture that has a date, in milliseconds since 1970, and no other timestamp. */
export const timestampOf = (dateMs: number): number => Math.round((dateMs * RATE) / 1000) % 2 ** 32;

/** The value nearest to `near` that has these 32 bits. */
export const nearest = (near: number, bits: number): number => near + ((bits - (near % 2 ** 32)) | 0);

export class PlayedSeconds {
  #intervals: number[] = [];
  #segments: Segment[] = [];
  #recent: Step[] = [];
  #newest: number | null = null;
  /** The first second that is not decided. */
  #next = 0;
  #open = new Map<number, Count>();

  /** Nothing counts until a second's beginning is told anew. What was decided stays so. */
  reset(): void {
    [this.#segments, this.#recent, this.#newest] = [[], [], null];
    this.#open.clear();
  }

  /** The second `first` begins at this RTP timestamp. What was shown before this was told counts as well. */
  begin(first: number, rtpTimestamp: number): void {
    const near = this.#recent.at(-1)?.at;
    const at = near === undefined ? rtpTimestamp : nearest(near, rtpTimestamp);
    if (this.#segments.some((known) => known.at === at && known.first === first)) return;
    if (this.#segments.length === 0) this.#next = Math.max(this.#next, first);
    this.#segments = [...this.#segments.filter((known) => known.at < at), { at, first }].slice(-SEGMENTS);
    // What lies behind it was counted as other seconds, or as none.
    for (const tick of this.#open.keys()) if (tick >= first) this.#open.delete(tick);
    for (const step of this.#recent) if (step.at >= at) this.#count(step, at);
  }

  /** The next picture that is shown; gives what is decided by it. */
  picture({ rtpTimestamp, presented, dropped, isLate }: Picture): Decided[] {
    const before = this.#newest;
    const at = before === null ? this.#turnOf(rtpTimestamp) : nearest(before, rtpTimestamp);
    if (before !== null && at <= before) return [];
    const step = { before, at, presented: Math.max(1, presented), dropped: Math.max(0, dropped), isLate };
    this.#newest = at;
    this.#recent.push(step);
    if (this.#recent.length > RECENT) this.#recent.shift();
    this.#count(step, -Infinity);
    this.#learn(step);
    const tick = this.#tickOf(at);
    return tick === null ? [] : this.#decideBefore(tick);
  }

  /** The second of the newest picture. */
  get newest(): number | null {
    return this.#newest === null ? null : this.#tickOf(this.#newest);
  }

  /** The seconds up to `last` are over, though nothing behind them was shown: what their rest would have had is missing. */
  expire(last: number): Decided[] {
    if (this.#newest !== null) {
      const tick = this.#tickOf(this.#newest);
      const count = tick === null || tick > last ? undefined : this.#open.get(tick);
      if (count) count.due += Math.max(0, Math.floor((this.#endOf(this.#newest) - this.#newest - 1) / this.#interval()));
    }
    return this.#decideBefore(last + 1);
  }

  #decideBefore(end: number): Decided[] {
    const decided: Decided[] = [];
    for (const tick of [...this.#open.keys()].sort((a, b) => a - b)) {
      if (tick >= end) break;
      const { due, shown } = this.#open.get(tick) ?? { due: 0, shown: 0 };
      this.#open.delete(tick);
      decided.push({ tick, played: shown > 0 && shown * 100 >= due * SHARE });
      this.#next = tick + 1;
    }
    if (this.#next < end) {
      decided.push({ tick: end - 1, played: false });
      this.#next = end;
    }
    return decided;
  }

  /** Only now it is known which turn of the 32 bits a beginning was. */
  #turnOf(rtpTimestamp: number): number {
    this.#segments = this.#segments.map(({ at, first }) => ({ at: nearest(rtpTimestamp, at % 2 ** 32), first }));
    return rtpTimestamp;
  }

  /** Counts from the timestamp `from` on: what lies before it was counted before. */
  #count({ before, at, presented, dropped, isLate }: Step, from: number): void {
    const interval = this.#interval();
    const begin = this.#segments.findLast((segment) => segment.at <= at)?.at;
    if (begin === undefined) return;
    if (before === null || before < begin) {
      if (before !== null) {
        // The rest of the second in which the media stopped.
        const missing = Math.round((begin - before) / interval) - 1;
        this.#spread(before, begin - interval, missing, 0, from);
      }
      // The first of all. What its second began with may be missing.
      const pictures = Math.round((at - begin) / interval);
      this.#spread(begin - interval, at, pictures + 1, isLate ? 0 : 1, Math.max(from, begin));
      return;
    }
    const step = at - before;
    let pictures = presented + dropped;
    if (isFreeze(step / pictures, interval)) pictures = Math.max(pictures, Math.round(step / interval));
    this.#spread(before, at, pictures, isLate ? presented - 1 : presented, from);
  }

  /** So many pictures lie evenly behind `before`, the last of them at `at`; the last `shown` of them were shown. */
  #spread(before: number, at: number, pictures: number, shown: number, from: number): void {
    for (let number = 1; number <= pictures; number += 1) {
      const place = before + ((at - before) * number) / pictures;
      // Of a long gap only the seconds at both ends can have anything that was shown.
      const isInside = place > before + RATE && place < at - RATE;
      const tick = place < from || isInside ? null : this.#tickOf(place);
      if (tick === null || tick < this.#next) continue;
      const count = this.#open.get(tick) ?? { due: 0, shown: 0 };
      if (!this.#open.has(tick) && this.#open.size >= OPEN) continue;
      count.due += 1;
      if (number > pictures - shown) count.shown += 1;
      this.#open.set(tick, count);
    }
  }

  #learn({ before, at, presented, dropped }: Step): void {
    if (before === null) return;
    this.#intervals.push(Math.min((at - before) / (presented + dropped), RATE));
    if (this.#intervals.length > INTERVALS) this.#intervals.shift();
  }

  /** Null before the first beginning, and for what lies between the last second of one and the next beginning. */
  #tickOf(at: number): number | null {
    const index = this.#segments.findLastIndex((segment) => segment.at <= at);
    const segment = this.#segments[index];
    if (!segment) return null;
    const tick = segment.first + Math.floor((at - segment.at) / RATE);
    const next = this.#segments[index + 1];
    return next && tick >= next.first ? null : tick;
  }

  /** Where the second of a timestamp ends. */
  #endOf(within: number): number {
    const index = this.#segments.findLastIndex((segment) => segment.at <= within);
    const begin = this.#segments[index]?.at ?? within;
    const end = begin + (Math.floor((within - begin) / RATE) + 1) * RATE;
    return Math.min(end, this.#segments[index + 1]?.at ?? Infinity);
  }

  /** The usual one between two pictures. */
  #interval(): number {
    const sorted = this.#intervals.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? NOMINAL;
  }
}

const isFreeze = (step: number, interval: number): boolean =>
  step >= Math.max(3 * interval, interval + (RATE * FREEZE_MS) / 1000);
