/** Holding units for a reservation. (S3, S5) */
import { checkId, checkText, checkWhole, fingerprint, refLines, type RefLine } from '../content.js';
import type { Asker, CallResult } from '../caller.js';
import { ackOf, afterSweep, backed, timeoutOf, type Context } from '../context.js';
import { idAtHome } from '../ids.js';
import { Deadline, done } from '../outcome.js';
import { limits } from '../scripts/generated/limits.js';
import { stockReserve, type StockReserveResult } from '../scripts/generated/stock-reserve.js';
import type { Ack, CallOptions, Outcome, Reservation, ReservationState, ReserveRequest } from '../types.js';
import { reserveClaim } from './claim.js';
import { holding, holdOp, lacksOverdue, lineRefusal, type Wanted } from './hold.js';
import { type Part, partsOf, type Places } from './place.js';
import { STATES, stateName } from './record.js';
import { find, view } from './view.js';

export function reserve(
  context: Context,
  places: Places,
  request: ReserveRequest,
  options?: CallOptions,
): Promise<Outcome<Reservation>> {
  // One promise in all: each further one, and each async function, costs a twentieth of a reservation here.
  return new Promise((resolve, reject) => {
    const wanted = readRequest(context, places, request, options);
    const { home, parts } = wanted;
    const part = parts[0]!;
    if (parts.length > 1 || part.partition !== home) resolve(reserveClaim(context, places, home, wanted));
    else
      context.caller.ask(
        stockReserve,
        home,
        holdOp(wanted, part, 0),
        new Holding(context, places, wanted, part, resolve, reject),
      );
  });
}

const HELD: ReservationState = 'held';
const HELD_NUMBER = STATES.indexOf(HELD) + 1;

/** A reservation that one partition decides, until it is answered. */
class Holding implements Asker<StockReserveResult> {
  constructor(
    private readonly context: Context,
    private readonly places: Places,
    private readonly wanted: Wanted,
    private readonly part: Part,
    private readonly resolve: (outcome: Outcome<Reservation> | Promise<Outcome<Reservation>>) => void,
    readonly failed: (error: Error) => void,
  ) {}

  get id(): string {
    return this.wanted.id;
  }

  get ack(): Ack {
    return this.wanted.ack;
  }

  get until(): number {
    return this.wanted.deadline.end;
  }

  answered(answer: CallResult<StockReserveResult>): void {
    const { result, now, ack } = answer;
    if (result.status !== 'ok' || result.state !== HELD_NUMBER) return this.resolve(this.otherwise(answer));
    const { id, buyer, parts, held } = this.wanted;
    this.places.rememberPlain(id, buyer, parts);
    const reservation: Reservation = held
      ? { reservationId: id, status: HELD, buyerId: buyer, lines: held, expiresAt: result.deadline, now }
      : view(id, { buyerId: buyer, parts }, HELD, result.deadline, now);
    this.resolve(done('ok', reservation, ack));
  }

  /** Everything but a new hold: refused, or there before, or to be asked again after a sweep. */
  private async otherwise(first: CallResult<StockReserveResult>): Promise<Outcome<Reservation>> {
    const { context, places, wanted, part } = this;
    const { id, ack, buyer, parts, deadline } = wanted;
    const options = { ack, timeoutMs: deadline.left(), id };
    let answer = await backed(context, part.partition, options, first);
    if (lacksOverdue(answer.result))
      answer = await afterSweep(context, part.partition, deadline, holding(context, wanted, part, 0, ack));
    const { result, now } = answer;
    if (result.status !== 'ok' && result.status !== 'exists') return lineRefusal(result, part);
    places.rememberPlain(id, buyer, parts);
    const state = stateName(result.state) as ReservationState;
    // Units may have come back after a sale: only the record knows.
    const current = state === 'confirmed' ? await find(context, id, deadline.left()) : undefined;
    return done(result.status, current ?? view(id, { buyerId: buyer, parts }, state, result.deadline, now), answer.ack);
  }
}

function readRequest(
  context: Context,
  places: Places,
  request: ReserveRequest,
  options: CallOptions | undefined,
): Wanted & { readonly home: number } {
  const single = request.lines.length === 1 ? places.single.of(context, request.lines[0]!) : undefined;
  const lines = single ? single.parts[0].lines : refLines(request.lines);
  const parts = single ? single.parts : partsOf(context, lines);
  const buyer = request.buyerId ?? '';
  const room = request.room ?? '';
  const hold = request.holdSeconds ?? 0;
  if (buyer !== '') checkId(buyer, 'buyerId');
  if (room !== '') checkId(room, 'room');
  if (request.holdSeconds !== undefined) checkWhole(hold, 1, limits.max_hold_seconds, 'holdSeconds');
  if (request.reservationId !== undefined) checkId(request.reservationId, 'reservationId');
  const own = request.reservationId;
  // An id of ours is at home where the first of the lines is.
  const home = own === undefined ? parts[0].partition : context.partitions.home(own);
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
    held: single?.held,
  };
}

function content(buyer: string, hold: number, lines: readonly RefLine[]): string {
  let text = `${buyer}|${hold}`;
  for (const line of lines) text += `|${line.item}|${line.quantity}`;
  return text;
}
