/** Confirm and release: one decision at the home, which the parts of a claim then follow. (S3, S9) */
import { checkId, checkText } from '../content.js';
import { ackOf, atLeastReplicated, change, timeoutOf, type Context } from '../context.js';
import { ShardUnavailable } from '../errors.js';
import { Deadline, done, isDone, narrowest, refusal } from '../outcome.js';
import { claimsConfirm } from '../scripts/generated/claims-confirm.js';
import { claimsRelease } from '../scripts/generated/claims-release.js';
import type { StatusName } from '../scripts/generated/statuses.js';
import type { Script } from '../scripts/script.js';
import type { Ack, CallOptions, Outcome, Refusal, Reservation, ReservationState } from '../types.js';
import { tellPart, tellSafely } from './follow.js';
import { locate, type Place, type Places } from './place.js';
import { holdAgain, isRefusedForGood, lookAtParts } from './parts.js';
import { stateAt, stateName } from './record.js';
import { find, view } from './view.js';

type DecisionName = 'confirm' | 'release';

interface Decided {
  readonly status: StatusName;
  readonly state?: number;
  readonly deadline?: number;
}

type ClaimOp = { readonly id: string; readonly actor: string; readonly sold: number };

const CLAIM_SCRIPTS: Readonly<Record<DecisionName, Script<void, ClaimOp, Decided>>> = {
  confirm: claimsConfirm,
  release: claimsRelease,
};

/** At most so long the parts are looked at before a claim is confirmed, ms: one that is away must not cost the whole deadline. */
const LOOK_MS = 500;

export interface Request {
  readonly id: string;
  readonly decision: DecisionName;
  readonly ack: Ack;
  readonly actor: string;
  readonly deadline: Deadline;
}

export async function decide(
  context: Context,
  places: Places,
  decision: DecisionName,
  id: string,
  options?: CallOptions,
): Promise<Outcome<Reservation>> {
  checkId(id, 'reservationId');
  const request: Request = {
    id,
    decision,
    ack: ackOf(context, options),
    actor: checkText(options?.actor, 'actor'),
    deadline: new Deadline(timeoutOf(context, options)),
  };
  const known = places.get(id);
  if (known) {
    const outcome = await decideAt(context, known, request);
    // What is remembered may be of an earlier reservation under this id: look before saying no.
    if (isAboutReservation(outcome)) return outcome;
    places.forget(id);
  }
  const found = await locate(context, id, request.deadline.left());
  if (!found) return refusal('reservation_not_found');
  places.remember(id, found.place);
  return decideAt(context, found.place, request);
}

function isAboutReservation(outcome: Outcome<Reservation>): boolean {
  return outcome.status !== 'items_mismatch' && outcome.status !== 'reservation_not_found';
}

function decideAt(context: Context, place: Place, request: Request): Promise<Outcome<Reservation>> {
  return place.attempt === 0 ? decideAlone(context, place, request) : decideClaim(context, place, request);
}

async function decideAlone(context: Context, place: Place, request: Request): Promise<Outcome<Reservation>> {
  const { id, ack, actor, deadline } = request;
  const options = { ack, timeoutMs: deadline.left(), actor: actor || place.buyerId };
  const answer = await tellPart(context, id, 0, place.parts[0]!, request.decision, options);
  return outcomeOf(context, place, request, answer.result, answer.now, answer.ack);
}

/** The home decides, the parts follow once that is safe: else they would be sold while it forgets and lets its others expire. */
export async function decideClaim(context: Context, place: Place, request: Request): Promise<Outcome<Reservation>> {
  const { id, ack, decision, deadline } = request;
  const actor = request.actor || place.buyerId;
  if (decision === 'confirm' && !place.sure) {
    const refused = await keepWhole(context, place, request);
    if (refused) return refused;
  }
  const answer = await change(
    context,
    CLAIM_SCRIPTS[decision],
    place.home,
    { id, actor, sold: 0 },
    { ack: atLeastReplicated(ack), timeoutMs: deadline.left(), id },
  );
  const { result } = answer;
  if (result.state === undefined) return refusal(result.status);
  const decided = result.state === 2 ? 'confirm' : result.state === 3 ? 'release' : 'expire';
  const options = { ack, timeoutMs: deadline.left(), actor };
  const told = await tellSafely(context, id, place, answer, decided, options);
  return outcomeOf(context, place, request, result, answer.now, narrowest([answer.ack, told.ack]));
}

/**
 * Before a claim is sold or vouched for: a part may have been lost that was held when its replicas were away. It is held again; where
 * there are no units left, the whole reservation is given back. @returns the refusal then.
 * @throws ShardUnavailable where that cannot be told for good
 */
export async function keepWhole(
  context: Context,
  place: Place,
  request: Omit<Request, 'decision'>,
): Promise<Refusal | undefined> {
  const { id, deadline } = request;
  const { lost } = await lookAtParts(context, id, place, Math.min(LOOK_MS, deadline.left()));
  if (lost.length === 0) return undefined;
  const found = await locate(context, id, deadline.left());
  // A claim that is not held says by itself what became of it.
  if (found?.place.attempt !== place.attempt || stateAt(found.record, found.now) !== 'held') return undefined;
  const actor = request.actor || place.buyerId;
  const refused = await holdAgain(context, found, lost, { actor, deadline });
  if (!refused) return undefined;
  if (!(await isRefusedForGood(context, id, [refused], deadline)))
    throw new ShardUnavailable(
      'Whether a part of the reservation is still held cannot be told now; nothing was decided.',
      {
        id,
        partition: refused.partition,
      },
    );
  const released = await decideClaim(context, place, { ...request, decision: 'release' });
  return isDone(released.status) ? refused.refusal : undefined;
}

async function outcomeOf(
  context: Context,
  place: Place,
  request: Request,
  result: Decided,
  now: number,
  ack: Ack,
): Promise<Outcome<Reservation>> {
  const { status, state, deadline } = result;
  if ((status !== 'ok' && status !== 'exists') || state === undefined || deadline === undefined) return refusal(status);
  const name = stateName(state) as ReservationState;
  // Units of a reservation that was confirmed earlier may have come back since: only the records know.
  const current =
    status === 'exists' && name === 'confirmed' ? await find(context, request.id, request.deadline.left()) : undefined;
  return done(status, current ?? view(request.id, place, name, deadline, now), ack);
}
