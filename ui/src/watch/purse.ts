// What a page does about money: finds the channel that a wallet opened for it, asks a person before the first second,
// and pays while the stream plays.
import {
  ApiError, channelsOf, joinPaid, logIn, loginChallenge, payInfo, streamInfo, type PayInfo, type StreamInfo,
} from "../lib/api";
import { here } from "../lib/here";
import { PlayerFailed } from "../lib/player";
import { addressOf } from "../pay/address";
import { shortly, type Unit } from "../pay/amount";
import { fromHex, type Hex } from "../pay/bytes";
import { hasSessionKey, noKeyBecause, sessionKey, verify } from "../pay/key";
import type { Leaving } from "../pay/leaving";
import { codeOf, commandOf, DEPOSIT_SECONDS, linkOf } from "../pay/link";
import { PaySession, type PayStatus } from "../pay/session";
import {
  accountOf, channel as channelForm, hashOf, login as loginForm, offer as offerForm, toSign, whole, type Offer,
} from "../pay/signed";
import { keepConnected } from "../pay/socket";
import { fits, Tab, type SessionKey } from "../pay/tab";
import { offersOf, qualityOf, type Quality } from "../pay/tiers";
import { Funding, type FundingView, type Need } from "./funding";
import {
  closedAlone, ended, heldOf, leftOf, mostLeft, open, startedAlone, stepOf, type Channel, type Held, type Taking,
} from "./taking";

/** What a person is shown, and may press. */
export type PayView =
  /** This page cannot pay. */
  | { at: "unable"; words: string; hint: string }
  /** A wallet is to open a channel, or to top one up. */
  | {
    at: "fund"; cost: Cost; choice: Choice; deposit: bigint; link: string; command: string; code: string; isTopUp: boolean; funding: FundingView;
    why: Leaving | null; last: PayStatus | null; taking: Taking | null;
  }
  /** It can be paid; one button begins. `back` gets the rest of the deposit back; of a channel that never paid anything
      only its payer closes it, by `taking`. */
  | {
    at: "ready"; cost: Cost; choice: Choice; left: bigint; why: Leaving | null; last: PayStatus | null; begin: () => void;
    back: (() => void) | null; taking: Taking | null;
  }
  /** Nothing plays, and something of a deposit is left here, or came back a moment ago. `taking` where `back` cannot be
      had, or failed. */
  | {
    at: "over"; cost: Cost; left: bigint; words: string | null; back: (() => void) | null; taking: Taking | null;
  }
  /** The rest of the deposit is on its way back. `taking` where that takes long. */
  | { at: "closing"; cost: Cost; words: string; taking: Taking | null }
  /** Its payer closes the channel alone: until that is finished this page pays for nothing. */
  | { at: "taking"; cost: Cost; taking: Taking }
  | { at: "paying"; cost: Cost; status: PayStatus; stop: () => void; consent: () => void };

/** What a second costs, and whom. `hasOwnFee`: the chain's fees are in the same unit. */
export interface Cost {
  price: bigint; tier: number; lines: number; unit: Unit; payee: string; chain: string; hasOwnFee: boolean;
}

/** The qualities that there are, the best first, and the one whose price is shown. */
export interface Choice { qualities: Quality[]; choose: (tier: number) => void }

/** What joining gave: a stream that can be played and is paid. */
export interface Admission { whepUrl: string; hlsUrl: string; token: string; session: PaySession; over: Promise<never> }

/** A node that was started anew is back within this, and so is whoever publishes. */
const GOES_ON_MS = 120_000;
/** How often the node is asked whether a wallet opened the channel. */
const ASK_MS = 2000;
/** Where nothing is asked for, and nobody waits for anything. */
const IDLE_MS = 60_000;
/** And every so many times whether the stream still plays. */
const STILL_LIVE_EACH = 3;
/** A channel that both signed for is closed by the node within this, or something is wrong with node or chain. */
const CLOSES_WITHIN_MS = 60_000;
/** A price that ends so soon is not begun with: the node has a later one by then. */
const RENEWED_MS = 10_000;

