// What a viewer owes on one channel: seconds that played are counted and signed for, seconds that did not are named,
// and nothing is signed beyond the deposit. The rules are PROTOCOL.md's; nothing of it is kept over a reload, since the
// node's last voucher is what a viewer without a memory goes on from.
import type { Bytes, Hex } from "./bytes";
import { ENDING, isPassing, type Acknowledged, type Range, type Refused, type Started, type ToNode } from "./messages";
import {
  accountOf, channel as channelForm, close, hashOf, offer as offerForm, receipt as receiptForm, toSign,
  voucher as voucherForm, type ChannelTerms, type Close, type Form, type Offer, type Receipt, type Signed, type Voucher,
} from "./signed";
import { Unplayed } from "./unplayed";

/** A session key, which signs and shows nothing of itself. */
export interface SessionKey {
  /** With its scheme. */
  readonly public: Hex;
  sign(bytes: Bytes): Promise<Hex>;
}

/** Whether the key, with its scheme, signed these bytes. */
export type Verify = (key: Hex, bytes: Bytes, signature: Hex) => Promise<boolean>;

/** Something does not fit what was signed: nothing more is paid. Its message is for people. */
export class TabFault extends Error {}

export interface Totals {
  played: number;
  unplayed: number;
  /** Seconds signed for, the prepaid one too. */
  signed: number;
  receipts: number;
}

/** So many vouchers at most are signed without an acknowledgement. */
const UNACKNOWLEDGED_MAX = 16;
/** So many totals are kept for comparing with a receipt. */
const RECENT_MAX = 64;
/** A second that played while its offer was in force is paid at most this much later. */
const PAYABLE_AFTER_MS = 10_000;
const NO_RECEIPT: Hex = `0x${"0".repeat(64)}`;

interface Total { tick: number; cumulative: bigint; ticks: number }
type Pay = Extract<ToNode, { kind: "pay" }>;
type Report = Extract<ToNode, { kind: "report" }>;

export class Tab {
  readonly channel: Hex;
  readonly totals: Totals = { played: 0, unplayed: 0, signed: 0, receipts: 0 };
  #state: "idle" | "watching" | "closed" = "idle";
  #offer: Offer;
  #nextOffer: Offer | null = null;
  #signed: Signed<Voucher> | null = null;
  #acknowledged = -1;
  /** No second is signed for twice, whatever was forgotten since. */
  #highestSigned = -1;
  #recent: Total[] = [];
  /** The prepaid second is not used up. */
  #hasCredit = false;
  /** The newest second that was signed for in advance. */
  #ahead = 0;
  /** The node forgives no more: the next session's first second is paid in advance. */
  #paysAhead = false;
  /** Seconds that played and are not signed for, and the newest of them. */
  #owed = 0;
  #newestPlayed = -1;
  /** The first second that is not decided. */
  #next = 0;
  #unplayed = new Unplayed();
  #receipt: Signed<Receipt> | null = null;

  /** `limit` is on the channel's running total: its deposit. */
  constructor(
    readonly terms: ChannelTerms, offer: Offer, public limit: bigint, readonly key: SessionKey,
    readonly verify: Verify,
  ) {
    if (!fits(terms, offer)) throw new TabFault("The node's offer is for something else than the channel.");
    if (key.public !== terms.session) throw new TabFault("The channel is another page's.");
    this.channel = hashOf(channelForm, terms);
    this.#offer = offer;
  }

