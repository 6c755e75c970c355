// What a viewer and a node say to each other on the pay socket.
import { WireError, Writer, type Bytes, type Hex, type Reader } from "./bytes";
import {
  close, readPublished, readSigned, receipt, voucher, whole, writeSigned, type Close, type Published, type Receipt,
  type Signed, type Voucher,
} from "./signed";

/** `count` seconds from `first` on. */
export interface Range { first: number; count: number }

export type ToNode =
  | { kind: "start"; channel: Hex; offer: Hex }
  | { kind: "pay"; voucher: Signed<Voucher>; unplayed: Range[]; in_advance: boolean }
  | { kind: "report"; channel: Hex; unplayed: Range[] }
  | { kind: "stop"; channel: Hex }
  | { kind: "close"; close: Signed<Close> };

export interface Started {
  kind: "started";
  channel: Hex;
  /** The last voucher that the node has stored. */
  last: Signed<Voucher> | null;
  receipt: Signed<Receipt> | null;
  next: number;
}

export interface Acknowledged { kind: "acknowledged"; channel: Hex; tick: number; cumulative: bigint }

export interface Refused {
  kind: "refused";
  channel: Hex;
  /** Of the voucher that was refused; null where something else was. */
  tick: number | null;
  reason: number;
  last: Signed<Voucher> | null;
}

export type ToViewer =
  | Started
  | Acknowledged
  | Refused
  | { kind: "receipt"; receipt: Signed<Receipt> }
  | { kind: "offer"; published: Published }
  | { kind: "ended"; channel: Hex; ending: number }
  | { kind: "closed"; close: Signed<Close> };

/** As the table of reasons has them. */
export const REASON = {
  notSent: 9, unplayedOutOfRange: 10, unknownChannel: 14, noSession: 18, beingStored: 19, nodeFault: 21,
} as const;

/** The same may be sent again a little later. */
export const isPassing = (reason: number): boolean =>
  reason === REASON.unknownChannel || reason === REASON.noSession || reason === REASON.beingStored
  || reason === REASON.nodeFault;

export const ENDING = {
  graceSpent: 0, tooManyUnplayed: 1, depositSpent: 2, offerOver: 3, channelEnded: 4, streamOver: 5, elsewhere: 6,
} as const;

function writeRanges(out: Writer, ranges: Range[]): void {
  out.length(ranges.length);
  for (const { first, count } of ranges) out.u64(first).u32(count);
}

export function encode(message: ToNode): Bytes {
  const out = new Writer().u8(1);
  switch (message.kind) {
    case "start": out.u8(0).hex(message.channel, 32).hex(message.offer, 32); break;
    case "pay":
      writeSigned(out.u8(1), voucher, message.voucher);
      writeRanges(out, message.unplayed);
      out.u8(message.in_advance ? 1 : 0);
      break;
    case "report": writeRanges(out.u8(2).hex(message.channel, 32), message.unplayed); break;
    case "stop": out.u8(3).hex(message.channel, 32); break;
    case "close": writeSigned(out.u8(4), close, message.close); break;
  }
  return out.bytes();
}

export function decode(bytes: Uint8Array): ToViewer {
  return whole(bytes, read);
}

function read(from: Reader): ToViewer {
  from.version();
  const kind = from.u8();
  switch (kind) {
    case 0:
      return {
        kind: "started", channel: from.hex(32), last: from.option(() => readSigned(from, voucher)),
        receipt: from.option(() => readSigned(from, receipt)), next: from.u64(),
      };
    case 1: return { kind: "acknowledged", channel: from.hex(32), tick: from.u64(), cumulative: from.u128() };
    case 2:
      return {
        kind: "refused", channel: from.hex(32), tick: from.option(() => from.u64()), reason: from.u8(),
        last: from.option(() => readSigned(from, voucher)),
      };
    case 3: return { kind: "receipt", receipt: readSigned(from, receipt) };
    case 4: return { kind: "offer", published: readPublished(from) };
    case 5: {
      const [channel, ending] = [from.hex(32), from.u8()];
      if (ending > ENDING.elsewhere) throw new WireError("this ending is not known");
      return { kind: "ended", channel, ending };
    }
    case 6: return { kind: "closed", close: readSigned(from, close) };
    default: throw new WireError("this message is not known");
  }
}
