// Plays a stream by LL-HLS: hls.js where Media Source exists.
import Hls, { type ErrorData } from "hls.js";
import type { ClockOffset } from "./clock";
import { dateAt, timeOf, type Dated } from "./dates";
import { PlayerFailed, type Player, type PlayerFigures } from "./player";

/** Without a picture by then this way counts as failed. */
const FIRST_PICTURE_MS = 15_000;
/** A paid one's chain may take a while. */
const PAID_PICTURE_MS = 30_000;

/** What a stream that is paid by the second needs besides. Its pictures are known by their dates, in milliseconds. */
export interface PaidHls {
  /** Media is asked for: the node sends it once it is paid. */
  asked(): void;
  /** Whoever is to be told where the first second begins, each time that it does. */
  onBegan(told: (dateMs: number) => void): void;
  /** What is shown from now on counts. */
  shows(dateOf: (mediaTime: number) => number | null): void;
  /** Rejects where nothing is paid any more; never resolves. */
  over: Promise<never>;
}

export async function playHls(
  url: string, video: HTMLVideoElement, clock: ClockOffset | null, failed: (why: string) => void,
  paidBy: PaidHls | null = null,
): Promise<Player> {
  if (!Hls.isSupported()) throw new PlayerFailed("This browser plays neither WebRTC nor HLS.");
  // Seconds are not paid faster than they pass.
  const maxLiveSyncPlaybackRate = paidBy ? 1 : 1.1;
  const hls = new Hls({ lowLatencyMode: true, backBufferLength: 30, maxLiveSyncPlaybackRate });
  let isPlaying = false;
  // What is not seen is not paid, and so not fetched. Whoever comes back begins anew, or goes on joining.
  const hide = () => {
    if (!paidBy) return;
    if (document.hidden) {
      hls.stopLoad();
      video.pause();
    } else if (!isPlaying) hls.startLoad();
  };
  document.addEventListener("visibilitychange", hide);
  const end = () => {
    document.removeEventListener("visibilitychange", hide);
    hls.destroy();
  };
  try {
    if (paidBy) await Promise.race([firstPaidPicture(hls, url, video, paidBy), paidBy.over]);
    else await firstPicture(hls, url, video, FIRST_PICTURE_MS);
  } catch (error) {
    end();
    throw error;
  }
  isPlaying = true;
  hls.on(Hls.Events.ERROR, (_event, data: ErrorData) => {
    if (data.fatal) failed(said("The picture stopped coming by HLS.", data));
  });
  return {
    transport: "hls",
    stop: end,
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

const isDated = (fragment: Dated | undefined): fragment is Dated => fragment !== undefined && fragment.programDateTime !== null;

/** The segments that the playing level lists, with the one that grows. */
function dated(hls: Hls): Dated[] {
  const details = hls.levels[hls.currentLevel]?.details ?? hls.latestLevelDetails;
  const listed: (Dated | undefined)[] = details ? [...details.fragments, details.fragmentHint] : [];
  return listed.filter(isDated);
}

/** Plays from the first second that is paid for on, as far as there are pictures and sound: what was fetched for it is not
    skipped. */
async function firstPaidPicture(hls: Hls, url: string, video: HTMLVideoElement, paidBy: PaidHls): Promise<void> {
  video.autoplay = false;
  video.pause();
  let isShown = false;
  const placeOf = (dateMs: number) => buffered(video, timeOf(dated(hls), dateMs));
  const began = new Promise<number>((resolve) => {
    paidBy.onBegan((dateMs) => {
      resolve(dateMs);
      const place = isShown ? placeOf(dateMs) : null;
      // What lies before a later beginning is nobody's second: it is not shown.
      if (place !== null && place > video.currentTime) video.currentTime = place;
    });
  });
  const picture = firstPicture(hls, url, video, PAID_PICTURE_MS, () => paidBy.asked());
  const dateMs = await Promise.race([began, picture.then(() => began)]);
  // The library begins near the live edge, and a video that is paused there waits for sound that never comes.
  const goTo = await until(hls, video, () => placeOf(dateMs));
  video.currentTime = goTo;
  await until(hls, video, () => (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && !video.seeking ? true : null));
  isShown = true;
  paidBy.shows((mediaTime) => dateAt(dated(hls), mediaTime));
  await Promise.all([picture, video.play()]);
}

/** The place itself, or the first behind it of which there are pictures and sound: nothing else comes before them. */
function buffered(video: HTMLVideoElement, place: number | null): number | null {
  if (place === null) return null;
  for (let range = 0; range < video.buffered.length; range += 1) {
    if (place < video.buffered.end(range)) return Math.max(place, video.buffered.start(range));
  }
  return null;
}

/** Waits for something that may be there when the video or what is buffered has changed. */
function until<T>(hls: Hls, video: HTMLVideoElement, found: () => T | null): Promise<T> {
  return new Promise((resolve) => {
    const look = () => {
      const value = found();
      if (value === null) return;
      for (const event of CHANGES) video.removeEventListener(event, look);
      hls.off(Hls.Events.BUFFER_APPENDED, look);
      resolve(value);
    };
    for (const event of CHANGES) video.addEventListener(event, look);
    hls.on(Hls.Events.BUFFER_APPENDED, look);
    look();
  });
}

/** After which a video has something else to show. */
const CHANGES = ["loadeddata", "canplay", "seeked"] as const;

function firstPicture(
  hls: Hls, url: string, video: HTMLVideoElement, limitMs: number, paused: (() => void) | null = null,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = () => {
      clearTimeout(timer);
      hls.off(Hls.Events.ERROR, onError);
    };
    // Those that are not fatal may come before one that is.
    const onError = (_event: unknown, data: ErrorData) => {
      if (!data.fatal) return;
      over();
      reject(new PlayerFailed(said("The stream could not be loaded by HLS.", data)));
    };
    const timer = setTimeout(() => {
      over();
      reject(new PlayerFailed("No picture came by HLS."));
    }, limitMs);
    hls.on(Hls.Events.ERROR, onError);
    video.requestVideoFrameCallback(() => { over(); resolve(); });
    hls.loadSource(url);
    hls.attachMedia(video);
    if (paused) paused();
    else void video.play().catch(() => undefined);
  });
}
