// Getting the rest of a deposit back by the payer's own wallet, where the node does not close the channel: what this page
// offers, and what helps without page and node.
import type { PayInfo, Standing } from "../lib/api";
import { addressOf } from "../pay/address";
import { shortly, type Unit } from "../pay/amount";
import type { Hex } from "../pay/bytes";
import { closeCommandOf } from "../pay/link";
import type { ChannelTerms } from "../pay/signed";
import type { FundingView } from "./funding";

/** One of the page's, as the node tells of it. */
export interface Channel {
  id: Hex; terms: ChannelTerms; deposit: bigint; spent: bigint; standing: Standing; closesAt: number; mayClose: boolean;
}

/** What anybody needs who closes the channel without this page: `calls` are the escrow's, one after the other. */
export interface Held {
  channel: Hex; payer: string; chain: string; genesis: Hex; endpoints: string[]; calls: string[]; command: string;
}

/** `start`: the payer may close it alone; `wait`: that has begun, or its end is near; `finish`: the rest may be taken. */
export interface Taking { held: Held; left: bigint; step: "start" | "wait" | "finish"; closesAt: number; windowMs: number; view: FundingView }

export const leftOf = ({ deposit, spent }: Channel): bigint => deposit - spent;

/** Of several channels the one that has the most left. */
export function mostLeft(channels: Channel[]): Channel | null {
  return channels.reduce<Channel | null>((best, one) => (best && leftOf(best) >= leftOf(one) ? best : one), null);
}

/** Those that pay. */
export const open = (channels: Channel[]): Channel[] => channels.filter(({ standing }) => standing === "open");

/** One that its payer closes alone, and of which something comes back. */
export const startedAlone = (channels: Channel[]): Channel | null =>
  mostLeft(channels.filter((one) => one.standing === "closing" && leftOf(one) > 0n));

/** One that is at its expiry, and of which something comes back. */
export const ended = (channels: Channel[]): Channel | null =>
  mostLeft(channels.filter((one) => one.standing === "ending" && leftOf(one) > 0n));

/** In words. What the node could have got of it in the dispute window is not more than was signed. */
export function closedAlone(channel: Channel, unit: Unit): string {
  const [paid, back] = [shortly(channel.spent, unit), shortly(leftOf(channel), unit)];
  return channel.spent === 0n
    ? `The channel is closed: the whole deposit, ${back}, came back to your account.`
    : `The channel is closed: ${paid} was paid at most, and ${back} came back to your account at least.`;
}

export function stepOf({ standing, mayClose }: Channel): Taking["step"] {
  if (mayClose) return "finish";
  return standing === "closing" || standing === "ending" ? "wait" : "start";
}

export function heldOf(channel: Channel, { rail, endpoints }: PayInfo): Held {
  const calls = stepOf(channel) === "start" ? ["escrow.startClose(channel)", "escrow.close(channel)"] : ["escrow.close(channel)"];
  return {
    channel: channel.id, payer: addressOf(channel.terms.payer), chain: rail?.chain ?? "", genesis: channel.terms.genesis, endpoints,
    calls, command: closeCommandOf(channel.id, endpoints),
  };
}

/** As it is copied. */
export function textOf({ channel, payer, chain, genesis, endpoints, calls, command }: Held): string {
  const rows = [
    ["Channel", channel], ["Account", payer], ["Chain", chain], ["Genesis", genesis], ["Endpoints", endpoints.join(" ")],
    ["Calls", calls.join(", then ")], ["Or", command],
  ];
  return rows.map(([name, value]) => `${name}: ${value}`).join("\n");
}
