/** The call that holds the lines of one partition: of a reservation of its own, or of a part of a claim. (S3, S5) */
import { itemOf } from '../content.js';
import { afterSweep, change, type Context } from '../context.js';
import { refusal, type Deadline } from '../outcome.js';
import { stockReserve, type StockReserveOp, type StockReserveResult } from '../scripts/generated/stock-reserve.js';
import type { Ack, Refusal, ReservationLine } from '../types.js';
import type { Part } from './place.js';

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
  /** Its lines as callers see them while they are held, where they are known. */
  readonly held?: readonly ReservationLine[];
}

/** Holds the lines of one partition; when units only wait for the sweep, sweeps and asks once more. (S9) */
export async function holdPart(context: Context, wanted: Wanted, part: Part, attempt: number, ack: Ack) {
  const call = holding(context, wanted, part, attempt, ack);
  const answer = await call();
  return lacksOverdue(answer.result) ? afterSweep(context, part.partition, wanted.deadline, call) : answer;
}

export function holding(context: Context, wanted: Wanted, part: Part, attempt: number, ack: Ack) {
  const op = holdOp(wanted, part, attempt);
  return () =>
    change(context, stockReserve, part.partition, op, { ack, timeoutMs: wanted.deadline.left(), id: wanted.id });
}

export function holdOp(wanted: Wanted, part: Part, attempt: number): StockReserveOp {
  return {
    id: wanted.id,
    fingerprint: wanted.fingerprint,
    attempt,
    buyer: wanted.buyer,
    hold: wanted.hold,
    room: wanted.room,
    // Left empty it is the buyer: then the whole batch has it in common.
    actor: wanted.actor === wanted.buyer ? '' : wanted.actor,
    lines: part.lines,
  };
}

/** The attempt under which a part is held once more: its buyer was let in when it was held first, so that now only units count. */
export function again(attempt: number): number {
  return -attempt;
}

/** Units are missing that may only wait for the sweep. */
export function lacksOverdue(result: StockReserveResult): boolean {
  return result.status === 'insufficient_stock' && result.overdue > 0;
}

/** A refusal by the item of the line that was refused. */
export function lineRefusal(result: StockReserveResult, part: Part): Refusal {
  const line = 'line' in result ? part.lines[result.line - 1] : undefined;
  const available = 'available' in result ? result.available : undefined;
  return refusal(result.status, line && itemOf(line.item), available);
}
