/** What an Idempotency-Key stands for: a caller, an address and a key together, and what was asked under it. */
import * as crypto from 'node:crypto';
import { ID_ALPHABET, RANDOM_CHARS, steered } from '../../engine/steer.js';
import { invalidField } from '../http/problems.js';

const BARE = /^[\x21-\x7e]{1,255}$/;
const FINGERPRINT_CHARS = 22;

/** The key, quoted (as a structured field) or bare: both spellings are the same key. */
export function parseIdempotencyKey(header: string): string {
  const quoted = header.length >= 2 && header.startsWith('"') && header.endsWith('"');
  const key = quoted ? header.slice(1, -1).replace(/\\(["\\])/g, '$1') : header;
  if (!BARE.test(key)) throw invalidField('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
  return key;
}

export interface Scope {
  readonly sub: string;
  readonly role: string;
  readonly method: string;
  readonly url: string;
  readonly key: string;
}

/** Scoped to the caller: nobody is answered with what was another's, not even under the same key. */
export function scopeHash({ sub, role, method, url, key }: Scope): string {
  return sha256(`${role}\n${sub}\n${method}\n${url}\n${key}`);
}

/** The content: what must not change under a key. */
export function fingerprintOf(contentType: string, query: string, body: Buffer): string {
  return sha256(`${contentType}\n${query}\n${body.toString('latin1')}`).slice(0, FINGERPRINT_CHARS);
}

/**
 * The id of the reservation that is made under a key for this content, at home in `partition` of `count`. It depends on nothing
 * else: whoever carries the request out, and however often, makes one reservation.
 */
export function reservationIdOf(hash: string, fingerprint: string, partition: number, count: number): string {
  for (let turn = 0; ; turn++) {
    let head = '';
    for (let at = 0; at < RANDOM_CHARS; at++) {
      const one = VALUES.get(hash[(at + turn) % hash.length]!)!;
      head += ID_ALPHABET[one ^ VALUES.get(fingerprint[at]!)!]!;
    }
    const id = steered(head, partition, count);
    if (id !== undefined) return id;
  }
}

const VALUES = new Map(Array.from(ID_ALPHABET, (char, value) => [char, value]));

/** In one call where Node has it (20.12). */
const oneCall = (crypto as { hash?: typeof crypto.hash }).hash;
const sha256 = (text: string): string =>
  oneCall === undefined
    ? crypto.createHash('sha256').update(text).digest('base64url')
    : oneCall('sha256', text, 'base64url');
