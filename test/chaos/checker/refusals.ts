/**
 * What is refused is refused for a reason that held at some moment of the call; and what is found is what there was. Point 8, and 9
 * where it is about a deadline, and 5 where it is about an id or a key. That something was sold out is looked at in order.ts.
 */
import { partitionOf } from '../final/redis.js';
import { keyOf, type Movement } from '../final/types.js';
import type { Call, LineAsked } from '../history.js';
import { isReservation, isStep } from './asked.js';
import { type Checking, CLOCK_MS, clocksMovedDuring, whenMade } from './context.js';
import { contentOf, isKept } from './keys.js';
import { KIND } from './kinds.js';
import { push } from './model.js';
import { type Moment, momentsOf, type State, statesDuring } from './states.js';

/** What is said about a partition may be about events that are gone for so long before a loss, and after it, ms. */
const NEAR_LOSS_MS = 10_000;
/** So long after a server gave up, or was gone, a claim or a key may still be in its hands, ms. */
const IN_HAND_MS = 15_000;
/** A server that waited so long for others may have met its own earlier try, ms. */
const WAITED_MS = 1_500;

/** That it could not be asked, or did not answer: when that may be is not told here. */
const AWAY = new Set([
  ...['shard_unavailable', 'overloaded', 'outcome_unknown', 'database_unavailable', 'not_connected', 'timeout'],
  ...['TimeoutError', 'AbortError'],
]);
/** Errors of sockets, where no answer came. */
const NO_ANSWER = /^(E[A-Z]+|UND_ERR_[A-Z_]+)$/;

const STATE_CODES: Readonly<Record<string, State>> = {
  hold_expired: 'expired',
  reservation_not_found: 'none',
  reservation_held: 'held',
  reservation_confirmed: 'confirmed',
  reservation_released: 'released',
  reservation_returned: 'returned',
};

/** Which calls may be told so. */
const ASKERS: Readonly<Record<string, readonly string[]>> = {
  hold_expired: ['confirm', 'extend', 'return', 'reserve'],
  reservation_not_found: ['confirm', 'release', 'extend', 'return', 'find'],
  reservation_held: ['return'],
  reservation_confirmed: ['release', 'extend'],
  reservation_released: ['confirm', 'extend', 'return', 'reserve'],
  reservation_returned: ['confirm', 'release', 'extend'],
};

export function checkRefusals(checking: Checking): void {
  const truth = new Truth(checking);
  for (const call of checking.calls) {
    if (call.answer === undefined || call.endedWall === undefined || call.answer.replayed) continue;
    const { code, outcome } = call.answer;
    const wrong = outcome === 'ok' ? truth.found(call) : code === undefined ? undefined : truth.refused(call, code);
    if (wrong !== undefined) report(checking, call, code, wrong);
  }
}

function report({ report, effects }: Checking, call: Call, code: string | undefined, why: string): void {
  const { request } = call;
  const id = effects.idOf(call);
  const aboutId = code === 'id_conflict' || code?.startsWith('idempotency_');
  report({
    point: aboutId ? 5 : code === 'hold_expired' ? 9 : 8,
    what: `call ${call.n} (${request.op} ${id ?? ''}) was answered ${code ?? 'ok'}, but ${why}`,
    ids: id === undefined ? [] : [id],
    refs: linesOf(call).map(({ ref }) => ref),
    calls: [call],
  });
}

class Truth {
  private readonly byId = new Map<string, Call[]>();
  private readonly byKey = new Map<string, Call[]>();
  private readonly moments = new Map<string, Moment[]>();

  constructor(private readonly checking: Checking) {
    for (const call of checking.calls) {
      const id = checking.effects.idOf(call);
      if (id !== undefined) push(this.byId, id, call);
      if (call.key !== undefined) push(this.byKey, call.key, call);
    }
  }

  /** Why the refusal was not true; undefined where it was, or may have been. */
  refused(call: Call, code: string): string | undefined {
    if (AWAY.has(code) || (call.answer!.status === 0 && NO_ANSWER.test(code))) return undefined;
    if (STATE_CODES[code]) return this.state(call, code, STATE_CODES[code]);
    switch (code) {
      case 'insufficient_stock':
        return this.outOfStock(call);
      case 'buyer_limit':
        return this.overLimit(call);
      case 'sku_not_found':
        return this.unknownItem(call);
      case 'id_conflict':
        return this.conflict(call);
      case 'idempotency_in_flight':
        return this.inFlight(call);
      case 'idempotency_mismatch':
        return this.mismatch(call);
      case 'return_exceeds_sold':
      case 'invalid_request':
        return this.senseless(call, code);
      default:
        return 'nobody is told so here';
    }
  }

