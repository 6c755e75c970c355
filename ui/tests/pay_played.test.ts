import { describe, expect, it } from "vitest";
import { nearest, PlayedSeconds, RATE, type Decided } from "../src/pay/played";

const FRAME = RATE / 30;
const shown = { presented: 1, dropped: 0, isLate: false };

/** Pictures of 30 a second from number `from` on, of which some are changed or left out. */
function play(
  seconds: PlayedSeconds, from: number, to: number,
  change: (number: number) => Partial<typeof shown> | null = () => ({}), first = 0,
): Decided[] {
  const decided: Decided[] = [];
  for (let number = from; number < to; number += 1) {
    const picture = change(number);
    if (picture) decided.push(...seconds.picture({ rtpTimestamp: (first + number * FRAME) >>> 0, ...shown, ...picture }));
  }
  return decided;
}

const begun = (tick = 7, at = 0) => { const seconds = new PlayedSeconds(); seconds.begin(tick, at); return seconds; };

describe("a second", () => {
  it("played when all of its pictures were shown, and is decided by the first one after it", () => {
    expect(play(begun(), 0, 61)).toEqual([{ tick: 7, played: true }, { tick: 8, played: true }]);
    expect(play(begun(), 0, 60)).toEqual([{ tick: 7, played: true }]);
  });

  it("played with three of thirty pictures thrown away, and not with four", () => {
    const without = (dropped: number) => play(begun(), 0, 31, (number) => (
      number > 10 && number <= 10 + dropped ? null : { dropped: number === 11 + dropped ? dropped : 0 }
    ));
    expect(without(3)).toEqual([{ tick: 7, played: true }]);
    expect(without(4)).toEqual([{ tick: 7, played: false }]);
  });

  it("played though the page was not told of each picture that was presented", () => {
    expect(play(begun(), 0, 31, (number) => (number % 2 ? null : { presented: number ? 2 : 1 }))).toEqual([{ tick: 7, played: true }]);
  });

  it("did not play where half a second of pictures never came, though the browser threw none away", () => {
    const decided = play(begun(), 0, 61, (number) => (number > 40 && number < 56 ? null : {}));
    expect(decided).toEqual([{ tick: 7, played: true }, { tick: 8, played: false }]);
  });

  it("that comes at five pictures a second plays", () => {
    const seconds = begun();
    const decided = Array.from({ length: 11 }, (_, number) => seconds.picture({ rtpTimestamp: number * RATE / 5, ...shown })).flat();
    // Until the stream has told its own rate it is taken for one of 30: that costs the viewer nothing.
    expect(decided.at(-1)).toEqual({ tick: 8, played: true });
  });

  it("whose pictures ended freezes did not play", () => {
    expect(play(begun(), 0, 31, (number) => ({ isLate: number % 5 === 4 }))).toEqual([{ tick: 7, played: false }]);
  });

  it("whose beginning is told after its pictures counts all the same", () => {
    const seconds = new PlayedSeconds();
    expect(play(seconds, 0, 20)).toEqual([]);
    seconds.begin(7, 0);
    expect(play(seconds, 20, 31)).toEqual([{ tick: 7, played: true }]);
    const late = new PlayedSeconds();
    play(late, 0, 20, (number) => ({ dropped: number === 5 ? 4 : 0 }));
    late.begin(7, 0);
    expect(play(late, 20, 31)).toEqual([{ tick: 7, played: false }]);
  });

  it("of which the first half was not shown did not play", () => {
    expect(play(begun(), 15, 31)).toEqual([{ tick: 7, played: false }]);
  });

  it("counts on over the end of the 32 bits", () => {
    const first = 2 ** 32 - 10 * FRAME;
    expect(play(begun(7, first), 0, 61, () => ({}), first)).toEqual([{ tick: 7, played: true }, { tick: 8, played: true }]);
    expect(nearest(2 ** 32 - 5, 3)).toBe(2 ** 32 + 3);
    expect(nearest(2 ** 32 + 3, 2 ** 32 - 5)).toBe(2 ** 32 - 5);
  });
});

describe("seconds without pictures", () => {
  it("did not play, and are decided with the next one that has some", () => {
    const decided = play(begun(), 0, 181, (number) => (number >= 30 && number < 120 ? null : {}));
    expect(decided).toEqual([
      { tick: 7, played: true }, { tick: 8, played: false },
      // The second between is named with this one.
      { tick: 10, played: false }, { tick: 11, played: true }, { tick: 12, played: true },
    ]);
  });

  it("are over when they are said to be", () => {
    const seconds = begun();
    play(seconds, 0, 45);
    expect(seconds.newest).toBe(8);
    expect(seconds.expire(10)).toEqual([{ tick: 8, played: false }, { tick: 10, played: false }]);
    expect(seconds.expire(10)).toEqual([]);
  });

  it("that was shown to nine tenths when the viewer stops is paid", () => {
    const seconds = begun();
    play(seconds, 0, 57);
    expect(seconds.expire(8)).toEqual([{ tick: 8, played: true }]);
  });
});

describe("a beginning anew", () => {
  it("after a hold goes on with later seconds, and the earlier ones keep their numbers", () => {
    const seconds = begun();
    expect(play(seconds, 0, 30)).toEqual([]);
    seconds.begin(10, 95 * FRAME);
    const decided = play(seconds, 95, 126);
    expect(decided).toEqual([
      { tick: 7, played: true }, { tick: 8, played: false }, { tick: 9, played: false }, { tick: 10, played: true },
    ]);
  });

  it("forgets timestamps, but not what was decided", () => {
    const seconds = begun();
    play(seconds, 0, 31);
    seconds.reset();
    expect(play(seconds, 0, 5)).toEqual([]);
    seconds.begin(7, 0);
    expect(play(seconds, 5, 61)).toEqual([{ tick: 8, played: true }]);
  });
});
