import { describe, expect, it } from "vitest";
import { dateAt, timeOf } from "../src/lib/dates";
import { byDate } from "../src/watch/pictures";

/** Two seconds each from 10 s on, the second of which the player placed half a millisecond late. */
const SEGMENTS = [
  { start: 10, programDateTime: 1_800_000_000_000 },
  { start: 12.0005, programDateTime: 1_800_000_002_000 },
];

describe("a player's time and a playlist's dates", () => {
  it("give each other's places back, within what the player rounds", () => {
    expect(dateAt(SEGMENTS, 10.5)).toBe(1_800_000_000_500);
    expect(dateAt(SEGMENTS, 13.0005)).toBeCloseTo(1_800_000_003_000, 3);
    expect(timeOf(SEGMENTS, 1_800_000_001_000)).toBe(11);
    expect(timeOf(SEGMENTS, 1_800_000_003_000)).toBeCloseTo(13.0005, 6);
  });

  it("say nothing of what lies before the first segment, nor of segments without dates", () => {
    expect(dateAt(SEGMENTS, 9.9)).toBeNull();
    expect(timeOf(SEGMENTS, 1_799_999_999_999)).toBeNull();
    expect(dateAt([{ start: 0, programDateTime: null }], 1)).toBeNull();
  });

  it("give a picture a timestamp of 90 000 a second, in 32 bits", () => {
    const of = byDate((mediaTime) => dateAt(SEGMENTS, mediaTime));
    const at = (mediaTime: number) => of({ mediaTime } as VideoFrameCallbackMetadata);
    expect(at(10)).toBe((1_800_000_000_000 * 90) % 2 ** 32);
    expect(Number(at(11)) - Number(at(10))).toBe(90_000);
    expect(at(1)).toBeNull();
  });
});
