// One viewer's paying: what plays is counted and signed for, what does not is named, and nothing plays that cannot be
// paid. Messages and pictures come in, messages go out; it knows no socket and no page. Everything that signs or checks
// a signature waits for the browser, so what happens is taken one after the other.
import { becauseOf, endedBecause, refusedBecause, SPENT, type Leaving } from "./leaving";
import { ENDING, REASON, type Refused, type Started, type ToNode, type ToViewer } from "./messages";
import { PlayedSeconds, timestampOf, type Decided, type Picture } from "./played";
import { hashOf, delegation as delegationForm, type Offer, type Published } from "./signed";
import { fits, type Tab, type Totals } from "./tab";

/** Nothing came for so long: what should have did not play. Longer than any playout delay. */
const STALL_MS = 2000;
/** What is not acknowledged is sent again this often; what was refused for the moment only, sooner. */
const AGAIN_MS = 2000;
const SOON_MS = 500;
/** Nothing played for so long, though the node counts on: the viewer leaves. */
const NOTHING_PLAYS_MS = 60_000;
/** A node that ended the session for want of payment is asked so many times in a row to go on. */
const RESTARTS = 5;
/** How long a viewer that left waits for what is not acknowledged, and for the node's half of a close. */
const FAREWELL_MS = 5000;
/** Seconds may be counted so much before their time, all in all. Beyond that the node's clock runs too fast. */
const BURST_MS = 3000;
/** What waits to be taken. A node that says more than this at once says too much. */
const WAITING_MAX = 256;

export interface PayStatus {
  spent: bigint;
  limit: bigint;
  totals: Totals;
  isAcknowledged: boolean;
  offer: Offer;
  /** Dearer, or of another tier, and not consented to. */
  offered: Offer | null;
  left: Leaving | null;
  isClosed: boolean;
}

export class PaySession {
  #phase: "away" | "starting" | "watching" = "away";
  #send: ((message: ToNode) => void) | null = null;
  #hasMedia = false;
  #goesBy = true;
  #toldOfBegin: (dateMs: number) => void = () => {};
  #isPaused = false;
  #left: { why: Leaving; atMs: number } | null = null;
  #mustSayStop = false;
  #close: "no" | "wanted" | "asked" | "agreed" | "refused" = "no";
  #offered: Offer | null = null;
  #seconds = new PlayedSeconds();
  /** When the newest picture was shown. */
  #cameMs: number | null = null;
  /** When a second was counted as played last, and how many milliseconds of them may be before their time. */
  #pace: { atMs: number; aheadMs: number } | null = null;
  #entered = -1;
  #aliveMs = 0;
  #restarts = 0;
  #restartAtMs: number | null = null;
  #againAtMs: number | null = null;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;

  /** `now` is a clock that never goes back, `wall` tells the time; both in milliseconds. */
  constructor(
    readonly tab: Tab, readonly now: () => number, readonly wall: () => number,
    readonly changed: (status: PayStatus) => void,
  ) {}

  get status(): PayStatus {
    const { tab } = this;
    return {
      spent: tab.spent, limit: tab.limit, totals: { ...tab.totals }, isAcknowledged: tab.unacknowledged() === null,
      offer: tab.offer, offered: this.#offered, left: this.#left?.why ?? null, isClosed: this.#close === "agreed",
    };
  }

  /** Nothing more will come out: the connection may be closed. */
  get isOver(): boolean {
    if (!this.#left) return false;
    const isSettled = this.tab.unacknowledged() === null && this.#close !== "wanted" && this.#close !== "asked";
    return (isSettled && this.#waiting === 0) || this.now() - this.#left.atMs >= FAREWELL_MS;
  }

  /** Everything that happened so far is taken. */
  quiet(): Promise<void> {
    return this.#queue;
  }

  connected(send: (message: ToNode) => void): void {
    this.#do(async () => {
      this.#send = send;
      await this.#start();
      await this.#settle();
    });
  }

