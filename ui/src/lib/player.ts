// What the page knows of a player, whichever way the media comes.

export interface PlayerFigures {
  transport: "webrtc" | "hls";
  /** From capture to this screen; null where the clock's offset or the capture time is unknown. */
  delayMs: number | null;
  delayErrorMs: number | null;
  /** Share of packets lost, 0 to 1; null where the transport has none. */
  loss: number | null;
  width: number;
  height: number;
  fps: number;
  kbps: number;
  decoded: number;
  dropped: number;
}

export interface Player {
  readonly transport: "webrtc" | "hls";
  figures(): Promise<PlayerFigures | null>;
  /** "auto" or a rendition's name. */
  choose(rendition: string): Promise<void>;
  stop(): void;
}

export class PlayerFailed extends Error {}
