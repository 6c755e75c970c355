// The layouts of PROTOCOL.md: SCALE's integers, compact lengths, and hexadecimal digits for everything that has a
// fixed number of bytes.

/** Bytes that WebCrypto and sockets take. */
export type Bytes = Uint8Array<ArrayBuffer>;
/** `0x` and lower-case digits: a hash, an id, a key or a signature. */
export type Hex = string;

/** What came is not what it should be. */
export class WireError extends Error {}

/** Integers of 64 bits are held below this one, so that a number is exact. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

export function toHex(bytes: Uint8Array): Hex {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export function fromHex(text: Hex): Bytes {
  if (!/^0x(?:[0-9a-f]{2})*$/.test(text)) throw new WireError("these are no hexadecimal digits");
  return Uint8Array.from({ length: (text.length - 2) / 2 }, (_, at) => parseInt(text.slice(2 + 2 * at, 4 + 2 * at), 16));
}

export function joined(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { out.set(part, at); at += part.length; }
  return out;
}

export class Writer {
  #parts: Uint8Array[] = [];

  bytes(): Bytes { return joined(...this.#parts); }

  raw(bytes: Uint8Array): this { this.#parts.push(bytes); return this; }

  /** Hexadecimal digits of exactly so many bytes. */
  hex(text: Hex, length: number): this {
    const bytes = fromHex(text);
    if (bytes.length !== length) throw new WireError(`${length} bytes are wanted, these are ${bytes.length}`);
    return this.raw(bytes);
  }

  u8(value: number): this { return this.#integer(BigInt(value), 1); }
  u16(value: number): this { return this.#integer(BigInt(value), 2); }
  u32(value: number): this { return this.#integer(BigInt(value), 4); }
  u64(value: number): this {
    if (!Number.isSafeInteger(value)) throw new WireError("the number is too large");
    return this.#integer(BigInt(value), 8);
  }
  u128(value: bigint): this { return this.#integer(value, 16); }

  length(count: number): this {
    if (count < 64) return this.u8(count << 2);
    if (count < 1 << 14) return this.u16((count << 2) | 1);
    throw new WireError("the list is too long");
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.length(bytes.length).raw(bytes);
  }

  option<T>(value: T | null, write: (value: T) => void): this {
    this.u8(value === null ? 0 : 1);
    if (value !== null) write(value);
    return this;
  }

  #integer(value: bigint, length: number): this {
    if (value < 0n || value >> BigInt(8 * length) !== 0n) throw new WireError(`this does not fit into ${length} bytes`);
    const out = new Uint8Array(length);
    for (let at = 0, left = value; at < length; at += 1, left >>= 8n) out[at] = Number(left & 0xffn);
    return this.raw(out);
  }
}

export class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  /** Nothing may be left over. */
  end(): void {
    if (this.#at !== this.bytes.length) throw new WireError("there are bytes left over");
  }

  raw(length: number): Uint8Array {
    const part = this.bytes.slice(this.#at, this.#at + length);
    if (part.length !== length) throw new WireError("it ends too early");
    this.#at += length;
    return part;
  }

  hex(length: number): Hex { return toHex(this.raw(length)); }
  u8(): number { return Number(this.#integer(1)); }
  u16(): number { return Number(this.#integer(2)); }
  u32(): number { return Number(this.#integer(4)); }
  u64(): number {
    const value = this.#integer(8);
    if (value > BigInt(MAX_INTEGER)) throw new WireError("the number is too large");
    return Number(value);
  }
  u128(): bigint { return this.#integer(16); }

  /** A compact length of at most two bytes, in its shortest form. */
  length(most: number): number {
    const low = this.u8();
    const form = low & 3;
    if (form > 1) throw new WireError("the list is too long");
    const count = form === 0 ? low >> 2 : (low | (this.u8() << 8)) >> 2;
    if (count > most || (form === 1 && count < 64)) throw new WireError("the list is too long, or its length not in its shortest form");
    return count;
  }

  text(most: number): string {
    const bytes = this.raw(this.length(most));
    if (bytes.length === 0 || bytes.some((byte) => byte <= 0x20 || byte > 0x7e)) throw new WireError("this is no text");
    return new TextDecoder().decode(bytes);
  }

  version(): void {
    if (this.u8() !== 1) throw new WireError("the version is not known");
  }

  option<T>(read: () => T): T | null {
    const flag = this.u8();
    if (flag > 1) throw new WireError("this is no option");
    return flag === 1 ? read() : null;
  }

  #integer(length: number): bigint {
    return this.raw(length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }
}
