/** What an Idempotency-Key stands for: a caller, an address and a key together, and what was asked under it. */
import { createHash } from 'node:crypto';
import type { Exchange } from '../http/exchange.js';
import { invalidField } from '../http/problems.js';

const BARE = /^[\x21-\x7e]{1,255}$/;

/** The key, quoted (as a structured field) or bare: both spellings are the same key. */
export function parseIdempotencyKey(header: string): string {
  const quoted = header.length >= 2 && header.startsWith('"') && header.endsWith('"');
  const key = quoted ? header.slice(1, -1).replace(/\\(["\\])/g, '$1') : header;
  if (!BARE.test(key)) throw invalidField('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
  return key;
}

/** Scoped to the caller: nobody is answered with what was another's, not even under the same key. */
export function scopeHash(x: Exchange, key: string): string {
  const { sub, role } = x.who;
  return createHash('sha256').update(`${role}\n${sub}\n${x.route.method}\n${x.url}\n${key}`).digest('base64url');
}

/** The content: what must not change under a key. */
export function fingerprintOf(x: Exchange, body: Buffer): string {
  return createHash('sha256').update(`${x.contentType}\n${x.query}\n`).update(body).digest('base64url').slice(0, 22);
}