  /** What `find` says is what the reservation was. */
  found(call: Call): string | undefined {
    const { request, answer } = call;
    if (request.op !== 'find' || this.nearLoss(call)) return undefined;
    const told = answer!.body as { status: State; expiresAt: string };
    const wrong = this.state(call, 'ok', told.status);
    if (wrong !== undefined) return wrong;
    const until = Date.parse(told.expiresAt);
    if (this.momentsOf(request.id).some(({ deadline }) => deadline === until)) return undefined;
    return `it never had the deadline ${told.expiresAt}`;
  }

  private state(call: Call, code: string, state: State): string | undefined {
    const { op } = call.request;
    if (ASKERS[code] && !ASKERS[code].includes(op)) return `that is no answer to ${op}`;
    const id = this.checking.effects.idOf(call);
    if (id === undefined || this.nearLoss(call)) return undefined;
    const [from, to] = windowOf(call);
    const first = Math.min(...(this.byId.get(id) ?? []).map(({ beganWall }) => beganWall));
    // Its deadline is by the clock of its node when it was held.
    if (clocksMovedDuring(this.checking, first, to)) return undefined;
    const states = statesDuring(this.momentsOf(id), from, to);
    // A part was lost, and is known to have ended: so has the whole, then.
    if (states.has('released') && ['expired', 'released'].includes(state) && this.mayLackPart(call)) return undefined;
    return states.has(state) ? undefined : `it was ${[...states].join(', ')} all the time`;
  }

  private momentsOf(id: string): Moment[] {
    const known = this.moments.get(id);
    if (known) return known;
    const moments = momentsOf(this.checking, id);
    this.moments.set(id, moments);
    return moments;
  }

  /** Of reservations and sales order.ts tells. A confirm or extend may find that a part was lost and cannot be held again. */
  private outOfStock(call: Call): string | undefined {
    const { request } = call;
    if (request.op === 'reserve' || request.op === 'deduct') return undefined;
    if (request.op === 'confirm' || request.op === 'extend')
      return this.mayLackPart(call) ? undefined : 'its units were held';
    if (request.op !== 'adjust') return `that is no answer to ${request.op}`;
    if (this.nearLoss(call)) return undefined;
    const [from, to] = windowOf(call);
    const levels = this.during(this.checking.model.timelines.get(request.ref) ?? [], from, to);
    // What is counted are the units that are there, held ones among them.
    const { by, countedTo = 0 } = request;
    if (levels.some(({ available, reserved }) => (by === undefined ? countedTo < reserved : available + by < 0)))
      return undefined;
    return 'there were enough units all the time';
  }

  private overLimit(call: Call): string | undefined {
    const { request } = call;
    if (request.op === 'confirm' || request.op === 'extend')
      return this.mayLackPart(call) ? undefined : 'its units were held';
    if (request.op !== 'reserve' && request.op !== 'deduct') return `that is no answer to ${request.op}`;
    if (this.nearLoss(call)) return undefined;
    const { items, counts } = this.checking.model;
    const [from, to] = windowOf(call);
    const most = (ref: string): number =>
      Math.max(0, ...this.during(counts.get(`${ref} ${request.buyer}`) ?? [], from, to).map(({ units }) => units));
    const over = linesOf(call).some(({ ref, quantity }) => {
      const limit = items.get(ref)?.buyerLimit;
      return limit !== undefined && most(ref) + quantity > limit;
    });
    return over ? undefined : `${request.buyer} was below the limit of each item all the time`;
  }

  private unknownItem(call: Call): string | undefined {
    const [from] = windowOf(call);
    const { timelines } = this.checking.model;
    const unknown = linesOf(call).some(({ ref }) => {
      const first = timelines.get(ref)?.[0];
      return !first || whenMade(this.checking, first)[1] >= from;
    });
    return unknown ? undefined : 'its items had been stocked before';
  }

  /** Something else had been done under the id, or was about to be. */
  private conflict(call: Call): string | undefined {
    const { checking } = this;
    const { request } = call;
    const id = checking.effects.idOf(call);
    if (id === undefined || this.nearLoss(call)) return undefined;
    const [, to] = windowOf(call);
    const early = (event: Movement): boolean => whenMade(checking, event)[0] <= to;
    if (request.op !== 'reserve') {
      const steps: readonly number[] = [KIND.restocked, KIND.adjusted, KIND.deducted];
      const other = (checking.model.byId.get(id) ?? []).some(
        (event) =>
          steps.includes(event.kind) &&
          'ref' in request &&
          event.ref === request.ref &&
          early(event) &&
          !isStep(request, event),
      );
      return other ? undefined : 'no other content had been used under its id';
    }
    const { holds, claims } = checking.model;
    const lives = Array.from({ length: checking.partitions }, (_, partition) => keyOf(partition, id)).flatMap((key) => [
      ...(holds.get(key) ?? []).filter(({ attempt }) => attempt === 0),
      ...(claims.get(key) ?? []),
    ]);
    const other = lives.some((life) => early(life.events[0]!) && !isReservation(request, life));
    return other ? undefined : 'no other content had been used under its id';
  }

