/** Rules of what follows a hold: confirm, release, expire, abort, extend, return. */
import { type EventName } from '../../engine/scripts/generated/events.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StockAbortOp } from '../../engine/scripts/generated/stock-abort.js';
import { type StockConfirmOp } from '../../engine/scripts/generated/stock-confirm.js';
import { type StockExpireOp } from '../../engine/scripts/generated/stock-expire.js';
import { type StockExtendOp } from '../../engine/scripts/generated/stock-extend.js';
import { type StockReleaseOp } from '../../engine/scripts/generated/stock-release.js';
import { type StockReturnOp } from '../../engine/scripts/generated/stock-return.js';
import { type StatusName } from '../../engine/scripts/generated/statuses.js';
import { type Fact } from './facts.js';
import { answer, type Decision, INVALID, isCount, isId, isText, type Rule } from './rule.js';
import { type Hold, phaseNumber, type ReservationPhase, type State } from './state.js';

interface Named {
  readonly id: string;
  readonly attempt: number;
  readonly actor: string;
  readonly lines: readonly { readonly item: string }[];
}
const isValid = (op: Named): boolean =>
  isId(op.id) && isCount(op.attempt) && isText(op.actor) && isCount(op.lines.length, 1, limits.max_lines);

/** The hold an operation means: the one its attempt made. */
function meant(state: State, { id, attempt }: Pick<Named, 'id' | 'attempt'>): Hold | undefined {
  const hold = state.holds.get(id);
  return hold?.attempt === attempt ? hold : undefined;
}

const sameItems = (hold: Hold, op: Named): boolean =>
  hold.lines.map((line) => line.ref).join('\n') === op.lines.map((line) => line.item).join('\n');

/** Where a hold stands as of now: one of its own that has passed its deadline is expired, whatever is written. */
const phaseNow = (hold: Hold, now: number): ReservationPhase =>
  hold.phase === 'held' && hold.attempt === 0 && hold.deadline <= now ? 'expired' : hold.phase;

const standing = (status: StatusName, hold: Hold, phase: ReservationPhase): Decision =>
  answer(status, { deadline: hold.deadline, state: phaseNumber(phase) });

/** All lines of a hold move: into sold, or back on sale. */
function moves(kind: EventName, op: Named, hold: Hold): Fact[] {
  const { deadline, fingerprint, attempt } = hold;
  return hold.lines.flatMap(({ ref, quantity, counted }): Fact[] => [
    kind === 'confirmed'
      ? { fact: 'moved', ref, reserved: -quantity, sold: quantity }
      : { fact: 'moved', ref, reserved: -quantity, available: quantity },
    ...(counted && kind !== 'confirmed' ? [{ fact: 'counted', ref, buyer: hold.buyer, by: -quantity } as const] : []),
    { fact: 'told', kind, ref, id: op.id, quantity, actor: op.actor, deadline, fingerprint, attempt },
  ]);
}

const ended = (op: Named, hold: Hold, phase: ReservationPhase, now: number): Fact => ({
  fact: 'hold',
  id: op.id,
  hold: { ...hold, phase, resolvedAt: now },
});

export const confirm: Rule<StockConfirmOp> = (state, op, now) => {
  if (!isValid(op)) return INVALID;
  const hold = meant(state, op);
  if (!hold) return answer('reservation_not_found');
  const phase = phaseNow(hold, now);
  if (phase === 'confirmed') return standing('exists', hold, phase);
  if (!sameItems(hold, op)) return answer('items_mismatch');
  switch (phase) {
    case 'released':
      return answer('reservation_released');
    case 'expired':
      return answer('hold_expired', { deadline: hold.deadline });
    case 'returned':
      return answer('reservation_returned');
    default:
      return {
        ...standing('ok', hold, 'confirmed'),
        facts: [...moves('confirmed', op, hold), ended(op, hold, 'confirmed', now)],
      };
  }
};

export const release: Rule<StockReleaseOp> = (state, op, now) => {
  if (!isValid(op)) return INVALID;
  const hold = meant(state, op);
  if (!hold) return answer('reservation_not_found');
  if (hold.phase === 'released' || hold.phase === 'expired') return standing('exists', hold, hold.phase);
  if (!sameItems(hold, op)) return answer('items_mismatch');
  if (hold.phase === 'confirmed') return answer('reservation_confirmed');
  if (hold.phase === 'returned') return answer('reservation_returned');
  const late = phaseNow(hold, now) === 'expired';
  const phase = late ? 'expired' : 'released';
  return {
    ...standing(late ? 'exists' : 'ok', hold, phase),
    facts: [...moves(phase, op, hold), ended(op, hold, phase, now)],
  };
};

