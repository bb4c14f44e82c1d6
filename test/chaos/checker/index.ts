/**
 * The history checker: takes the calls as their callers saw them, the ledger and the final state, and says what a correct system
 * would not have done. Points as in docs/reliability.md; 10 (admissions) needs waiting rooms, which do not exist yet.
 */
import { checkAcks, type AckTally } from './acks.js';
import { checkAsked } from './asked.js';
import type { CheckInput, Checking } from './context.js';
import { checkCounts } from './counts.js';
import { checkDeadlines } from './deadlines.js';
import { effectsOf } from './effects.js';
import { checkFinals } from './finals.js';
import { checkKeys } from './keys.js';
import { lossesOf, tailsOf } from './losses.js';
import { replay } from './model.js';
import { checkNumbers } from './numbers.js';
import { checkOrder } from './order.js';
import { checkRefusals } from './refusals.js';
import { KEPT_A_POINT, type Violation } from './violation.js';
import { checkWholes } from './wholes.js';

export type { CheckInput, FaultSpan, Outage, ServerEnd } from './context.js';
export type { Violation } from './violation.js';

export interface Verdict {
  readonly violations: readonly Violation[];
  /** How many there were of each point, those not kept included. */
  readonly counts: Readonly<Record<number, number>>;
  readonly acks: AckTally;
  readonly events: number;
}

export function check(input: CheckInput): Verdict {
  const violations: Violation[] = [];
  const counts: Record<number, number> = {};
  const report = (violation: Violation): void => {
    const count = (counts[violation.point] = (counts[violation.point] ?? 0) + 1);
    if (count <= KEPT_A_POINT) violations.push(violation);
  };
  const { movements } = input.final.postgres;
  const model = replay(movements, report);
  const effects = effectsOf(model, input.calls, input.partitions);
  const [losses, tails] = [lossesOf(input, model), tailsOf(input, model)];
  const checking: Checking = { ...input, model, report, effects, losses, tails };
  checkCounts(input, report);
  checkNumbers(checking);
  checkFinals(checking);
  checkWholes(checking);
  const acks = checkAcks(checking);
  checkAsked(checking);
  checkKeys(checking);
  checkRefusals(checking);
  checkOrder(checking);
  checkDeadlines(checking);
  return { violations, counts, acks, events: movements.length };
}
