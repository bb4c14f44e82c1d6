/** The ledger beside the requests: whatever was done is what somebody asked for, so much of it, for that buyer, for so long. Points 5, 9. */
import { partitionOf } from '../final/redis.js';
import type { Movement } from '../final/types.js';
import type { Call, Op, Request } from '../history.js';
import { type Checking, CLOCK_MS, clocksMovedDuring, whenMade } from './context.js';
import { sameLines } from './effects.js';
import { KIND, kindName, SWEEP_ACTOR } from './kinds.js';
import { buyerIn, type ClaimLife, type Life, push } from './model.js';

/** A server goes on so long with a call that its caller has given up, ms. */
const GOES_ON_MS = 10_000;

const STEPS: Readonly<Record<number, Op>> = {
  [KIND.restocked]: 'restock',
  [KIND.adjusted]: 'adjust',
  [KIND.deducted]: 'deduct',
};

/** Who asks for what ends a reservation before its time. What is past its deadline, whoever comes across it ends. */
const ENDS: Readonly<Record<number, Op>> = {
  [KIND.confirmed]: 'confirm',
  [KIND.claimConfirmed]: 'confirm',
  [KIND.released]: 'release',
  [KIND.claimReleased]: 'release',
  [KIND.returned]: 'return',
  [KIND.claimReturned]: 'return',
};

export function checkAsked(checking: Checking): void {
  const asked = new Asked(checking);
  for (const [id, events] of checking.model.byId) for (const event of events) asked.event(id, event);
  for (const lives of checking.model.holds.values())
    for (const life of lives) {
      if (life.attempt === 0) asked.held(life);
      asked.returned(life);
    }
  for (const lives of checking.model.claims.values()) for (const claim of lives) asked.sealed(claim);
}

class Asked {
  private readonly byId = new Map<string, Call[]>();

  constructor(private readonly checking: Checking) {
    for (const call of checking.calls) {
      const id = checking.effects.idOf(call);
      if (id !== undefined) push(this.byId, id, call);
    }
  }

  event(id: string, event: Movement): void {
    const { kind, attempt } = event;
    const step = STEPS[kind];
    if (step) this.step(id, step, event);
    else if (kind === KIND.claimExtended || (kind === KIND.extended && attempt === 0)) this.extended(id, event);
    else if (ENDS[kind]) this.ended(id, ENDS[kind], event);
  }

  private step(id: string, op: Op, event: Movement): void {
    const doers = this.doers(id, op, event).filter(({ request }) => 'ref' in request && request.ref === event.ref);
    // Where nobody asked, or all were refused, others say so.
    if (doers.length === 0 || doers.some(({ request }) => isStep(request, event))) return;
    const { quantity, ref } = event;
    const buyer = op === 'deduct' ? ` for ${buyerIn(event)}` : '';
    this.wrong(5, id, `${op} ${id} of ${ref} is on record with ${quantity}${buyer}, which nobody asked for`, doers, [
      event,
    ]);
  }

  private extended(id: string, event: Movement): void {
    const doers = this.doers(id, 'extend', event);
    const ms = event.deadline - event.at;
    if (doers.some(({ request }) => request.op === 'extend' && request.holdSeconds * 1000 === ms)) return;
    this.wrong(9, id, `${id} was extended by ${ms} ms, which nobody asked for`, doers, [event]);
  }

  private ended(id: string, op: Op, event: Movement): void {
    const { kind, attempt, actor } = event;
    const isPart = attempt > 0 && kind < KIND.claimOpened;
    if (actor === SWEEP_ACTOR && op !== 'confirm') return;
    // How it ends is decided by its claim; that it is sold, by nobody but a caller.
    if (isPart && op === 'release') return;
    if (this.doers(id, op, event).length > 0) return;
    if (this.isMended(id, event)) return;
    this.wrong(5, id, `${id} is ${kindName(kind)}, and nobody asked for that`, this.byId.get(id) ?? [], [event]);
  }

  /**
   * Where a part was lost that cannot be held again, the call that finds out gives the whole reservation back. And who asks again for
   * one whose parts were sold, forgotten by their claim and brought back, makes the claim say so.
   */
  private isMended(id: string, event: Movement): boolean {
    if (event.kind !== KIND.claimReleased && event.kind !== KIND.claimReturned) return false;
    const { losses, model, partitions } = this.checking;
    const claims = [...model.claims.values()].flat().filter((claim) => claim.id === id);
    const places = claims.flatMap(({ lines }) => lines.map(({ ref }) => partitionOf(ref, partitions)));
    const [soonest, latest] = whenMade(this.checking, event);
    const lost = losses.some((loss) => loss.fromWall <= latest && places.some((one) => loss.partitions.has(one)));
    return (
      lost &&
      (this.byId.get(id) ?? []).some(
        (call) =>
          ['reserve', 'confirm', 'extend'].includes(call.request.op) &&
          call.beganWall <= latest + CLOCK_MS &&
          overBy(call) >= soonest,
      )
    );
  }

