// Tells a session of each picture that the browser presents.
import { FREEZE_MS, nearest, RATE, timestampOf } from "../pay/played";
import type { PaySession } from "../pay/session";

/** The timestamp of a picture; null where that is not known now, undefined where this browser never tells. */
export type TimestampOf = (picture: VideoFrameCallbackMetadata) => number | null | undefined;

/** As the picture was sent. */
export const byRtp: TimestampOf = ({ rtpTimestamp }) => rtpTimestamp;

/** By the date of its place in the media. */
export const byDate = (dateOf: (mediaTime: number) => number | null): TimestampOf => ({ mediaTime }) => {
  const date = dateOf(mediaTime);
  return date === null ? null : timestampOf(date);
};

export class PictureWatch {
  #handle = 0;
  #timestampOf = byRtp;
  #before: { presented: number; dropped: number; shownMs: number; at: number } | null = null;

  constructor(readonly video: HTMLVideoElement, readonly session: PaySession) {}

  start(timestampOf: TimestampOf): void {
    this.stop();
    this.#timestampOf = timestampOf;
    this.#handle = this.video.requestVideoFrameCallback((_now, metadata) => this.#shown(metadata));
  }

  stop(): void {
    this.video.cancelVideoFrameCallback(this.#handle);
    this.#before = null;
  }

  #shown(picture: VideoFrameCallbackMetadata): void {
    this.#handle = this.video.requestVideoFrameCallback((_now, metadata) => this.#shown(metadata));
    const { presentedFrames, presentationTime } = picture;
    const rtpTimestamp = this.#timestampOf(picture);
    if (rtpTimestamp === null) return;
    if (rtpTimestamp === undefined) {
      return this.session.turnedAway("This browser does not say which second a picture belongs to, so a page cannot pay by it.");
    }
    const before = this.#before;
    const dropped = this.video.getVideoPlaybackQuality().droppedVideoFrames;
    const at = before ? nearest(before.at, rtpTimestamp) : rtpTimestamp;
    this.#before = { presented: presentedFrames, dropped, shownMs: presentationTime, at };
    const step = before ? { shownMs: presentationTime - before.shownMs, mediaMs: ((at - before.at) * 1000) / RATE } : null;
    this.session.picture({
      rtpTimestamp,
      presented: before ? presentedFrames - before.presented : 1,
      dropped: before ? dropped - before.dropped : 0,
      // What it follows stood still for longer than it should have.
      isLate: step !== null && step.shownMs - step.mediaMs > FREEZE_MS,
    });
  }
}
