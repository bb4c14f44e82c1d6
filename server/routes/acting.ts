/** Who acts for whom, and how far an answer has to be safe: what all changing routes share. */
import type { Ack, CallOptions, Done, Reservation } from '../../engine/types.js';
import type { Caller } from '../auth/caller.js';
import type { Exchange } from '../http/exchange.js';
import { problem } from '../http/problems.js';
import type { Answer } from '../http/route.js';
import { changeBody, changeJson } from './reservation-body.js';

export { time } from './time.js';

/** `expires` and the like are told to the second; a durable ack that is on its way needs about this long. */
const DURABLE_RETRY_SECONDS = 1;

/** Who the change is for. Buyers act as themselves; services and admins for whom they name, or for nobody. (G1) */
export function buyerOf(x: Exchange, named: string | undefined): string | undefined {
  return buyerFor(x.who, named);
}

export function buyerFor({ role, sub }: Caller, named: string | undefined): string | undefined {
  if (role !== 'buyer') return named;
  if (named !== undefined && named !== sub) {
    throw problem('forbidden', 'A buyer acts only as the sub of its own token; leave buyerId out.');
  }
  return sub;
}

/** The audit trail names the subject of the token. (S7) */
export function callOptions(x: Exchange, ackInBody: Ack | undefined): CallOptions {
  const ack = x.ackWanted(ackInBody);
  if (ack === 'durable') x.waitsElsewhere();
  return ack === undefined ? { actor: x.who.sub } : { actor: x.who.sub, ack };
}

/** `durable` that was asked for and not reached is 202: done, not yet safe; repeating waits for it again. */
export function changed(status: 200 | 201, body: { readonly ack: Ack }, wanted: Ack | undefined): Answer {
  if (notYetDurable(body.ack, wanted)) return { status: 202, body, retryAfter: DURABLE_RETRY_SECONDS };
  return { status, body };
}

function notYetDurable(reached: Ack, wanted: Ack | undefined): boolean {
  return wanted === 'durable' && reached !== 'durable';
}

/** A reservation after a change; `headers` as in {@link Answer}. */
export function changedReservation(
  x: Exchange,
  done: 200 | 201,
  { value, ack }: Done<Reservation>,
  wanted: Ack | undefined,
  headers?: Answer['headers'],
): Answer {
  const late = notYetDurable(ack, wanted);
  const packed = x.wantsMessagePack;
  return {
    status: late ? 202 : done,
    body: packed ? changeBody(value, ack) : undefined,
    json: packed ? undefined : changeJson(value, ack),
    headers,
    retryAfter: late ? DURABLE_RETRY_SECONDS : undefined,
  };
}
