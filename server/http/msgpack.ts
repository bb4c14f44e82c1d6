/**
 * MessagePack from strangers. A decoder trusts the lengths it reads: five bytes can ask for an array of four billion
 * entries, and nesting recurses. So the bytes are walked once, without recursion and without building anything, and only
 * what is plain, complete and shallow is decoded.
 */
import { isUtf8 } from 'node:buffer';
import { Packr, Unpackr } from 'msgpackr';

/** Levels of arrays and maps within each other, in MessagePack and in JSON. */
export const MAX_DEPTH = 16;

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

export function packMessage(value: unknown): Buffer {
  return packr.pack(value);
}

/** @throws SyntaxError with a sentence for the caller */
export function unpackMessage(bytes: Buffer): unknown {
  checkPlain(bytes);
  try {
    return unpackr.unpack(bytes);
  } catch {
    // What is plain and complete and still cannot be an object: a map with an array or a map for a key.
    throw new SyntaxError('a map has a key that is not text');
  }
}

const refuse = (why: string): never => {
  throw new SyntaxError(why);
};

/** Walks one value and everything in it; throws unless it is plain, complete, shallow, and the only one. */
export function checkPlain(bytes: Buffer): void {
  const end = bytes.length;
  /** Values still to be read on each open level. */
  const open: number[] = [1];
  let at = 0;
  while (open.length > 0) {
    const level = open.length - 1;
    const left = open[level] ?? 0;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[level] = left - 1;
    if (at >= end) refuse('the MessagePack value is cut off');
    const type = bytes[at] ?? 0;
    at += 1;
    const size = lengthOf(bytes, type, at);
    at += size.header;
    if (size.text) {
      if (at + size.bytes > end) refuse('the MessagePack value is cut off');
      if (!isUtf8(bytes.subarray(at, at + size.bytes))) refuse('a string is not valid UTF-8');
    }
    at += size.bytes;
    if (at > end) refuse('the MessagePack value is cut off');
    if (size.values > 0) {
      // Every value has at least one byte: a length that the rest cannot hold is a lie.
      if (size.values > end - at) refuse('the MessagePack value is cut off');
      if (open.length > MAX_DEPTH) refuse(`nested deeper than ${MAX_DEPTH} levels`);
      open.push(size.values);
    }
  }
  if (at !== end) refuse('there are bytes after the MessagePack value');
}

interface Extent {
  /** Bytes of a length field after the type byte. */
  readonly header: number;
  /** Bytes of payload. */
  readonly bytes: number;
  /** Values that follow as content. */
  readonly values: number;
  readonly text: boolean;
}

const extent = (header: number, bytes: number, values = 0, text = false): Extent => ({ header, bytes, values, text });
const SCALARS: readonly Extent[] = [0, 1, 2, 4, 8].map((bytes) => extent(0, bytes));
const scalar = (index: number): Extent => SCALARS[index] ?? extent(0, 0);

function lengthOf(bytes: Buffer, type: number, at: number): Extent {
  if (type < 0x80 || type >= 0xe0) return scalar(0);
  if (type < 0x90) return extent(0, 0, (type & 0x0f) * 2);
  if (type < 0xa0) return extent(0, 0, type & 0x0f);
  if (type < 0xc0) return extent(0, type & 0x1f, 0, true);
  switch (type) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return scalar(0);
    case 0xcc: // uint 8 … 64
    case 0xd0: // int 8 … 64
      return scalar(1);
    case 0xcd:
    case 0xd1:
      return scalar(2);
    case 0xce:
    case 0xd2:
    case 0xca: // float 32
      return scalar(3);
    case 0xcf:
    case 0xd3:
    case 0xcb: // float 64
      return scalar(4);
    case 0xd9:
      return extent(1, uint(bytes, at, 1), 0, true);
    case 0xda:
      return extent(2, uint(bytes, at, 2), 0, true);
    case 0xdb:
      return extent(4, uint(bytes, at, 4), 0, true);
    case 0xdc:
      return extent(2, 0, uint(bytes, at, 2));
    case 0xdd:
      return extent(4, 0, uint(bytes, at, 4));
    case 0xde:
      return extent(2, 0, uint(bytes, at, 2) * 2);
    case 0xdf:
      return extent(4, 0, uint(bytes, at, 4) * 2);
    default:
      // bin, ext, timestamps: no field of any request has such a type, and extensions reach into the decoder.
      return refuse('only nil, booleans, numbers, strings, arrays and maps are taken');
  }
}

function uint(bytes: Buffer, at: number, size: number): number {
  if (at + size > bytes.length) refuse('the MessagePack value is cut off');
  return bytes.readUIntBE(at, size);
}
