// A deposit, and what comes back of it, as the escrow's calls; and what a page makes sure of before a wallet is asked to sign
// one. The payload is made by the node, which is the payee's: whatever the page can know of it, it compares with its own.
import type { SignerPayload } from "../lib/api";
import { fromHex, toHex, Writer, WireError, type Bytes, type Hex } from "./bytes";
import type { ChannelTerms } from "./signed";

export type EscrowCall =
  | { call: "open"; terms: ChannelTerms; deposit: bigint; expiresAt: number }
  | { call: "top_up"; channel: Hex; by: bigint }
  /** The payer closes alone, and after the dispute window takes the rest. */
  | { call: "start_close" | "close"; channel: Hex };

/** An argument as the wallet shows it that does not know the chain: digits. */
export interface Argument { name: string; digits: Hex }

/** The payload is not the call that was asked for. */
export class NotTheCall extends Error {}

/** The only format that every wallet knows. */
const FORMAT = 4;
/** What numbers the pallet and its call is the runtime's to say. */
const INDEX_BYTES = 2;
/** Chains remember no more blocks; one that is good for longer is good for ever. */
const ERA_BLOCKS_MAX = 2048;

/** Those whose contents polkadot-js makes of the payload's fields. Of another one it would leave out what the chain wants
    signed, or what it means is not known here. */
export const EXTENSIONS: readonly string[] = [
  "CheckNonZeroSender", "CheckSpecVersion", "CheckTxVersion", "CheckGenesis", "CheckMortality", "CheckNonce", "CheckWeight",
  "ChargeTransactionPayment", "ChargeAssetTxPayment", "CheckMetadataHash", "WeightReclaim",
];

/** In the order of the escrow's call. */
export function argumentsOf(by: EscrowCall): Argument[] {
  const one = (name: string, write: (out: Writer) => Writer) => ({ name, digits: toHex(write(new Writer()).bytes()) });
  if (by.call !== "open") {
    const channel = one("channel", (out) => out.hex(by.channel, 32));
    return by.call === "top_up" ? [channel, one("by", (out) => out.u128(by.by))] : [channel];
  }
  const { asset, payee, node, session, nonce, dispute_window_ms: windowMs } = by.terms;
  return [
    one("asset", (out) => out.option(asset === "native" ? null : asset.asset, (id) => out.u32(id))),
    one("payee", (out) => out.hex(payee, 32)),
    one("node", (out) => out.hex(node, 33)),
    one("session", (out) => out.hex(session, 33)),
    one("nonce", (out) => out.u64(nonce)),
    one("dispute_window_ms", (out) => out.u64(windowMs)),
    one("deposit", (out) => out.u128(by.deposit)),
    one("expires_at", (out) => out.u64(by.expiresAt)),
  ];
}

/** All of them, as they follow pallet and call. */
export const encoded = (by: EscrowCall): Hex => `0x${argumentsOf(by).map(({ digits }) => digits.slice(2)).join("")}`;

/** What stands before them in a call's digits: the numbers of pallet and call. */
export const indexOf = (method: Hex): Hex => method.slice(0, 2 + 2 * INDEX_BYTES);

/** The payload with nothing in it that was not looked at; throws where it is not this call alone. */
export function checked(given: SignerPayload, by: EscrowCall, genesis: Hex): SignerPayload {
  const {
    blockHash, blockNumber, era, genesisHash, method, nonce, signedExtensions, specVersion, tip, transactionVersion, version,
  } = given;
  const call = bytesOf(method);
  must(toHex(call.slice(INDEX_BYTES)) === encoded(by), "does something else than the page asked for");
  must(genesisHash === genesis, "is for another chain");
  must(version === FORMAT, "has a format that is not known here");
  must(/^0x0+$/.test(tip), "has a tip");
  must(blocksOf(bytesOf(era)) <= ERA_BLOCKS_MAX, "is good for too long");
  must(bytesOf(blockHash).length === 32, "names no block");
  for (const number of [blockNumber, nonce, specVersion, transactionVersion]) bytesOf(number);
  const unknown = signedExtensions.find((name) => !EXTENSIONS.includes(name));
  must(unknown === undefined, "has more in it than wallets know");
  return {
    blockHash, blockNumber, era, genesisHash, method, nonce, signedExtensions, specVersion, tip, transactionVersion, version,
  };
}

/** For how many blocks a mortal era is: the four low bits are its binary logarithm, less one. None is for ever. */
function blocksOf(era: Uint8Array): number {
  const [low, high] = era;
  if (era.length !== 2 || low === undefined || high === undefined) return Infinity;
  return (low & 0xf) === 0 ? Infinity : 2 << (low & 0xf);
}

function bytesOf(text: unknown): Bytes {
  try {
    return fromHex(String(text));
  } catch (error) {
    if (error instanceof WireError) throw new NotTheCall("The node's transaction cannot be read.");
    throw error;
  }
}

function must(isSo: boolean, words: string): asserts isSo {
  if (!isSo) throw new NotTheCall(`The node's transaction ${words}. Do not trust it: nothing was signed.`);
}
