// A page's paying against a node that the test plays, with keys of WebCrypto.
import { beforeAll, describe, expect, it } from "vitest";
import { toHex, type Hex } from "../src/pay/bytes";
import { verify } from "../src/pay/key";
import { ENDING, REASON, type ToNode, type ToViewer } from "../src/pay/messages";
import { RATE, timestampOf } from "../src/pay/played";
import { PaySession, type PayStatus } from "../src/pay/session";
import {
  channel as channelForm, close as closeForm, delegation as delegationForm, hashOf, offer as offerForm, receipt as receiptForm, toSign,
  voucher as voucherForm, type ChannelTerms, type Form, type Offer, type Receipt, type Signed, type Voucher,
} from "../src/pay/signed";
import { Tab, type SessionKey } from "../src/pay/tab";

const GENESIS = `0x${"11".repeat(32)}`;
const PAYEE = `0x01${"33".repeat(32)}`;
const PRICE = 100n;
/** As PROTOCOL.md numbers it. */
const CLOSE_MISMATCH = 22;
const NO_RECEIPT = `0x${"00".repeat(32)}`;
let node: SessionKey;
let session: SessionKey;

async function made(): Promise<SessionKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]) as CryptoKeyPair;
  const hex = (bytes: ArrayBuffer) => `0x00${toHex(new Uint8Array(bytes)).slice(2)}`;
  return {
    public: hex(await crypto.subtle.exportKey("raw", pair.publicKey)),
    sign: async (bytes) => hex(await crypto.subtle.sign("Ed25519", pair.privateKey, bytes)),
  };
}

beforeAll(async () => { [node, session] = await Promise.all([made(), made()]); });

const offered = (rest: Partial<Offer> = {}): Offer => ({
  genesis: GENESIS, asset: "native", content: `0x${"44".repeat(32)}`, payee: PAYEE, delegation: NO_RECEIPT, price: PRICE,
  grace_ticks: 5, quality: { tier: 1, max_height: 720, max_bitrate_kbps: 2500 }, until: 1e12, ...rest,
});

/** A session with a deposit for so many seconds, what it sent, and a clock that the test moves. */
function watching(seconds: bigint) {
  const terms: ChannelTerms = {
    genesis: GENESIS, asset: "native", payer: `0x${"55".repeat(32)}`, payee: `0x${PAYEE.slice(4)}`, node: node.public,
    session: session.public, nonce: 1, dispute_window_ms: 60_000,
  };
  const channel = hashOf(channelForm, terms);
  const world = { nowMs: 0, sent: [] as ToNode[], status: null as PayStatus | null, pictures: 0 };
  const tab = new Tab(terms, offered(), PRICE * seconds, session, verify);
  const paying = new PaySession(tab, () => world.nowMs, () => world.nowMs, (status) => { world.status = status; });
  const settled = () => paying.quiet();
  const say = async (message: ToViewer) => { paying.received(message); await settled(); };
  const vouchers = () => world.sent.flatMap((message) => (message.kind === "pay" ? [message.voucher] : []));
  return {
    world, tab, terms, channel, paying, settled, say, vouchers,
    async begin(last: Signed<Voucher> | null = null, next = 0) {
      paying.connected((message) => world.sent.push(message));
      paying.mediaUp();
      await settled();
      expect(world.sent.at(-1)).toEqual({ kind: "start", channel, offer: hashOf(offerForm, offered()) });
      await say({ kind: "started", channel, last, receipt: null, next });
      paying.began(next, 0);
      await settled();
    },
    /** A second's pictures, 30 of them, and then the node's acknowledgement of what was paid. */
    async second(isShown = true, isStored = true) {
      for (let at = 0; at < 30; at += 1, world.pictures += 1) {
        world.nowMs += 1000 / 30;
        if (isShown) paying.picture({ rtpTimestamp: world.pictures * RATE / 30, presented: 1, dropped: 0, isLate: false });
      }
      await settled();
      if (isStored) await this.acknowledge();
    },
    async acknowledge() {
      const newest = vouchers().at(-1);
      if (newest) await say({ kind: "acknowledged", channel, tick: newest.body.tick, cumulative: newest.body.cumulative });
    },
  };
}

async function signed<T>(form: Form<T>, body: T, by: SessionKey): Promise<Signed<T>> {
  return { body, signature: await by.sign(toSign(form, body)) };
}

