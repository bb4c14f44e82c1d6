/**
 * Header → caller. A verified token is remembered until it expires, so that the same shopper's next request costs a look-up
 * and no cryptography. Refused tokens are not remembered: they would push the good ones out.
 */
import { LRUCache } from 'lru-cache';
import type { Caller } from './caller.js';
import { unauthenticated, type Verifier } from './verify.js';
import { problem } from '../http/problems.js';

/** Characters of all remembered tokens; bounds the cache whatever the size of a token. */
const CACHE_CHARACTERS = 32 * 1024 * 1024;
/** A token has to fit into a header anyway; this keeps one from filling the cache. */
const MAX_TOKEN = 8 * 1024;
/** What an entry costs beside the token itself. */
const ENTRY_CHARACTERS = 256;

export interface AuthCounts {
  hits: number;
  misses: number;
}

export class Authenticator {
  readonly counts: AuthCounts = { hits: 0, misses: 0 };
  /** By the whole header, as it is sent every time. */
  private readonly verified = new LRUCache<string, Caller>({
    maxSize: CACHE_CHARACTERS,
    sizeCalculation: (_caller, header) => header.length + ENTRY_CHARACTERS,
  });

  constructor(private readonly verify: Verifier) {}

  /**
   * The caller an Authorization header stands for; at once where the token was seen before.
   * @throws Problem unauthenticated (also as a rejection)
   */
  authenticate(header: string): Caller | Promise<Caller> {
    const known = this.verified.get(header);
    if (known !== undefined && known.expiresAt > Date.now()) {
      this.counts.hits += 1;
      return known;
    }
    const token = bearer(header);
    this.counts.misses += 1;
    return this.verify(token).then((caller) => {
      this.verified.set(header, caller);
      return caller;
    });
  }
}

function bearer(header: string): string {
  if (header === '') {
    throw problem('unauthenticated', 'This needs a token: Authorization: Bearer <jwt>.', undefined, [
      ['WWW-Authenticate', 'Bearer realm="holdfast"'],
    ]);
  }
  if (!/^bearer /i.test(header)) throw unauthenticated('the Authorization header is not a bearer token');
  const token = header.slice(7).trim();
  if (token === '' || token.length > MAX_TOKEN) throw unauthenticated('the token is empty or too long');
  return token;
}
