import { eventNumbers } from '../../engine/scripts/generated/events.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { stockRestock, type StockRestockOp } from '../../engine/scripts/generated/stock-restock.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, B, change, DAY_MS, LONG_AGO, stock } from './fixtures.js';

const op = (over: Partial<StockRestockOp> = {}): StockRestockOp => ({
  id: 'm1',
  fingerprint: 77,
  item: A,
  quantity: 5,
  reason: 'delivery "7"',
  actor: 'who',
  ...over,
});
const one = { stock: { [A]: stock(10, 1, 2, 3, { w: 12 }) } };
const full = { stock: { [A]: stock(limits.max_stock - 8, 1, 2, 3) } };
const BEFORE = [eventNumbers.restocked, 77, 7, 1, 3, 4, LONG_AGO];
const event = (available: number, version: number, more: object = {}) => ({
  kind: 'restocked',
  ref: A,
  id: 'm1',
  quantity: 5,
  actor: 'who',
  detail: 'delivery "7"',
  available,
  reserved: 1,
  sold: 2,
  version,
  fingerprint: 77,
  ...more,
});
function remember(world: World, now: number, ref: string): void {
  const { a, r, s, v } = world.stock[ref]!;
  world.ids[`m1:${ref}`] = [eventNumbers.restocked, 77, a!, r!, s!, v!, now];
}
const refused = <R extends { readonly status: (typeof stockRestock.statuses)[number] }>(
  answer: R,
  name: string,
  given: Partial<World>,
  over: Partial<StockRestockOp> = {},
) => ({ status: answer.status, name, given, ops: [op(over)], answers: [answer] });

table({
  script: stockRestock,
  valid: { given: one, ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'units come in; nobody is told that stock is low on the way up',
      given: one,
      ops: [op()],
      answers: (now) => [{ status: 'ok', available: 15, reserved: 1, sold: 2, version: 4, updatedAt: now }],
      after: (world, now) => {
        change(world, A, now, { a: 15 });
        remember(world, now, A);
        world.due[`i:m1:${A}`] = now + DAY_MS;
      },
      events: [event(15, 4)],
    },
    {
      status: 'ok',
      name: 'up to the largest number of units',
      given: full,
      ops: [op()],
      answers: (now) => [
        { status: 'ok', available: limits.max_stock - 3, reserved: 1, sold: 2, version: 4, updatedAt: now },
      ],
      after: (world, now) => {
        change(world, A, now, { a: limits.max_stock - 3 });
        remember(world, now, A);
        world.due[`i:m1:${A}`] = now + DAY_MS;
      },
      events: [event(limits.max_stock - 3, 4)],
    },
    refused(
      { status: 'exists', available: 7, reserved: 1, sold: 3, version: 4, updatedAt: LONG_AGO },
      'the answer that was given',
      { ...one, ids: { [`m1:${A}`]: BEFORE } },
    ),
    ...(
      [
        ['no id', { id: '' }],
        ['no units', { quantity: 0 }],
        ['too many units', { quantity: limits.max_stock + 1 }],
        ['a reason too long', { reason: 'a'.repeat(limits.detail_bytes + 1) }],
        ['an actor with NUL', { actor: 'a\0b' }],
      ] as const
    ).map(([name, over]) => refused({ status: 'invalid_argument' } as const, name, one, over)),
    refused({ status: 'id_conflict' }, 'other content', { ...one, ids: { [`m1:${A}`]: BEFORE } }, { fingerprint: 78 }),
    refused({ status: 'id_conflict' }, 'another kind of change', {
      ...one,
      ids: { [`m1:${A}`]: [eventNumbers.adjusted, ...BEFORE.slice(1)] },
    }),
    refused({ status: 'sku_not_found' }, 'no such item', one, { item: B }),
    refused({ status: 'stock_limit', available: limits.max_stock - 8 }, 'one too many', full, { quantity: 6 }),
  ],
  more: [
    refused({ status: 'invalid_argument' }, 'invalid_argument and sku_not_found: invalid_argument', one, {
      item: B,
      quantity: 0,
    }),
    refused(
      { status: 'id_conflict' },
      'id_conflict and stock_limit: id_conflict',
      { ...full, ids: { [`m1:${A}`]: BEFORE } },
      { quantity: 6, fingerprint: 78 },
    ),
    {
      status: 'exists',
      name: 'the same id for two items, twice, beside ones that are refused',
      given: { stock: { [A]: stock(10, 1, 2, 3), [B]: stock(0) } },
      ops: [op(), op({ quantity: 0 }), op({ item: B }), op(), op({ fingerprint: 1 }), op({ item: 'x:y' })],
      answers: (now) => [
        { status: 'ok', available: 15, reserved: 1, sold: 2, version: 4, updatedAt: now },
        { status: 'invalid_argument' },
        { status: 'ok', available: 5, reserved: 0, sold: 0, version: 2, updatedAt: now },
        { status: 'exists', available: 15, reserved: 1, sold: 2, version: 4, updatedAt: now },
        { status: 'id_conflict' },
        { status: 'sku_not_found' },
      ],
      after: (world, now) => {
        change(world, A, now, { a: 15 });
        change(world, B, now, { a: 5 });
        remember(world, now, A);
        remember(world, now, B);
        world.due[`i:m1:${A} i:m1:${B}`] = now + DAY_MS;
      },
      events: [event(15, 4), event(5, 2, { ref: B, reserved: 0, sold: 0 })],
    },
  ],
});
