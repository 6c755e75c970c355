// The encodings of PROTOCOL.md once more, written from that page alone.
import { hexToU8a, stringToU8a, u8aConcat } from '@polkadot/util';

const integer = (bytes) => (value) => {
  const out = new Uint8Array(bytes);
  let left = BigInt(value);
  for (let at = 0; at < bytes; at += 1, left >>= 8n) out[at] = Number(left & 0xffn);
  if (left !== 0n) throw new Error(`${value} does not fit into ${bytes} bytes`);
  return out;
};
const u8 = integer(1);
const u16 = integer(2);
const u32 = integer(4);
const u64 = integer(8);
const u128 = integer(16);
const length = (count) => (count < 64 ? u8(count << 2) : u16((count << 2) | 1));
const version = u8(1);
const asset = (value) => (value === 'native' ? u8(0) : u8aConcat(u8(1), u32(value.asset)));
const text = (value) => u8aConcat(length(value.length), stringToU8a(value));
const ranges = (list) => u8aConcat(length(list.length), ...list.map((r) => u8aConcat(u64(r.first), u32(r.count))));

export const bodies = {
  delegation: (f) =>
    u8aConcat(version, hexToU8a(f.genesis), hexToU8a(f.payee), hexToU8a(f.node), u64(f.from), u64(f.until)),
  offer: (f) =>
    u8aConcat(
      version,
      hexToU8a(f.genesis),
      asset(f.asset),
      hexToU8a(f.content),
      hexToU8a(f.payee),
      hexToU8a(f.delegation),
      u128(f.price),
      u16(f.grace_ticks),
      u8(f.quality.tier),
      u16(f.quality.max_height),
      u32(f.quality.max_bitrate_kbps),
      u64(f.until),
    ),
  channel: (f) =>
    u8aConcat(
      version,
      hexToU8a(f.genesis),
      asset(f.asset),
      hexToU8a(f.payer),
      hexToU8a(f.payee),
      hexToU8a(f.node),
      hexToU8a(f.session),
      u64(f.nonce),
      u64(f.dispute_window_ms),
    ),
  voucher: (f) =>
    u8aConcat(
      version,
      hexToU8a(f.genesis),
      hexToU8a(f.channel),
      hexToU8a(f.offer),
      u64(f.tick),
      u128(f.cumulative),
    ),
  receipt: (f) =>
    u8aConcat(
      version,
      hexToU8a(f.genesis),
      hexToU8a(f.channel),
      u64(f.number),
      hexToU8a(f.previous),
      u64(f.tick),
      u128(f.cumulative),
      u64(f.at),
    ),
  close: (f) => u8aConcat(version, hexToU8a(f.genesis), hexToU8a(f.channel), u128(f.cumulative)),
  login: (f) => u8aConcat(version, text(f.host), hexToU8a(f.account), hexToU8a(f.nonce), u64(f.until)),
};
// The terms of a channel that has no dispute window.
bodies.credit = bodies.channel;

const domains = {
  delegation: 'tickcast/hotkey',
  offer: 'tickcast/offer',
  channel: 'tickcast/channel',
  voucher: 'tickcast/voucher',
  receipt: 'tickcast/receipt',
  close: 'tickcast/close',
  login: 'tickcast/login',
  credit: 'tickcast/credit',
};
const wrapped = new Set(['delegation', 'login', 'credit']);

/** What is signed or hashed. */
export function hashed(type, fields) {
  const domain = new Uint8Array(16);
  domain.set(stringToU8a(domains[type]));
  const bytes = u8aConcat(domain, bodies[type](fields));
  if (!wrapped.has(type)) return bytes;
  return u8aConcat(stringToU8a('<Bytes>'), bytes, stringToU8a('</Bytes>'));
}

const signed = (type, value) => u8aConcat(bodies[type](value.body), hexToU8a(value.signature));

export const messages = {
  start: (f) => u8aConcat(version, u8(0), hexToU8a(f.channel), hexToU8a(f.offer)),
  pay: (f) => u8aConcat(version, u8(1), signed('voucher', f.voucher), ranges(f.unplayed), u8(f.in_advance ? 1 : 0)),
  report: (f) => u8aConcat(version, u8(2), hexToU8a(f.channel), ranges(f.unplayed)),
  stop: (f) => u8aConcat(version, u8(3), hexToU8a(f.channel)),
  close: (f) => u8aConcat(version, u8(4), signed('close', f.close)),
};
