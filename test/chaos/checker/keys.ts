/** Point 5: a key is one request and has one answer, whoever sends it, however often. */
import { isDeepStrictEqual } from 'node:util';
import type { Call } from '../history.js';
import type { Checking } from './context.js';
import { push } from './model.js';

/** Refusals about what was sent, and not about its outcome: sent again they are decided anew. */
const NOT_KEPT: readonly number[] = [400, 401, 403, 408, 413, 415, 422, 429];

export function checkKeys(checking: Checking): void {
  const groups = new Map<string, Call[]>();
  for (const call of checking.calls) if (call.key !== undefined) push(groups, `${call.key} ${contentOf(call)}`, call);
  for (const group of groups.values()) {
    checkOneReservation(checking, group);
    checkOriginal(checking, group);
  }
}

/** What a server compares under a key. */
export function contentOf({ request, wanted }: Pick<Call, 'request' | 'wanted'>): string {
  return JSON.stringify([request, wanted]);
}

/** Its id follows from key and content, and so outlives that the key is forgotten. */
function checkOneReservation({ report }: Checking, group: readonly Call[]): void {
  const made = new Map<string, Call>();
  for (const call of group) {
    const id = (call.answer?.body as { reservationId?: string } | undefined)?.reservationId;
    if (call.request.op === 'reserve' && call.answer?.outcome === 'ok' && id !== undefined) made.set(id, call);
  }
  if (made.size > 1)
    report({
      point: 5,
      what: `key ${group[0]!.key} made ${made.size} reservations of one content: ${[...made.keys()].join(', ')}`,
      ids: [...made.keys()],
      calls: [...made.values()],
    });
}

/** What is replayed is what was answered first. Kept answers lie in Redis alone: not so across a loss. */
function checkOriginal({ faults, report }: Checking, group: readonly Call[]): void {
  const originals = group.filter(isKept);
  if (originals.length === 0) return;
  const first = Math.min(...originals.map(({ began }) => began));
  for (const call of group) {
    if (!call.answer?.replayed || call.answer.code === 'idempotency_in_flight') continue;
    if (originals.some(({ answer }) => isDeepStrictEqual(answer!.body, call.answer!.body))) continue;
    // Where the first answer could not be kept, the next one is, and may have been seen by nobody.
    if (group.some((one) => isUnseen(one) && (one.ended ?? Infinity) >= first && one.began <= call.ended!)) continue;
    const began = Math.min(first, call.began);
    if (faults.some(({ loses, from, to }) => loses !== 'none' && began <= to && call.ended! >= from)) continue;
    report({
      point: 5,
      what: `call ${call.n} was answered with something else under key ${call.key} than was answered first`,
      calls: [originals[0]!, call],
    });
  }
}

/** An answer that was given for the first time, and that is given again. */
export function isKept({ answer }: Call): boolean {
  if (!answer || answer.replayed || answer.code === 'idempotency_in_flight') return false;
  if (answer.outcome === 'ok') return answer.status !== 202;
  return (
    answer.outcome === 'failed' && answer.status >= 400 && answer.status < 500 && !NOT_KEPT.includes(answer.status)
  );
}

const isUnseen = (call: Call): boolean => !call.answer?.replayed && !isKept(call);
