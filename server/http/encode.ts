/** Answers → bytes, as the client asked. */
import { gzip } from 'node:zlib';
import { packMessage } from './msgpack.js';
import { problemBody, RETRY_AFTER, type Problem } from './problems.js';
import type { Encoded, Exchange, Headers } from './exchange.js';
import type { Answer } from './route.js';

export const JSON_TYPE = 'application/json';
export const PROBLEM_TYPE = 'application/problem+json';
export const MESSAGEPACK_TYPE = 'application/msgpack';

/** Below this the header of gzip and the time of packing cost more than the bytes they save. (G3) */
export const COMPRESS_FROM_BYTES = 1024;

const NO_HEADERS: Headers = [];

export function encodeAnswer(x: Exchange, answer: Answer): Encoded {
  const { status, raw } = answer;
  const headers = answer.headers ?? NO_HEADERS;
  const { retryAfter } = answer;
  if (answer.json !== undefined) return { status, type: JSON_TYPE, bytes: answer.json, headers, retryAfter };
  if (raw !== undefined) return { status, type: raw.type, bytes: raw.bytes, headers, retryAfter };
  if (x.wantsMessagePack)
    return { status, type: MESSAGEPACK_TYPE, bytes: packMessage(answer.body), headers, retryAfter };
  return { status, type: JSON_TYPE, bytes: JSON.stringify(answer.body), headers, retryAfter };
}

/** RFC 9457 defines no MessagePack form; clients that asked for it get the same fields in it. */
export function encodeProblem(x: Exchange, found: Problem): Encoded {
  const body = problemBody(found, x.requestId);
  return {
    status: found.kind.http,
    type: x.wantsMessagePack ? MESSAGEPACK_TYPE : PROBLEM_TYPE,
    bytes: x.wantsMessagePack ? packMessage(body) : JSON.stringify(body),
    headers: found.headers,
    retryAfter: found.extra.retryAfter ?? RETRY_AFTER[found.kind.code],
  };
}

/** Strings are measured by length: what only multi-byte characters would lift over the mark is not worth packing. */
export function worthCompressing(answer: Encoded): boolean {
  return answer.bytes.length >= COMPRESS_FROM_BYTES && !answer.headers.some(([name]) => name === 'Content-Encoding');
}

/** Packs in the thread pool; calls back with the answer as it was when that gains nothing. */
export function compress(answer: Encoded, done: (answer: Encoded) => void): void {
  gzip(answer.bytes, { level: 1 }, (error, packed) => {
    if (error !== null || packed.length >= answer.bytes.length) return done(answer);
    done({ ...answer, bytes: packed, headers: [...answer.headers, ['Content-Encoding', 'gzip']] });
  });
}
