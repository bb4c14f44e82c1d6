/** Contents that the tables of scripts begin with. */
import { type Cell, type StockFields, type World } from '../support/scripts.js';

export const A = 'hall-1:chair.red';
export const B = 'hall-1:desk_2';
export const HELD = 1;
export const CONFIRMED = 2;
export const RELEASED = 3;
export const EXPIRED = 4;
export const RETURNED = 5;
export const PENDING = 6;

export const DAY_MS = 86_400_000;
/** A deadline that no test lives to see. */
export const FAR = 4_000_000_000_000;
/** Updates of items before the call, so that one that happens shows. */
export const LONG_AGO = 1_600_000_000_000;

export const stock = (a: number, r = 0, s = 0, v = 1, more: StockFields = {}): StockFields => ({
  a,
  r,
  s,
  v,
  u: LONG_AGO,
  ...more,
});

export interface HoldParts {
  state?: number;
  deadline: number;
  fingerprint?: number;
  attempt?: number;
  buyer?: string;
  resolved?: number;
  /** ref, quantity, returned, counted */
  lines?: readonly (readonly [string, number, number, number])[];
}

export function hold(parts: HoldParts): Cell[] {
  const { state = HELD, deadline, fingerprint = 77, attempt = 0, buyer = 'bo', resolved = 0 } = parts;
  return [state, deadline, fingerprint, attempt, buyer, resolved, ...(parts.lines ?? LINES).flat()];
}

export const LINES = [
  [A, 2, 0, 1],
  [B, 1, 0, 0],
] as const;

/** A hold `h` of two A, counted towards its buyer's limit, and one B. */
export function held(now: number, parts: Partial<HoldParts> = {}): Partial<World> {
  const deadline = parts.deadline ?? now + 60_000;
  return {
    stock: { [A]: stock(8, 2, 0, 3, { l: 4 }), [B]: stock(4, 1, 5, 9) },
    buyers: { [A]: { bo: 2 } },
    holds: { h: hold({ deadline, ...parts }) },
    due: { h: deadline },
  };
}

/** The same after its sale. */
export function bought(now: number, parts: Partial<HoldParts> = {}): Partial<World> {
  return {
    ...held(now, { state: CONFIRMED, resolved: now - 5_000, ...parts }),
    stock: { [A]: stock(8, 0, 2, 4, { l: 4 }), [B]: stock(4, 0, 6, 10) },
  };
}

/** Sets fields of a stock hash, counts the change and notes its time. */
export function change(world: World, ref: string, now: number, fields: StockFields, times = 1): void {
  const before = world.stock[ref]!;
  Object.assign(before, fields, { v: Number(before.v) + times, u: now });
}

export function claim(parts: {
  state?: number;
  deadline: number;
  fingerprint?: number;
  attempt?: number;
  buyer?: string;
  resolved?: number;
  opened?: number;
}): Cell[] {
  const {
    state = HELD,
    deadline,
    fingerprint = 77,
    attempt = 5,
    buyer = 'bo',
    resolved = 0,
    opened = LONG_AGO,
  } = parts;
  return [state, deadline, fingerprint, attempt, buyer, resolved, opened, A, 2, 'hall-2:lamp', 1];
}
