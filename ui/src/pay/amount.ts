// Amounts of the smallest unit, as people read them.

export interface Unit { symbol: string; decimals: number }

/** Nothing of it is left out: "0.001 UNIT". */
export function exactly(amount: bigint, { symbol, decimals }: Unit): string {
  const digits = amount.toString().padStart(decimals + 1, "0");
  const [whole, part] = [digits.slice(0, digits.length - decimals), digits.slice(digits.length - decimals)];
  const fraction = part.replace(/0+$/, "");
  return `${fraction ? `${whole}.${fraction}` : whole} ${symbol}`;
}

/** At most so many digits, rounded down; what is smaller than those show is shown exactly. */
const DIGITS = 6;

export function shortly(amount: bigint, unit: Unit): string {
  const [number = "", symbol] = exactly(amount, unit).split(" ");
  const [whole = "0", fraction = ""] = number.split(".");
  const room = Math.max(0, DIGITS - (whole === "0" ? 0 : whole.length));
  const kept = fraction.slice(0, room).replace(/0+$/, "");
  if (whole === "0" && kept === "" && fraction !== "") return exactly(amount, unit);
  return `${kept ? `${whole}.${kept}` : whole} ${symbol}`;
}
