// A deposit by a browser wallet, and taking it back, step by step: the wallet shows its accounts, the person chooses one, the
// node makes the transaction, this page looks at it, the wallet signs it, the node sends it, and the chain takes it. After
// whatever fails the person may begin anew.
import { ApiError, fundingState, prepareFunding, signFunding, type FundingRequest, type PayInfo } from "../lib/api";
import { addressOf } from "../pay/address";
import { toHex, type Hex } from "../pay/bytes";
import { argumentsOf, checked, indexOf, NotTheCall, type Argument, type EscrowCall } from "../pay/deposit";
import { connect, WalletFault, wallets, type Account, type Connected, type Wallet } from "../pay/extension";
import { accountOf, bodyOf, channel as channelForm, type ChannelTerms, type Offer } from "../pay/signed";

/** What is to be done, for whom, and by which session key. */
export interface Need {
  info: PayInfo;
  offer: Offer;
  session: Hex;
  /** Of the session key's login. */
  token: string;
  want: Want;
}

interface Opened { id: Hex; terms: ChannelTerms }

export type Want =
  | { call: "open"; deposit: bigint }
  | { call: "top_up"; deposit: bigint; channel: Opened }
  /** Its payer closes it alone, and after the dispute window takes the rest. */
  | { call: "start_close" | "close"; channel: Opened };

/** A call as the digits that a wallet shows which does not know the chain. */
export interface Digits { index: Hex; rest: Argument[] }

/** What a person is shown, and may press. */
export type FundingView =
  /** `why` it did not come to anything before. */
  | { at: "idle"; wallets: Wallet[]; why: string | null; begin: (wallet: Wallet) => void }
  /** The wallet asks whether this page may see accounts. */
  | { at: "connecting"; wallet: Wallet; back: () => void }
  | { at: "choosing"; wallet: Wallet; accounts: Account[]; ask: (account: Account) => void; back: () => void }
  /** The wallet shows what it signs, once the node has made it: then the chain's fee is known. */
  | { at: "asking"; wallet: Wallet; made: Made | null; back: () => void }
  /** The chain has it, or soon will. */
  | { at: "sent"; isLate: boolean };

/** What the wallet is asked to sign. */
export interface Made { fee: bigint; digits: Digits }

/** What the steps go through; tests have others. */
export interface Doors {
  wallets: typeof wallets;
  connect: typeof connect;
  prepare: typeof prepareFunding;
  send: typeof signFunding;
  state: typeof fundingState;
  pause(ms: number): Promise<void>;
}

const DOORS: Doors = {
  wallets, connect, prepare: prepareFunding, send: signFunding, state: fundingState,
  pause: (ms) => new Promise((resolve) => { setTimeout(resolve, ms); }),
};

/** After so long the payer gets the rest without a dispute window, whatever has become of page and node. */
const GOOD_FOR_MS = 24 * 3_600_000;
/** A longer dispute window would lock a deposit of five minutes for too long. */
const WINDOW_MAX_MS = 24 * 3_600_000;
/** How often the node is asked what has become of it. */
const ASK_MS = 2000;
/** Chains of this kind have it final within half of that. */
const LATE_MS = 60_000;
/** What is final the node sees a moment later. */
const SEEN_WITHIN_MS = 60_000;
const FORGOTTEN = "The node was started anew and does not know what became of the transaction. If the chain took it, this page"
  + " finds that by itself: wait half an hour before you try again; by then the chain does not take it any more.";
const UNSEEN = "The chain has it, and the node does not say so. Load this page anew; if that does not help, ask whoever runs the"
  + " node, and sign nothing more.";

type Step =
  | { at: "idle"; why: string | null }
  | { at: "connecting"; wallet: Wallet }
  | { at: "choosing"; connected: Connected; accounts: Account[] }
  | { at: "asking"; wallet: Wallet; made: Made | null }
  | { at: "sent"; isLate: boolean };

export class Funding {
  #step: Step = { at: "idle", why: null };
  /** Whoever went back does not want what comes later. */
  #attempt = 0;
  #isResumed = false;

  constructor(readonly changed: () => void, readonly doors: Doors = DOORS) {}

  view(need: Need): FundingView {
    const step = this.#step;
    const back = () => this.#go({ at: "idle", why: null });
    switch (step.at) {
      case "idle": return { ...step, wallets: this.doors.wallets(), begin: (wallet) => void this.#begin(wallet, need) };
      case "connecting": return { ...step, back };
      case "choosing": {
        const { connected, accounts } = step;
        return { at: "choosing", wallet: connected.wallet, accounts, back, ask: (by) => void this.#ask(connected, by, need) };
      }
      case "asking": return { ...step, back };
      case "sent": return step;
    }
  }

  /** The chain has it, or soon will. */
  get isSent(): boolean { return this.#step.at === "sent"; }

  /** What was sent before the page was loaded anew is still waited for. */
  async resume(need: Need): Promise<void> {
    if (this.#isResumed) return;
    this.#isResumed = true;
    await this.#attempted(async (attempt) => {
      const known = await this.doors.state(need.token);
      if (attempt !== this.#attempt) return;
      if (known.state === "failed" && known.code === "unknown") throw new WalletFault(known.words);
      if (known.state === "sent") await this.#follow(need, attempt);
    });
  }

  /** What was asked for is there. */
  done(): void {
    if (this.#step.at !== "idle" || this.#step.why) this.#go({ at: "idle", why: null });
  }

  /** Nobody wants it any more, for that reason: what the wallet signs now is not sent. Says so, where it was asked. What was
      sent goes its way, and is found by whoever asks anew. */
  abandon(reason: string): string | null {
    const { at } = this.#step;
    this.#isResumed = false;
    if (at === "idle") return null;
    const why = at === "asking" ? `${reason} What your wallet signs now is not sent: refuse it there.` : null;
    this.#go({ at: "idle", why });
    return why;
  }

  #go(step: Step): void {
    this.#attempt += 1;
    this.#become(step);
  }

  #become(step: Step): void {
    this.#step = step;
    this.changed();
  }

  /** Steps that end in words where something fails, unless nobody wants them any more. */
  async #attempted(steps: (attempt: number) => Promise<void>): Promise<void> {
    const attempt = this.#attempt;
    try {
      await steps(attempt);
    } catch (error) {
      if (attempt === this.#attempt) this.#go({ at: "idle", why: wordsOf(error) });
    }
  }

  async #begin(wallet: Wallet, need: Need): Promise<void> {
    this.#go({ at: "connecting", wallet });
    await this.#attempted(async (attempt) => {
      const connected = await this.doors.connect(wallet, need.offer.genesis);
      if (attempt !== this.#attempt) return;
      const accounts = able(connected, need);
      const [only] = accounts;
      // There is nothing to choose: it goes back to where it came from.
      if (isTakingBack(need.want) && only) await this.#ask(connected, only, need);
      else this.#become({ at: "choosing", connected, accounts });
    });
  }

