// The page's ways to a stream: the node's API, WebRTC, and LL-HLS where that does not get through. What is paid by the
// second is played only once a person wants it paid.
import { nodeClock, streamInfo, type StreamInfo } from "../lib/api";
import { measureOffset, type ClockOffset } from "../lib/clock";
import { here } from "../lib/here";
import { playHls } from "../lib/hls";
import type { Player } from "../lib/player";
import { playWebRtc } from "../lib/webrtc";
import { byDate, byRtp, PictureWatch } from "./pictures";
import { Purse, type Admission, type PayView } from "./purse";
import type { Lost, Ways } from "./session";
import type { Held } from "./taking";

const NO_WEBRTC = "WebRTC does not get through here. Trying HLS";

export function waysTo(
  playbackId: string, transport: "auto" | "hls", video: HTMLVideoElement, paying: (view: PayView | null) => void,
  holds: (held: Held | null) => void,
): Ways {
  let clock: ClockOffset | null = null;
  let mayWebRtc = transport !== "hls" && "RTCPeerConnection" in window;
  /** Begins anew once the page is seen again: of a player that fetches nothing while it is not. */
  let onSeen: (() => void) | null = null;
  const purse = new Purse(playbackId, paying, holds);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && onSeen) onSeen();
    else purse.seen(!document.hidden);
  });

  async function joinPaid(info: StreamInfo, note: (words: string) => void, lost: Lost): Promise<Player> {
    onSeen = null;
    if (mayWebRtc) {
      try {
        return await playPaid(purse, info, video, lost, (...by) => byWebRtc(video, clock, lost, ...by));
      } catch (error) {
        if (!(error instanceof NotThrough)) throw error;
        // Nor will it a moment later, and a person has said already that it may be paid.
        mayWebRtc = false;
        note(NO_WEBRTC);
      }
    }
    const player = await playPaid(purse, info, video, lost, (...by) => byHls(video, clock, lost, ...by));
    onSeen = () => lost(null);
    return { ...player, stop: () => { onSeen = null; player.stop(); } };
  }

  return {
    info: (signal) => streamInfo(playbackId, signal),
    idle(info) { if (info.is_paid) purse.idle(); },
    async join(info, note, lost) {
      clock ??= await measureOffset(nodeClock).catch(() => null);
      if (info.is_paid) return await joinPaid(info, note, lost);
      if (mayWebRtc) {
        try {
          return await playWebRtc(here(info.whep_url).href, video, clock, lost);
        } catch {
          note(NO_WEBRTC);
        }
      }
      return await playHls(here(info.hls_url).href, video, clock, lost);
    },
    // A hidden page may be shown no pictures, and one that somebody paused gets none.
    pictures: () => (document.hidden || video.paused ? null : video.getVideoPlaybackQuality().totalVideoFrames),
  };
}

/** WebRTC did not bring a picture, and nobody has left: another way may. */
class NotThrough extends Error {}

type Play = (admission: Admission, pictures: PictureWatch) => Promise<Player>;

async function playPaid(
  purse: Purse, info: StreamInfo, video: HTMLVideoElement, lost: Lost, play: Play,
): Promise<Player> {
  let isGivenUp = false;
  // The page shows at once what became of it, and may be asked to go on.
  const admission = await purse.admit(info, () => { if (!isGivenUp) lost(null); });
  const pictures = new PictureWatch(video, admission.session);
  try {
    const player = await play(admission, pictures);
    return { ...player, stop: () => { purse.interrupted(); purse.leave(); pictures.stop(); player.stop(); } };
  } catch (error) {
    isGivenUp = error instanceof NotThrough;
    if (isGivenUp) purse.interrupted();
    purse.leave();
    pictures.stop();
    throw error;
  }
}

async function byWebRtc(
  video: HTMLVideoElement, clock: ClockOffset | null, lost: Lost, admission: Admission, pictures: PictureWatch,
): Promise<Player> {
  const { whepUrl, token, session, over } = admission;
  const paidBy = { token, over, connected: () => { pictures.start(byRtp); session.mediaUp(); } };
  try {
    return await playWebRtc(whepUrl, video, clock, lost, paidBy);
  } catch (error) {
    throw session.status.left ? error : new NotThrough();
  }
}

async function byHls(
  video: HTMLVideoElement, clock: ClockOffset | null, lost: Lost, admission: Admission, pictures: PictureWatch,
): Promise<Player> {
  const { hlsUrl, session, over } = admission;
  return await playHls(hlsUrl, video, clock, lost, {
    over,
    asked: () => session.mediaUp("when fetched"),
    onBegan: (told) => session.onBegan(told),
    shows: (dateOf) => pictures.start(byDate(dateOf)),
  });
}
