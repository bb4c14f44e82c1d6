/** What rows of stock/reserve have in common, and those of a part that was lost and is held once more. */
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StockReserveOp, type StockReserveResult } from '../../engine/scripts/generated/stock-reserve.js';
import { type Row } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, change, FAR, HELD, hold, stock } from './fixtures.js';

export const CLAIM_MS = limits.claim_seconds * 1_000;

export const op = (over: Partial<StockReserveOp> = {}): StockReserveOp => ({
  id: 'r1',
  fingerprint: 77,
  attempt: 0,
  buyer: 'bo',
  hold: 0,
  room: '',
  actor: 'who',
  lines: [{ item: A, quantity: 2 }],
  ...over,
});
export const one = (fields: Record<string, string | number> = {}) => ({ stock: { [A]: stock(10, 0, 0, 1, fields) } });
/** The event of a line held, by the level after it. */
export const heldEvent = (
  ref: string,
  quantity: number,
  level: readonly [available: number, reserved: number, sold: number, version: number],
  deadline: number,
  more: object = {},
) => ({
  kind: 'held',
  ref,
  id: 'r1',
  quantity,
  actor: 'who',
  detail: ' for:bo',
  available: level[0],
  reserved: level[1],
  sold: level[2],
  version: level[3],
  deadline,
  fingerprint: 77,
  ...more,
});

/** Puts a fresh hold into a world. */
export function place(world: World, id: string, deadline: number, parts: Partial<Parameters<typeof hold>[0]>): void {
  world.holds[id] = hold({ deadline, ...parts });
  world.due[id] = deadline;
}

export const HELD_AGAIN: Row<void, StockReserveOp, StockReserveResult>[] = [
  {
    status: 'ok',
    name: 'a part that was lost, once more: the sale is over, the room another, the limit lower',
    given: { stock: { [A]: stock(10, 0, 0, 1, { m: 'gate', o: 1, c: 2, l: 1 }) }, buyers: { [A]: { bo: 1 } } },
    ops: [op({ attempt: -9, hold: 600 })],
    answers: (now) => [{ status: 'ok', deadline: now + CLAIM_MS, hold: 600, state: HELD }],
    after: (world, now) => {
      change(world, A, now, { a: 8, r: 2 });
      world.buyers[A] = { bo: 3 };
      place(world, 'r1', now + CLAIM_MS, { attempt: 9, lines: [[A, 2, 0, 1]] });
    },
    events: (now) => [heldEvent(A, 2, [8, 2, 0, 2], now + CLAIM_MS, { attempt: 9, detail: 'limited for:bo' })],
  },
  {
    status: 'ok',
    name: 'a part that was lost, once more: without a buyer, limited since',
    given: one({ l: 1 }),
    ops: [op({ attempt: -9, hold: 600, buyer: '' })],
    answers: (now) => [{ status: 'ok', deadline: now + CLAIM_MS, hold: 600, state: HELD }],
    after: (world, now) => {
      change(world, A, now, { a: 8, r: 2 });
      place(world, 'r1', now + CLAIM_MS, { attempt: 9, buyer: '', lines: [[A, 2, 0, 0]] });
    },
    events: (now) => [heldEvent(A, 2, [8, 2, 0, 2], now + CLAIM_MS, { attempt: 9, detail: ' for:' })],
  },
  {
    status: 'exists',
    name: 'a part that is there, once more',
    given: { stock: { [A]: stock(8, 2) }, holds: { r1: hold({ deadline: FAR, attempt: 9, lines: [[A, 2, 0, 0]] }) } },
    ops: [op({ attempt: -9 })],
    answers: [{ status: 'exists', deadline: FAR, hold: limits.default_hold_seconds, state: HELD }],
  },
  {
    status: 'insufficient_stock',
    name: 'a part that was lost, once more, when its units are gone',
    given: { stock: { [A]: stock(1, 0, 9, 1, { c: 2, o: 1 }) } },
    ops: [op({ attempt: -9 })],
    answers: [{ status: 'insufficient_stock', line: 1, available: 1, overdue: 0 }],
  },
];
