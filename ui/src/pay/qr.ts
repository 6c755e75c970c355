// A text as a QR code (ISO/IEC 18004), as an image's outlines.
import { encode } from "uqr";

/** Scanners need so many light modules around it. */
const QUIET_ZONE = 4;

/** Of a square of `size` modules, each a unit: its dark ones. */
export interface Code { size: number; dark: string }

export function codeOf(text: string): Code {
  const { size, data } = encode(text, { ecc: "M", border: QUIET_ZONE });
  const runs = data.flatMap((row, y) => {
    const bits = row.map((isDark) => (isDark ? "1" : "0")).join("");
    return [...bits.matchAll(/1+/g)].map(({ index, 0: run }) => `M${index} ${y}h${run.length}v1h-${run.length}z`);
  });
  return { size, dark: runs.join("") };
}
