// The page's encodings against the vectors that crates/pay publishes, and a receipt's and a voucher's signatures.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { addressOf } from "../src/pay/address";
import { exactly, shortly } from "../src/pay/amount";
import { fromHex, Reader, toHex, WireError, Writer, type Hex } from "../src/pay/bytes";
import { verify } from "../src/pay/key";
import { codeOf, commandOf, linkOf } from "../src/pay/link";
import { decode, encode, type ToNode } from "../src/pay/messages";
import {
  bodyOf, channel, close, delegation, hashOf, login, offer, receipt, toSign, voucher, whole, writeSigned, type Form,
} from "../src/pay/signed";
import { Unplayed } from "../src/pay/unplayed";

interface Vector { type: string; fields: Record<string, unknown>; body: Hex; hash?: Hex; hashed: Hex; bytes: Hex }
interface Signature { type: string; message: Hex; public: Hex; signature: Hex; valid: boolean }

const vectors = <T>(name: string): T[] =>
  JSON.parse(readFileSync(new URL(`../../crates/pay/vectors/${name}.json`, import.meta.url), "utf8")) as T[];

const FORMS = { delegation, offer, channel, voucher, receipt, close, login } as unknown as Record<string, Form<unknown>>;
/** Amounts are decimal strings in JSON. */
const AMOUNTS = new Set(["price", "cumulative"]);

function revived(value: unknown, name = ""): unknown {
  if (AMOUNTS.has(name)) return BigInt(value as string);
  if (Array.isArray(value)) return value.map((one) => revived(one));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, revived(one, name)]));
}

describe("the published encodings", () => {
  const known = vectors<Vector>("encodings").filter(({ type }) => type in FORMS);

  it("has all of the kinds that the page writes or reads", () => {
    expect(new Set(known.map(({ type }) => type))).toEqual(new Set(Object.keys(FORMS)));
  });

  it.each(known.map((vector, at) => [`${vector.type} ${at}`, vector] as const))("%s has its bytes and its hash", (_, vector) => {
    const form = FORMS[vector.type]!;
    const fields = revived(vector.fields);
    expect(toHex(bodyOf(form, fields))).toBe(vector.body);
    expect(toHex(toSign(form, fields))).toBe(vector.hashed);
    if (vector.hash) expect(hashOf(form, fields)).toBe(vector.hash);
    expect(whole(fromHex(vector.body), (from) => form.read(from))).toEqual(fields);
  });

  it.each(vectors<Vector>("messages").map((vector) => [vector.type, vector] as const))("the message %s has its bytes", (kind, vector) => {
    expect(toHex(encode({ kind, ...(revived(vector.fields) as object) } as ToNode))).toBe(vector.bytes);
  });

  it("believes the good signatures by Ed25519 and no other", async () => {
    const signatures = vectors<Signature>("signatures").filter((one) => one.public.startsWith("0x00"));
    expect(signatures.length).toBeGreaterThan(4);
    for (const { public: key, message, signature, valid } of signatures) {
      expect(await verify(key, fromHex(message), signature).catch(() => false), `${message} ${signature}`).toBe(valid);
    }
  });
});

