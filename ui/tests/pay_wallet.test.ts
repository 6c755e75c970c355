// Deposits by a wallet in the browser, against polkadot-js, and the link as a QR code, against another reader.
import { decodeAddress, encodeAddress } from "@polkadot/keyring";
import { TypeRegistry } from "@polkadot/types";
import { findUnknownExtensions } from "@polkadot/types/extrinsic/signedExtensions";
import jsQR from "jsqr";
import { render } from "svelte/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, type FundingRequest, type FundingState, type PayInfo, type SignerPayload } from "../src/lib/api";
import { accountAt, addressOf } from "../src/pay/address";
import { fromHex, toHex, type Hex } from "../src/pay/bytes";
import { argumentsOf, checked, encoded, EXTENSIONS, indexOf, type EscrowCall } from "../src/pay/deposit";
import { connect, wallets, type Account, type Connected } from "../src/pay/extension";
import { linkOf } from "../src/pay/link";
import { channel as channelForm, whole, type ChannelTerms, type Offer } from "../src/pay/signed";
import { Funding, type Doors, type FundingView, type Need } from "../src/watch/funding";
import LinkCode from "../src/watch/LinkCode.svelte";

const GENESIS = `0x${"11".repeat(32)}`;
const PAYER = `0x${"55".repeat(32)}`;
const PAYEE = `0x${"33".repeat(32)}`;
const CHANNEL = `0x${"77".repeat(32)}`;
const registry = new TypeRegistry();

const terms: ChannelTerms = {
  genesis: GENESIS, asset: "native", payer: PAYER, payee: PAYEE, node: `0x01${"66".repeat(32)}`, session: `0x00${"44".repeat(32)}`,
  nonce: 1_800_000_000_123, dispute_window_ms: 60_000,
};
const open: EscrowCall = { call: "open", terms, deposit: 300_000_000n, expiresAt: 1_800_086_460_123 };
const topUp: EscrowCall = { call: "top_up", channel: CHANNEL, by: 300_000_000n };
const startClose: EscrowCall = { call: "start_close", channel: CHANNEL };
const close: EscrowCall = { call: "close", channel: CHANNEL };
const CALLS = { open: "00", top_up: "01", start_close: "04", close: "05" };

/** As a node makes it that numbers the pallet 10, and its calls as the pallet does. */
const payloadOf = (by: EscrowCall, rest: Partial<SignerPayload> = {}): SignerPayload => ({
  blockHash: `0x${"22".repeat(32)}`, blockNumber: "0x00000005", era: "0x5500", genesisHash: GENESIS,
  method: `0x0a${CALLS[by.call]}${encoded(by).slice(2)}`, nonce: "0x0000000000000000",
  signedExtensions: EXTENSIONS.slice(0, 8), specVersion: "0x00000001", tip: `0x${"00".repeat(16)}`, transactionVersion: "0x00000001",
  version: 4, ...rest,
});

