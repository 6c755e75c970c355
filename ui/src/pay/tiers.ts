// What a paid stream is offered for: of each quality the offer that is taken.
import type { PayInfo, StreamInfo } from "../lib/api";
import { fromHex } from "./bytes";
import { readPublished, whole, type Offer } from "./signed";

/** What a second of a quality costs; `lines` of the best picture that is broadcast for it. */
export interface Quality { tier: number; lines: number; price: bigint }

/** Of each tier the cheapest offer, the best tier first. Only what is signed counts: the same in readable fields beside it is
    for people. */
export function offersOf(stream: StreamInfo, info: PayInfo, now: number): Offer[] {
  const signed = (stream.offers ?? []).map(({ published }) => whole(fromHex(published), readPublished));
  const good = signed
    .filter(({ offer, delegation }) => (
      offer.body.genesis === info.rail?.genesis && delegation.body.node === info.node_key && offer.body.until > now
    ))
    .map(({ offer }) => offer.body);
  // Of equal ones the one that stands the longest: an old and a new one may both be in force.
  good.sort((a, b) => b.quality.tier - a.quality.tier || compare(a.price, b.price) || b.until - a.until);
  return good.filter((offer, at) => offer.quality.tier !== good[at - 1]?.quality.tier);
}

export function qualityOf({ quality, price }: Offer, stream: StreamInfo): Quality {
  // What is broadcast may be less than what is paid for.
  const broadcast = Math.max(0, ...stream.renditions.map(({ height }) => height));
  const lines = broadcast > 0 ? Math.min(quality.max_height, broadcast) : quality.max_height;
  return { tier: quality.tier, lines, price };
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
