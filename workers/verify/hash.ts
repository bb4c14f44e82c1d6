/**
 * Postgres' hashes of rows, made here: `hash_record_extended` and what it is made of, seed 0 (src/common/hashfn.c, src/backend/access/hash,
 * on machines that put the low byte first). Hash-partitioned tables rest on them, so they stay what they are from version to version; where
 * they were others, digests would never agree and everything would be compared one by one: slower, never wrong.
 */

const TWO_32 = 4_294_967_296;
const START = 0x9e3779b9 + 3_923_095;

let a = 0;
let b = 0;
let c = 0;

function mix(): void {
  a = ((a - c) ^ ((c << 4) | (c >>> 28))) | 0;
  c = (c + b) | 0;
  b = ((b - a) ^ ((a << 6) | (a >>> 26))) | 0;
  a = (a + c) | 0;
  c = ((c - b) ^ ((b << 8) | (b >>> 24))) | 0;
  b = (b + a) | 0;
  a = ((a - c) ^ ((c << 16) | (c >>> 16))) | 0;
  c = (c + b) | 0;
  b = ((b - a) ^ ((a << 19) | (a >>> 13))) | 0;
  a = (a + c) | 0;
  c = ((c - b) ^ ((b << 4) | (b >>> 28))) | 0;
  b = (b + a) | 0;
}

/** The hash is then `b` (high) and `c` (low). */
function final(): void {
  c = ((c ^ b) - ((b << 14) | (b >>> 18))) | 0;
  a = ((a ^ c) - ((c << 11) | (c >>> 21))) | 0;
  b = ((b ^ a) - ((a << 25) | (a >>> 7))) | 0;
  c = ((c ^ b) - ((b << 16) | (b >>> 16))) | 0;
  a = ((a ^ c) - ((c << 4) | (c >>> 28))) | 0;
  b = ((b ^ a) - ((a << 14) | (a >>> 18))) | 0;
  c = ((c ^ b) - ((b << 24) | (b >>> 8))) | 0;
}

/** Starts a hash of so many bytes. */
function begin(length: number): void {
  a = b = c = (START + length) | 0;
}

/** The last bytes, fewer than twelve; the lowest byte of `c` is the length's. */
function addRest(rest: number, byte: number): void {
  if (rest < 4) a = (a + (byte << (8 * rest))) | 0;
  else if (rest < 8) b = (b + (byte << (8 * (rest - 4)))) | 0;
  else c = (c + (byte << (8 * (rest - 7)))) | 0;
}

function hashBytes(bytes: Buffer): void {
  const { length } = bytes;
  begin(length);
  let at = 0;
  for (; at + 12 <= length; at += 12) {
    a = (a + bytes.readInt32LE(at)) | 0;
    b = (b + bytes.readInt32LE(at + 4)) | 0;
    c = (c + bytes.readInt32LE(at + 8)) | 0;
    mix();
  }
  for (let rest = 0; at < length; at++, rest++) addRest(rest, bytes[at]!);
  final();
}

/** Four characters as an integer. What is not ASCII is noticed by the caller, who has looked at all of them. */
function four(text: string, at: number): number {
  return (
    text.charCodeAt(at) |
    (text.charCodeAt(at + 1) << 8) |
    (text.charCodeAt(at + 2) << 16) |
    (text.charCodeAt(at + 3) << 24)
  );
}

const ASCII = /^[\0-\x7f]*$/;

function hashText(text: string): void {
  if (!ASCII.test(text)) return hashBytes(Buffer.from(text, 'utf8'));
  const { length } = text;
  begin(length);
  let at = 0;
  for (; at + 12 <= length; at += 12) {
    a = (a + four(text, at)) | 0;
    b = (b + four(text, at + 4)) | 0;
    c = (c + four(text, at + 8)) | 0;
    mix();
  }
  for (let rest = 0; at < length; at++, rest++) addRest(rest, text.charCodeAt(at));
  final();
}

/** bigint, integer and smallint alike. */
function hashInteger(value: number): void {
  const high = Math.floor(value / TWO_32) | 0;
  begin(4);
  a = (a + (value ^ (value >= 0 ? high : ~high))) | 0;
  final();
}

/** The hash of a row or of an array, as it is put together column by column. */
export class RowHash {
  /** 64 bits in two integers of 32, signed. */
  high = 0;
  low = 0;

  row(): this {
    this.high = this.low = 0;
    return this;
  }

  array(): this {
    this.high = 0;
    this.low = 1;
    return this;
  }

  /** A column of type smallint, integer or bigint. A bigint's hash folds its halves together: {@link wide} tells more apart. */
  integer(value: number): this {
    hashInteger(value);
    return this.add(b, c);
  }

  /** Two columns: a bigint, and the same shifted right by 32, so that no two numbers are alike. */
  wide(value: number): this {
    return this.integer(value).integer(Math.floor(value / TWO_32));
  }

  text(value: string): this {
    hashText(value);
    return this.add(b, c);
  }

  nested({ high, low }: RowHash): this {
    return this.add(high, low);
  }

  /** hash · 31 + what the column adds. */
  private add(high: number, low: number): this {
    const product = (this.low >>> 0) * 31 + (low >>> 0);
    this.low = product | 0;
    this.high = (Math.imul(this.high, 31) + high + Math.floor(product / TWO_32)) | 0;
    return this;
  }
}

/** `hashtextextended(text, 0)`, its low 32 bits: what tells buckets apart. */
export function lowHash(text: string): number {
  hashText(text);
  return c;
}