/** What was agreed on, once it is; the chain has it when the node does not name the channel any more. */
interface Closing { channel: Hex; sinceMs: number; agreed: { paid: bigint; back: bigint } | null }
interface Bargain { info: PayInfo; cost: Cost; offer: Offer; qualities: Quality[] }
interface Counter extends Bargain { key: SessionKey; token: string }

export class Purse {
  #why: Leaving | null = null;
  /** How the last session that left stood. */
  #last: PayStatus | null = null;
  #tab: Tab | null = null;
  /** The quality that a person chose. */
  #tier: number | null = null;
  #session: PaySession | null = null;
  #closing: Closing | null = null;
  /** What became of a deposit that was to come back. */
  #returned: { words: string; isDone: boolean } | null = null;
  /** Looks after the deposit while nothing plays. */
  #keeper: { isDismissed: boolean } | null = null;
  /** Ends a pause: what is shown has changed. */
  #wake: () => void = () => {};
  /** It was interrupted while it was paid: what a second may cost, and until when, to go on without asking again. */
  #goesOn: { price: bigint; untilMs: number } | null = null;
  /** What a browser wallet is asked for, and shows the sheet that it is asked from. */
  readonly #funding = new Funding(() => this.#show());
  /** The same for what is taken back: what becomes of it is looked for at once. */
  readonly #taking = new Funding(() => { this.#show(); this.#wake(); });
  /** The channel that may be taken back without the node, as it was seen last. */
  #seen: Channel | null = null;
  #held: Held | null = null;
  #info: PayInfo | null = null;
  /** What a wallet signs is not sent any more, in words. */
  #abandoned: string | null = null;
  #show: () => void = () => {};
  /** The last session is settled: until then its tab is in use. */
  #settled: Promise<void> = Promise.resolve();

  /** `holds` is told what helps without the node, as long as something of a deposit is left. */
  constructor(
    readonly playbackId: string, readonly changed: (view: PayView | null) => void, readonly holds: (held: Held | null) => void,
  ) {}