  /** One that a single partition decides. */
  held(life: Life): void {
    const [event] = life.events as [Movement];
    const doers = this.doers(life.id, 'reserve', event);
    const same = doers.filter(({ request }) => isReservation(request, life));
    if (doers.length === 0) return;
    if (same.length === 0) return this.otherContent(life, doers, event);
    const ms = event.deadline - event.at;
    if (same.some(({ request }) => request.op === 'reserve' && request.holdSeconds * 1000 === ms)) return;
    this.wrong(9, life.id, `${life.id} is held for ${ms} ms, which nobody asked for`, same, [event]);
  }

  /** One over several partitions: its deadline counts from when the first of its parts was held, by the clock there. */
  sealed(claim: ClaimLife): void {
    const { id } = claim;
    const event = claim.events.find(({ kind }) => kind === KIND.claimSealed);
    if (!event) return;
    const doers = this.doers(id, 'reserve', event);
    const same = doers.filter(({ request }) => isReservation(request, claim));
    if (doers.length === 0) return;
    if (same.length === 0) return this.otherContent(claim, doers, event);
    const first = Math.min(...same.map(({ beganWall }) => beganWall));
    if (clocksMovedDuring(this.checking, first, Math.max(...same.map(overBy)))) return;
    const fits = ({ request }: Call): boolean => {
      const ms = request.op === 'reserve' ? request.holdSeconds * 1000 : 0;
      return event.deadline <= event.at + ms + CLOCK_MS && event.deadline >= first + ms - CLOCK_MS;
    };
    if (same.some(fits)) return;
    this.wrong(9, id, `${id} is held until ${event.deadline}, which nobody asked for`, same, [event]);
  }

  private otherContent({ id, buyer, lines }: Life | ClaimLife, doers: readonly Call[], event: Movement): void {
    const text = lines.map(({ ref, quantity }) => `${quantity} ${ref}`).join(', ');
    this.wrong(5, id, `reservation ${id} is of ${text} for ${buyer}, which nobody asked for`, doers, [event]);
  }

  /** Totals only grow, to the largest that anybody asked for. */
  returned(life: Life): void {
    const back = new Map<string, number>();
    for (const event of life.events) {
      if (event.kind !== KIND.returned) continue;
      const total = (back.get(event.ref) ?? 0) + event.quantity;
      back.set(event.ref, total);
      if (event.actor === SWEEP_ACTOR) continue;
      const doers = this.doers(life.id, 'return', event);
      const most = Math.max(0, ...doers.map(({ request }) => returnAsked(request, event.ref)));
      if (doers.length > 0 && total > most)
        this.wrong(5, life.id, `${total} units of ${event.ref} came back of ${life.id}, not ${most}`, doers, [event]);
    }
  }

  /** The calls that may have done it: not refused, and not made later. */
  private doers(id: string, op: Op, event: Movement): Call[] {
    const [, latest] = whenMade(this.checking, event);
    return (this.byId.get(id) ?? []).filter(
      ({ request, answer, beganWall }) =>
        request.op === op && answer?.outcome !== 'failed' && beganWall <= latest + CLOCK_MS,
    );
  }

  private wrong(point: number, id: string, what: string, calls: readonly Call[], events: readonly Movement[]): void {
    this.checking.report({ point, what, ids: [id], calls, events });
  }
}

const overBy = ({ endedWall }: Call): number => (endedWall ?? Infinity) + GOES_ON_MS;

/** Whether the event is what the request asks for. */
export function isStep(request: Request, event: Movement): boolean {
  const { quantity, available, reserved } = event;
  if (STEPS[event.kind] !== request.op) return false;
  if (request.op === 'restock') return request.quantity === quantity;
  if (request.op === 'deduct') return request.quantity === quantity && request.buyer === buyerIn(event);
  if (request.op !== 'adjust') return false;
  return request.by === undefined ? request.countedTo === available + reserved : request.by === quantity;
}

/** Whether the reservation has the buyer and the lines that the request has. */
export function isReservation(request: Request, { buyer, lines }: Pick<Life | ClaimLife, 'buyer' | 'lines'>): boolean {
  return request.op === 'reserve' && request.buyer === buyer && sameLines(request.lines, lines);
}

function returnAsked(request: Request, ref: string): number {
  if (request.op !== 'return') return 0;
  if (request.lines === undefined) return Infinity;
  return request.lines.find((line) => line.ref === ref)?.quantity ?? 0;
}
