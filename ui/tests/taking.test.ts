// What is shown of a deposit that comes back without the node.
import { describe, expect, it } from "vitest";
import type { PayInfo } from "../src/lib/api";
import { addressOf } from "../src/pay/address";
import { closedAlone, ended, heldOf, open, startedAlone, stepOf, textOf, type Channel } from "../src/watch/taking";

const channel: Channel = {
  id: `0x${"77".repeat(32)}`, deposit: 300n, spent: 0n, standing: "open", closesAt: 1_800_000_000_000, mayClose: false,
  terms: {
    genesis: `0x${"11".repeat(32)}`, asset: "native", payer: `0x${"55".repeat(32)}`, payee: `0x${"33".repeat(32)}`,
    node: `0x01${"66".repeat(32)}`, session: `0x00${"44".repeat(32)}`, nonce: 1, dispute_window_ms: 60_000,
  },
};
const info: PayInfo = {
  rail: { kind: "escrow", chain: "Chain", genesis: channel.terms.genesis, symbol: "UNIT", decimals: 2 }, node_key: channel.terms.node,
  endpoints: ["wss://one.example", "wss://two.example"], dispute_window_ms: 60_000,
};
const unit = { symbol: "UNIT", decimals: 2 };

describe("a deposit that its payer takes back", () => {
  it("is begun while it pays, waited for, and finished once the node's clock says so", () => {
    const at = (standing: Channel["standing"], mayClose: boolean) => stepOf({ ...channel, standing, mayClose });
    expect([at("open", false), at("agreed", false), at("closing", false), at("ending", false)]).toEqual(["start", "start", "wait", "wait"]);
    expect([at("closing", true), at("ending", true)]).toEqual(["finish", "finish"]);
  });

  it("ends nothing where nothing is left, and the one that has the most left comes first", () => {
    const closing: Channel = { ...channel, standing: "closing" };
    const ending: Channel = { ...channel, standing: "ending", deposit: 200n };
    const more: Channel = { ...ending, deposit: 201n };
    expect(startedAlone([channel, { ...closing, spent: 300n }, ending])).toBeNull();
    expect(startedAlone([channel, closing])).toBe(closing);
    expect(ended([ending, more, closing])).toBe(more);
    expect(open([ending, channel, closing])).toEqual([channel]);
  });

  it("is told in words that are true whatever the node got in its window", () => {
    expect(closedAlone(channel, unit)).toBe("The channel is closed: the whole deposit, 3 UNIT, came back to your account.");
    expect(closedAlone({ ...channel, spent: 100n }, unit))
      .toBe("The channel is closed: 1 UNIT was paid at most, and 2 UNIT came back to your account at least.");
  });

  it("is copied with all that another wallet needs", () => {
    const text = textOf(heldOf(channel, info));
    for (const part of [
      channel.id, addressOf(channel.terms.payer), channel.terms.genesis, "Chain", "wss://one.example wss://two.example",
      "escrow.startClose(channel), then escrow.close(channel)", `tickcast wallet channels close ${channel.id}`,
    ]) expect(text).toContain(part);
    // What has begun is only to be finished.
    expect(heldOf({ ...channel, standing: "closing" }, info).calls).toEqual(["escrow.close(channel)"]);
  });
});