describe("a deposit's call", () => {
  it("has the bytes that polkadot-js makes of the escrow's arguments", () => {
    const types = "(Option<u32>, [u8; 32], [u8; 33], [u8; 33], u64, u64, u128, u64)";
    for (const asset of ["native", { asset: 7 }] as const) {
      const values = [
        asset === "native" ? null : asset.asset, PAYEE, terms.node, terms.session, terms.nonce, terms.dispute_window_ms,
        300_000_000n, open.expiresAt,
      ];
      const made = registry.createType(types, values).toHex();
      expect(encoded({ ...open, terms: { ...terms, asset } })).toBe(made);
    }
    expect(encoded(topUp)).toBe(registry.createType("([u8; 32], u128)", [CHANNEL, 300_000_000n]).toHex());
    for (const back of [startClose, close]) expect(encoded(back)).toBe(registry.createType("[u8; 32]", CHANNEL).toHex());
  });

  it("is given to a wallet as the node made it where it is the one that was asked for", () => {
    for (const by of [open, topUp, startClose, close]) {
      expect(checked(payloadOf(by), by, GENESIS)).toEqual(payloadOf(by));
    }
  });

  it("is shown argument for argument, as a wallet shows it that does not know the chain", () => {
    const { method } = payloadOf(topUp);
    expect(indexOf(method)).toBe("0x0a01");
    expect(argumentsOf(topUp)).toEqual([{ name: "channel", digits: CHANNEL }, { name: "by", digits: `0x00a3e111${"00".repeat(12)}` }]);
    expect(method).toBe(indexOf(method) + argumentsOf(topUp).map(({ digits }) => digits.slice(2)).join(""));
  });

  it("of taking back is for that channel alone", () => {
    const other = payloadOf({ ...startClose, channel: GENESIS } as EscrowCall);
    expect(() => checked(other, startClose, GENESIS)).toThrow("something else");
  });

  const lies: [string, SignerPayload, string][] = [
    ["a higher deposit", payloadOf({ ...open, deposit: 300_000_001n }), "something else"],
    ["another payee", payloadOf({ ...open, terms: { ...terms, payee: PAYER } }), "something else"],
    ["another session key", payloadOf({ ...open, terms: { ...terms, session: terms.node } }), "something else"],
    ["a later end", payloadOf({ ...open, expiresAt: open.expiresAt + 1 }), "something else"],
    ["another call", payloadOf(topUp), "something else"],
    ["something after it", payloadOf(open, { method: `${payloadOf(open).method}00` }), "something else"],
    ["another chain", payloadOf(open, { genesisHash: `0x${"12".repeat(32)}` }), "another chain"],
    ["a tip", payloadOf(open, { tip: `0x${"00".repeat(15)}01` }), "tip"],
    ["another format", payloadOf(open, { version: 5 }), "format"],
    ["no end", payloadOf(open, { era: "0x00" }), "good for too long"],
    ["no end, in two bytes", payloadOf(open, { era: "0x0000" }), "good for too long"],
    ["a late end", payloadOf(open, { era: "0x0b00" }), "good for too long"],
    ["what no wallet knows", payloadOf(open, { signedExtensions: [...EXTENSIONS.slice(0, 8), "PayTwice"] }), "wallets know"],
    ["no bytes", payloadOf(open, { nonce: "zero" }), "cannot be read"],
  ];

  it.each(lies)("is not given to it with %s", (_, payload, words) => {
    expect(() => checked(payload, open, GENESIS)).toThrow(words);
  });

  it("has nothing beside it that was not looked at", () => {
    const more = { ...payloadOf(open), assetId: "0x01", metadataHash: "0x02", mode: 1 };
    expect(checked(more, open, GENESIS)).toEqual(payloadOf(open));
  });

  it("takes those extensions alone that polkadot-js knows, and eras of 2048 blocks as it does", () => {
    expect(findUnknownExtensions([...EXTENSIONS])).toEqual([]);
    const era = registry.createType("ExtrinsicEra", { current: 5, period: 2048 }).toHex();
    expect(checked(payloadOf(open, { era }), open, GENESIS).era).toBe(era);
  });
});

describe("an account's address", () => {
  it.each([0, 2, 42, 63, 64, 252, 16_383])("is read with the prefix %i", (prefix) => {
    const account = `0x00${"a7".repeat(31)}`;
    const address = encodeAddress(fromHex(account), prefix);
    expect(accountAt(address)).toBe(account);
    expect(accountAt(address)).toBe(toHex(decodeAddress(address)));
  });

  it("is not read where a letter was changed, or it is something else", () => {
    const address = addressOf(PAYER);
    const other = address.replace(/.$/, (last) => (last === "z" ? "y" : "z"));
    for (const text of [other, address.slice(1), "", "0".repeat(48), "z".repeat(65), `${address}1`]) {
      expect(accountAt(text), text).toBeNull();
    }
  });
});

/** What a wallet puts into a page. */
interface Put { enable?: unknown }

