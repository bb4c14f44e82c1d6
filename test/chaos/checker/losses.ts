/** Which partitions lost something to a fault, as the ledger tells: a partition that lost anything goes on under a new epoch. */
import { type CheckInput, CLOCK_MS, clocksMovedDuring, type FaultSpan, whenMade } from './context.js';
import { KIND } from './kinds.js';
import type { Model } from './model.js';

export interface Loss extends FaultSpan {
  readonly partitions: ReadonlySet<number>;
}

/** A partition went on under a new epoch: what is gone is what came after the last event before that, times by the wall, ms. */
export interface Tail {
  /** Since the last event that is left, at the earliest. */
  readonly since: number;
  /** When it was opened, at the earliest and at the latest. */
  readonly opened: readonly [number, number];
}

export type Tails = ReadonlyMap<number, readonly Tail[]>;

/**
 * An epoch may be lost again, with the event that opened it, to the fault that comes next; that partition is opened by then. And a
 * master that was cut off may go on answering for so long, ms.
 */
export const OPENED_MS = 15_000;

/** Of every fault that may lose something. Where clocks were off meanwhile it may have been any partition. */
export function lossesOf(input: Pick<CheckInput, 'faults' | 'partitions'>, model: Model): Loss[] {
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

/** Every opening of every partition but the first. */
export function tailsOf(input: Pick<CheckInput, 'faults'>, { byPartition }: Model): Tails {
  const tails = new Map<number, Tail[]>();
  for (const [partition, events] of byPartition)
    tails.set(
      partition,
      events.flatMap((event, index) => {
        const last = events[index - 1];
        if (event.kind !== KIND.epochOpened || !last) return [];
        const [since] = whenMade(input, last);
        return [{ since, opened: whenMade(input, event) }];
      }),
    );
  return tails;
}

/**
 * Whether what was done between two times (by the wall) may have been lost with the end of one of the partitions: what is left of a
 * partition is all up to some event, so that nothing older than that one is gone.
 *
 * @param during only where it was opened then
 */
export function mayBeLost(
  tails: Tails,
  partitions: readonly number[],
  [began, ended]: readonly [number, number],
  during: readonly [number, number] = [-Infinity, Infinity],
): boolean {
  return partitions.some((partition) =>
    (tails.get(partition) ?? []).some(
      ({ since, opened: [soonest, latest] }) =>
        ended + CLOCK_MS >= since &&
        began <= latest + OPENED_MS &&
        latest >= during[0] - CLOCK_MS &&
        soonest <= during[1] + OPENED_MS,
    ),
  );
}
