/**
 * Bytes → physical lines. Our own splitter and not the CSV parser's, because a report must name the physical line,
 * one damaged line must not take its neighbours with it, and the encoding must be judged line by line.
 */
import { isUtf8 } from 'node:buffer';
import { CatalogueError, LIMITS } from './reasons.js';

export interface PhysicalLine {
  /** From 1. */
  number: number;
  /** Without its line break. */
  text: string;
  /** The line break as it stands in the file, empty at the end of the file. */
  eol: string;
  fault?: 'encoding' | 'too_long';
}

const LF = 0x0a;
const CR = 0x0d;
const SIGNATURES: [number[], string][] = [
  [[0xff, 0xfe], 'The file is UTF-16. Save it as "CSV UTF-8".'],
  [[0xfe, 0xff], 'The file is UTF-16. Save it as "CSV UTF-8".'],
  [[0x50, 0x4b, 0x03, 0x04], 'The file is a spreadsheet or a ZIP archive, not a CSV. Save it as "CSV UTF-8".'],
  [[0x1f, 0x8b], 'The file is compressed with gzip. Unpack it first.'],
];

/**
 * Splits a stream of bytes into lines; holds one line and one chunk at a time.
 * Ends lines at LF (CRLF included), or at CR in a file whose beginning has no LF at all.
 * @throws {CatalogueError} where the file is not text.
 */
export async function* physicalLines(source: AsyncIterable<Buffer>): AsyncGenerator<PhysicalLine> {
  let number = 0;
  let breakByte = 0;
  let pieces: Buffer[] = [];
  let held = 0;
  let tooLong = false;
  let head: Buffer | undefined = Buffer.alloc(0);

  const take = (piece: Buffer): void => {
    if (tooLong) return;
    if (held + piece.length > LIMITS.lineBytes) {
      // Keep the beginning for the report and let the rest go by: memory stays bounded on a file without line breaks.
      tooLong = true;
      pieces.push(piece.subarray(0, Math.max(0, 200 - held)));
      return;
    }
    pieces.push(piece);
    held += piece.length;
  };
  const finish = (ended: boolean): PhysicalLine => {
    let bytes = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
    let eol = ended ? String.fromCharCode(breakByte) : '';
    if (breakByte === LF && !tooLong && bytes.length > 0 && bytes[bytes.length - 1] === CR) {
      bytes = bytes.subarray(0, bytes.length - 1);
      eol = '\r' + eol;
    }
    const line: PhysicalLine = { number: ++number, text: bytes.toString('utf8'), eol };
    if (tooLong) line.fault = 'too_long';
    // NUL is valid UTF-8, but no text file has it and Postgres cannot keep it.
    else if (!isUtf8(bytes) || bytes.includes(0)) line.fault = 'encoding';
    pieces = [];
    held = 0;
    tooLong = false;
    return line;
  };
  function* split(chunk: Buffer): Generator<PhysicalLine> {
    let from = 0;
    for (let to = chunk.indexOf(breakByte, from); to >= 0; to = chunk.indexOf(breakByte, from)) {
      take(chunk.subarray(from, to));
      yield finish(true);
      from = to + 1;
    }
    if (from < chunk.length) take(chunk.subarray(from));
  }

  for await (const chunk of source) {
    let rest: Buffer = chunk;
    if (head !== undefined) {
      head = Buffer.concat([head, chunk]);
      if (head.length < LIMITS.lineBytes && !head.includes(LF)) continue;
      breakByte = head.includes(LF) || !head.includes(CR) ? LF : CR;
      rest = checkBeginning(head);
      head = undefined;
    }
    yield* split(rest);
  }
  if (head !== undefined) {
    breakByte = head.includes(LF) || !head.includes(CR) ? LF : CR;
    yield* split(checkBeginning(head));
  }
  if (pieces.length > 0) yield finish(false);
}

/** Takes the byte order mark off, and refuses what is not text. */
function checkBeginning(head: Buffer): Buffer {
  for (const [bytes, message] of SIGNATURES) {
    if (bytes.every((byte, i) => head[i] === byte)) throw new CatalogueError(message);
  }
  // Only in the first line: there it means another encoding or no text at all, later it is damage to one row.
  const end = head.indexOf(LF);
  if (head.subarray(0, end < 0 ? head.length : end).includes(0)) {
    throw new CatalogueError('The file is not UTF-8 text (it has NUL bytes). Save it as "CSV UTF-8".');
  }
  const bom = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf;
  return bom ? head.subarray(3) : head;
}
