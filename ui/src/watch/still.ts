// Whether the picture stands still, from how many pictures were decoded by when.

/** Without a new picture for so long, the picture stands still. */
const STILL_MS = 1500;
/** Looks that are further apart say nothing: the browser holds back the timers of pages that nobody sees. */
const GAP_MS = 1200;

export class Stillness {
  #pictures: number | null = null;
  #movedMs: number;
  #lookedMs: number;

  constructor(nowMs: number) {
    this.#movedMs = nowMs;
    this.#lookedMs = nowMs;
  }

  /** `pictures` so far, or null where that cannot be told. */
  look(pictures: number | null, nowMs: number): boolean {
    if (pictures === null || pictures !== this.#pictures || nowMs - this.#lookedMs > GAP_MS) this.#movedMs = nowMs;
    this.#pictures = pictures;
    this.#lookedMs = nowMs;
    return nowMs - this.#movedMs > STILL_MS;
  }
}
