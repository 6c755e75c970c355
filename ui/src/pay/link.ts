// What a page asks a wallet for: a link that the wallet reads, shows decoded, and approves or not.
import type { Hex } from "./bytes";

/** A page that its payee serves is not trusted with more than so many seconds' price. */
export const DEPOSIT_SECONDS = 300n;

export interface Request {
  /** Scheme, host and port of the node. */
  node: string;
  playbackId: string;
  tier: number;
  session: Hex;
  deposit: bigint;
  /** One that is topped up instead of opening another. */
  channel: Hex | null;
}

export function linkOf({ node, playbackId, tier, session, deposit, channel }: Request): string {
  const asked = new URLSearchParams({ node, stream: playbackId, tier: String(tier), session, deposit: String(deposit) });
  if (channel) asked.set("channel", channel);
  return `tickcast:approve?${asked}`;
}

/** The same for a terminal. Nothing in it needs escaping between these quotes: URLSearchParams leaves none there. */
export const commandOf = (link: string): string => `tickcast wallet approve '${link}'`;

/** How a wallet closes a channel alone. An endpoint is the node's word, so what a shell would read in it is escaped. */
export const closeCommandOf = (channel: Hex, endpoints: string[]): string => {
  const chain = endpoints[0] ? ` --chain '${endpoints[0].replaceAll("'", "%27")}'` : "";
  return `tickcast wallet channels close ${channel}${chain}`;
};

/** By which a person knows this page's key again in a wallet: anybody can make a link that names this page. */
export const codeOf = (session: Hex): string => session.slice(4, 12).toUpperCase().replace(/(.{4})/, "$1 ");
