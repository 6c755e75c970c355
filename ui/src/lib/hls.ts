// Plays a stream by LL-HLS: hls.js where Media Source exists, else the browser's own player.
import Hls, { type ErrorData } from "hls.js";
import type { ClockOffset } from "./clock";
import { PlayerFailed, type Player, type PlayerFigures } from "./player";

/** Without a picture by then this way counts as failed. */
const FIRST_PICTURE_MS = 15_000;

export async function playHls(
  url: string, video: HTMLVideoElement, clock: ClockOffset | null, failed: (why: string) => void,
): Promise<Player> {
  if (!Hls.isSupported()) throw new PlayerFailed("This browser plays neither WebRTC nor HLS.");
  const hls = new Hls({ lowLatencyMode: true, backBufferLength: 30, maxLiveSyncPlaybackRate: 1.1 });
  try {
    await firstPicture(hls, url, video);
  } catch (error) {
    hls.destroy();
    throw error;
  }
  hls.on(Hls.Events.ERROR, (_event, data: ErrorData) => {
    if (data.fatal) failed(said("The picture stopped coming by HLS.", data));
  });
  return {
    transport: "hls",
    stop: () => hls.destroy(),
    async choose(rendition) {
      const level = hls.levels.findIndex(({ uri }) => renditionOf(uri) === rendition);
      if (level < 0 && rendition !== "auto") throw new PlayerFailed("This quality is not to be had by HLS yet.");
      hls.nextLevel = level;
    },
    async figures(): Promise<PlayerFigures> {
      const level = hls.levels[hls.currentLevel];
      const quality = video.getVideoPlaybackQuality();
      const shown = hls.playingDate?.getTime() ?? null;
      return {
        transport: "hls",
        delayMs: shown !== null && clock ? Date.now() + clock.offsetMs - shown : null,
        delayErrorMs: clock?.errorMs ?? null,
        loss: null,
        width: video.videoWidth,
        height: video.videoHeight,
        fps: level?.frameRate ?? 0,
        kbps: (level?.realBitrate ?? 0) / 1000,
        decoded: quality.totalVideoFrames,
        dropped: quality.droppedVideoFrames,
      };
    },
  };
}

/** A playlist is called after its rendition. */
export const renditionOf = (playlist: string): string | null => /([^/]+)\.m3u8(?:\?|$)/.exec(playlist)?.[1] ?? null;

/** The words for people; the library's own go to the console. */
function said(words: string, { details }: ErrorData): string {
  console.warn(`hls.js: ${details}`);
  return words;
}

function firstPicture(hls: Hls, url: string, video: HTMLVideoElement): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new PlayerFailed("No picture came by HLS.")), FIRST_PICTURE_MS);
    hls.once(Hls.Events.ERROR, (_event, data: ErrorData) => {
      if (!data.fatal) return;
      clearTimeout(timer);
      reject(new PlayerFailed(said("The stream could not be loaded by HLS.", data)));
    });
    video.requestVideoFrameCallback(() => { clearTimeout(timer); resolve(); });
    hls.loadSource(url);
    hls.attachMedia(video);
    void video.play().catch(() => undefined);
  });
}
