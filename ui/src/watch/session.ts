// Finds a way to play a stream, and finds another when that one ends.
import { nodeClock, streamInfo, type StreamInfo } from "../lib/api";
import { measureOffset, type ClockOffset } from "../lib/clock";
import { playHls } from "../lib/hls";
import type { Player } from "../lib/player";
import { playWebRtc } from "../lib/webrtc";

export type Phase =
  | { at: "loading"; words: string }
  | { at: "waiting"; words: string }
  | { at: "playing"; player: Player }
  | { at: "failed"; words: string };

export interface Session {
  info: StreamInfo | null;
  clock: ClockOffset | null;
  phase: Phase;
}

const RETRY_MS = 2000;

/** Keeps `playbackId` playing in `video` until the returned function is called. */
export function watch(
  playbackId: string, transport: "auto" | "hls", video: HTMLVideoElement, changed: (session: Session) => void,
): () => void {
  const session: Session = { info: null, clock: null, phase: { at: "loading", words: "Finding the stream" } };
  let player: Player | null = null;
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const enter = (phase: Phase) => { if (!ended) { session.phase = phase; changed({ ...session }); } };
  const again = () => { player?.stop(); player = null; timer = setTimeout(() => void attempt(), RETRY_MS); };

  async function attempt(): Promise<void> {
    try {
      session.info = await streamInfo(playbackId);
      if (session.info.status !== "live") {
        const over = session.info.status === "ended" || session.info.status === "archived";
        enter({ at: "waiting", words: over ? "The broadcast has ended." : "The broadcast has not begun yet." });
        return again();
      }
      session.clock ??= await measureOffset(nodeClock).catch(() => null);
      enter({ at: "loading", words: "Joining" });
      player = await join(session.info);
      if (ended) player.stop(); else enter({ at: "playing", player });
    } catch (error) {
      enter({ at: "failed", words: error instanceof Error ? error.message : String(error) });
      again();
    }
  }

  async function join(info: StreamInfo): Promise<Player> {
    const lost = (why: string) => { enter({ at: "failed", words: why }); again(); };
    if (transport !== "hls" && "RTCPeerConnection" in window) {
      try {
        return await playWebRtc(info.whep_url, video, session.clock, lost);
      } catch {
        enter({ at: "loading", words: "WebRTC does not get through here. Trying HLS" });
      }
    }
    return await playHls(info.hls_url, video, session.clock, lost);
  }

  void attempt();
  return () => { ended = true; clearTimeout(timer); player?.stop(); };
}