describe("a wallet in the browser", () => {
  const signed = `0x01${"ab".repeat(64)}`;
  const put = (provider: Put, id = "polkadot-js") => { vi.stubGlobal("window", { injectedWeb3: { [id]: provider } }); };
  const wallet = { id: "polkadot-js", name: "polkadot{.js}" };
  const injected = (accounts: object[], sign: () => Promise<unknown> = async () => ({ signature: signed })) => ({
    enable: async () => ({ accounts: { get: async () => accounts }, signer: { signPayload: sign } }),
  });
  const address = addressOf(PAYER);
  const one: Account = { address, account: PAYER, name: "" };

  afterEach(() => { vi.unstubAllGlobals(); });

  it("is named as people know it, and only one that can be asked is", () => {
    vi.stubGlobal("window", { injectedWeb3: { "polkadot-js": injected([]), "a  strange‮wallet": injected([]), half: {} } });
    expect(wallets().map(({ name }) => name)).toEqual(["polkadot{.js}", "a strange wallet"]);
    vi.stubGlobal("window", {});
    expect(wallets()).toEqual([]);
  });

  it("shows the accounts whose keys and chain fit", async () => {
    put(injected([
      { address, name: "Mine", type: "sr25519" }, { address, name: "By hardware", type: "ed25519", genesisHash: GENESIS },
      { address, name: "Elsewhere", genesisHash: `0x${"99".repeat(32)}` }, { address, name: "Ecdsa", type: "ecdsa" },
      { address: "0x1234", name: "No address" }, { address },
    ]));
    const { accounts } = await connect(wallet, GENESIS);
    expect(accounts.map(({ name, account }) => [name, account])).toEqual([["Mine", PAYER], ["By hardware", PAYER], ["", PAYER]]);
  });

  it("that does not let the page in is said so, with what helps", async () => {
    put({ enable: async () => { throw new Error("not allowed"); } });
    await expect(connect(wallet, GENESIS)).rejects.toThrow("Allow this site in polkadot{.js}");
    put({ enable: async () => ({ accounts: { get: async () => [] }, signer: {} }) });
    await expect(connect(wallet, GENESIS)).rejects.toThrow("Use another wallet");
  });

  it("signs with the address as it wrote it, and refuses in words", async () => {
    const sign = vi.fn(async () => ({ signature: signed.toUpperCase().replace("0X", "0x") }));
    put(injected([], sign));
    expect(await (await connect(wallet, GENESIS)).sign(one, payloadOf(open))).toBe(signed);
    expect(sign).toHaveBeenCalledWith({ ...payloadOf(open), address });
    put(injected([], async () => { throw new Error("Cancelled"); }));
    await expect((await connect(wallet, GENESIS)).sign(one, payloadOf(open))).rejects.toThrow("did not sign (“Cancelled”). Nothing is locked");
    put(injected([], async () => ({ signature: `0x02${"ab".repeat(65)}` })));
    await expect((await connect(wallet, GENESIS)).sign(one, payloadOf(open))).rejects.toThrow("kind of signature");
  });
});

