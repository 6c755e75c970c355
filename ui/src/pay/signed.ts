// What PROTOCOL.md has signed or hashed, as bytes and as values.
import { blake2b } from "@noble/hashes/blake2";
import { joined, Reader, toHex, Writer, type Bytes, type Hex } from "./bytes";

export type Asset = "native" | { asset: number };

export interface Delegation { genesis: Hex; payee: Hex; node: Hex; from: number; until: number }

export interface Offer {
  genesis: Hex;
  asset: Asset;
  content: Hex;
  payee: Hex;
  delegation: Hex;
  price: bigint;
  grace_ticks: number;
  quality: { tier: number; max_height: number; max_bitrate_kbps: number };
  until: number;
}

export interface ChannelTerms {
  genesis: Hex;
  asset: Asset;
  payer: Hex;
  payee: Hex;
  node: Hex;
  session: Hex;
  nonce: number;
  dispute_window_ms: number;
}

export interface Voucher { genesis: Hex; channel: Hex; offer: Hex; tick: number; cumulative: bigint }

export interface Receipt {
  genesis: Hex;
  channel: Hex;
  number: number;
  previous: Hex;
  tick: number;
  cumulative: bigint;
  at: number;
}

export interface Close { genesis: Hex; channel: Hex; cumulative: bigint }

export interface Login { host: string; account: Hex; nonce: Hex; until: number }

/** A body and the signature over it. */
export interface Signed<T> { body: T; signature: Hex }

/** How one of them is laid out, and under which name it is signed or hashed. */
export interface Form<T> {
  domain: string;
  /** As wallets sign what is no transaction. */
  wrapped: boolean;
  write(out: Writer, value: T): void;
  read(from: Reader): T;
}

const KEY = 33;
const SIGNATURE = 65;

const writeAsset = (out: Writer, asset: Asset) =>
  asset === "native" ? out.u8(0) : out.u8(1).u32(asset.asset);
const readAsset = (from: Reader): Asset => from.option(() => ({ asset: from.u32() })) ?? "native";

export const delegation: Form<Delegation> = {
  domain: "tickcast/hotkey", wrapped: true,
  write: (out, { genesis, payee, node, from, until }) =>
    void out.u8(1).hex(genesis, 32).hex(payee, KEY).hex(node, KEY).u64(from).u64(until),
  read(from) {
    from.version();
    return { genesis: from.hex(32), payee: from.hex(KEY), node: from.hex(KEY), from: from.u64(), until: from.u64() };
  },
};

export const offer: Form<Offer> = {
  domain: "tickcast/offer", wrapped: false,
  write(out, { genesis, asset, content, payee, delegation: named, price, grace_ticks, quality, until }) {
    writeAsset(out.u8(1).hex(genesis, 32), asset).hex(content, 32).hex(payee, KEY).hex(named, 32).u128(price)
      .u16(grace_ticks).u8(quality.tier).u16(quality.max_height).u32(quality.max_bitrate_kbps).u64(until);
  },
  read(from) {
    from.version();
    return {
      genesis: from.hex(32), asset: readAsset(from), content: from.hex(32), payee: from.hex(KEY),
      delegation: from.hex(32), price: from.u128(), grace_ticks: from.u16(),
      quality: { tier: from.u8(), max_height: from.u16(), max_bitrate_kbps: from.u32() }, until: from.u64(),
    };
  },
};

/** Hashed only: a channel's id. */
export const channel: Form<ChannelTerms> = {
  domain: "tickcast/channel", wrapped: false,
  write(out, { genesis, asset, payer, payee, node, session, nonce, dispute_window_ms }) {
    writeAsset(out.u8(1).hex(genesis, 32), asset).hex(payer, 32).hex(payee, 32).hex(node, KEY).hex(session, KEY)
      .u64(nonce).u64(dispute_window_ms);
  },
  read(from) {
    from.version();
    return {
      genesis: from.hex(32), asset: readAsset(from), payer: from.hex(32), payee: from.hex(32), node: from.hex(KEY),
      session: from.hex(KEY), nonce: from.u64(), dispute_window_ms: from.u64(),
    };
  },
};

export const voucher: Form<Voucher> = {
  domain: "tickcast/voucher", wrapped: false,
  write: (out, { genesis, channel: id, offer: named, tick, cumulative }) =>
    void out.u8(1).hex(genesis, 32).hex(id, 32).hex(named, 32).u64(tick).u128(cumulative),
  read(from) {
    from.version();
    return {
      genesis: from.hex(32), channel: from.hex(32), offer: from.hex(32), tick: from.u64(), cumulative: from.u128(),
    };
  },
};

export const receipt: Form<Receipt> = {
  domain: "tickcast/receipt", wrapped: false,
  write: (out, { genesis, channel: id, number, previous, tick, cumulative, at }) =>
    void out.u8(1).hex(genesis, 32).hex(id, 32).u64(number).hex(previous, 32).u64(tick).u128(cumulative).u64(at),
  read(from) {
    from.version();
    return {
      genesis: from.hex(32), channel: from.hex(32), number: from.u64(), previous: from.hex(32), tick: from.u64(),
      cumulative: from.u128(), at: from.u64(),
    };
  },
};

export const close: Form<Close> = {
  domain: "tickcast/close", wrapped: false,
  write: (out, { genesis, channel: id, cumulative }) => void out.u8(1).hex(genesis, 32).hex(id, 32).u128(cumulative),
  read(from) {
    from.version();
    return { genesis: from.hex(32), channel: from.hex(32), cumulative: from.u128() };
  },
};

export const login: Form<Login> = {
  domain: "tickcast/login", wrapped: true,
  write: (out, { host, account, nonce, until }) =>
    void out.u8(1).text(host).hex(account, KEY).hex(nonce, 32).u64(until),
  read(from) {
    from.version();
    return { host: from.text(253), account: from.hex(KEY), nonce: from.hex(32), until: from.u64() };
  },
};

export function bodyOf<T>(form: Form<T>, value: T): Bytes {
  const out = new Writer();
  form.write(out, value);
  return out.bytes();
}

/** All of the bytes are one value. */
export function whole<T>(bytes: Uint8Array, read: (from: Reader) => T): T {
  const from = new Reader(bytes);
  const value = read(from);
  from.end();
  return value;
}

/** What is signed. */
export function toSign<T>(form: Form<T>, value: T): Bytes {
  const text = new TextEncoder();
  const domain = new Uint8Array(16);
  domain.set(text.encode(form.domain));
  const bytes = joined(domain, bodyOf(form, value));
  return form.wrapped ? joined(text.encode("<Bytes>"), bytes, text.encode("</Bytes>")) : bytes;
}

export function hashOf<T>(form: Form<T>, value: T): Hex {
  return toHex(blake2b(toSign(form, value), { dkLen: 32 }));
}

export function writeSigned<T>(out: Writer, form: Form<T>, { body, signature }: Signed<T>): void {
  form.write(out, body);
  out.hex(signature, SIGNATURE);
}

export function readSigned<T>(from: Reader, form: Form<T>): Signed<T> {
  return { body: form.read(from), signature: from.hex(SIGNATURE) };
}

/** An offer, and the delegation by which its node may make it. */
export interface Published { offer: Signed<Offer>; delegation: Signed<Delegation> }

export function readPublished(from: Reader): Published {
  return { offer: readSigned(from, offer), delegation: readSigned(from, delegation) };
}

/** The account that a key is: its 32 bytes. */
export const accountOf = (key: Hex): Hex => `0x${key.slice(4)}`;
