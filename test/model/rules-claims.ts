/** Rules of claims: the decision over a reservation whose holds lie in several partitions. */
import { type ClaimsAbortOp } from '../../engine/scripts/generated/claims-abort.js';
import { type ClaimsConfirmOp } from '../../engine/scripts/generated/claims-confirm.js';
import { type ClaimsExpireOp } from '../../engine/scripts/generated/claims-expire.js';
import { type ClaimsExtendOp } from '../../engine/scripts/generated/claims-extend.js';
import { type ClaimsOpenOp } from '../../engine/scripts/generated/claims-open.js';
import { type ClaimsReleaseOp } from '../../engine/scripts/generated/claims-release.js';
import { type ClaimsReturnOp } from '../../engine/scripts/generated/claims-return.js';
import { type ClaimsSealOp } from '../../engine/scripts/generated/claims-seal.js';
import { type EventName } from '../../engine/scripts/generated/events.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StatusName } from '../../engine/scripts/generated/statuses.js';
import { type Fact } from './facts.js';
import { answer, type Decision, INVALID, isCount, isId, isOptionalId, isText, type Rule } from './rule.js';
import { type Claim, phaseNumber, type ReservationPhase, type State } from './state.js';

const CLAIM_MS = limits.claim_seconds * 1_000;
const REF = /^[\w.~-]+:[\w.~-]+$/;

const phaseNow = (claim: Claim, now: number): ReservationPhase =>
  (claim.phase === 'held' || claim.phase === 'pending') && claim.deadline <= now ? 'expired' : claim.phase;
const standing = (status: StatusName, claim: Claim, phase: ReservationPhase): Decision =>
  answer(status, { deadline: claim.deadline, state: phaseNumber(phase) });
const told = (kind: EventName, id: string, actor: string, claim: Claim): Fact => ({
  fact: 'told',
  kind,
  id,
  actor,
  deadline: claim.deadline,
  fingerprint: claim.fingerprint,
  attempt: claim.attempt,
});

export const open: Rule<ClaimsOpenOp> = (state, op, now) => {
  const { id, fingerprint, buyer, lines } = op;
  const valid =
    isId(id) &&
    isCount(fingerprint) &&
    isOptionalId(buyer) &&
    isCount(lines.length, 1, limits.max_lines) &&
    lines.every((line) => REF.test(line.ref) && isCount(line.quantity, 1, limits.max_quantity));
  if (!valid) return INVALID;
  const claim = state.claims.get(id);
  if (claim && claim.fingerprint !== fingerprint) return answer('id_conflict');
  if (claim && claim.phase !== 'pending')
    return answer('exists', {
      attempt: claim.attempt,
      deadline: claim.deadline,
      state: phaseNumber(phaseNow(claim, now)),
    });
  if (claim && now - claim.openedAt < limits.takeover_ms) return answer('in_flight');
  if (!claim && state.holds.get(id)?.attempt === 0) return answer('id_conflict');
  const opened: Claim = {
    phase: 'pending',
    deadline: now + CLAIM_MS,
    fingerprint,
    attempt: claim ? Math.max(now, claim.attempt + 1) : now,
    buyer,
    resolvedAt: 0,
    openedAt: now,
    lines: lines.map(({ ref, quantity }) => ({ ref, quantity })),
  };
  const { attempt, deadline } = opened;
  const detail = JSON.stringify(lines.flatMap((line) => [line.ref, line.quantity]));
  return {
    row: { status: 'ok', attempt, deadline, state: phaseNumber('pending') },
    facts: [
      { fact: 'claim', id, claim: opened },
      { fact: 'told', kind: 'claim_opened', id, actor: buyer, detail, deadline, fingerprint, attempt },
      { fact: 'due', at: deadline, name: `c:${id}` },
    ],
  };
};

export const seal: Rule<ClaimsSealOp> = (state, { id, attempt, deadline }, now) => {
  if (!isId(id) || !isCount(attempt) || !isCount(deadline)) return INVALID;
  const claim = state.claims.get(id);
  if (claim?.attempt !== attempt) return answer('superseded');
  const phase = phaseNow(claim, now);
  if (claim.phase !== 'pending') return standing('exists', claim, phase);
  if (phase === 'expired') return answer('superseded');
  const sealed: Claim = { ...claim, phase: 'held', deadline };
  return {
    ...standing('ok', sealed, 'held'),
    facts: [
      { fact: 'claim', id, claim: sealed },
      told('claim_sealed', id, claim.buyer, sealed),
      { fact: 'due', at: deadline, name: `c:${id}` },
    ],
  };
};

export const abort: Rule<ClaimsAbortOp> = (state, { id, attempt }) => {
  if (!isId(id) || !isCount(attempt)) return INVALID;
  const claim = state.claims.get(id);
  if (claim?.phase !== 'pending' || claim.attempt !== attempt) return answer('exists');
  return {
    row: { status: 'ok' },
    // No deadline is told: there is none any more.
    facts: [{ fact: 'claim', id, claim: undefined }, told('claim_aborted', id, claim.buyer, { ...claim, deadline: 0 })],
  };
};

