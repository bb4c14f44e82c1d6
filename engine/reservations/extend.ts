/** Moving the deadline of a reservation. (S3, T3) */
import { checkId, checkText, checkWhole } from '../content.js';
import { ackOf, change, timeoutOf, type Context } from '../context.js';
import { Deadline, done, refusal } from '../outcome.js';
import { claimsExtend } from '../scripts/generated/claims-extend.js';
import { limits } from '../scripts/generated/limits.js';
import { stockExtend } from '../scripts/generated/stock-extend.js';
import type { CallOptions, Outcome, Reservation, ReservationState } from '../types.js';
import { keepWhole } from './decide.js';
import { locate, type Places } from './place.js';
import { stateName } from './record.js';
import { view } from './view.js';

export async function extend(
  context: Context,
  places: Places,
  id: string,
  holdSeconds: number,
  options?: CallOptions,
): Promise<Outcome<Reservation>> {
  checkId(id, 'reservationId');
  checkWhole(holdSeconds, 1, limits.max_hold_seconds, 'holdSeconds');
  const deadline = new Deadline(timeoutOf(context, options));
  const place = places.get(id) ?? (await locate(context, id, deadline.left()))?.place;
  if (!place) return refusal('reservation_not_found');
  const actor = checkText(options?.actor ?? place.buyerId, 'actor');
  const ack = ackOf(context, options);
  // Whoever hears that it is held for longer takes it that all of it is.
  const refused =
    place.attempt > 0 && !place.sure ? await keepWhole(context, place, { id, ack, actor, deadline }) : undefined;
  if (refused) {
    places.forget(id);
    return refused;
  }
  const call = { ack, timeoutMs: deadline.left(), id };
  // The parts of a claim ask it when they are due, so that telling them now would be a call for nothing.
  const answer =
    place.attempt === 0
      ? await change(context, stockExtend, place.home, { id, attempt: 0, hold: holdSeconds, untilMs: 0, actor }, call)
      : await change(context, claimsExtend, place.home, { id, hold: holdSeconds, actor }, call);
  const { result } = answer;
  if (result.status !== 'ok' && result.status !== 'exists') {
    places.forget(id);
    return refusal(result.status);
  }
  // What was lost meanwhile has to be looked at before it is sold.
  places.remember(id, { ...place, sure: places.get(id)?.sure });
  const state = stateName(result.state) as ReservationState;
  return done(result.status, view(id, place, state, result.deadline, answer.now), answer.ack);
}
