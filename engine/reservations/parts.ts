/** The parts of a claim: looked at before anything is built on them, and held again where they were lost. */
import { isVouchedFor, type Context } from '../context.js';
import { isDone, refusal, type Deadline } from '../outcome.js';
import { limits } from '../scripts/generated/limits.js';
import { stockFind } from '../scripts/generated/stock-find.js';
import type { HoldRecord, Refusal } from '../types.js';
import { again, holding, lineRefusal, type Wanted } from './hold.js';
import type { Found, Part, Place } from './place.js';
import { parseHold, stateName } from './record.js';

type Seen = HoldRecord | 'none' | 'away';

/** Each part's hold of this attempt, in the order of the parts; `away` where it could not be asked. */
function partsSeen(context: Context, id: string, place: Place, timeoutMs: number): Promise<Seen[]> {
  return Promise.all(
    place.parts.map(async ({ partition }): Promise<Seen> => {
      try {
        const { result } = await context.caller.call(stockFind, partition, { id }, { ack: 'executed', timeoutMs, id });
        const hold = result.status === 'ok' ? parseHold(id, result.hold) : undefined;
        return hold?.attempt === place.attempt ? hold : 'none';
      } catch {
        return 'away';
      }
    }),
  );
}

function isSold(state: string): boolean {
  return state === 'confirmed' || state === 'returned';
}

function isGivenBack(state: string): boolean {
  return state === 'released' || state === 'expired';
}

export interface Looked {
  /** One at least is known to have been given back, or to have expired: under this attempt it is never held again. */
  readonly ended: boolean;
  /** One at least is known to be sold. */
  readonly sold: boolean;
  /** Those that are known not to be there (any more). One that cannot be asked is taken to be: a shard that is away ends no sale. */
  readonly lost: readonly Part[];
}

export async function lookAtParts(context: Context, id: string, place: Place, timeoutMs: number): Promise<Looked> {
  const seen = await partsSeen(context, id, place, timeoutMs);
  const is = (hold: Seen, what: (state: string) => boolean): boolean => typeof hold !== 'string' && what(hold.state);
  return {
    ended: seen.some((hold) => is(hold, isGivenBack)),
    sold: seen.some((hold) => is(hold, isSold)),
    lost: place.parts.filter((_, n) => seen[n] === 'none' || is(seen[n]!, isGivenBack)),
  };
}

/** A part that cannot be held again, as of this epoch of its partition. */
export interface Refused {
  readonly refusal: Refusal;
  readonly partition: number;
  readonly epoch: number;
}

/**
 * Whether it is so for good that a part is refused, of one of them at least. A master that was cut off knows neither of the part nor of units
 * that came back since: nothing that is held is given back because of what it says.
 */
export async function isRefusedForGood(
  context: Context,
  id: string,
  refused: readonly Pick<Refused, 'partition' | 'epoch'>[],
  deadline: Deadline,
): Promise<boolean> {
  const options = { timeoutMs: Math.min(context.safeMs, deadline.left()), id };
  const safe = await Promise.all(
    refused.map(({ partition, epoch }) => isVouchedFor(context, partition, epoch, options)),
  );
  return safe.includes(true);
}

/**
 * Holds parts of a claim once more under its attempt: those that are there answer so, those that were lost are held anew while
 * there are units, also where the sale is over or has other rules now. @returns the first refusal.
 */
export async function holdAgain(
  context: Context,
  { record, place, now }: Pick<Found, 'record' | 'place' | 'now'>,
  parts: readonly Part[],
  { actor, deadline }: { readonly actor: string; readonly deadline: Deadline },
): Promise<Refused | undefined> {
  const wanted: Wanted = {
    id: record.id,
    buyer: record.buyerId,
    hold: Math.min(Math.max(1, Math.ceil((record.deadline - now) / 1_000)), limits.max_hold_seconds),
    room: '',
    actor,
    fingerprint: record.fingerprint,
    parts,
    ack: 'replicated',
    deadline,
  };
  const attempt = again(place.attempt);
  const answers = await Promise.all(parts.map((part) => holding(context, wanted, part, attempt, 'replicated')()));
  for (const [n, { result, partition, epoch }] of answers.entries()) {
    if (!isDone(result.status)) return { refusal: lineRefusal(result, parts[n]!), partition, epoch };
    const state = 'state' in result ? stateName(result.state) : 'held';
    if (state !== 'held' && !isSold(state))
      return { refusal: refusal(state === 'released' ? 'reservation_released' : 'hold_expired'), partition, epoch };
  }
  return undefined;
}
