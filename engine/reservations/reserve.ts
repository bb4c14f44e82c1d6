/** Holding units for a reservation. (S3, S5) */
import { checkId, checkText, checkWhole, fingerprint, itemOf, refLines, type RefLine } from '../content.js';
import { ackOf, afterSweep, change, timeoutOf, type Context } from '../context.js';
import { idAtHome } from '../ids.js';
import { Deadline, done, refusal } from '../outcome.js';
import { limits } from '../scripts/generated/limits.js';
import { stockReserve, type StockReserveOp, type StockReserveResult } from '../scripts/generated/stock-reserve.js';
import type { Ack, CallOptions, Outcome, Refusal, Reservation, ReservationState, ReserveRequest } from '../types.js';
import { reserveClaim } from './claim.js';
import { partsOf, type Part, type Places } from './place.js';
import { stateName } from './record.js';
import { find, view } from './view.js';

/** A request that has been checked and brought into canonical form. */
export interface Wanted {
  readonly id: string;
  readonly buyer: string;
  readonly hold: number;
  readonly room: string;
  readonly actor: string;
  readonly fingerprint: number;
  readonly parts: readonly Part[];
  readonly ack: Ack;
  readonly deadline: Deadline;
}

export async function reserve(
  context: Context,
  places: Places,
  request: ReserveRequest,
  options?: CallOptions,
): Promise<Outcome<Reservation>> {
  const wanted = readRequest(context, request, options);
  const home = context.partitions.home(wanted.id);
  if (wanted.parts.length > 1 || wanted.parts[0]!.partition !== home)
    return reserveClaim(context, places, home, wanted);
  const part = wanted.parts[0]!;
  const call = holding(context, wanted, part, 0, wanted.ack);
  let answer = await call();
  if (lacksOverdue(answer.result)) answer = await afterSweep(context, part.partition, wanted.deadline, call);
  const { result, now } = answer;
  if (result.status !== 'ok' && result.status !== 'exists') return lineRefusal(result, part);
  const place = { home, attempt: 0, buyerId: wanted.buyer, parts: wanted.parts };
  places.remember(wanted.id, place);
  const state = stateName(result.state) as ReservationState;
  // Units may have come back after a sale: only the record knows.
  const current = state === 'confirmed' ? await find(context, wanted.id, wanted.deadline.left()) : undefined;
  return done(result.status, current ?? view(wanted.id, place, state, result.deadline, now), answer.ack);
}

/** Holds the lines of one partition; when units only wait for the sweep, sweeps and asks once more. (S9) */
export async function holdPart(context: Context, wanted: Wanted, part: Part, attempt: number, ack: Ack) {
  const call = holding(context, wanted, part, attempt, ack);
  const answer = await call();
  return lacksOverdue(answer.result) ? afterSweep(context, part.partition, wanted.deadline, call) : answer;
}

function holding(context: Context, wanted: Wanted, part: Part, attempt: number, ack: Ack) {
  const op: StockReserveOp = {
    id: wanted.id,
    fingerprint: wanted.fingerprint,
    attempt,
    buyer: wanted.buyer,
    hold: wanted.hold,
    room: wanted.room,
    actor: wanted.actor,
    lines: part.lines,
  };
  return () =>
    change(context, stockReserve, part.partition, op, { ack, timeoutMs: wanted.deadline.left(), id: wanted.id });
}

/** Units are missing that may only wait for the sweep. */
function lacksOverdue(result: StockReserveResult): boolean {
  return result.status === 'insufficient_stock' && result.overdue > 0;
}

/** A refusal by the item of the line that was refused. */
export function lineRefusal(result: StockReserveResult, part: Part): Refusal {
  const line = 'line' in result ? part.lines[result.line - 1] : undefined;
  const available = 'available' in result ? result.available : undefined;
  return refusal(result.status, line && itemOf(line.item), available);
}

function readRequest(context: Context, request: ReserveRequest, options: CallOptions | undefined): Wanted {
  const lines = refLines(request.lines);
  const buyer = request.buyerId ?? '';
  const room = request.room ?? '';
  const hold = request.holdSeconds ?? 0;
  if (buyer !== '') checkId(buyer, 'buyerId');
  if (room !== '') checkId(room, 'room');
  if (request.holdSeconds !== undefined) checkWhole(hold, 1, limits.max_hold_seconds, 'holdSeconds');
  if (request.reservationId !== undefined) checkId(request.reservationId, 'reservationId');
  return {
    id: request.reservationId ?? idAtHome(context.partitions.of(lines[0]!.item), context.partitions),
    buyer,
    hold,
    room,
    actor: checkText(options?.actor ?? buyer, 'actor'),
    fingerprint: fingerprint(content(buyer, hold, lines)),
    parts: partsOf(context, lines),
    ack: ackOf(context, options),
    deadline: new Deadline(timeoutOf(context, options)),
  };
}

function content(buyer: string, hold: number, lines: readonly RefLine[]): string {
  let text = `${buyer}|${hold}`;
  for (const line of lines) text += `|${line.item}|${line.quantity}`;
  return text;
}
