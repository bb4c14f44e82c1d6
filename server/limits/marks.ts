/** From a number to what is closed, with a distance between closing and opening so that nothing flutters. */

/** 0: open. 1: closed to new holds. 2: closed to everything that changes stock but what ends a reservation. */
export type Level = 0 | 1 | 2;

export const OPEN: Level = 0;
export const NO_HOLDS: Level = 1;
export const NO_WRITES: Level = 2;

export interface Marks {
  /** From here on new holds are refused. */
  readonly holds: number;
  /** From here on other writes are refused, too. */
  readonly writes: number;
  /** What was closed opens so far below its mark. */
  readonly slack: number;
}

/** Writes follow half as much later, and a fifth has to be gone before what is closed opens. */
export function marksFrom(limit: number): Marks {
  return { holds: limit, writes: limit * 1.5, slack: limit * 0.2 };
}

/** In percent of what there is: writes are closed half-way between the limit and full. */
export function marksInPercent(limit: number): Marks {
  return { holds: limit, writes: (limit + 100) / 2, slack: Math.min(5, limit / 4) };
}

/** The level after `before`, now that the value is `value`. */
export function levelOf(value: number, before: Level, { holds, writes, slack }: Marks): Level {
  if (value >= writes || (before === NO_WRITES && value >= writes - slack)) return NO_WRITES;
  if (value >= holds || (before !== OPEN && value >= holds - slack)) return NO_HOLDS;
  return OPEN;
}
