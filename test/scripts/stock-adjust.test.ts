import { eventNumbers } from '../../engine/scripts/generated/events.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { stockAdjust, type StockAdjustOp } from '../../engine/scripts/generated/stock-adjust.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, B, change, DAY_MS, LONG_AGO, stock } from './fixtures.js';

const op = (over: Partial<StockAdjustOp> = {}): StockAdjustOp => ({
  id: 'm1',
  fingerprint: 77,
  item: A,
  isCount: 0,
  value: -3,
  reason: 'breakage',
  actor: 'who',
  ...over,
});
const one = { stock: { [A]: stock(10, 4, 2, 3) } };
const full = { stock: { [A]: stock(limits.max_stock - 8, 4, 2, 3) } };
const BEFORE = [eventNumbers.adjusted, 77, 7, 1, 3, 4, LONG_AGO];

/** What a correction of A leaves. */
const corrected = (available: number) => (world: World, now: number) => {
  change(world, A, now, { a: available });
  world.ids[`m1:${A}`] = [eventNumbers.adjusted, 77, available, 4, 2, 4, now];
  world.due[`i:m1:${A}`] = now + DAY_MS;
};
const event = (quantity: number, available: number, more: object = {}) => ({
  kind: 'adjusted',
  ref: A,
  id: 'm1',
  quantity,
  actor: 'who',
  detail: 'breakage',
  available,
  reserved: 4,
  sold: 2,
  version: 4,
  fingerprint: 77,
  ...more,
});
const done = (name: string, over: Partial<StockAdjustOp>, quantity: number, available: number) => ({
  status: 'ok' as const,
  name,
  given: one,
  ops: [op(over)],
  answers: (now: number) => [{ status: 'ok' as const, available, reserved: 4, sold: 2, version: 4, updatedAt: now }],
  after: corrected(available),
  events: [event(quantity, available)],
});
const refused = <R extends { readonly status: (typeof stockAdjust.statuses)[number] }>(
  answer: R,
  name: string,
  given: Partial<World>,
  over: Partial<StockAdjustOp> = {},
) => ({ status: answer.status, name, given, ops: [op(over)], answers: [answer] });

table({
  script: stockAdjust,
  valid: { given: one, ops: [op()] },
  rows: [
    done('by a difference', {}, -3, 7),
    done('by a difference upwards', { value: 3 }, 3, 13),
    done('to a physical count, held units included', { isCount: 1, value: 6 }, -8, 2),
    done('a count that changes nothing is recorded', { isCount: 1, value: 14 }, 0, 10),
    {
      status: 'ok',
      name: 'down to nothing: low stock and sold out are told',
      given: { stock: { [A]: stock(10, 4, 2, 3, { w: 5 }) } },
      ops: [op({ isCount: 1, value: 4 })],
      answers: (now) => [{ status: 'ok', available: 0, reserved: 4, sold: 2, version: 4, updatedAt: now }],
      after: corrected(0),
      events: [
        event(-10, 0),
        { kind: 'low_stock', ref: A, quantity: 5, available: 0, reserved: 4, sold: 2, version: 4 },
        { kind: 'sold_out', ref: A, available: 0, reserved: 4, sold: 2, version: 4 },
      ],
    },
    refused(
      { status: 'exists', available: 7, reserved: 1, sold: 3, version: 4, updatedAt: LONG_AGO },
      'the answer that was given',
      { ...one, ids: { [`m1:${A}`]: BEFORE } },
    ),
    ...(
      [
        ['no id', { id: '' }],
        ['neither count nor difference', { isCount: 2 }],
        ['a count below nothing', { isCount: 1, value: -1 }],
        ['a difference too large', { value: limits.max_stock + 1 }],
        ['a difference too small', { value: -limits.max_stock - 1 }],
        ['a reason too long', { reason: 'a'.repeat(limits.detail_bytes + 1) }],
      ] as const
    ).map(([name, over]) => refused({ status: 'invalid_argument' } as const, name, one, over)),
    refused({ status: 'id_conflict' }, 'other content', { ...one, ids: { [`m1:${A}`]: BEFORE } }, { fingerprint: 78 }),
    refused({ status: 'sku_not_found' }, 'no such item', one, { item: B }),
    refused({ status: 'insufficient_stock', available: 10, reserved: 4 }, 'more than there is', one, { value: -11 }),
    refused({ status: 'insufficient_stock', available: 10, reserved: 4 }, 'a count below what is held', one, {
      isCount: 1,
      value: 3,
    }),
    refused({ status: 'stock_limit', available: limits.max_stock - 8 }, 'one too many', full, { value: 3 }),
  ],
  more: [
    refused({ status: 'invalid_argument' }, 'invalid_argument and sku_not_found: invalid_argument', one, {
      item: B,
      isCount: 2,
    }),
    refused(
      { status: 'id_conflict' },
      'id_conflict and insufficient_stock: id_conflict',
      { ...one, ids: { [`m1:${A}`]: BEFORE } },
      { fingerprint: 78, value: -11 },
    ),
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: one,
      ops: [op({ isCount: 2 }), op(), op({ id: 'm2', value: -8 }), op(), op({ fingerprint: 1 })],
      answers: (now) => [
        { status: 'invalid_argument' },
        { status: 'ok', available: 7, reserved: 4, sold: 2, version: 4, updatedAt: now },
        { status: 'insufficient_stock', available: 7, reserved: 4 },
        { status: 'exists', available: 7, reserved: 4, sold: 2, version: 4, updatedAt: now },
        { status: 'id_conflict' },
      ],
      after: corrected(7),
      events: [event(-3, 7)],
    },
  ],
});
