/** What an Idempotency-Key stands for: a caller, an address and a key together, and what was asked under it. */
import { createHash } from 'node:crypto';
import { invalidField } from '../http/problems.js';

const BARE = /^[\x21-\x7e]{1,255}$/;

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
  return createHash('sha256').update(`${role}\n${sub}\n${method}\n${url}\n${key}`).digest('base64url');
}

/** The content: what must not change under a key. */
export function fingerprintOf(contentType: string, query: string, body: Buffer): string {
  return createHash('sha256').update(`${contentType}\n${query}\n`).update(body).digest('base64url').slice(0, 22);
}
