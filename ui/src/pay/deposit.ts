// A deposit as the escrow's call, and what a page makes sure of before a wallet is asked to sign it. The payload is made by
// the node, which is the payee's: whatever the page can know of it, it compares with its own.
import type { SignerPayload } from "../lib/api";
import { fromHex, toHex, Writer, WireError, type Bytes, type Hex } from "./bytes";
import type { ChannelTerms } from "./signed";

export type Deposit =
  | { call: "open"; terms: ChannelTerms; deposit: bigint; expiresAt: number }
  | { call: "top_up"; channel: Hex; by: bigint };

/** The payload is not the deposit that was asked for. */
export class NotTheDeposit extends Error {}

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

/** What follows pallet and call, in the order of the escrow's arguments. */
export function argumentsOf(deposit: Deposit): Bytes {
  const out = new Writer();
  if (deposit.call === "top_up") return out.hex(deposit.channel, 32).u128(deposit.by).bytes();
  const { asset, payee, node, session, nonce, dispute_window_ms: windowMs } = deposit.terms;
  out.option(asset === "native" ? null : asset.asset, (id) => out.u32(id));
  return out.hex(payee, 32).hex(node, 33).hex(session, 33).u64(nonce).u64(windowMs).u128(deposit.deposit)
    .u64(deposit.expiresAt).bytes();
}

/** The payload with nothing in it that was not looked at; throws where it is not for this deposit alone. */
export function checked(given: SignerPayload, deposit: Deposit, genesis: Hex): SignerPayload {
  const {
    blockHash, blockNumber, era, genesisHash, method, nonce, signedExtensions, specVersion, tip, transactionVersion, version,
  } = given;
  const call = bytesOf(method);
  must(toHex(call.slice(INDEX_BYTES)) === toHex(argumentsOf(deposit)), "is for another deposit than the page asked for");
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
    if (error instanceof WireError) throw new NotTheDeposit("The node's transaction cannot be read.");
    throw error;
  }
}

function must(isSo: boolean, words: string): asserts isSo {
  if (!isSo) throw new NotTheDeposit(`The node's transaction ${words}. Do not trust it: nothing was signed.`);
}
