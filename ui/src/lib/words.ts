// Numbers as people read them.

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (n: number) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** A point in time, of milliseconds since 1970, where the reader is. */
export function moment(ms: number): string {
  return new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** "0.18 s behind", or null where nothing was measured. */
export function behind(delayMs: number | null): string | null {
  if (delayMs === null || !Number.isFinite(delayMs)) return null;
  const seconds = Math.max(0, delayMs) / 1000;
  return `${seconds < 1 ? seconds.toFixed(2) : seconds.toFixed(1)} s behind`;
}

export function rate(kbps: number): string {
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(1)} Mbps` : `${Math.round(kbps)} kbps`;
}

/** "1.3 GB", of which 1000 MB are one. */
export function size(bytes: number): string {
  const steps: [number, string][] = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];
  const [unit, name] = steps.find(([unit]) => bytes >= unit) ?? [1, "bytes"];
  const units = bytes / unit;
  return `${unit === 1 || units >= 100 ? Math.round(units) : units.toFixed(1)} ${name}`;
}

export function share(part: number | null): string {
  return part === null ? "not measured" : `${(part * 100).toFixed(part < 0.1 ? 2 : 1)} %`;
}

const NAMES: Record<string, string> = {
  very_low: "Very low", low: "Low", medium: "Medium", high: "High", ultra: "Ultra",
};

/** "High, 720p" for a menu. */
export function rendition(name: string, height: number): string {
  const words = NAMES[name] ?? name;
  return height > 0 ? `${words}, ${height}p` : words;
}
