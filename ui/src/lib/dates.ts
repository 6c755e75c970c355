// Between a player's own time and the dates that a playlist gives its segments (EXT-X-PROGRAM-DATE-TIME).

/** A segment: where it begins, in seconds of the player and in milliseconds since 1970. */
export interface Dated { start: number; programDateTime: number | null }

/** The date of what is shown at `time`; `segments` come in order. Null before the first. */
export function dateAt(segments: Dated[], time: number): number | null {
  const segment = segments.findLast(({ start }) => start <= time);
  return segment?.programDateTime == null ? null : segment.programDateTime + (time - segment.start) * 1000;
}

/** Where that date is shown. Null before the first segment's. */
export function timeOf(segments: Dated[], dateMs: number): number | null {
  const segment = segments.findLast(({ programDateTime }) => programDateTime !== null && programDateTime <= dateMs);
  return segment?.programDateTime == null ? null : segment.start + (dateMs - segment.programDateTime) / 1000;
}
