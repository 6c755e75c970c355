import { describe, expect, it } from "vitest";
import type { PayInfo, StreamInfo } from "../src/lib/api";
import { toHex, Writer } from "../src/pay/bytes";
import { delegation as delegationForm, hashOf, offer as offerForm, writeSigned, type Offer } from "../src/pay/signed";
import { offersOf, qualityOf } from "../src/pay/tiers";

const [GENESIS, NODE, PAYEE] = [`0x${"11".repeat(32)}`, `0x00${"22".repeat(32)}`, `0x01${"33".repeat(32)}`];
const SIGNATURE = `0x${"00".repeat(65)}`;
const NOW = 1_000_000;

function published(tier: number, price: bigint, rest: Partial<Offer> = {}, node = NODE) {
  const delegation = { genesis: GENESIS, payee: PAYEE, node, from: 0, until: 2 * NOW };
  const offer: Offer = {
    genesis: GENESIS, asset: "native", content: `0x${"44".repeat(32)}`, payee: PAYEE, delegation: hashOf(delegationForm, delegation),
    price, grace_ticks: 5, quality: { tier, max_height: 360 * tier, max_bitrate_kbps: 2500 }, until: 2 * NOW, ...rest,
  };
  const out = new Writer();
  writeSigned(out, offerForm, { body: offer, signature: SIGNATURE });
  writeSigned(out, delegationForm, { body: delegation, signature: SIGNATURE });
  // What is readable beside it counts for nothing.
  return { published: toHex(out.bytes()), tier: 9, price: "0", max_lines: 0, max_kbps: 0, until: 0 };
}

const info = { rail: { genesis: GENESIS }, node_key: NODE } as PayInfo;
const stream = (offers: StreamInfo["offers"], heights: number[] = []) => ({
  offers, renditions: heights.map((height) => ({ name: "", width: 0, height, kbps: 0 })),
}) as StreamInfo;
const taken = (offers: StreamInfo["offers"]) => offersOf(stream(offers), info, NOW).map(({ quality, price }) => [quality.tier, price]);

describe("what a paid stream is offered for", () => {
  it("is of each tier the cheapest, the best tier first", () => {
    expect(taken([published(1, 5n), published(2, 9n), published(1, 4n), published(2, 12n)])).toEqual([[2, 9n], [1, 4n]]);
    // Prices are beyond what a number holds.
    expect(taken([published(1, 2n ** 70n), published(1, 2n ** 70n - 1n)])).toEqual([[1, 2n ** 70n - 1n]]);
  });

  it("stands the longest of equal ones", () => {
    const [offer] = offersOf(stream([published(1, 5n, { until: NOW + 1 }), published(1, 5n, { until: NOW + 2 })]), info, NOW);
    expect(offer?.until).toBe(NOW + 2);
  });

  it("is none of another chain or node, and none that has ended", () => {
    const other = `0x${"99".repeat(32)}`;
    expect(taken([
      published(1, 5n, { genesis: other }), published(1, 5n, { until: NOW }), published(1, 5n, {}, `0x00${"98".repeat(32)}`),
    ])).toEqual([]);
    expect(taken(undefined)).toEqual([]);
  });

  it("promises no more lines than are broadcast", () => {
    const [offer] = offersOf(stream([published(2, 5n)]), info, NOW);
    if (!offer) throw new Error("an offer");
    expect([[], [360], [360, 540], [1080]].map((heights) => qualityOf(offer, stream([], heights)).lines)).toEqual([720, 360, 540, 720]);
  });
});