describe("a deposit by a wallet", () => {
  const signature = `0x01${"ab".repeat(64)}`;
  const info: PayInfo = { rail: null, node_key: terms.node, endpoints: [], dispute_window_ms: 60_000 };
  const offer = {
    genesis: GENESIS, asset: "native", payee: `0x01${PAYEE.slice(2)}`, price: 1_000_000n,
  } as Offer;
  const need: Need = { info, offer, session: terms.session, token: "token", want: { call: "open", deposit: 300_000_000n } };
  const channel = { id: CHANNEL, terms };
  const more: Need = { ...need, want: { call: "top_up", deposit: 300_000_000n, channel } };
  const back: Need = { ...need, want: { call: "start_close", channel } };
  const account: Account = { address: addressOf(PAYER), account: PAYER, name: "Mine" };
  const wallet = { id: "one", name: "One" };

  let sent: string[];
  let states: (FundingState | Error)[];
  let sign: (account: Account, payload: SignerPayload) => Promise<Hex>;
  let doors: Doors;
  /** Each wait for the chain, until the test lets it go on. */
  let turns: (() => void)[];

  beforeEach(() => {
    [sent, states, turns] = [[], [], []];
    sign = async () => signature;
    const connected: Connected = { wallet, accounts: [account], sign: (...by) => sign(...by) };
    doors = {
      wallets: () => [wallet],
      connect: async () => connected,
      prepare: async (request) => ({ payload: payloadOf(asked(request)), fee: "12" }),
      send: async (by) => { sent.push(by); return { state: "sent" }; },
      state: async () => {
        const state = states.length > 1 ? states.shift() : states[0];
        if (state instanceof Error) throw state;
        return state ?? { state: "none" };
      },
      pause: () => new Promise((resolve) => { turns.push(resolve); }),
    };
  });

  /** What the node reads in the request. */
  function asked(request: FundingRequest): EscrowCall {
    if (request.call === "top_up") return { call: "top_up", channel: request.channel, by: BigInt(request.by) };
    if (request.call !== "open") return request;
    const of = whole(fromHex(request.terms), channelForm.read);
    return { call: "open", terms: of, deposit: BigInt(request.deposit), expiresAt: request.expires_at };
  }

  const settled = () => new Promise((resolve) => { setTimeout(resolve); });
  async function at<At extends FundingView["at"]>(funding: Funding, name: At, by: Need = need) {
    await settled();
    const view = funding.view(by);
    expect(view).toMatchObject({ at: name });
    return view as Extract<FundingView, { at: At }>;
  }
  async function chosen(by: Need = need) {
    const funding = new Funding(() => {}, doors);
    (await at(funding, "idle", by)).begin(wallet);
    (await at(funding, "choosing", by)).ask(account);
    return funding;
  }

  it("goes from the wallet's accounts to the chain, and begins anew once it is there", async () => {
    states = [{ state: "sent" }];
    let shown: SignerPayload | null = null;
    let give: (signature: Hex) => void = () => {};
    sign = (_, payload) => { shown = payload; return new Promise((resolve) => { give = resolve; }); };
    const funding = await chosen();
    expect(await at(funding, "asking")).toMatchObject({ made: { fee: 12n, digits: { index: "0x0a00" } } });
    expect(shown).toMatchObject({ genesisHash: GENESIS });
    expect(sent).toEqual([]);
    give(signature);
    expect(await at(funding, "sent")).toMatchObject({ isLate: false });
    expect(sent).toEqual([signature]);
    funding.done();
    expect(await at(funding, "idle")).toMatchObject({ why: null });
  });

  it("adds to a channel from the account that opened it, and no other", async () => {
    states = [{ state: "sent" }];
    await at(await chosen(more), "sent", more);
    const foreign = { id: CHANNEL, terms: { ...terms, payer: PAYEE } };
    const other: Need = { ...need, want: { call: "top_up", deposit: 300_000_000n, channel: foreign } };
    const funding = new Funding(() => {}, doors);
    (await at(funding, "idle", other)).begin(wallet);
    expect((await at(funding, "idle", other)).why).toContain(`does not show the account that opened this channel, ${addressOf(PAYEE)}`);
  });

  it("is not signed where the node makes another one of it", async () => {
    const lies: ((by: EscrowCall) => EscrowCall)[] = [
      (by) => ({ ...by, deposit: 300_000_001n } as EscrowCall),
      (by) => ({ ...by, terms: { ...terms, payee: `0x${"99".repeat(32)}` } } as EscrowCall),
    ];
    for (const lie of lies) {
      doors.prepare = async (request) => ({ payload: payloadOf(lie(asked(request))), fee: "12" });
      sign = () => { throw new Error("it was asked to sign"); };
      const funding = await chosen();
      expect((await at(funding, "idle")).why).toContain("something else than the page asked for. Do not trust it: nothing was signed");
      expect(sent).toEqual([]);
    }
  });

  it("locks nothing for longer than a day", async () => {
    info.dispute_window_ms = 24 * 3_600_000 + 1;
    const funding = await chosen();
    info.dispute_window_ms = 60_000;
    expect((await at(funding, "idle")).why).toContain("lock the deposit for too long");
  });

  it("is taken back by the account that paid it, without a question which", async () => {
    states = [{ state: "sent" }];
    const requests: FundingRequest[] = [];
    const { prepare } = doors;
    doors.prepare = async (request, token) => { requests.push(request); return await prepare(request, token); };
    const other = { ...account, account: `0x${"88".repeat(32)}` };
    doors.connect = async () => ({ wallet, accounts: [other, account], sign: (by, payload) => {
      expect(by).toBe(account);
      return sign(by, payload);
    } });
    for (const call of ["start_close", "close"] as const) {
      const funding = new Funding(() => {}, doors);
      const by: Need = { ...need, want: { call, channel } };
      (await at(funding, "idle", by)).begin(wallet);
      await at(funding, "sent", by);
      expect(funding.isSent).toBe(true);
    }
    expect(requests).toEqual([{ call: "start_close", channel: CHANNEL }, { call: "close", channel: CHANNEL }]);
    doors.connect = async () => ({ wallet, accounts: [other], sign });
    const funding = new Funding(() => {}, doors);
    (await at(funding, "idle", back)).begin(wallet);
    expect((await at(funding, "idle", back)).why).toContain("Only that one gets the rest back");
  });

  it("that nobody wants any more is not sent when it is signed after that, and the person is told", async () => {
    let give: (signature: Hex) => void = () => {};
    sign = () => new Promise((resolve) => { give = resolve; });
    const funding = await chosen();
    await at(funding, "asking");
    const told = funding.abandon("The broadcast has ended.");
    expect(told).toBe("The broadcast has ended. What your wallet signs now is not sent: refuse it there.");
    give(signature);
    expect(await at(funding, "idle")).toMatchObject({ why: told });
    expect(sent).toEqual([]);
    expect(new Funding(() => {}, doors).abandon("The broadcast has ended.")).toBeNull();
  });

  it("that was sent is not asked about any more once nobody wants it, and is found by whoever asks anew", async () => {
    states = [{ state: "sent" }];
    let asked = 0;
    const { state } = doors;
    doors.state = async (token) => { asked += 1; return await state(token); };
    const funding = await chosen();
    await at(funding, "sent");
    expect(funding.abandon("The broadcast has ended.")).toBeNull();
    turns.shift()?.();
    await settled();
    expect(asked).toBe(1);
    void funding.resume(need);
    await at(funding, "sent");
  });

  it("that is final is not asked about any more, and ends in words where the node does not see it", async () => {
    states = [{ state: "sent" }, { state: "final" }];
    const funding = await chosen();
    await at(funding, "sent");
    turns.shift()?.();
    await at(funding, "sent");
    states = [new Error("it was asked once more")];
    turns.shift()?.();
    expect((await at(funding, "idle")).why).toContain("The chain has it, and the node does not say so. Load this page anew");
    // Where the node does see it, nobody is told anything.
    states = [{ state: "final" }];
    const seen = await chosen();
    await at(seen, "sent");
    seen.done();
    turns.splice(0).forEach((turn) => turn());
    expect(await at(seen, "idle")).toMatchObject({ why: null });
  });

  it("of which nobody knows what became is told to a page that was loaded anew", async () => {
    states = [{ state: "failed", code: "unknown", words: "The chain did not say." }];
    const funding = new Funding(() => {}, doors);
    await funding.resume(need);
    expect(await at(funding, "idle")).toMatchObject({ why: "The chain did not say." });
    states = [{ state: "failed", code: "refused", words: "It was not done." }];
    const refused = new Funding(() => {}, doors);
    await refused.resume(need);
    expect(await at(refused, "idle")).toMatchObject({ why: null });
  });

  it("of a person who went back is not sent, whatever the wallet does later", async () => {
    let give: (signature: Hex) => void = () => {};
    sign = () => new Promise((resolve) => { give = resolve; });
    const funding = await chosen();
    (await at(funding, "asking")).back();
    give(signature);
    expect(await at(funding, "idle")).toMatchObject({ why: null });
    expect(sent).toEqual([]);
  });

  it("that fails says why in words, and the wallet may be asked again", async () => {
    const why = async () => (await at(await chosen(), "idle")).why;
    doors.prepare = async () => { throw new ApiError(402, "too_little", "The account has too little."); };
    expect(await why()).toBe("The account has too little.");
    doors.prepare = async () => { throw new ApiError(503, "chain_unreachable", "The chain does not answer now."); };
    expect(await why()).toBe("The chain does not answer now.");
    doors.prepare = async (request) => ({ payload: payloadOf(asked(request)), fee: "12" });
    states = [{ state: "failed", code: "refused", words: "The deposit was not made." }];
    expect(await why()).toBe("The deposit was not made.");
    states = [{ state: "none" }];
    expect(await why()).toContain("does not know what became of the transaction");
    states = [new ApiError(401, "login_required", "Log in first.")];
    expect(await why()).toContain("does not know what became of the transaction");
  });

  it("is not asked for where the wallet shows no account that can pay", async () => {
    const payee = { ...account, account: PAYEE };
    for (const accounts of [[], [payee]]) {
      doors.connect = async () => ({ wallet, accounts, sign });
      const funding = new Funding(() => {}, doors);
      (await at(funding, "idle")).begin(wallet);
      expect((await at(funding, "idle")).why).toContain("shows no account that can pay here. Make one");
    }
  });

  it("that takes long is said to, while the node may be away for a moment", async () => {
    states = [new ApiError(0, "unreachable", "The node cannot be reached."), { state: "sent" }];
    const funding = await chosen();
    // Each turn is two seconds, and a minute is late.
    for (let turn = 1; turn < 30; turn += 1) {
      expect(await at(funding, "sent")).toMatchObject({ isLate: false });
      turns.shift()?.();
    }
    expect(await at(funding, "sent")).toMatchObject({ isLate: true });
  });

  it("that is on its way is waited for by a page that was loaded anew", async () => {
    states = [{ state: "sent" }];
    const funding = new Funding(() => {}, doors);
    await Promise.race([funding.resume(need), settled()]);
    await at(funding, "sent");
    states = [{ state: "none" }];
    const none = new Funding(() => {}, doors);
    await none.resume(need);
    expect(await at(none, "idle")).toMatchObject({ why: null });
  });
});

