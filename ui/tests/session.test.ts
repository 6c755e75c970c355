import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, streamInfo, type StreamInfo } from "../src/lib/api";
import { PlayerFailed, type Player } from "../src/lib/player";
import { watch, type Session } from "../src/watch/session";
import { Stillness } from "../src/watch/still";

const stream = (rest: Partial<StreamInfo> = {}): StreamInfo => ({
  playback_id: "p", title: "On air", description: "", category: "", status: "live", viewer_count: 0,
  renditions: [], whep_url: "", hls_url: "", is_paid: false, ...rest,
});
const gone = new ApiError(0, "unreachable", "The node cannot be reached.");

/** A node, a player and a clock that the test moves. */
function watched(answer = () => Promise.resolve(stream())) {
  const world = {
    answer,
    joins: 0, idle: 0, stops: 0, asked: 0, open: 0, mostOpen: 0, pictures: 0, moves: true,
    join: (player: Player): Promise<Player> => Promise.resolve(player),
    lost: (_why: string | null) => {},
    now: null as Session | null,
  };
  const player = { transport: "webrtc", stop: () => { world.stops += 1; } } as Player;
  const stop = watch({
    async info() {
      world.asked += 1;
      world.open += 1;
      world.mostOpen = Math.max(world.mostOpen, world.open);
      try { return await world.answer(); } finally { world.open -= 1; }
    },
    idle() { world.idle += 1; },
    join(_info, _note, lost) { world.joins += 1; world.lost = lost; return world.join(player); },
    pictures: () => (world.moves ? (world.pictures += 1) : world.pictures),
  }, (now) => { world.now = now; });
  return { world, stop };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); vi.unstubAllGlobals(); });

describe("a page that plays", () => {
  it.each(["The node pays nobody.", null])("takes what ends while it still joins (%s)", async (why) => {
    const { world } = watched();
    world.join = (player) => { world.join = () => Promise.resolve(player); world.lost(why); return Promise.resolve(player); };
    await pass(0);
    expect(world.stops).toBe(1);
    if (why !== null) expect(world.now?.phase).toMatchObject({ at: "failed", words: why });
    await pass(2000);
    expect([world.now?.phase.at, world.joins]).toEqual(["playing", 2]);
  });

  it("says that the broadcast ended at the first answer that does, and joins the next one", async () => {
    const { world } = watched();
    await pass(0);
    expect(world.now?.phase.at).toBe("playing");
    world.answer = () => Promise.resolve(stream({ status: "ended" }));
    const before = world.asked;
    await pass(2000);
    expect(world.asked).toBe(before + 1);
    expect(world.now?.phase).toMatchObject({ at: "waiting", words: "The broadcast has ended." });
    expect([world.stops, world.idle]).toEqual([1, 1]);
    world.answer = () => Promise.resolve(stream());
    await pass(2000);
    expect([world.now?.phase.at, world.joins, world.idle]).toEqual(["playing", 2, 1]);
  });

  it.each([["pending", "It plays here as soon as it does."], ["archived", "It is over for good."]] as const)(
    "says of a stream that is %s what may be waited for", async (status, hint) => {
      const { world } = watched();
      world.answer = () => Promise.resolve(stream({ status }));
      await pass(2000);
      expect(world.now?.phase).toMatchObject({ at: "waiting", hint });
    });

  it("asks one question at a time, however long an answer takes", async () => {
    const { world } = watched();
    await pass(0);
    world.answer = () => new Promise((resolve) => setTimeout(() => resolve(stream()), 60_000));
    await pass(100_000);
    expect([world.asked, world.mostOpen]).toEqual([3, 1]);
  });

  it("shows what the node offers as that changes", async () => {
    const { world } = watched();
    await pass(0);
    const renditions = [{ name: "medium", width: 854, height: 480, kbps: 1000 }];
    world.answer = () => Promise.resolve(stream({ renditions }));
    await pass(2000);
    expect(world.now?.info?.renditions).toEqual(renditions);
    expect([world.now?.phase.at, world.joins]).toEqual(["playing", 1]);
  });

  it("is not live while no picture comes, and live again once one does", async () => {
    const { world } = watched();
    await pass(1000);
    world.moves = false;
    await pass(1500);
    expect(world.now?.phase).toMatchObject({ at: "playing", still: false });
    await pass(500);
    expect(world.now?.phase).toMatchObject({ at: "playing", still: true });
    world.moves = true;
    await pass(250);
    expect(world.now?.phase).toMatchObject({ at: "playing", still: false });
    expect(world.stops).toBe(0);
  });

  it("plays on without the API for as long as pictures come, and says so when they stop", async () => {
    const { world } = watched();
    await pass(0);
    world.answer = () => Promise.reject(gone);
    await pass(10_000);
    expect(world.now?.phase).toMatchObject({ at: "playing", still: false });
    world.moves = false;
    await pass(2000);
    expect(world.now?.phase).toMatchObject({ at: "failed", words: "The node cannot be reached." });
    expect(world.stops).toBe(1);
  });
});