  async #ask(connected: Connected, account: Account, need: Need): Promise<void> {
    this.#go({ at: "asking", wallet: connected.wallet, made: null });
    await this.#attempted(async (attempt) => {
      const call = callOf(need, account);
      const { payload, fee } = await this.doors.prepare(requestOf(call), need.token);
      const shown = checked(payload, call, need.offer.genesis);
      if (attempt !== this.#attempt) return;
      const digits = { index: indexOf(shown.method), rest: argumentsOf(call) };
      this.#become({ at: "asking", wallet: connected.wallet, made: { fee: BigInt(fee), digits } });
      const signature = await connected.sign(account, shown);
      // A signature that comes after that is not sent.
      if (attempt !== this.#attempt) return;
      await this.#follow(need, attempt, signature);
    });
  }

  /** Sends it where it is not sent yet, and waits until the chain has it, or will not. From here on nobody goes back. */
  async #follow({ token }: Need, attempt: number, signature?: Hex): Promise<void> {
    this.#become({ at: "sent", isLate: false });
    if (signature) await this.doors.send(signature, token);
    const isResumed = !signature;
    for (let turn = 1; attempt === this.#attempt; turn += 1) {
      const known = await this.doors.state(token).catch((error: unknown) => {
        // It goes its way without being asked about.
        if (error instanceof ApiError && error.code !== "login_required") return "away" as const;
        throw new WalletFault(FORGOTTEN);
      });
      if (attempt !== this.#attempt) return;
      if (known !== "away" && known.state === "none") throw new WalletFault(FORGOTTEN);
      if (known !== "away" && known.state === "failed") throw new WalletFault(known.words);
      if (known !== "away" && known.state === "final") {
        // What it was this page does not know any more.
        if (isResumed) return this.done();
        await this.doors.pause(SEEN_WITHIN_MS);
        if (attempt === this.#attempt) throw new WalletFault(UNSEEN);
        return;
      }
      if (turn * ASK_MS === LATE_MS) this.#become({ at: "sent", isLate: true });
      await this.doors.pause(ASK_MS);
    }
  }
}

const isTakingBack = ({ call }: Want): boolean => call === "start_close" || call === "close";

/** Those of the wallet's accounts that can do it. */
function able({ wallet, accounts }: Connected, { want, offer }: Need): Account[] {
  const payee = accountOf(offer.payee);
  const payer = want.call === "open" ? null : want.channel.terms.payer;
  const good = accounts.filter(({ account }) => account !== payee && (!payer || account === payer));
  if (good.length > 0) return good;
  const { name } = wallet;
  const only = isTakingBack(want) ? "Only that one gets the rest back" : "Only that one can add to it";
  throw new WalletFault(payer
    ? `${name} does not show the account that opened this channel, ${addressOf(payer)}. ${only}: let this page see it in ${name},`
      + " then try again."
    : `${name} shows no account that can pay here. Make one, or let this page see one, then try again.`);
}

function callOf({ info, offer, session, want }: Need, { account }: Account): EscrowCall {
  if (want.call === "top_up") return { call: "top_up", channel: want.channel.id, by: want.deposit };
  if (want.call !== "open") return { call: want.call, channel: want.channel.id };
  const windowMs = info.dispute_window_ms;
  if (!(windowMs > 0 && windowMs <= WINDOW_MAX_MS)) {
    throw new NotTheCall("The node's dispute window would lock the deposit for too long. Nothing was signed.");
  }
  const terms: ChannelTerms = {
    genesis: offer.genesis, asset: offer.asset, payer: account, payee: accountOf(offer.payee), node: info.node_key, session,
    // With a key that only this page has, this is one of its kind.
    nonce: Date.now(), dispute_window_ms: windowMs,
  };
  return { call: "open", terms, deposit: want.deposit, expiresAt: Date.now() + windowMs + GOOD_FOR_MS };
}

function requestOf(by: EscrowCall): FundingRequest {
  switch (by.call) {
    case "open": {
      const terms = toHex(bodyOf(channelForm, by.terms));
      return { call: "open", terms, deposit: String(by.deposit), expires_at: by.expiresAt };
    }
    case "top_up": return { call: "top_up", channel: by.channel, by: String(by.by) };
    case "start_close":
    case "close": return { call: by.call, channel: by.channel };
  }
}

function wordsOf(error: unknown): string {
  if (error instanceof WalletFault || error instanceof NotTheCall || error instanceof ApiError) return error.message;
  console.error("what a browser wallet was asked for failed:", error);
  return "This page could not go on with the wallet. Nothing more is asked of it: try again, or use the command below.";
}
