// Seconds that did not play: ranges in rising order with something between them.
import { MAX_INTEGER } from "./bytes";
import type { Range } from "./messages";

/** No message names more ranges. */
const RANGES_MAX = 16;
const COUNT_MAX = 0xffff_ffff;

export class Unplayed {
  #ranges: Range[] = [];

  get ranges(): Range[] { return this.#ranges.map((range) => ({ ...range })); }

  /** Adds seconds behind all that are in it; false where there is no room. */
  push(first: number, count: number): boolean {
    const last = this.#ranges.at(-1);
    const end = last ? last.first + last.count : 0;
    if (count <= 0 || first < end || first + count > MAX_INTEGER) return false;
    if (last && first === end && last.count + count <= COUNT_MAX) last.count += count;
    else if (this.#ranges.length < RANGES_MAX && count <= COUNT_MAX) this.#ranges.push({ first, count });
    else return false;
    return true;
  }

  /** Those before `tick` are known to the node. */
  forgetBefore(tick: number): void {
    this.#ranges = this.#ranges
      .map(({ first, count }) => {
        const from = Math.max(first, tick);
        return { first: from, count: first + count - from };
      })
      .filter(({ count }) => count > 0);
  }

  /** `tick` and those after it are open again. */
  forgetFrom(tick: number): void {
    this.#ranges = this.below(tick);
  }

  /** Whether all seconds of `from..to` are in it. */
  covers(from: number, to: number): boolean {
    const within = this.#ranges.map(({ first, count }) => Math.min(first + count, to) - Math.max(first, from));
    return within.reduce((sum, count) => sum + Math.max(0, count), 0) === to - from;
  }

  /** Those below `tick`. */
  below(tick: number): Range[] {
    return this.#ranges
      .filter(({ first }) => first < tick)
      .map(({ first, count }) => ({ first, count: Math.min(count, tick - first) }));
  }
}