  /** The running total that was signed. */
  get spent(): bigint { return this.#signed?.body.cumulative ?? 0n; }

  get left(): bigint { return this.limit > this.spent ? this.limit - this.spent : 0n; }

  get offer(): Offer { return this.#nextOffer ?? this.#offer; }

  /** Whether one more second can be paid: asked before it plays. */
  affordsNext(): boolean {
    return this.#hasCredit || this.offer.price * BigInt(this.#owed + 1) <= this.left;
  }

  start(): ToNode {
    this.#mustBeOpen();
    this.#state = "idle";
    return { kind: "start", channel: this.channel, offer: hashOf(offerForm, this.offer) };
  }

  async started(started: Started, nowMs: number): Promise<Pay | null> {
    this.#mustBeOurs(started.channel);
    this.#goBack(started.next);
    const known = this.#signed;
    if (started.last) {
      await this.#shown(started.last);
      // It was paid in advance and not sent yet, which may have been forgotten here.
      if (started.last.body.tick === started.next && this.#signed?.signature === started.last.signature) {
        [this.#hasCredit, this.#ahead, this.#next] = [true, started.next, started.next];
      }
    }
    const shown = started.receipt;
    if (shown && !this.#receipt) {
      await this.#mustBeNodes(receiptForm, shown);
      if (shown.body.channel === this.channel && shown.body.cumulative <= this.spent) this.#keepReceipt(shown);
    }
    this.#passOver(started.next);
    this.#state = "watching";
    if (!this.#signed) return await this.#prepay(started.next, nowMs);
    // A lower tier pays nothing that was sent by a higher one.
    if (this.#changesTier() && this.#owed > 0 && this.unacknowledged() === null) {
      const pay = await this.#signBy(this.#offer, this.#owed, this.#newestPlayed, nowMs);
      this.#owed = 0;
      return pay;
    }
    // As in `due`: what the old offer pays must be stored before a new one counts.
    const isChanging = this.#nextOffer !== null && this.unacknowledged() !== null;
    const isNext = started.next > this.#highestSigned && this.#signed === known;
    if (this.#paysAhead && !this.#hasCredit && !isChanging && isNext && this.affordsNext()) {
      return await this.#prepay(started.next, nowMs);
    }
    return this.unacknowledged();
  }

  /** Where this side has counted further, by its own clock, than the node has sent, those seconds may come once more if
   * all that was said of them is that they did not play. */
  #goBack(next: number): void {
    if (next >= this.#next) return;
    // One that was paid in advance waits to be used.
    const isWaiting = this.#hasCredit && next === this.#highestSigned;
    if ((next <= this.#highestSigned && !isWaiting) || !this.#unplayed.covers(next, this.#next)) {
      throw new TabFault("The node goes back to seconds that played or were signed for.");
    }
    this.#unplayed.forgetFrom(next);
    this.totals.unplayed -= this.#next - next;
    this.#next = next;
  }

  /** The first second that plays from `next` on is paid, with all that is owed. */
  async #prepay(next: number, nowMs: number): Promise<Pay> {
    const pay = { ...await this.#sign(this.#owed + 1, next, nowMs), in_advance: true };
    [this.#hasCredit, this.#ahead, this.#paysAhead, this.#owed] = [true, next, false, 0];
    return pay;
  }

  /** Those before it that were not named did not play. What it gives is sent: nothing for the prepaid second. */
  async played(tick: number, nowMs: number): Promise<Pay | null> {
    this.#mustDecide(tick);
    this.#passOver(tick);
    if (this.#owed >= UNACKNOWLEDGED_MAX) throw unanswered();
    this.totals.played += 1;
    this.#next = tick + 1;
    if (this.#hasCredit) {
      this.#hasCredit = false;
      return null;
    }
    this.#owed += 1;
    this.#newestPlayed = tick;
    return await this.due(nowMs);
  }

  /** Signs for what played and could not be signed for at once: asked again after each acknowledgement. */
  async due(nowMs: number): Promise<Pay | null> {
    // A voucher covers one price: what the old one pays must be stored before the new one counts.
    const isChanging = this.#nextOffer !== null && this.unacknowledged() !== null;
    if (this.#owed === 0 || isChanging || this.#newestPlayed <= this.#highestSigned) return null;
    this.#mustBeOpen();
    const pay = await this.#sign(this.#owed, this.#newestPlayed, nowMs);
    this.#owed = 0;
    return pay;
  }

  /** All up to this one did not play. */
  didNotPlay(tick: number): Report {
    this.#mustDecide(tick);
    this.#passOver(tick + 1);
    return { kind: "report", channel: this.channel, unplayed: this.#unplayed.ranges };
  }

  /** The report again, where one may have been lost. */
  report(): Report | null {
    const unplayed = this.#unplayed.ranges;
    return unplayed.length > 0 ? { kind: "report", channel: this.channel, unplayed } : null;
  }

  /** What the node has not acknowledged. */
  unacknowledged(): Pay | null {
    const signed = this.#signed;
    if (!signed || signed.body.tick === this.#acknowledged) return null;
    const unplayed: Range[] = this.#unplayed.below(signed.body.tick);
    return { kind: "pay", voucher: signed, unplayed, in_advance: this.#wasInAdvance(signed.body.tick) };
  }

  acknowledged({ channel, tick, cumulative }: Acknowledged): void {
    this.#mustBeOurs(channel);
    if (this.#hasSigned(tick, cumulative)) this.#storedUpTo(tick);
    else if (tick > this.#acknowledged) throw new TabFault("The node acknowledges what was not signed.");
  }

  /** What a refusal means: nothing, the same again later, or the end. */
  async refused(refused: Refused): Promise<"nothing" | "again" | "leave"> {
    this.#mustBeOurs(refused.channel);
    if (refused.last) await this.#shown(refused.last);
    const newest = this.#signed?.body.tick ?? null;
    const isOld = refused.tick !== null && (refused.tick !== newest || refused.tick <= this.#acknowledged);
    if (isOld) return "nothing";
    return isPassing(refused.reason) ? "again" : "leave";
  }

  /** The node's proof, each of which names the one before. */
  async receipt(shown: Signed<Receipt>): Promise<void> {
    const { body } = shown;
    this.#mustBeOurs(body.channel);
    const known = this.#receipt;
    if (known?.signature === shown.signature && known.body.number === body.number) return;
    const follows = body.number === (known?.body.number ?? 0) + 1
      && body.previous === (known ? hashOf(receiptForm, known.body) : NO_RECEIPT);
    // Of what was forgotten, the first one seen is the beginning; one that got lost is a gap.
    const isBeginning = !known || body.number > known.body.number + 1;
    if (body.genesis !== this.terms.genesis || !(follows || isBeginning)) throw badReceipt();
    await this.#mustBeNodes(receiptForm, shown);
    const at = this.#recent.findIndex(({ tick, cumulative }) => tick === body.tick && cumulative === body.cumulative);
    if (at < 0) throw new TabFault("The node confirms a total that was not signed.");
    this.#keepReceipt(shown);
    this.#storedUpTo(body.tick);
    this.#recent.splice(0, at);
  }

  ended(channel: Hex, ending: number): void {
    this.#mustBeOurs(channel);
    this.stop();
    this.#paysAhead ||= ending === ENDING.tooManyUnplayed;
  }

  /** Nothing more is watched; what was played is still owed. */
  stop(): void {
    if (this.#state === "watching") this.#state = "idle";
  }

  /** A person, or a rule that a person knows, takes the offer: the next voucher names it. */
  consent(offer: Offer): void {
    if (!fits(this.terms, offer)) throw new TabFault("The node's offer is for something else than the channel.");
    this.#nextOffer = offer;
  }

  /** Our half of a cooperative close. Nothing is signed after it. */
  async close(): Promise<Signed<Close>> {
    if (this.#owed > 0 || this.unacknowledged()) throw unanswered();
    const body = { genesis: this.terms.genesis, channel: this.channel, cumulative: this.spent };
    this.#state = "closed";
    return { body, signature: await this.key.sign(toSign(close, body)) };
  }

  /** The node's half. */
  async closed(theirs: Signed<Close>): Promise<void> {
    this.#mustBeOurs(theirs.body.channel);
    const isSame = theirs.body.genesis === this.terms.genesis && theirs.body.cumulative === this.spent;
    if (!isSame || !await this.verify(this.terms.node, toSign(close, theirs.body), theirs.signature)) {
      throw new TabFault("The node closes with another total than the last voucher's.");
    }
  }

  #passOver(to: number): void {
    if (to <= this.#next) return;
    if (!this.#unplayed.push(this.#next, to - this.#next)) throw unanswered();
    this.totals.unplayed += to - this.#next;
    this.#next = to;
  }

  async #sign(ticks: number, tick: number, nowMs: number): Promise<Pay> {
    const offer = this.offer;
    const pay = await this.#signBy(offer, ticks, tick, nowMs);
    [this.#offer, this.#nextOffer] = [offer, null];
    return pay;
  }

  #changesTier(): boolean {
    return this.#nextOffer !== null && this.#nextOffer.quality.tier !== this.#offer.quality.tier;
  }

  async #signBy(offer: Offer, ticks: number, tick: number, nowMs: number): Promise<Pay> {
    if (this.#recent.filter((total) => total.tick > this.#acknowledged).length >= UNACKNOWLEDGED_MAX) throw unanswered();
    if (nowMs >= offer.until + PAYABLE_AFTER_MS) throw new TabFault("The offer is over: nothing is paid by it.");
    const cumulative = this.spent + offer.price * BigInt(ticks);
    if (cumulative > this.limit) throw new TabFault("The next second would cost more than the deposit has left.");
    const body = {
      genesis: this.terms.genesis, channel: this.channel, offer: hashOf(offerForm, offer), tick, cumulative,
    };
    const signature = await this.key.sign(toSign(voucherForm, body));
    this.#signed = { body, signature };
    this.#highestSigned = Math.max(this.#highestSigned, tick);
    this.totals.signed += ticks;
    this.#recent.push({ tick, cumulative, ticks });
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    return { kind: "pay", voucher: this.#signed, unplayed: this.#unplayed.below(tick), in_advance: this.#wasInAdvance(tick) };
  }

  #wasInAdvance(tick: number): boolean {
    return tick === 0 || tick === this.#ahead;
  }

  #hasSigned(tick: number, cumulative: bigint): boolean {
    return this.#recent.some((total) => total.tick === tick && total.cumulative === cumulative);
  }

  #storedUpTo(tick: number): void {
    if (tick <= this.#acknowledged) return;
    this.#acknowledged = tick;
    // A second that was paid in advance is named by the voucher after it, if it did not play.
    this.#unplayed.forgetBefore(this.#wasInAdvance(tick) ? tick : tick + 1);
  }

  /** A voucher that the node has stored: our own signature, so it is believed before our memory. */
  async #shown(last: Signed<Voucher>): Promise<void> {
    const { body } = last;
    if (body.channel !== this.channel || body.genesis !== this.terms.genesis) throw foreign();
    if (this.#hasSigned(body.tick, body.cumulative)) return this.#storedUpTo(body.tick);
    if (body.tick <= this.#acknowledged) return;
    if (!await this.verify(this.terms.session, toSign(voucherForm, body), last.signature)) {
      throw new TabFault("The node shows a voucher that this page's key did not sign.");
    }
    if (!this.#signed || this.#signed.body.tick < body.tick) {
      [this.#hasCredit, this.#owed] = [false, 0];
    } else {
      // What was signed since stands on an older total and will not be taken: those seconds are owed again.
      const lost = this.#recent.filter(({ tick }) => tick > this.#acknowledged).reduce((sum, { ticks }) => sum + ticks, 0);
      // A second that was paid in advance among them is not paid any more, nor owed.
      const isVoid = this.#hasCredit && this.#ahead > body.tick;
      if (isVoid) this.#hasCredit = false;
      this.#owed += Math.max(0, lost - (isVoid ? 1 : 0));
      this.totals.signed = Math.max(0, this.totals.signed - lost);
    }
    this.#signed = last;
    this.#highestSigned = Math.max(this.#highestSigned, body.tick);
    this.#recent = [{ tick: body.tick, cumulative: body.cumulative, ticks: 0 }];
    this.#next = Math.max(this.#next, body.tick + 1);
    this.#storedUpTo(body.tick);
  }

  #keepReceipt(shown: Signed<Receipt>): void {
    this.#receipt = shown;
    this.totals.receipts = shown.body.number;
  }

  async #mustBeNodes<T>(form: Form<T>, { body, signature }: Signed<T>): Promise<void> {
    if (!await this.verify(this.terms.node, toSign(form, body), signature)) throw badReceipt();
  }

  #mustDecide(tick: number): void {
    if (this.#state !== "watching") throw new TabFault("Nothing is being watched.");
    if (tick < this.#next) throw new TabFault("This second was counted before.");
  }

  #mustBeOpen(): void {
    if (this.#state === "closed") throw new TabFault("The channel is closed.");
  }

  #mustBeOurs(channel: Hex): void {
    if (channel !== this.channel) throw foreign();
  }
}

const foreign = () => new TabFault("The node speaks of another channel.");
const badReceipt = () => new TabFault("A receipt is not the node's, or not the next one.");
const unanswered = () => new TabFault("Too much is unacknowledged: the node does not answer.");

/** Whether an offer may be paid from a channel. */
export function fits(terms: ChannelTerms, offer: Offer): boolean {
  const asset = (of: { asset: ChannelTerms["asset"] }) => JSON.stringify(of.asset);
  return offer.genesis === terms.genesis && asset(offer) === asset(terms) && accountOf(offer.payee) === terms.payee;
}