  /** What still comes is counted; what was not sent will be after the next start. */
  disconnected(): void {
    this.#do(() => {
      this.#send = null;
      if (this.#phase === "starting") this.#phase = "away";
    });
  }

  /** Media can come: timestamps begin anew. What a player fetches waits where nothing is shown; else it goes by. */
  mediaUp(comes: "by itself" | "when fetched" = "by itself"): void {
    this.#do(() => {
      [this.#hasMedia, this.#goesBy] = [true, comes === "by itself"];
      return this.#start();
    });
  }

  /** Whoever is to be told where the first second begins, each time that it does, by the media's own dates. */
  onBegan(told: (dateMs: number) => void): void {
    this.#toldOfBegin = told;
  }

  /** What is not seen is not played, and the node sends nothing. */
  pause(): void {
    this.#do(async () => {
      if (this.#isPaused || this.#left) return;
      this.#isPaused = true;
      await this.#finish();
      if (this.#phase !== "away") this.#say({ kind: "stop", channel: this.tab.channel });
      this.#rest();
    });
  }

  resume(): void {
    this.#do(async () => {
      if (!this.#isPaused) return;
      this.#isPaused = false;
      await this.#start();
    });
  }

  /** A second that is not over yet is paid if nine tenths of it were shown. */
  stop(): void {
    this.#do(() => this.#stop());
  }

  /** Closes the channel together with the node, once all is acknowledged: the rest of the deposit comes back. */
  close(): void {
    this.#do(async () => {
      await this.#stop();
      if (this.#close === "no") this.#close = "wanted";
      await this.#settle();
    });
  }

  /** The node does not take this viewer, or no longer. */
  turnedAway(words: string): void {
    this.#do(() => this.#leave({ words, remedy: "again" }));
  }

  /** The node was started anew, or the page was away too long. */
  forgotten(): void {
    this.#do(() => this.#leave({ words: "The node had forgotten this page.", remedy: "rejoin" }));
  }

  /** A person takes the offer that the status shows. */
  consent(): void {
    this.#do(() => {
      if (this.#offered) this.tab.consent(this.#offered);
      this.#offered = null;
    });
  }

  received(message: ToViewer): void {
    this.#do(async () => {
      await this.#take(message);
      await this.#settle();
    });
  }

  /** The session's second `first` begins at this timestamp of the picture's line. */
  began(first: number, rtpTimestamp: number): void {
    this.#do(() => { if (this.#phase === "watching") this.#seconds.begin(first, rtpTimestamp); });
  }

  /** The same of media whose pictures have dates, in milliseconds since 1970. */
  beganAt(first: number, dateMs: number): void {
    this.began(first, timestampOf(dateMs));
    this.#do(() => this.#toldOfBegin(dateMs));
  }

  /** A picture was shown. */
  picture(picture: Picture): void {
    if (this.#left || this.#isPaused) return;
    this.#cameMs = this.now();
    const decided = this.#seconds.picture(picture);
    const second = this.#seconds.newest;
    const isNew = second !== null && second > this.#entered;
    if (isNew) this.#entered = second;
    if (isNew || decided.length > 0) {
      this.#do(async () => {
        await this.#count(decided);
        if (isNew) await this.#mayEnter();
      });
    }
  }

  /** To be called some times a second. */
  turn(): void {
    this.#do(async () => {
      const now = this.now();
      if (this.#restartAtMs !== null && now >= this.#restartAtMs) {
        this.#restartAtMs = null;
        await this.#start();
      }
      await this.#passOverWhatStalled(now);
      this.#sendAgain(now);
      if (this.#phase === "watching" && now - this.#aliveMs >= NOTHING_PLAYS_MS) {
        await this.#leave({ words: "Nothing has played for a minute.", remedy: "again" });
      }
    });
  }

  #do(task: () => Promise<void> | void): void {
    if (this.#waiting >= WAITING_MAX) {
      this.#left ??= { why: { words: "The node says too much at once.", remedy: "again" }, atMs: this.now() };
      return;
    }
    this.#waiting += 1;
    this.#queue = this.#queue.then(task).catch((error: unknown) => this.#leave(becauseOf(error))).catch(console.error)
      .finally(() => {
        this.#waiting -= 1;
        this.changed(this.status);
      });
  }

  #say(message: ToNode | null): void {
    if (message) this.#send?.(message);
  }

  async #start(): Promise<void> {
    if (!this.#send || !this.#hasMedia || this.#isPaused || this.#left) return;
    await this.#finish();
    if (this.#left) return;
    const start = this.tab.start();
    this.#forgetMedia();
    this.#phase = "starting";
    [this.#againAtMs, this.#restartAtMs] = [null, null];
    this.#say(start);
  }

  async #take(message: ToViewer): Promise<void> {
    switch (message.kind) {
      case "started": return await this.#started(message);
      case "acknowledged":
        this.#againAtMs = null;
        this.tab.acknowledged(message);
        return this.#say(await this.tab.due(this.wall()));
      case "receipt":
        await this.tab.receipt(message.receipt);
        return this.#say(await this.tab.due(this.wall()));
      case "refused": return await this.#refused(message);
      case "offer": return this.#offerMade(message.published);
      case "ended":
        await this.#finish();
        this.tab.ended(message.channel, message.ending);
        return await this.#ended(message.ending);
      case "closed":
        await this.tab.closed(message.close);
        if (this.#close === "asked") this.#close = "agreed";
    }
  }

  async #started(started: Started): Promise<void> {
    if (this.#phase !== "starting") return;
    const pay = await this.tab.started(started, this.wall());
    this.#phase = "watching";
    this.#aliveMs = this.now();
    this.#say(pay);
    // What is owed and was signed on a total that the node never got.
    this.#say(await this.tab.due(this.wall()));
    this.#say(this.tab.report());
  }

  async #refused(refused: Refused): Promise<void> {
    // A report that is ahead of the node: it stands in the next one as well.
    if (refused.tick === null && refused.reason === REASON.unplayedOutOfRange) return;
    const [asked, before] = [this.#close === "asked", this.tab.spent];
    if (asked) this.#close = "refused";
    const reaction = await this.tab.refused(refused);
    // A page that forgot what it signed is shown its own last voucher, and closes with that total.
    if (asked && this.tab.spent !== before) this.#close = "wanted";
    if (reaction === "again" && (this.#phase === "starting" || refused.reason === REASON.noSession)) {
      this.#restartAtMs = this.now() + SOON_MS;
    } else if (reaction === "again") {
      this.#againAtMs = this.now() + SOON_MS;
    } else if (reaction === "leave") {
      await this.#leave(refusedBecause(refused.reason));
    }
  }

  async #ended(ending: number): Promise<void> {
    // It may be that what was paid is on its way.
    const mayGoOn = ending === ENDING.graceSpent || ending === ENDING.tooManyUnplayed;
    if (mayGoOn && this.#restarts < RESTARTS && !this.#left) {
      this.#restarts += 1;
      this.#phase = "away";
      this.#restartAtMs = this.now() + SOON_MS;
    } else {
      await this.#leave(endedBecause(ending));
    }
  }

  #offerMade({ offer, delegation }: Published): void {
    const [present, made] = [this.tab.offer, offer.body];
    const isSame = fits(this.tab.terms, made) && made.content === present.content
      && delegation.body.node === this.tab.terms.node && made.delegation === hashOf(delegationForm, delegation.body);
    // One that is not right is none: the present one stays in force.
    if (!isSame || made.until <= this.wall()) return;
    const asksNoMore = made.price <= present.price && made.quality.tier === present.quality.tier;
    if (asksNoMore) this.tab.consent(made);
    else if (made.quality.tier === present.quality.tier) this.#offered = made;
  }

  async #count(decided: Decided[]): Promise<void> {
    for (const { tick, played } of decided) {
      // What is decided after the viewer left was decided by leaving.
      if (this.#left || this.#phase !== "watching") return;
      if (played) await this.#played(tick);
      else this.#say(this.tab.didNotPlay(tick));
    }
  }

  async #played(tick: number): Promise<void> {
    const now = this.now();
    const { atMs, aheadMs } = this.#pace ?? { atMs: now, aheadMs: BURST_MS };
    // Two crystals differ by less than a thousandth.
    const left = Math.min(aheadMs + (now - atMs) * 1.001, BURST_MS) - 1000;
    if (left < 0) return await this.#leave({ words: "The node counts seconds faster than they pass.", remedy: "again" });
    this.#pace = { atMs: now, aheadMs: left };
    this.#say(await this.tab.played(tick, this.wall()));
    [this.#aliveMs, this.#restarts] = [now, 0];
  }

  /** Before a second plays it must be certain that it can be paid. */
  async #mayEnter(): Promise<void> {
    if (this.#left) return;
    if (this.wall() >= this.tab.offer.until) {
      await this.#leave({ words: "The price that you agreed to is over.", remedy: "again" });
    } else if (!this.tab.affordsNext()) {
      await this.#leave(SPENT);
    }
  }

  /** Where nothing comes, nothing would end a second, and a gate that waits for it to be named would stay closed. */
  async #passOverWhatStalled(now: number): Promise<void> {
    const newest = this.#seconds.newest;
    if (this.#phase !== "watching" || newest === null || this.#cameMs === null || !this.#goesBy) return;
    // A node that is away sends nothing: what it will number next it tells when it is back.
    if (!this.#send) return;
    const stalledMs = now - this.#cameMs - STALL_MS;
    if (stalledMs >= 0) await this.#count(this.#seconds.expire(newest + Math.floor(stalledMs / 1000)));
  }

  #sendAgain(now: number): void {
    const pay = this.#phase === "watching" || this.#left ? this.tab.unacknowledged() : null;
    if (!pay) this.#againAtMs = null;
    else if (this.#againAtMs === null) this.#againAtMs = now + AGAIN_MS;
    else if (now >= this.#againAtMs) {
      this.#say(pay);
      this.#againAtMs = now + AGAIN_MS;
    }
  }

  /** Decides what was shown until now. */
  async #finish(): Promise<void> {
    const newest = this.#seconds.newest;
    if (this.#phase === "watching" && newest !== null) await this.#count(this.#seconds.expire(newest));
  }

  #forgetMedia(): void {
    this.#seconds.reset();
    [this.#cameMs, this.#entered] = [null, -1];
  }

  /** Nothing is watched for now. */
  #rest(): void {
    this.tab.stop();
    this.#phase = "away";
    this.#forgetMedia();
  }

  async #stop(): Promise<void> {
    await this.#finish();
    await this.#leave({ words: "You stopped.", remedy: "again" });
  }

  async #leave(why: Leaving): Promise<void> {
    if (this.#left) return;
    this.#mustSayStop = this.#phase !== "away";
    this.#rest();
    this.#left = { why, atMs: this.now() };
    await this.#settle();
  }

  /** Once all is acknowledged the node is told that nothing more is watched: before that it would refuse what is on its
      way. Then the channel is closed, where that is wanted. */
  async #settle(): Promise<void> {
    if (!this.#left || !this.#send || this.tab.unacknowledged()) return;
    if (this.#mustSayStop) this.#say({ kind: "stop", channel: this.tab.channel });
    this.#mustSayStop = false;
    if (this.#close !== "wanted") return;
    this.#close = "asked";
    this.#left.atMs = this.now();
    this.#say({ kind: "close", close: await this.tab.close() });
  }
}