describe("a page that pays", () => {
  it("signs one voucher for each second that played, the first in advance, each of them good", async () => {
    const page = watching(100n);
    await page.begin();
    for (let second = 0; second < 4; second += 1) await page.second();
    // The fourth second is over with the first picture behind it.
    const [ticks, totals] = [page.vouchers().map(({ body }) => body.tick), page.vouchers().map(({ body }) => body.cumulative)];
    expect(ticks).toEqual([0, 1, 2]);
    expect(totals).toEqual([PRICE, 2n * PRICE, 3n * PRICE]);
    for (const { body, signature } of page.vouchers()) {
      expect(await verify(session.public, toSign(voucherForm, body), signature)).toBe(true);
    }
    page.paying.stop();
    await page.settled();
    await page.acknowledge();
    // The last picture of the fourth was shown: all but one of it played.
    expect(page.world.status).toMatchObject({ spent: 4n * PRICE, totals: { played: 4, unplayed: 0, signed: 4 }, isAcknowledged: true });
    expect(page.world.sent.at(-1)).toEqual({ kind: "stop", channel: page.channel });
    expect(page.paying.isOver).toBe(true);
  });

  it("names the seconds that did not play, and pays none of them", async () => {
    const page = watching(100n);
    await page.begin();
    await page.second();
    await page.second(false);
    await page.second();
    await page.second();
    const pays = page.world.sent.filter((message) => message.kind === "pay");
    expect(pays.at(-1)).toMatchObject({ voucher: { body: { tick: 2, cumulative: 2n * PRICE } }, unplayed: [{ first: 1, count: 1 }] });
    expect(page.world.status?.totals).toMatchObject({ played: 2, unplayed: 1, signed: 2 });
  });

  it("counts what it fetches by dates, and passes nothing over where its player waits", async () => {
    const page = watching(100n);
    const [begun, told] = [1_800_000_000_000, [] as number[]];
    page.paying.onBegan((dateMs) => told.push(dateMs));
    page.paying.connected((message) => page.world.sent.push(message));
    page.paying.mediaUp("when fetched");
    await page.settled();
    await page.say({ kind: "started", channel: page.channel, last: null, receipt: null, next: 0 });
    page.paying.beganAt(0, begun);
    await page.settled();
    expect(told).toEqual([begun]);
    const show = async (from: number, to: number) => {
      for (let at = from; at < to; at += 1) {
        page.world.nowMs += 1000 / 30;
        page.paying.picture({ rtpTimestamp: timestampOf(begun + (at * 1000) / 30), presented: 1, dropped: 0, isLate: false });
      }
      await page.settled();
      await page.acknowledge();
    };
    await show(0, 45);
    // Ten seconds without anything to show.
    for (let turn = 0; turn < 50; turn += 1) {
      page.world.nowMs += 200;
      page.paying.turn();
    }
    await page.settled();
    await show(45, 91);
    expect(page.world.status?.totals).toMatchObject({ played: 3, unplayed: 0 });
  });

  it("stops before the second that its deposit does not pay", async () => {
    const page = watching(2n);
    await page.begin();
    for (let second = 0; second < 4; second += 1) await page.second();
    expect(page.world.status?.left).toMatchObject({ words: "The deposit is spent.", remedy: "more" });
    expect(page.world.status?.spent).toBe(2n * PRICE);
  });

  it("goes on from the voucher that the node shows, and believes none that it did not sign", async () => {
    const body = (channel: Hex) => ({ genesis: GENESIS, channel, offer: hashOf(offerForm, offered()), tick: 41, cumulative: 7n * PRICE });
    const page = watching(100n);
    await page.begin(await signed(voucherForm, body(page.channel), session), 45);
    await page.second();
    await page.second();
    expect(page.vouchers().at(-1)?.body).toMatchObject({ tick: 45, cumulative: 8n * PRICE });
    const other = watching(100n);
    await other.begin(await signed(voucherForm, body(other.channel), node), 45);
    expect(other.world.status?.left?.words).toContain("did not sign");
    expect(other.vouchers()).toEqual([]);
  });

  it("counts the node's receipts, and leaves where one is not the node's or names another total", async () => {
    const receipt = (channel: Hex, cumulative: bigint): Receipt => (
      { genesis: GENESIS, channel, number: 1, previous: NO_RECEIPT, tick: 0, cumulative, at: 1 }
    );
    const page = watching(100n);
    await page.begin();
    await page.say({ kind: "receipt", receipt: await signed(receiptForm, receipt(page.channel, PRICE), node) });
    expect(page.world.status).toMatchObject({ totals: { receipts: 1 }, left: null, isAcknowledged: true });
    for (const [total, by, words] of [[PRICE, session, "not the node's"], [2n * PRICE, node, "was not signed"]] as const) {
      const wronged = watching(100n);
      await wronged.begin();
      await wronged.say({ kind: "receipt", receipt: await signed(receiptForm, receipt(wronged.channel, total), by) });
      expect(wronged.world.status?.left?.words).toContain(words);
    }
  });

  it("decides no second while the node is away, which it may still send", async () => {
    const page = watching(100n);
    await page.begin();
    for (let second = 0; second < 3; second += 1) await page.second();
    page.paying.disconnected();
    for (let turn = 0; turn < 100; turn += 1) {
      page.world.nowMs += 200;
      page.paying.turn();
      await page.settled();
    }
    page.paying.connected((message) => page.world.sent.push(message));
    await page.settled();
    await page.say({ kind: "started", channel: page.channel, last: page.vouchers().at(-1) ?? null, receipt: null, next: 3 });
    expect(page.world.status).toMatchObject({ left: null, totals: { played: 3, unplayed: 0 } });
  });

  it("joins again, unasked, where the node has forgotten it, and not where it is turned away", async () => {
    const [page, other] = [watching(100n), watching(100n)];
    await Promise.all([page.begin(), other.begin()]);
    page.paying.forgotten();
    other.paying.turnedAway("No.");
    await Promise.all([page.settled(), other.settled()]);
    expect(page.world.status?.left?.remedy).toBe("rejoin");
    expect(other.world.status?.left?.remedy).toBe("again");
  });

  it("takes a price that is no higher, and asks about one that is", async () => {
    const page = watching(100n);
    const delegation = { body: { genesis: GENESIS, payee: PAYEE, node: node.public, from: 0, until: 1e12 }, signature: "0x" };
    const made = (price: bigint) => ({
      kind: "offer" as const,
      published: { offer: { body: offered({ price, delegation: hashOf(delegationForm, delegation.body) }), signature: "0x" }, delegation },
    });
    await page.begin();
    await page.say(made(PRICE - 1n));
    for (let second = 0; second < 4; second += 1) await page.second();
    expect(page.vouchers().map(({ body }) => body.cumulative)).toEqual([PRICE, 2n * PRICE - 1n, 3n * PRICE - 2n]);
    await page.say(made(PRICE + 1n));
    expect(page.world.status?.offered?.price).toBe(PRICE + 1n);
    await page.second();
    expect(page.vouchers().at(-1)?.body.cumulative).toBe(4n * PRICE - 3n);
    page.paying.consent();
    await page.second();
    expect(page.vouchers().at(-1)?.body.cumulative).toBe(5n * PRICE - 2n);
  });

  it("pays by a new price only once all that it signed by the old one is stored, and then for several seconds at once", async () => {
    const page = watching(100n);
    await page.begin();
    const delegation = { body: { genesis: GENESIS, payee: PAYEE, node: node.public, from: 0, until: 1e12 }, signature: "0x" };
    const made = offered({ price: 1n, delegation: hashOf(delegationForm, delegation.body) });
    await page.say({ kind: "offer", published: { offer: { body: made, signature: "0x" }, delegation } });
    for (let second = 0; second < 4; second += 1) await page.second(true, false);
    expect(page.vouchers().map(({ body }) => body.cumulative)).toEqual([PRICE]);
    await page.acknowledge();
    expect(page.vouchers().at(-1)?.body).toMatchObject({ tick: 2, cumulative: PRICE + 2n, offer: hashOf(offerForm, made) });
  });

  it("leaves where the node's clock runs away", async () => {
    const page = watching(100n);
    await page.begin();
    for (let at = 0; at < 30 * 8; at += 1) page.paying.picture({ rtpTimestamp: at * RATE / 30, presented: 1, dropped: 0, isLate: false });
    await page.settled();
    expect(page.world.status?.left?.words).toContain("faster than they pass");
    expect(page.world.status?.totals.played).toBe(3);
  });

  it("asks again where the node could not yet, and leaves where it refuses for good", async () => {
    const page = watching(100n);
    page.paying.connected((message) => page.world.sent.push(message));
    page.paying.mediaUp();
    await page.settled();
    await page.say({ kind: "refused", channel: page.channel, tick: null, reason: REASON.unknownChannel, last: null });
    page.world.nowMs += 600;
    page.paying.turn();
    await page.settled();
    expect(page.world.sent.map(({ kind }) => kind)).toEqual(["start", "start"]);
    await page.say({ kind: "refused", channel: page.channel, tick: null, reason: 16, last: null });
    expect(page.world.status?.left).toMatchObject({ remedy: "more" });
  });

  it("says what ended it, and starts again where it was only late with paying", async () => {
    const page = watching(100n);
    await page.begin();
    await page.say({ kind: "ended", channel: page.channel, ending: ENDING.graceSpent });
    page.world.nowMs += 600;
    page.paying.turn();
    await page.settled();
    expect(page.world.sent.filter(({ kind }) => kind === "start")).toHaveLength(2);
    await page.say({ kind: "ended", channel: page.channel, ending: ENDING.elsewhere });
    expect(page.world.status?.left?.words).toContain("another window");
  });

  it("takes back what it said of seconds that were never sent, and of none that played", async () => {
    const { tab, channel } = watching(100n);
    const started = async (next: number, last: Signed<Voucher> | null) =>
      tab.started({ kind: "started", channel, last, receipt: null, next }, 0);
    await started(0, null);
    await tab.played(0, 0);
    const pay = await tab.played(2, 0);
    if (!pay) throw new Error("a second that played is paid");
    const { voucher } = pay;
    tab.acknowledged({ kind: "acknowledged", channel, tick: voucher.body.tick, cumulative: voucher.body.cumulative });
    tab.didNotPlay(7);
    for (const next of [0, 1, 2]) await expect(started(next, voucher)).rejects.toThrow("goes back");
    await started(5, voucher);
    expect(tab.report()?.unplayed).toEqual([{ first: 3, count: 2 }]);
    expect(tab.totals.unplayed).toBe(3);
    expect((await tab.played(5, 0))?.voucher.body).toMatchObject({ tick: 5, cumulative: 3n * PRICE });
    await expect(started(5, voucher)).rejects.toThrow("goes back");
  });

  it("pays the next second in advance where the node forgives no more, and is owed it", async () => {
    const page = watching(100n);
    await page.begin();
    for (let second = 0; second < 2; second += 1) await page.second();
    await page.say({ kind: "ended", channel: page.channel, ending: ENDING.tooManyUnplayed });
    page.world.nowMs += 600;
    page.paying.turn();
    await page.settled();
    expect(page.world.sent.at(-1)?.kind).toBe("start");
    await page.say({ kind: "started", channel: page.channel, last: page.vouchers().at(-1) ?? null, receipt: null, next: 7 });
    const ahead = page.vouchers().at(-1)?.body;
    expect(ahead).toMatchObject({ tick: 7 });
    const paid = ahead?.cumulative ?? 0n;
    await page.acknowledge();
    // It does not play; the one after it is paid by it.
    page.tab.didNotPlay(7);
    expect(await page.tab.played(8, 0)).toBeNull();
    const next = await page.tab.played(9, 0);
    expect(next).toMatchObject({ unplayed: [{ first: 7, count: 1 }], voucher: { body: { tick: 9, cumulative: paid + PRICE } } });
  });

  it("is not paid while nobody sees it", async () => {
    const page = watching(100n);
    await page.begin();
    await page.second();
    page.paying.pause();
    await page.settled();
    expect(page.world.sent.at(-1)).toEqual({ kind: "stop", channel: page.channel });
    page.paying.picture({ rtpTimestamp: 5 * RATE, presented: 1, dropped: 0, isLate: false });
    page.paying.resume();
    await page.settled();
    expect(page.world.sent.at(-1)).toMatchObject({ kind: "start" });
  });

  it("closes, where it forgot what it signed, with the total of its own voucher that the node shows, and with no other", async () => {
    const voucher = (channel: Hex) => ({ genesis: GENESIS, channel, offer: hashOf(offerForm, offered()), tick: 41, cumulative: 7n * PRICE });
    for (const [by, total] of [[session, 7n * PRICE], [node, 0n]] as const) {
      const page = watching(100n);
      page.paying.close();
      page.paying.connected((message) => page.world.sent.push(message));
      await page.settled();
      const shown = { kind: "refused" as const, channel: page.channel, tick: null, reason: CLOSE_MISMATCH };
      await page.say({ ...shown, last: await signed(voucherForm, voucher(page.channel), by) });
      const closes = page.world.sent.flatMap((message) => (message.kind === "close" ? [message.close.body.cumulative] : []));
      expect(closes).toEqual(total > 0n ? [0n, total] : [0n]);
      // Refused again, it is not asked for ever.
      await page.say({ ...shown, last: await signed(voucherForm, voucher(page.channel), session) });
      expect(page.world.sent.filter(({ kind }) => kind === "close")).toHaveLength(closes.length);
      expect(page.world.status).toMatchObject({ isClosed: false });
    }
  });

  it("closes with the total that it signed, once all of it is acknowledged", async () => {
    const page = watching(100n);
    await page.begin();
    await page.second();
    page.paying.close();
    await page.settled();
    await page.acknowledge();
    const asked = page.world.sent.find((message) => message.kind === "close");
    expect(asked?.close.body).toEqual({ genesis: GENESIS, channel: page.channel, cumulative: PRICE });
    await page.say({ kind: "closed", close: await signed(closeForm, asked!.close.body, node) });
    expect(page.world.status?.isClosed).toBe(true);
    expect(page.paying.isOver).toBe(true);
  });
});
