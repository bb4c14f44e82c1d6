/** Rules of what takes units from sale: reserve and deduct. */
import { eventNumbers } from '../../engine/scripts/generated/events.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StockDeductOp } from '../../engine/scripts/generated/stock-deduct.js';
import { type StockReserveOp } from '../../engine/scripts/generated/stock-reserve.js';
import { type StatusName, statuses } from '../../engine/scripts/generated/statuses.js';
import { type Fact } from './facts.js';
import {
  answer,
  type Decision,
  INVALID,
  isCount,
  isId,
  isOptionalId,
  isText,
  levelRow,
  marks,
  moved,
  type Rule,
} from './rule.js';
import { type Hold, type Item, phaseNumber, type State } from './state.js';

interface Refusal {
  readonly status: StatusName;
  readonly available?: number;
}
interface Wish {
  readonly ref: string;
  readonly quantity: number;
  readonly buyer: string;
  readonly room: string;
}

/** All reasons not to sell, each looked at by itself; the registry's numbers say which one is told. */
function refusals(state: State, item: Item, { ref, quantity, buyer, room }: Wish, now: number): Refusal[] {
  const { limit, opens, closes, room: gate } = item.settings;
  const left = Math.max(limit - state.bought(ref, buyer), 0);
  const reasons: [boolean, Refusal][] = [
    [limit > 0 && buyer === '', { status: 'buyer_required' }],
    [gate !== '' && gate !== room, { status: 'admission_required' }],
    [now < opens || (closes > 0 && now >= closes), { status: 'not_on_sale' }],
    [limit > 0 && quantity > left, { status: 'buyer_limit', available: left }],
    [quantity > item.available, { status: 'insufficient_stock', available: item.available }],
  ];
  return reasons.filter(([applies]) => applies).map(([, refusal]) => refusal);
}

function first<T extends Refusal>(found: readonly T[]): T | undefined {
  return [...found].sort((a, b) => statuses[a.status].number - statuses[b.status].number)[0];
}

function refuse(state: State, now: number, refusal: Refusal, columns: Record<string, number> = {}): Decision {
  const { status, available } = refusal;
  const waits = [...state.due.values()].some((at) => at <= now);
  return answer(status, {
    ...columns,
    ...(available === undefined ? {} : { available }),
    ...(status === 'insufficient_stock' ? { overdue: waits ? 1 : 0 } : {}),
  });
}

const detailOf = (limited: boolean, buyer: string, actor: string): string =>
  (limited ? 'limited' : '') + (buyer === actor ? '' : ` for:${buyer}`);

function reserveIsValid(op: StockReserveOp): boolean {
  const refs = new Set(op.lines.map((line) => line.item));
  return (
    isId(op.id) &&
    isCount(op.fingerprint) &&
    isCount(Math.abs(op.attempt)) &&
    isOptionalId(op.buyer) &&
    isCount(op.hold, 0, limits.max_hold_seconds) &&
    isOptionalId(op.room) &&
    isText(op.actor) &&
    isCount(op.lines.length, 1, limits.max_lines) &&
    refs.size === op.lines.length &&
    op.lines.every((line) => isCount(line.quantity, 1, limits.max_quantity))
  );
}

function secondsOf(state: State, op: StockReserveOp): number {
  if (op.hold > 0) return op.hold;
  const own = op.lines.map((line) => state.items.get(line.item)?.settings.holdSeconds ?? 0).filter((s) => s > 0);
  return own.length ? Math.min(...own) : limits.default_hold_seconds;
}

/** Undefined: the id is new, or its earlier attempt has ended, and the reservation has to be decided. */
function knownId(state: State, op: StockReserveOp, now: number): Decision | undefined {
  const hold = state.holds.get(op.id);
  if (op.attempt === 0 && state.claims.has(op.id)) return answer('id_conflict');
  if (!hold) return undefined;
  if (op.attempt > 0 && op.attempt < hold.attempt) return answer('superseded');
  if (hold.fingerprint !== op.fingerprint || hold.attempt > 0 !== op.attempt > 0) return answer('id_conflict');
  const exists = (deadline: number): Decision['row'] => ({
    status: 'exists',
    deadline,
    hold: secondsOf(state, op),
    state: phaseNumber(isOver(hold, now) ? 'expired' : hold.phase),
  });
  if (op.attempt === hold.attempt) return { row: exists(hold.deadline) };
  if (hold.phase === 'released' || hold.phase === 'expired') return undefined;
  const held = hold.phase === 'held';
  const deadline = held ? now + Math.min(secondsOf(state, op), limits.claim_seconds) * 1_000 : hold.deadline;
  const { id, actor, attempt, fingerprint } = op;
  const facts: Fact[] = [
    { fact: 'hold', id, hold: { ...hold, attempt, deadline } },
    { fact: 'told', kind: 'extended', id, actor, deadline, fingerprint, attempt },
  ];
  if (held) facts.push({ fact: 'due', at: deadline, name: id });
  return { row: exists(deadline), facts };
}