describe("what a node says", () => {
  const id = `0x${"22".repeat(32)}`;
  const signature = `0x00${"ab".repeat(64)}`;
  const last = { body: { genesis: id, channel: id, offer: id, tick: 42, cumulative: 43n }, signature };

  it("is read as the table of messages has it", () => {
    const started = new Writer().u8(1).u8(0).hex(id, 32).u8(1);
    writeSigned(started, voucher, last);
    expect(decode(started.u8(0).u64(50).bytes())).toEqual({ kind: "started", channel: id, last, receipt: null, next: 50 });
    const stored = new Writer().u8(1).u8(1).hex(id, 32).u64(42).u128(43n).bytes();
    expect(decode(stored)).toEqual({ kind: "acknowledged", channel: id, tick: 42, cumulative: 43n });
    const refused = new Writer().u8(1).u8(2).hex(id, 32).u8(1).u64(7).u8(12).u8(0).bytes();
    expect(decode(refused)).toEqual({ kind: "refused", channel: id, tick: 7, reason: 12, last: null });
    expect(decode(new Writer().u8(1).u8(5).hex(id, 32).u8(2).bytes())).toEqual({ kind: "ended", channel: id, ending: 2 });
  });

  it("is refused where it ends too early, goes on too long, or is not known", () => {
    const ended = new Writer().u8(1).u8(5).hex(id, 32).u8(2).bytes();
    for (let length = 0; length < ended.length; length += 1) expect(() => decode(ended.slice(0, length))).toThrow(WireError);
    expect(() => decode(new Writer().raw(ended).u8(0).bytes())).toThrow(WireError);
    expect(() => decode(new Writer().u8(2).u8(5).hex(id, 32).u8(2).bytes())).toThrow(WireError);
    expect(() => decode(new Writer().u8(1).u8(5).hex(id, 32).u8(7).bytes())).toThrow(WireError);
    expect(() => decode(new Writer().u8(1).u8(9).bytes())).toThrow(WireError);
  });

  it("has one spelling: numbers that are not exact, and lengths in a longer form, are refused", () => {
    expect(() => new Reader(fromHex("0x0000000000002000")).u64()).toThrow(WireError);
    expect(new Reader(fromHex("0xffffffffffff1f00")).u64()).toBe(2 ** 53 - 1);
    expect(() => new Reader(fromHex("0x0500")).length(300)).toThrow(WireError);
    expect(new Reader(fromHex("0x0101")).length(300)).toBe(64);
    expect(() => new Writer().u8(256)).toThrow(WireError);
    expect(() => fromHex("0xAB")).toThrow(WireError);
  });
});

describe("what people read", () => {
  it("names Alice as every Substrate wallet does", () => {
    expect(addressOf("0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"))
      .toBe("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
  });

  it("shortens amounts, never to nothing and never upwards", () => {
    const unit = { symbol: "UNIT", decimals: 12 };
    expect(exactly(1_000_000_000_000n, unit)).toBe("1 UNIT");
    expect(exactly(1n, unit)).toBe("0.000000000001 UNIT");
    expect(exactly(7n, { symbol: "X", decimals: 0 })).toBe("7 X");
    expect(shortly(1_234_567_899_999n, unit)).toBe("1.23456 UNIT");
    expect(shortly(999_999_999_999n, unit)).toBe("0.999999 UNIT");
    expect(shortly(1_000_000n, unit)).toBe("0.000001 UNIT");
    expect(shortly(1n, unit)).toBe("0.000000000001 UNIT");
    expect(shortly(0n, unit)).toBe("0 UNIT");
  });

  it("asks a wallet by a link that stands in a command unchanged", () => {
    const asked = {
      node: "http://127.0.0.1:8080", playbackId: "Ab-9_x", tier: 3, session: `0x00${"11".repeat(32)}`, deposit: 300n, channel: null,
    };
    const link = linkOf({ ...asked, channel: `0x${"22".repeat(32)}` });
    expect(link).toBe(`tickcast:approve?node=http%3A%2F%2F127.0.0.1%3A8080&stream=Ab-9_x&tier=3&session=0x00${"11".repeat(32)}`
      + `&deposit=300&channel=0x${"22".repeat(32)}`);
    expect(commandOf(linkOf({ ...asked, playbackId: "it's" }))).not.toContain("it's");
  });

  it("is known again by the first digits of the page's key, as the wallet shows them", () => {
    expect(codeOf(`0x009c2105b977${"00".repeat(27)}`)).toBe("9C21 05B9");
  });
});

describe("seconds that did not play", () => {
  it("are ranges, of which those behind each other are one", () => {
    const unplayed = new Unplayed();
    expect([unplayed.push(3, 2), unplayed.push(5, 1), unplayed.push(8, 1)]).toEqual([true, true, true]);
    expect(unplayed.ranges).toEqual([{ first: 3, count: 3 }, { first: 8, count: 1 }]);
    expect(unplayed.below(5)).toEqual([{ first: 3, count: 2 }]);
    expect([unplayed.push(8, 1), unplayed.push(20, 0)]).toEqual([false, false]);
    unplayed.forgetBefore(5);
    expect(unplayed.ranges).toEqual([{ first: 5, count: 1 }, { first: 8, count: 1 }]);
  });

  it("are at most sixteen ranges", () => {
    const unplayed = new Unplayed();
    for (let at = 0; at < 16; at += 1) expect(unplayed.push(2 * at, 1)).toBe(true);
    expect(unplayed.push(100, 1)).toBe(false);
  });
});
