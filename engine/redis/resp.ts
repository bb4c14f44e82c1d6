/**
 * Commands in RESP as latin1 strings: every character is one byte. Text that is not ASCII is turned into the characters
 * of its UTF-8 bytes first. One string a pipeline costs less than buffers a command, and the socket writes it as it is.
 */

const CRLF = '\r\n';
const HEADS: readonly string[] = Array.from({ length: 1024 }, (_, length) => `$${length}\r\n`);
const SMALL_INTS: readonly string[] = Array.from({ length: 4096 }, (_, n) => `$${String(n).length}\r\n${n}\r\n`);

export function head(length: number): string {
  return HEADS[length] ?? `$${length}\r\n`;
}

export function arrayHead(length: number): string {
  return `*${length}\r\n`;
}

/** A bulk string of ASCII text: no look at its characters. For names of keys and commands. */
export function bulkAscii(text: string): string {
  return head(text.length) + text + CRLF;
}

/** `base` and `ref` as one bulk string; both ASCII. */
export function bulkJoined(base: string, ref: string): string {
  return head(base.length + ref.length) + base + ref + CRLF;
}

export function bulk(value: string | number): string {
  if (typeof value === 'number') {
    const small = SMALL_INTS[value];
    if (small !== undefined) return small;
    // What is no integer up to 2^53 goes out as JavaScript writes it (NaN, 1e+308): the scripts refuse it.
    return bulkAscii(String(value));
  }
  return bulkAscii(isAscii(value) ? value : Buffer.from(value, 'utf8').toString('latin1'));
}

/** Looking at some characters here costs less than a call out of JavaScript. */
const SHORT = 48;

function isAscii(text: string): boolean {
  if (text.length > SHORT) return Buffer.byteLength(text) === text.length;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

export function bulkCommand(parts: readonly (string | number | Buffer)[]): string {
  let out = arrayHead(parts.length);
  for (const part of parts) out += typeof part === 'object' ? bulkAscii(part.toString('latin1')) : bulk(part);
  return out;
}