describe("the link as a QR code", () => {
  const link = linkOf({
    node: "https://live.example.org:8443", playbackId: "k3vxq2ml5c7d9f1h", tier: 4, session: terms.session, deposit: 300_000_000n,
    channel: CHANNEL,
  });
  const SCALE = 4;

  /** What an eye sees of the component: its paths, painted one over the other. */
  function painted(html: string) {
    const size = Number(/viewBox="0 0 (\d+) \1"/.exec(html)?.[1]);
    const side = size * SCALE;
    const pixels = new Uint8ClampedArray(side * side * 4).fill(128);
    for (const [, fill = "", d = ""] of html.matchAll(/<path fill="(#fff|#000)" d="([^"]+)"/g)) {
      for (const [, x = 0, y = 0, width = 0, height = 0] of d.matchAll(/M(\d+) (\d+)h(\d+)v(\d+)h-\d+z/g)) {
        const area = [Number(x), Number(y), Number(width), Number(height)].map((length) => length * SCALE);
        const [left = 0, top = 0, across = 0, down = 0] = area;
        for (let row = top; row < top + down; row += 1) {
          for (let column = left; column < left + across; column += 1) {
            const at = 4 * (row * side + column);
            pixels.fill(fill === "#fff" ? 255 : 0, at, at + 3).fill(255, at + 3, at + 4);
          }
        }
      }
    }
    return { pixels, side };
  }

  it("is what another reader reads, with four light modules around it and a name", () => {
    const { body } = render(LinkCode, { props: { link } });
    const { pixels, side } = painted(body);
    expect(jsQR(pixels, side, side)?.data).toBe(link);
    const isLight = (x: number, y: number) => pixels[4 * (y * side + x)] === 255;
    for (let along = 0; along < side; along += 1) {
      for (let deep = 0; deep < 4 * SCALE; deep += 1) {
        for (const [x, y] of [[along, deep], [deep, along], [along, side - 1 - deep], [side - 1 - deep, along]] as const) {
          expect(isLight(x, y), `${x} ${y}`).toBe(true);
        }
      }
    }
    // The corner of the first finder pattern follows the quiet zone.
    expect(isLight(4 * SCALE, 4 * SCALE)).toBe(false);
    expect(body).toMatch(/role="img" aria-label="QR code of the link for your wallet"/);
  });
});