  /** Waits until a person wants to pay, and can. `ended` is told when nothing is paid any more. */
  async admit(stream: StreamInfo, ended: () => void): Promise<Admission> {
    this.#dismissKeeper();
    this.#abandoned = null;
    try {
      const bargain = await this.#bargain(stream);
      if ("hint" in bargain) {
        this.changed({ at: "unable", ...bargain });
        return await this.#untilOver();
      }
      let counter = await this.#counter(bargain);
      for (;;) {
        const channel = await this.#funded(counter).finally(() => { this.#show = () => {}; });
        if (channel === "other quality") {
          counter = { ...counter, ...this.#terms(stream, counter.info) };
          continue;
        }
        const admitted = await this.#join(counter, channel, ended);
        if (admitted) return admitted;
      }
    } catch (error) {
      const said = error instanceof PlayerFailed || error instanceof ApiError;
      this.#abandoned = this.#funding.abandon(said ? error.message : "This page could not go on.");
      this.changed(null);
      const isForgotten = error instanceof ApiError && error.code === "login_required";
      throw isForgotten ? new PlayerFailed("The node was started anew.") : error;
    }
  }

  /** The page is seen, or is not: what is not seen is not paid. */
  seen(isSeen: boolean): void {
    if (isSeen) this.#session?.resume();
    else this.#session?.pause();
  }

  /** Nobody wanted it to end: should it go on soon, nobody is asked again. */
  interrupted(): void {
    if (this.#session && !this.#session.status.left) this.#mayGoOn(this.#session.tab.offer);
  }

  #mayGoOn({ price }: Offer): void {
    this.#goesOn = { price, untilMs: performance.now() + GOES_ON_MS };
  }

  /** The player is gone, whatever the reason. */
  leave(): void {
    this.#session?.stop();
  }

  /** Nothing plays, and nobody knows whether anything will again: whoever paid here may have the rest back. May be said
      as often as it is so, until [`admit`]. */
  idle(): void {
    if (this.#keeper) return;
    const keeper = { isDismissed: false };
    this.#keeper = keeper;
    void this.#keepAsking(keeper);
  }

  async #keepAsking(keeper: { isDismissed: boolean }): Promise<void> {
    while (!keeper.isDismissed) {
      // Nothing was promised: where it cannot be known now, it may be a little later.
      await this.#keep(keeper).catch((error: unknown) => console.warn("the deposit is not known:", error));
      await this.#pause(IDLE_MS);
    }
  }

  async #keep(keeper: { isDismissed: boolean }): Promise<void> {
    if (noKeyBecause()) return;
    const bargain = await this.#bargain(await streamInfo(this.playbackId));
    if ("hint" in bargain || !await hasSessionKey(bargain.offer.payee)) return;
    const counter = await this.#counter(bargain);
    const { cost, offer } = counter;
    while (!keeper.isDismissed) {
      const channels = await this.#channels(counter);
      this.#noteClosing(channels, cost);
      if (keeper.isDismissed) return;
      const channel = mostLeft(open(channels));
      const left = channel ? leftOf(channel) : 0n;
      const alone = startedAlone(channels);
      if (this.#closing) {
        this.#shows(() => this.#closingView(counter, channels));
      } else if (alone) {
        this.#shows(() => ({ at: "taking", cost, taking: this.#takingOf(counter, alone) }));
      } else {
        // For less than a second's price no session is opened.
        const back = channel && channel.spent > 0n && left >= offer.price ? () => void this.#back(counter, channel) : null;
        const byWallet = ended(channels) ?? (left > 0n && (!back || this.#returned) ? channel : null);
        const words = [this.#abandoned, this.#returned?.words].filter(Boolean).join(" ") || null;
        const isShown = left > 0n || byWallet || this.#returned?.isDone || this.#abandoned;
        this.#shows(() => {
          const taking = byWallet && this.#takingOf(counter, byWallet);
          return isShown ? { at: "over", cost, left, words, back, taking } : null;
        });
      }
      await this.#pause(this.#closing || this.#taking.isSent ? ASK_MS : IDLE_MS);
    }
  }

  /** From now on, whenever something of it changes. */
  #shows(view: () => PayView | null): void {
    this.#show = () => this.changed(view());
    this.#show();
  }

  #dismissKeeper(): void {
    if (this.#keeper) this.#keeper.isDismissed = true;
    this.#keeper = null;
    this.#show = () => {};
    this.#wake();
  }

  /** Until something is to be shown that was not known, and a little longer at most. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => { this.#wake = resolve; setTimeout(resolve, ms); });
  }

  /** The terms; or why this page cannot pay, and what helps. */
  async #bargain(stream: StreamInfo): Promise<Bargain | { words: string; hint: string }> {
    const why = noKeyBecause();
    if (why) return { words: "This page cannot pay here.", hint: why };
    const info = await payInfo();
    if (!info.rail) throw new PlayerFailed("The node asks for payment and names no chain to pay on.");
    if (info.rail.kind !== "escrow") {
      const hint = "It is paid by transfers, which need a wallet that stays. Watch it with “tickcast watch”.";
      return { words: "A page cannot pay for this stream.", hint };
    }
    return { info, ...this.#terms(stream, info) };
  }

  /** By the quality that a person chose, where there is such, or the best. */
  #terms(stream: StreamInfo, info: PayInfo): Omit<Bargain, "info"> {
    const [{ rail }, offers] = [info, offersOf(stream, info, Date.now())];
    const offer = offers.find(({ quality }) => quality.tier === this.#tier) ?? offers[0];
    if (!offer || !rail) throw new PlayerFailed("The stream is paid, and has no price at present. Try again in a minute.");
    const { symbol, decimals, chain } = rail;
    const payee = addressOf(accountOf(offer.payee));
    const cost = { ...qualityOf(offer, stream), unit: { symbol, decimals }, payee, chain, hasOwnFee: offer.asset === "native" };
    return { cost, offer, qualities: offers.map((one) => qualityOf(one, stream)) };
  }