  /** Somebody else asked under the id or the key, and was not answered yet, or never. */
  private inFlight(call: Call): string | undefined {
    const id = this.checking.effects.idOf(call);
    const others = [...(this.byId.get(id ?? '') ?? []), ...(this.byKey.get(call.key ?? '') ?? [])];
    const overlaps = (other: Call): boolean => {
      const open = other.answer === undefined || other.answer.outcome === 'unknown' || other.answer.status === 503;
      return (
        other.beganWall <= call.endedWall! &&
        (other.endedWall ?? Infinity) + (open ? IN_HAND_MS : CLOCK_MS) >= call.beganWall
      );
    };
    if (others.some((other) => other !== call && overlaps(other))) return undefined;
    // The client of the stream asks again by itself.
    if (call.over === 'stream' || call.endedWall! - call.beganWall >= WAITED_MS) return undefined;
    return 'nobody else asked under its id or key';
  }

  private mismatch(call: Call): string | undefined {
    const group = this.byKey.get(call.key ?? '') ?? [];
    const content = contentOf(call);
    if (!group.some((other) => contentOf(other) !== content && other.beganWall <= call.endedWall!))
      return 'the key was used for nothing else';
    const same = group.find((other) => contentOf(other) === content && isKept(other) && other.ended! < call.began);
    const lost = this.checking.faults.some(
      ({ loses, from, to }) => loses !== 'none' && (same?.began ?? 0) <= to && call.ended! >= from,
    );
    return same && !lost ? `call ${same.n} had been answered under that key and content` : undefined;
  }

  private senseless(call: Call, code: string): string | undefined {
    const { request } = call;
    if (request.op === 'adjust' && code === 'invalid_request') return request.by === 0 ? undefined : 'it made sense';
    if (request.op !== 'return' || request.lines === undefined) return 'it made sense';
    const made = this.checking.effects.reservation(request.id);
    const sold = new Map(made?.lines.map(({ ref, quantity }) => [ref, quantity]));
    const isWrong = ({ ref, quantity }: LineAsked): boolean =>
      code === 'invalid_request' ? !sold.has(ref) : quantity > (sold.get(ref) ?? 0);
    return !made || request.lines.some(isWrong) ? undefined : 'it made sense';
  }

  /** All that there were at any moment from one time to another. */
  private during<T extends { readonly at: number }>(timeline: readonly T[], from: number, to: number): T[] {
    return timeline.filter((one, index) => {
      const next = timeline[index + 1];
      const until = next ? whenMade(this.checking, next)[1] : Infinity;
      return whenMade(this.checking, one)[0] <= to && until >= from;
    });
  }

  /** Only where a partition of its lines has lost something since. */
  private mayLackPart(call: Call): boolean {
    const places = this.placesOf(call);
    return this.checking.losses.some(
      (loss) => loss.fromWall <= call.endedWall! && places.some((place) => loss.partitions.has(place)),
    );
  }

  private nearLoss(call: Call): boolean {
    const places = this.placesOf(call);
    return this.checking.losses.some(
      (loss) =>
        call.beganWall - NEAR_LOSS_MS <= loss.toWall &&
        call.endedWall! + NEAR_LOSS_MS >= loss.fromWall &&
        places.some((place) => loss.partitions.has(place)),
    );
  }

  /** Where its answer comes from: the home, and the items that any call with its id named. */
  private placesOf(call: Call): number[] {
    const id = this.checking.effects.idOf(call);
    const about = [call, ...(id === undefined ? [] : (this.byId.get(id) ?? []))];
    const texts = [...(id === undefined ? [] : [id]), ...about.flatMap(linesOf).map(({ ref }) => ref)];
    return texts.map((text) => partitionOf(text, this.checking.partitions));
  }
}

function linesOf({ request }: Call): readonly LineAsked[] {
  if ('lines' in request) return request.lines ?? [];
  return 'ref' in request ? [{ ref: request.ref, quantity: 'quantity' in request ? request.quantity : 0 }] : [];
}

const windowOf = ({ beganWall, endedWall }: Call): [number, number] => [beganWall - CLOCK_MS, endedWall! + CLOCK_MS];
