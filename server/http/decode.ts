/** Bytes of a request body → value. Every refusal is a Problem that says what is wrong. */
import { isUtf8 } from 'node:buffer';
import { MAX_DEPTH, unpackMessage } from './msgpack.js';
import { problem } from './problems.js';

export type Format = 'json' | 'msgpack';

/** The format a Content-Type names; undefined for any other. */
export function formatOf(contentType: string): Format | undefined {
  // Nearly every request says exactly this.
  if (contentType === 'application/json') return 'json';
  const semicolon = contentType.indexOf(';');
  const type = (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
  if (type === 'application/json') {
    const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1];
    return charset === undefined || charset.toLowerCase() === 'utf-8' ? 'json' : undefined;
  }
  if (type === 'application/msgpack' || type === 'application/x-msgpack' || type === 'application/vnd.msgpack') {
    return 'msgpack';
  }
  return undefined;
}

export function decodeBody(bytes: Buffer, contentType: string): unknown {
  const format = formatOf(contentType);
  if (format === undefined) {
    throw problem(
      'unsupported_media_type',
      contentType === ''
        ? 'A Content-Type is needed: application/json or application/msgpack.'
        : 'Bodies are application/json (UTF-8) or application/msgpack.',
    );
  }
  try {
    // What MessagePack decodes may point into the bytes, which are only lent.
    return format === 'json' ? parseJson(bytes) : unpackMessage(Buffer.from(bytes));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const what = format === 'json' ? 'JSON' : 'MessagePack';
    throw problem('invalid_request', `The body is not usable ${what}: ${error.message}.`);
  }
}

function parseJson(bytes: Buffer): unknown {
  const plain = checkedAscii(bytes);
  if (!plain && !isUtf8(bytes)) throw new SyntaxError('it is not valid UTF-8');
  const text = plain ? (bytes as Latin1).latin1Slice(0, bytes.length) : bytes.toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // V8's message quotes the input; a body may hold what does not belong into an answer or a log.
    throw new SyntaxError(`malformed${positionOf(error)}`);
  }
}

function positionOf(error: unknown): string {
  const found = error instanceof Error ? /at position (\d+)/.exec(error.message) : null;
  return found ? ` at position ${found[1]}` : '';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What `toString('latin1')` comes to behind its checks; the type does not name it. */
type Latin1 = Buffer & { latin1Slice(from: number, to: number): string };

/** One pass over the bytes: whether all are ASCII. @throws SyntaxError where they nest too deep */
function checkedAscii(bytes: Buffer): boolean {
  const { length } = bytes;
  let depth = 0;
  let quoted = false;
  let seen = 0;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at]!;
    seen |= byte;
    if (quoted) {
      if (byte === BACKSLASH) seen |= bytes[(at += 1)] ?? 0;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) quoted = true;
    else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH} levels`);
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return seen < 0x80;
}
