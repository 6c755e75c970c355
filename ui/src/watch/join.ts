// The page's ways to a stream: the node's API, WebRTC, and LL-HLS where that does not get through.
import { nodeClock, streamInfo } from "../lib/api";
import { measureOffset, type ClockOffset } from "../lib/clock";
import { playHls } from "../lib/hls";
import { playWebRtc } from "../lib/webrtc";
import type { Ways } from "./session";

export function waysTo(playbackId: string, transport: "auto" | "hls", video: HTMLVideoElement): Ways {
  let clock: ClockOffset | null = null;
  return {
    info: (signal) => streamInfo(playbackId, signal),
    async join(info, note, lost) {
      clock ??= await measureOffset(nodeClock).catch(() => null);
      if (transport !== "hls" && "RTCPeerConnection" in window) {
        try {
          return await playWebRtc(info.whep_url, video, clock, lost);
        } catch {
          note("WebRTC does not get through here. Trying HLS");
        }
      }
      return await playHls(info.hls_url, video, clock, lost);
    },
    // A hidden page may be shown no pictures, and one that somebody paused gets none.
    pictures: () => (document.hidden || video.paused ? null : video.getVideoPlaybackQuality().totalVideoFrames),
  };
}