  /** And who this page is to the node. */
  async #counter(bargain: Bargain): Promise<Counter> {
    const key = await sessionKey(bargain.offer.payee);
    return { ...bargain, key, token: await login(key) };
  }

  /** A channel that pays for another second, and a person who wants it spent; or one who wants another quality. */
  async #funded(counter: Counter): Promise<Channel | "other quality"> {
    const { cost, offer, qualities } = counter;
    let isWanted = false;
    const wantsOther = () => this.#tier !== null && this.#tier !== cost.tier && qualities.some(({ tier }) => tier === this.#tier);
    const begin = () => { isWanted = true; this.#wake(); };
    const choice = { qualities, choose: (tier: number) => { this.#tier = tier; this.#wake(); } };
    for (let turn = 1; ; turn += 1) {
      if (wantsOther()) return "other quality";
      const channels = await this.#channels(counter);
      this.#noteClosing(channels, cost);
      const channel = mostLeft(open(channels));
      const alone = startedAlone(channels);
      const why = this.#returned ? { words: this.#returned.words, remedy: "none" as const } : this.#why;
      this.#show = () => {};
      if (this.#closing) {
        isWanted = false;
        this.#shows(() => this.#closingView(counter, channels));
      } else if (alone) {
        isWanted = false;
        this.#shows(() => ({ at: "taking", cost, taking: this.#takingOf(counter, alone) }));
      } else if (channel && leftOf(channel) >= offer.price) {
        const goesOn = this.#goesOn;
        this.#goesOn = null;
        this.#funding.done();
        const mayGoOn = goesOn && offer.price <= goesOn.price && performance.now() < goesOn.untilMs;
        // The quality may have been changed while the node was asked: its price is shown before anything is paid.
        if (wantsOther()) return "other quality";
        if (isWanted || mayGoOn) return channel;
        const back = channel.spent > 0n ? () => void this.#back(counter, channel) : null;
        const byWallet = ended(channels) ?? (!back || this.#returned ? channel : null);
        this.#shows(() => ({
          at: "ready", cost, choice, left: leftOf(channel), why, last: this.#last, begin, back,
          taking: byWallet && this.#takingOf(counter, byWallet),
        }));
      } else {
        isWanted = false;
        const byWallet = ended(channels) ?? (channel && leftOf(channel) > 0n ? channel : null);
        const [request, need] = [this.#request(counter, channel), needOf(counter, channel)];
        this.#shows(() => ({
          at: "fund", cost, choice, ...request, funding: this.#funding.view(need), why, last: this.#last,
          taking: byWallet && this.#takingOf(counter, byWallet),
        }));
        void this.#funding.resume(need);
      }
      await this.#pause(ASK_MS);
      if (turn % STILL_LIVE_EACH === 0) await this.#mustBeLive();
      if (Date.now() + RENEWED_MS >= offer.until) throw new PlayerFailed("The price is made anew.");
    }
  }

  /** A channel that is closed is not named by the node any more; one that is to be may have been agreed on before the
      page was loaded. */
  #noteClosing(channels: Channel[], { unit }: Cost): void {
    const begun = channels.find(({ standing }) => standing === "agreed");
    if (begun && !this.#closing) {
      this.#closing = { channel: begun.id, sinceMs: performance.now(), agreed: { paid: begun.spent, back: leftOf(begun) } };
    }
    this.#noteSeen(channels, unit);
    this.#noteHeld(channels);
    const agreed = this.#closing?.agreed;
    if (!agreed || channels.some(({ id }) => id === this.#closing?.channel)) return;
    const [paid, back] = [shortly(agreed.paid, unit), shortly(agreed.back, unit)];
    const words = `The channel is closed: ${paid} was paid, and ${back} came back to your wallet.`;
    this.#returned = { words, isDone: true };
    [this.#closing, this.#last, this.#tab] = [null, null, null];
  }

  /** The payer's own close has begun, or is done. */
  #noteSeen(channels: Channel[], unit: Unit): void {
    const before = this.#seen;
    this.#seen = startedAlone(channels) ?? ended(channels) ?? mostLeft(open(channels));
    if (!before) return;
    const now = channels.find(({ id }) => id === before.id);
    // What was asked for has come about, or is not to be asked any more.
    if (!now || stepOf(now) !== stepOf(before)) {
      const isDone = !now && !this.#closing && leftOf(before) > 0n && (before.standing === "closing" || this.#taking.isSent);
      this.#taking.done();
      if (isDone) this.#returned = { words: closedAlone(before, unit), isDone: true };
    }
  }

  /** What the node does not name any more is forgotten only where it is known why. */
  #noteHeld(channels: Channel[]): void {
    const held = channels.filter((one) => leftOf(one) > 0n).find(({ id }) => id === this.#seen?.id || id === this.#closing?.channel);
    if (!held && !channels.some(({ id }) => id === this.#held?.channel) && !this.#returned?.isDone) return;
    this.#held = held && this.#info ? heldOf(held, this.#info) : null;
    this.holds(this.#held);
  }

  /** How the payer's wallet takes what is left in a channel. */
  #takingOf({ info, offer, key, token }: Counter, channel: Channel): Taking {
    const step = stepOf(channel);
    const want = { call: step === "start" ? "start_close" as const : "close" as const, channel };
    return {
      held: heldOf(channel, info), left: leftOf(channel), step, closesAt: channel.closesAt, windowMs: channel.terms.dispute_window_ms,
      view: this.#taking.view({ info, offer, session: key.public, token, want }),
    };
  }

  #closingView(counter: Counter, channels: Channel[]): PayView | null {
    if (!this.#closing) return null;
    const { channel: id, sinceMs, agreed } = this.#closing;
    const channel = channels.find((one) => one.id === id);
    const isLate = performance.now() - sinceMs >= CLOSES_WITHIN_MS || channel?.standing === "closing";
    const words = agreed ? "Both sides have signed. Waiting for the chain." : "Asking the node to sign.";
    return { at: "closing", cost: counter.cost, words, taking: isLate && channel ? this.#takingOf(counter, channel) : null };
  }

  #request({ offer, key }: Counter, channel: Channel | null) {
    const deposit = offer.price * DEPOSIT_SECONDS;
    const link = linkOf({
      node: location.origin, playbackId: this.playbackId, tier: offer.quality.tier, session: key.public, deposit,
      channel: channel?.id ?? null,
    });
    return { deposit, link, command: commandOf(link), code: codeOf(key.public), isTopUp: channel !== null };
  }

  /** Those that were opened for this page. */
  async #channels({ info, offer, key, token }: Counter): Promise<Channel[]> {
    this.#info = info;
    const known = (await channelsOf(token)).map((told) => {
      const terms = whole(fromHex(told.terms), channelForm.read);
      const [deposit, spent] = [BigInt(told.deposit), BigInt(told.spent)];
      const { standing, closes_at: closesAt, may_close: mayClose } = told;
      return { id: hashOf(channelForm, terms), terms, deposit, spent, standing, closesAt, mayClose };
    });
    return known.filter(({ terms }) => (
      fits(terms, offer) && terms.session === key.public && terms.node === info.node_key
    ));
  }

  async #join({ offer, key, token, cost }: Counter, channel: Channel, ended: () => void): Promise<Admission | null> {
    // Nothing to press any more.
    this.changed(null);
    await this.#settled;
    this.#returned = null;
    const { id } = channel;
    const joined = await joinPaid(this.playbackId, key.public, id, token).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.code !== "payment_required") throw error;
      this.#why = { words: error.message, remedy: "again" };
      return null;
    });
    if (!joined) return null;
    // What was signed in this page is remembered; before it, the node shows the last voucher.
    const tab = this.#tab?.channel === id ? this.#tab : new Tab(channel.terms, offer, channel.deposit, key, verify);
    tab.limit = channel.deposit;
    if (hashOf(offerForm, tab.offer) !== hashOf(offerForm, offer)) tab.consent(offer);
    this.#tab = tab;
    let fail: (error: PlayerFailed) => void = () => {};
    const over = new Promise<never>((_, reject) => { fail = reject; });
    // Nobody may be waiting for it.
    over.catch(() => {});
    const session = this.#open(tab, joined.pay_url, joined.viewer_token, cost, (status) => {
      this.#why = status.left;
      fail(new PlayerFailed(status.left?.words ?? "Nothing is paid any more."));
      ended();
    });
    this.#session = session;
    if (document.hidden) session.pause();
    const hlsUrl = here(joined.hls_url);
    hlsUrl.searchParams.set("token", joined.viewer_token);
    return { whepUrl: here(joined.whep_url).href, hlsUrl: hlsUrl.href, token: joined.viewer_token, session, over };
  }

  /** The pay socket lives until the session is settled, which may be after the player. */
  #open(tab: Tab, payUrl: string, token: string, cost: Cost, left: (status: PayStatus) => void): PaySession {
    let hasLeft = false;
    const session: PaySession = new PaySession(tab, () => performance.now(), () => Date.now(), (status) => {
      if (status.left) this.#last = status;
      if (hasLeft) return;
      if (status.left) {
        hasLeft = true;
        if (status.left.remedy === "rejoin") this.#mayGoOn(status.offer);
        this.changed(null);
        left(status);
      } else if (this.#session === session) {
        this.changed({ at: "paying", cost, status, stop: () => session.stop(), consent: () => session.consent() });
      }
    });
    this.#settled = new Promise((resolve) => {
      keepConnected(socketUrl(payUrl), token, session, () => {
        if (this.#session === session) this.#session = null;
        resolve();
      });
    });
    return session;
  }

  /** Closes the channel together with the node. */
  async #back({ key, token, offer }: Counter, channel: Channel): Promise<void> {
    if (this.#closing) return;
    const closing: Closing = { channel: channel.id, sinceMs: performance.now(), agreed: null };
    this.#closing = closing;
    this.#wake();
    const failed = (words: string) => {
      this.#returned = { words, isDone: false };
      this.#closing = null;
      this.#wake();
    };
    try {
      await this.#settled;
      // One that remembers nothing: what the node has stored is what is closed with, and not what may have been lost.
      const tab = new Tab(channel.terms, offer, channel.deposit, key, verify);
      this.#tab = null;
      const joined = await joinPaid(this.playbackId, key.public, channel.id, token);
      const session = new PaySession(tab, () => performance.now(), () => Date.now(), () => {});
      session.close();
      keepConnected(socketUrl(joined.pay_url), joined.viewer_token, session, () => {
        if (!session.status.isClosed) return failed("The node did not agree to close the channel: it is open still.");
        closing.agreed = { paid: tab.spent, back: channel.deposit - tab.spent };
        this.#wake();
      });
    } catch (error) {
      failed(error instanceof ApiError ? error.message : "The channel could not be closed.");
    }
  }

  async #mustBeLive(): Promise<void> {
    const { status } = await streamInfo(this.playbackId);
    if (status !== "live") throw new PlayerFailed("The broadcast has ended.");
  }

  /** What cannot be paid here is not tried again, but ends with the broadcast. */
  async #untilOver(): Promise<never> {
    for (;;) {
      await pause(STILL_LIVE_EACH * ASK_MS);
      await this.#mustBeLive();
    }
  }
}

/** As the link has it, for a wallet in this browser. */
function needOf({ info, offer, key, token }: Counter, channel: Channel | null): Need {
  const deposit = offer.price * DEPOSIT_SECONDS;
  const want = channel ? { call: "top_up" as const, deposit, channel } : { call: "open" as const, deposit };
  return { info, offer, session: key.public, token, want };
}

function socketUrl(payUrl: string): string {
  const url = here(payUrl);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** As the account that the session key itself is. */
async function login(key: SessionKey): Promise<string> {
  const asked = await loginChallenge(key.public);
  const challenge = whole(fromHex(asked), loginForm.read);
  const port = location.port || (location.protocol === "https:" ? "443" : "80");
  if (challenge.account !== key.public || challenge.host !== `${location.hostname}:${port}`) {
    throw new PlayerFailed(`The node calls itself ${challenge.host}. Open its page at that address to pay.`);
  }
  return await logIn(asked, await key.sign(toSign(loginForm, challenge)));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
