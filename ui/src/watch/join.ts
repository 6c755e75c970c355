// The page's ways to a stream: the node's API, WebRTC, and LL-HLS where that does not get through. What is paid by the
// second is played by WebRTC alone, and only once a person wants it paid.
import { nodeClock, streamInfo, type StreamInfo } from "../lib/api";
import { measureOffset, type ClockOffset } from "../lib/clock";
import { here } from "../lib/here";
import { playHls } from "../lib/hls";
import { PlayerFailed, type Player } from "../lib/player";
import { playWebRtc } from "../lib/webrtc";
import { PictureWatch } from "./pictures";
import { Purse, type PayView } from "./purse";
import type { Lost, Ways } from "./session";

export function waysTo(
  playbackId: string, transport: "auto" | "hls", video: HTMLVideoElement, paying: (view: PayView | null) => void,
): Ways {
  let clock: ClockOffset | null = null;
  const purse = new Purse(playbackId, paying);
  document.addEventListener("visibilitychange", () => purse.seen(!document.hidden));
  return {
    info: (signal) => streamInfo(playbackId, signal),
    idle(info) { if (isPaid(info)) purse.idle(); },
    async join(info, note, lost) {
      clock ??= await measureOffset(nodeClock).catch(() => null);
      if (isPaid(info)) return await playPaid(purse, info, video, clock, lost);
      if (transport !== "hls" && "RTCPeerConnection" in window) {
        try {
          return await playWebRtc(here(info.whep_url).href, video, clock, lost);
        } catch {
          note("WebRTC does not get through here. Trying HLS");
        }
      }
      return await playHls(here(info.hls_url).href, video, clock, lost);
    },
    // A hidden page may be shown no pictures, and one that somebody paused gets none.
    pictures: () => (document.hidden || video.paused ? null : video.getVideoPlaybackQuality().totalVideoFrames),
  };
}

const isPaid = ({ offers }: StreamInfo): boolean => (offers?.length ?? 0) > 0;

async function playPaid(
  purse: Purse, info: StreamInfo, video: HTMLVideoElement, clock: ClockOffset | null, lost: Lost,
): Promise<Player> {
  if (!("RTCPeerConnection" in window)) throw new PlayerFailed("A paid stream is played by WebRTC, which this browser has not.");
  // The page shows at once what became of it, and may be asked to go on.
  const { whepUrl, token, session, over } = await purse.admit(info, () => lost(null));
  const pictures = new PictureWatch(video, session);
  try {
    const paidBy = { token, over, connected: () => { pictures.start(); session.mediaUp(); } };
    const player = await playWebRtc(whepUrl, video, clock, lost, paidBy);
    return { ...player, stop: () => { purse.interrupted(); purse.leave(); pictures.stop(); player.stop(); } };
  } catch (error) {
    purse.leave();
    pictures.stop();
    throw error;
  }
}
