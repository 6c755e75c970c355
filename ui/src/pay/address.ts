// Accounts as people and wallets write them: SS58, with the prefix of no chain in particular.
import { blake2b } from "@noble/hashes/blake2";
import { fromHex, joined, type Hex } from "./bytes";

const GENERIC = 42;
const CHECKSUM_BYTES = 2;
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

export function addressOf(account: Hex): string {
  const body = joined(Uint8Array.of(GENERIC), fromHex(account));
  const checksum = blake2b(joined(new TextEncoder().encode("SS58PRE"), body)).slice(0, CHECKSUM_BYTES);
  return base58(joined(body, checksum));
}

/** Of bytes of which the first is not zero. */
function base58(bytes: Uint8Array): string {
  let left = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let text = "";
  for (; left > 0n; left /= 58n) text = (BASE58[Number(left % 58n)] ?? "") + text;
  return text;
}
