// The offset between this machine's clock and the node's, with the error that the measurement has.

export interface ClockOffset {
  /** Add to Date.now() to get the node's time, in milliseconds. */
  offsetMs: number;
  /** Half of the shortest round trip: the offset cannot be wrong by more. */
  errorMs: number;
}

export interface ClockSample { sentMs: number; nodeMs: number; receivedMs: number }

/** The sample with the shortest round trip bounds the error best (Cristian's algorithm). */
export function offsetFrom(samples: ClockSample[]): ClockOffset | null {
  let best: ClockOffset | null = null;
  for (const { sentMs, nodeMs, receivedMs } of samples) {
    const errorMs = (receivedMs - sentMs) / 2;
    if (errorMs < 0 || !Number.isFinite(nodeMs)) continue;
    if (best === null || errorMs < best.errorMs) best = { offsetMs: nodeMs - (sentMs + errorMs), errorMs };
  }
  return best;
}

export async function measureOffset(clock: () => Promise<number>, now = () => Date.now()): Promise<ClockOffset | null> {
  const samples: ClockSample[] = [];
  for (let i = 0; i < 5; i += 1) {
    const sentMs = now();
    const nodeMs = await clock();
    samples.push({ sentMs, nodeMs, receivedMs: now() });
  }
  return offsetFrom(samples);
}

/** Milliseconds from NTP's zero (1900) to Unix's (RFC 5905 §6): WebRTC's statistics use the first. */
export const NTP_TO_UNIX_MS = 2_208_988_800_000;