describe("a page that lost its node", () => {
  it("asks again with growing pauses, says when, and plays once there is an answer", async () => {
    const { world } = watched();
    await pass(0);
    world.answer = () => Promise.reject(gone);
    world.lost("The connection was lost.");
    const pauses: number[] = [];
    for (let i = 0; i < 7; i += 1) {
      const phase = world.now?.phase;
      if (phase?.at !== "failed") throw new Error(`it is ${phase?.at}`);
      const pauseMs = phase.retryMs - Date.now();
      const asked = world.asked;
      pauses.push(pauseMs);
      await pass(pauseMs - 1);
      expect(world.asked).toBe(asked);
      await pass(1);
      expect(world.asked).toBe(asked + 1);
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    world.answer = () => Promise.resolve(stream());
    await pass(15_000);
    expect(world.now?.phase.at).toBe("playing");
  });

  it("is told of it in words, never in the browser's", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    const { world } = watched(() => streamInfo("p"));
    await pass(0);
    expect(world.now?.phase).toMatchObject({
      at: "failed", words: "The node cannot be reached. It may have been stopped, or the network is down.",
    });
  });

  it("does nothing with the answer to a question from before", async () => {
    const { world } = watched();
    await pass(0);
    world.answer = () => new Promise((resolve) => setTimeout(() => resolve(stream()), 700));
    await pass(2000);
    world.lost("The connection was lost.");
    await pass(900);
    expect([world.now?.phase.at, world.joins]).toEqual(["failed", 1]);
    world.answer = () => Promise.resolve(stream());
    await pass(100 + 700);
    expect([world.now?.phase.at, world.joins, world.asked]).toEqual(["playing", 2, 3]);
  });

  it("hears nothing more once it is stopped", async () => {
    const { world, stop } = watched();
    await pass(0);
    stop();
    const asked = world.asked;
    await pass(60_000);
    expect([world.asked, world.stops]).toEqual([asked, 1]);
  });
});

describe("a page that cannot play", () => {
  it("asks no more where there is no such stream", async () => {
    const { world } = watched(() => Promise.reject(new ApiError(404, "stream_not_found", "There is no such stream.")));
    await pass(0);
    expect(world.now?.phase).toEqual({ at: "unknown", words: "There is no such stream." });
    const asked = world.asked;
    await pass(60_000);
    expect(world.asked).toBe(asked);
  });

  it("tries again where no way gets through, and shows nobody an exception's text", async () => {
    const silent = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { world } = watched();
    world.join = () => Promise.reject(new PlayerFailed("No picture came by HLS."));
    await pass(0);
    expect(world.now?.phase).toMatchObject({ at: "failed", words: "No picture came by HLS." });
    world.join = () => Promise.reject(new DOMException("The operation is insecure.", "SecurityError"));
    await pass(1000);
    expect(world.now?.phase).toMatchObject({ at: "failed", words: "This browser could not play the stream." });
    expect(silent).toHaveBeenCalledOnce();
    silent.mockRestore();
  });
});

describe("a picture that stands still", () => {
  it("is none while the page is hidden, nor just after", () => {
    const stillness = new Stillness(0);
    for (let at = 250; at < 10_000; at += 250) expect(stillness.look(null, at)).toBe(false);
    // A hidden page's timers come once a second or more seldom.
    expect(stillness.look(7, 10_000)).toBe(false);
    expect(stillness.look(7, 20_000)).toBe(false);
    expect(stillness.look(7, 20_250)).toBe(false);
  });
});
