// Accounts as people and wallets write them: SS58, with the prefix of no chain in particular.
import { blake2b } from "@noble/hashes/blake2";
import { fromHex, joined, toHex, type Hex } from "./bytes";

const GENERIC = 42;
const CHECKSUM_BYTES = 2;
const ACCOUNT_BYTES = 32;
/** Longer than any address is. */
const TEXT_MAX = 64;
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

export function addressOf(account: Hex): string {
  const body = joined(Uint8Array.of(GENERIC), fromHex(account));
  return base58(joined(body, checksum(body)));
}

/** The account of 32 bytes, whatever chain's prefix its address has; null where it is none. */
export function accountAt(address: string): Hex | null {
  const bytes = unbase58(address);
  // A first byte with this bit begins a prefix of two.
  const prefix = (bytes?.[0] ?? 0) & 0x40 ? 2 : 1;
  if (bytes?.length !== prefix + ACCOUNT_BYTES + CHECKSUM_BYTES) return null;
  const body = bytes.slice(0, -CHECKSUM_BYTES);
  const sum = checksum(body);
  return sum.every((byte, at) => byte === bytes[body.length + at]) ? toHex(body.slice(prefix)) : null;
}

const checksum = (body: Uint8Array): Uint8Array =>
  blake2b(joined(new TextEncoder().encode("SS58PRE"), body)).slice(0, CHECKSUM_BYTES);

/** Of bytes of which the first is not zero. */
function base58(bytes: Uint8Array): string {
  let left = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let text = "";
  for (; left > 0n; left /= 58n) text = (BASE58[Number(left % 58n)] ?? "") + text;
  return text;
}

function unbase58(text: string): Uint8Array | null {
  if (text.length > TEXT_MAX || [...text].some((digit) => !BASE58.includes(digit))) return null;
  const value = [...text].reduce((sum, digit) => sum * 58n + BigInt(BASE58.indexOf(digit)), 0n);
  const hex = value.toString(16);
  const zeros = /^1*/.exec(text)?.[0].length ?? 0;
  const bytes = value === 0n ? new Uint8Array() : fromHex(`0x${hex.length % 2 ? "0" : ""}${hex}`);
  return joined(new Uint8Array(zeros), bytes);
}