const isOver = (hold: Hold, now: number): boolean =>
  hold.phase === 'held' && hold.attempt === 0 && hold.deadline <= now;

/** What was let in once is let in again: only what is not there refuses it. */
const MATTERS_AGAIN = new Set<StatusName>(['sku_not_found', 'insufficient_stock']);

export const reserve: Rule<StockReserveOp> = (state, asked, now) => {
  if (!reserveIsValid(asked)) return INVALID;
  // Below 0: a part that was held before.
  const again = asked.attempt < 0;
  const op = {
    ...asked,
    attempt: Math.abs(asked.attempt),
    actor: asked.actor === '' ? asked.buyer : asked.actor,
  };
  const known = knownId(state, op, now);
  if (known) return known;
  const refusal = first(
    op.lines.flatMap((line, i): (Refusal & { line: number })[] => {
      const item = state.items.get(line.item);
      const found: Refusal[] = item
        ? refusals(state, item, { ref: line.item, quantity: line.quantity, buyer: op.buyer, room: op.room }, now)
        : [{ status: 'sku_not_found' }];
      return found.filter(({ status }) => !again || MATTERS_AGAIN.has(status)).map((it) => ({ ...it, line: i + 1 }));
    }),
  );
  if (refusal) return refuse(state, now, refusal, { line: refusal.line });
  const seconds = secondsOf(state, op);
  const deadline = now + (op.attempt > 0 ? Math.min(seconds, limits.claim_seconds) : seconds) * 1_000;
  return {
    row: { status: 'ok', deadline, hold: seconds, state: phaseNumber('held') },
    facts: [...holding(state, op, deadline), { fact: 'due', at: deadline, name: op.id }],
  };
};

function holding(state: State, op: StockReserveOp, deadline: number): Fact[] {
  const { id, fingerprint, attempt, buyer, actor } = op;
  const facts: Fact[] = [];
  const told: Fact[] = [];
  const lines = op.lines.map(({ item: ref, quantity }) => {
    const item = state.items.get(ref)!;
    // Without a buyer: one that was held before it was limited, and is held again.
    const counted = item.settings.limit > 0 && buyer !== '';
    const detail = detailOf(counted, buyer, actor);
    facts.push(
      { fact: 'moved', ref, available: -quantity, reserved: quantity },
      { fact: 'told', kind: 'held', ref, id, quantity, actor, detail, deadline, fingerprint, attempt },
    );
    if (counted) facts.push({ fact: 'counted', ref, buyer, by: quantity });
    told.push(...marks(ref, item, item.available, item.available - quantity));
    return { ref, quantity, returned: 0, counted };
  });
  const hold: Hold = { phase: 'held', deadline, fingerprint, attempt, buyer, resolvedAt: 0, lines };
  return [...facts, ...told, { fact: 'hold', id, hold }];
}

export const deduct: Rule<StockDeductOp> = (state, op, now) => {
  const { id, fingerprint, item: ref, quantity, buyer, room, actor } = op;
  const valid =
    isId(id) &&
    isCount(fingerprint) &&
    isCount(quantity, 1, limits.max_quantity) &&
    isOptionalId(buyer) &&
    isOptionalId(room) &&
    isText(actor);
  if (!valid) return INVALID;
  const item = state.items.get(ref);
  if (!item) return answer('sku_not_found');
  const earlier = remembered(state, id, ref, eventNumbers.deducted, fingerprint);
  if (earlier) return earlier;
  const refusal = first(refusals(state, item, { ref, quantity, buyer, room }, now));
  if (refusal) return refuse(state, now, refusal);
  const limited = item.settings.limit > 0;
  const detail = detailOf(limited, buyer, actor);
  const after = moved(item, { available: -quantity, sold: quantity });
  return {
    row: { status: 'ok', ...levelRow(after, now) },
    facts: [
      { fact: 'moved', ref, available: -quantity, sold: quantity },
      { fact: 'told', kind: 'deducted', ref, id, quantity, actor, detail, fingerprint },
      ...marks(ref, item, item.available, after.available),
      ...(limited ? [{ fact: 'counted', ref, buyer, by: quantity } as const] : []),
      ...remembering(id, ref, eventNumbers.deducted, fingerprint, now),
    ],
  };
};

/** The answer an id was given for this item before. */
export function remembered(
  state: State,
  id: string,
  ref: string,
  kind: number,
  fingerprint: number,
): Decision | undefined {
  const earlier = state.remembered.get(`${id}:${ref}`);
  if (!earlier) return undefined;
  if (earlier.kind !== kind || earlier.fingerprint !== fingerprint) return answer('id_conflict');
  const { available, reserved, sold, version, at } = earlier;
  return answer('exists', { available, reserved, sold, version, updatedAt: at });
}

export function remembering(id: string, ref: string, kind: number, fingerprint: number, now: number): Fact[] {
  return [
    { fact: 'remembered', id, ref, kind, fingerprint },
    { fact: 'due', at: now + limits.retention_seconds * 1_000, name: `i:${id}:${ref}` },
  ];
}
