/** What answers mean to somebody who must not believe more than was said, however they came. */
import type { Ack, Answer } from '../history.js';

/**
 * 2xx is done. Of errors, `outcome_unknown` and anything unexpected above 499 say nothing; `idempotency_in_flight` is about
 * another request; all others promise that this request changed nothing.
 *
 * @param status of HTTP; over the stream, the one that the code has over HTTP
 */
export function judge(status: number, body: Record<string, unknown>, replayed: boolean): Answer {
  if (status < 300) return { outcome: 'ok', status, body, replayed, ...ackIn(body) };
  const code = String(body.code);
  const nothing = status < 500 || code === 'shard_unavailable' || code === 'overloaded';
  return { outcome: nothing ? 'failed' : 'unknown', status, code, body, replayed };
}

function ackIn(body: Record<string, unknown>): { ack?: Ack } {
  return body.ack === undefined ? {} : { ack: body.ack as Ack };
}

export function itemOf(ref: string): { location: string; sku: string } {
  const [location, sku] = ref.split(':') as [string, string];
  return { location, sku };
}
