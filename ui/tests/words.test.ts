import { describe, expect, it } from "vitest";
import { offsetFrom } from "../src/lib/clock";
import { renditionOf } from "../src/lib/hls";
import { behind, duration, rate, rendition, share, size } from "../src/lib/words";

describe("numbers as people read them", () => {
  it("writes durations as h:mm:ss", () => {
    expect(duration(3723)).toBe("1:02:03");
    expect(duration(59.9)).toBe("0:59");
  });

  it("says nothing of a delay that was not measured", () => {
    expect(behind(null)).toBeNull();
    expect(behind(Number.NaN)).toBeNull();
    expect(behind(184)).toBe("0.18 s behind");
    expect(behind(2140)).toBe("2.1 s behind");
  });

  it("changes units where people do", () => {
    expect([0, 999, 1000, 1_340_000, 250_000_000, 1_500_000_000].map(size)).toEqual(["0 bytes", "999 bytes", "1.0 kB", "1.3 MB", "250 MB", "1.5 GB"]);
    expect(rate(497.1)).toBe("497 kbps");
    expect(rate(4120)).toBe("4.1 Mbps");
    expect(share(0.0123)).toBe("1.23 %");
    expect(share(null)).toBe("not measured");
    expect(rendition("very_low", 180)).toBe("Very low, 180p");
    expect(rendition("very_low", 0)).toBe("Very low");
  });
});

describe("a playlist's rendition", () => {
  it("is what the playlist is called after", () => {
    expect(renditionOf("http://127.0.0.1:8080/live/ff7kyxgn9sg33z28/very_low.m3u8")).toBe("very_low");
    expect(renditionOf("/live/p/high.m3u8?_HLS_msn=3")).toBe("high");
    expect(renditionOf("/live/p/high_12.mp4")).toBeNull();
  });
});

describe("the clock's offset", () => {
  it("comes from the shortest round trip, whose half is the error", () => {
    const far = { sentMs: 0, nodeMs: 1050, receivedMs: 80 };
    const near = { sentMs: 100, nodeMs: 1105, receivedMs: 110 };
    expect(offsetFrom([far, near])).toEqual({ offsetMs: 1000, errorMs: 5 });
  });

  it("is unknown without a sample", () => {
    expect(offsetFrom([])).toBeNull();
    expect(offsetFrom([{ sentMs: 2, nodeMs: 0, receivedMs: 1 }])).toBeNull();
  });
});