export const expire: Rule<StockExpireOp> = (state, op, now) => {
  if (!isValid(op)) return INVALID;
  const hold = meant(state, op);
  if (!hold) return answer('reservation_not_found');
  const alive = hold.attempt === 0 && now < hold.deadline;
  if (hold.phase !== 'held' || alive) return standing('exists', hold, hold.phase);
  if (!sameItems(hold, op)) return answer('items_mismatch');
  return {
    ...standing('ok', hold, 'expired'),
    facts: [...moves('expired', op, hold), ended(op, hold, 'expired', now)],
  };
};

export const abort: Rule<StockAbortOp> = (state, op) => {
  if (!isValid(op)) return INVALID;
  const hold = meant(state, op);
  if (hold?.phase !== 'held' || hold.attempt === 0) return answer('exists');
  if (!sameItems(hold, op)) return answer('items_mismatch');
  return {
    row: { status: 'ok' },
    facts: [...moves('aborted', op, hold), { fact: 'hold', id: op.id, hold: undefined }],
  };
};

const NO_EXTENSION: Partial<Record<ReservationPhase, StatusName>> = {
  released: 'reservation_released',
  confirmed: 'reservation_confirmed',
  returned: 'reservation_returned',
};

export const extend: Rule<StockExtendOp> = (state, op, now) => {
  const part = op.attempt > 0;
  const valid =
    isId(op.id) &&
    isCount(op.attempt) &&
    isCount(op.untilMs) &&
    isText(op.actor) &&
    (part ? isCount(op.hold) : isCount(op.hold, 1, limits.max_hold_seconds));
  if (!valid) return INVALID;
  const hold = meant(state, op);
  if (!hold) return answer('reservation_not_found');
  const phase = phaseNow(hold, now);
  const refusal = NO_EXTENSION[phase];
  if (refusal) return answer(refusal);
  if (phase === 'expired') return answer('hold_expired', { deadline: hold.deadline });
  const deadline = Math.max(hold.deadline, part ? op.untilMs : now + op.hold * 1_000);
  const longer = { ...hold, deadline };
  if (deadline === hold.deadline) return standing('exists', longer, 'held');
  const { id, actor, attempt } = op;
  const { fingerprint } = hold;
  return {
    ...standing('ok', longer, 'held'),
    facts: [
      { fact: 'hold', id, hold: longer },
      { fact: 'told', kind: 'extended', id, actor, deadline, fingerprint, attempt },
      { fact: 'due', at: deadline, name: id },
    ],
  };
};

export const returned: Rule<StockReturnOp> = (state, op, now) => {
  if (!isValid(op) || !op.lines.every((line) => isCount(line.total))) return INVALID;
  const hold = meant(state, op);
  if (!hold) return answer('reservation_not_found');
  if (!sameItems(hold, op)) return answer('items_mismatch');
  const phase = phaseNow(hold, now);
  if (phase === 'released') return answer('reservation_released');
  if (phase === 'expired') return answer('hold_expired', { deadline: hold.deadline });
  if (phase === 'held') return answer('reservation_held');
  const over = hold.lines.findIndex((line, i) => op.lines[i]!.total > line.quantity);
  if (over >= 0) return answer('return_exceeds_sold', { line: over + 1, sold: hold.lines[over]!.quantity });
  const lines = hold.lines.map((line, i) => ({ ...line, returned: Math.max(line.returned, op.lines[i]!.total) }));
  const back = lines.map((line, i) => ({ ...line, units: line.returned - hold.lines[i]!.returned }));
  if (back.every((line) => line.units === 0)) return standing('exists', hold, hold.phase);
  const after = lines.every((line) => line.returned === line.quantity) ? 'returned' : 'confirmed';
  const { deadline, fingerprint, attempt, buyer } = hold;
  return {
    ...standing('ok', hold, after),
    facts: [
      ...back
        .filter((line) => line.units > 0)
        .flatMap(({ ref, units, counted }): Fact[] => [
          { fact: 'moved', ref, available: units, sold: -units },
          ...(counted ? [{ fact: 'counted', ref, buyer, by: -units } as const] : []),
          {
            fact: 'told',
            kind: 'returned',
            ref,
            id: op.id,
            quantity: units,
            actor: op.actor,
            deadline,
            fingerprint,
            attempt,
          },
        ]),
      ended(op, { ...hold, lines }, after, now),
    ],
  };
};