/** A claim that exists for callers: complete. */
function complete(state: State, id: string): Claim | undefined {
  const claim = state.claims.get(id);
  return claim?.phase === 'pending' ? undefined : claim;
}

/** A decision: the holds follow, and should nobody tell them, the sweep looks soon. */
function decided(
  kind: EventName,
  phase: ReservationPhase,
  { id, actor }: { id: string; actor: string },
  claim: Claim,
  now: number,
): Fact[] {
  return [
    { fact: 'claim', id, claim: { ...claim, phase, resolvedAt: now } },
    told(kind, id, actor, claim),
    { fact: 'due', at: now + CLAIM_MS, name: `c:${id}` },
  ];
}

export const confirm: Rule<ClaimsConfirmOp> = (state, op, now) => {
  if (!isId(op.id) || !isText(op.actor) || !isCount(op.sold, 0, 1)) return INVALID;
  const claim = complete(state, op.id);
  if (!claim) return answer('reservation_not_found');
  // A part that is sold proves that this was decided in time.
  switch (op.sold === 1 ? claim.phase : phaseNow(claim, now)) {
    case 'confirmed':
      return standing('exists', claim, 'confirmed');
    case 'released':
      return answer('reservation_released');
    case 'expired':
      return answer('hold_expired', { deadline: claim.deadline });
    case 'returned':
      return answer('reservation_returned');
    default:
      return {
        ...standing('ok', claim, 'confirmed'),
        facts: decided('claim_confirmed', 'confirmed', op, claim, now),
      };
  }
};

export const release: Rule<ClaimsReleaseOp> = (state, op, now) => {
  if (!isId(op.id) || !isText(op.actor)) return INVALID;
  const claim = complete(state, op.id);
  if (!claim) return answer('reservation_not_found');
  if (claim.phase === 'confirmed') return answer('reservation_confirmed');
  if (claim.phase === 'returned') return answer('reservation_returned');
  if (claim.phase !== 'held') return standing('exists', claim, claim.phase);
  return phaseNow(claim, now) === 'expired'
    ? { ...standing('exists', claim, 'expired'), facts: decided('claim_expired', 'expired', op, claim, now) }
    : { ...standing('ok', claim, 'released'), facts: decided('claim_released', 'released', op, claim, now) };
};

export const extend: Rule<ClaimsExtendOp> = (state, op, now) => {
  const { id, actor, hold } = op;
  if (!isId(id) || !isText(actor) || !isCount(hold, 1, limits.max_hold_seconds)) return INVALID;
  const claim = complete(state, id);
  if (!claim) return answer('reservation_not_found');
  switch (phaseNow(claim, now)) {
    case 'released':
      return answer('reservation_released');
    case 'confirmed':
      return answer('reservation_confirmed');
    case 'returned':
      return answer('reservation_returned');
    case 'expired':
      return answer('hold_expired', { deadline: claim.deadline });
    default:
  }
  const longer = { ...claim, deadline: Math.max(claim.deadline, now + hold * 1_000) };
  if (longer.deadline === claim.deadline) return standing('exists', claim, 'held');
  return {
    ...standing('ok', longer, 'held'),
    facts: [
      { fact: 'claim', id, claim: longer },
      told('claim_extended', id, actor, longer),
      { fact: 'due', at: longer.deadline, name: `c:${id}` },
    ],
  };
};

export const expire: Rule<ClaimsExpireOp> = (state, { id }, now) => {
  if (!isId(id)) return INVALID;
  const claim = state.claims.get(id);
  if (!claim) return answer('reservation_not_found');
  const phase = phaseNow(claim, now);
  if (claim.phase === 'expired' || phase !== 'expired') return answer('exists', { state: phaseNumber(phase) });
  const forgotten = claim.phase === 'pending';
  return {
    ...answer('ok', { state: phaseNumber('expired') }),
    facts: [
      { fact: 'claim', id, claim: forgotten ? undefined : { ...claim, phase: 'expired', resolvedAt: now } },
      told(forgotten ? 'claim_aborted' : 'claim_expired', id, claim.buyer, claim),
    ],
  };
};

export const returned: Rule<ClaimsReturnOp> = (state, { id, actor }, now) => {
  if (!isId(id) || !isText(actor)) return INVALID;
  const claim = state.claims.get(id);
  if (claim?.phase === 'returned') return standing('exists', claim, 'returned');
  if (claim?.phase !== 'confirmed') return answer('reservation_not_found');
  return {
    ...standing('ok', claim, 'returned'),
    facts: decided('claim_returned', 'returned', { id, actor }, claim, now),
  };
};
