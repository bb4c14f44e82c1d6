/** Holding units for a reservation. (S3, S5) */
import { checkId, checkText, checkWhole, fingerprint, refLines, type RefLine } from '../content.js';
import { ackOf, afterSweep, timeoutOf, type Context } from '../context.js';
import { idAtHome } from '../ids.js';
import { Deadline, done } from '../outcome.js';
import { limits } from '../scripts/generated/limits.js';
import type { CallOptions, Outcome, Reservation, ReservationState, ReserveRequest } from '../types.js';
import { reserveClaim } from './claim.js';
import { holding, lacksOverdue, lineRefusal, type Wanted } from './hold.js';
import { partsOf, type Places } from './place.js';
import { stateName } from './record.js';
import { find, view } from './view.js';

export async function reserve(
  context: Context,
  places: Places,
  request: ReserveRequest,
  options?: CallOptions,
): Promise<Outcome<Reservation>> {
  const wanted = readRequest(context, places, request, options);
  const { home } = wanted;
  if (wanted.parts.length > 1 || wanted.parts[0]!.partition !== home)
    return reserveClaim(context, places, home, wanted);
  const part = wanted.parts[0]!;
  const call = holding(context, wanted, part, 0, wanted.ack);
  let answer = await call();
  if (lacksOverdue(answer.result)) answer = await afterSweep(context, part.partition, wanted.deadline, call);
  const { result, now } = answer;
  if (result.status !== 'ok' && result.status !== 'exists') return lineRefusal(result, part);
  const place = { buyerId: wanted.buyer, parts: wanted.parts };
  places.rememberPlain(wanted.id, wanted.buyer, wanted.parts);
  const state = stateName(result.state) as ReservationState;
  // Units may have come back after a sale: only the record knows.
  const current = state === 'confirmed' ? await find(context, wanted.id, wanted.deadline.left()) : undefined;
  return done(result.status, current ?? view(wanted.id, place, state, result.deadline, now), answer.ack);
}

function readRequest(
  context: Context,
  places: Places,
  request: ReserveRequest,
  options: CallOptions | undefined,
): Wanted & { readonly home: number } {
  const single = request.lines.length === 1 ? places.single.of(context, request.lines[0]!) : undefined;
  const lines = single ? single[0]!.lines : refLines(request.lines);
  const parts = single ?? partsOf(context, lines);
  const buyer = request.buyerId ?? '';
  const room = request.room ?? '';
  const hold = request.holdSeconds ?? 0;
  if (buyer !== '') checkId(buyer, 'buyerId');
  if (room !== '') checkId(room, 'room');
  if (request.holdSeconds !== undefined) checkWhole(hold, 1, limits.max_hold_seconds, 'holdSeconds');
  if (request.reservationId !== undefined) checkId(request.reservationId, 'reservationId');
  const own = request.reservationId;
  // An id of ours is at home where the first of the lines is.
  const home = own === undefined ? parts[0]!.partition : context.partitions.home(own);
  return {
    id: own ?? idAtHome(home, context.partitions),
    home,
    buyer,
    hold,
    room,
    actor: checkText(options?.actor ?? buyer, 'actor'),
    fingerprint: fingerprint(content(buyer, hold, lines)),
    parts,
    ack: ackOf(context, options),
    deadline: new Deadline(timeoutOf(context, options)),
  };
}

function content(buyer: string, hold: number, lines: readonly RefLine[]): string {
  let text = `${buyer}|${hold}`;
  for (const line of lines) text += `|${line.item}|${line.quantity}`;
  return text;
}
