/** Which partitions lost something to a fault, as the ledger tells: a partition that lost anything goes on under a new epoch. */
import { type CheckInput, CLOCK_MS, clocksMovedDuring, type FaultSpan } from './context.js';
import { KIND } from './kinds.js';
import type { Model } from './model.js';

export interface Loss extends FaultSpan {
  readonly partitions: ReadonlySet<number>;
}

/** An epoch may be lost again, with the event that opened it, to the fault that comes next; that partition is opened by then, ms. */
const OPENED_MS = 15_000;

/** Of every fault that may lose something. Where clocks were off meanwhile it may have been any partition. */
export function lossesOf(input: CheckInput, model: Model): Loss[] {
  return input.faults
    .filter(({ loses }) => loses !== 'none')
    .map((fault) => {
      const [from, to] = [fault.fromWall - CLOCK_MS, fault.toWall + OPENED_MS];
      const any = clocksMovedDuring(input, from, to);
      const opened = (partition: number): boolean =>
        (model.byPartition.get(partition) ?? []).some(
          ({ kind, at }) => kind === KIND.epochOpened && from <= at && at <= to,
        );
      const all = Array.from({ length: input.partitions }, (_, partition) => partition);
      return { ...fault, partitions: new Set(all.filter((partition) => any || opened(partition))) };
    });
}
