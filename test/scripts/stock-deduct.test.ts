import { eventNumbers } from '../../engine/scripts/generated/events.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { stockDeduct, type StockDeductOp } from '../../engine/scripts/generated/stock-deduct.js';
import { table } from '../support/rows.js';
import { type StockFields, type World } from '../support/scripts.js';
import { A, B, change, DAY_MS, LONG_AGO, stock } from './fixtures.js';

const op = (over: Partial<StockDeductOp> = {}): StockDeductOp => ({
  id: 'o1',
  fingerprint: 77,
  item: A,
  quantity: 2,
  buyer: 'bo',
  room: '',
  actor: 'who',
  ...over,
});
const one = (fields: StockFields = {}) => ({ stock: { [A]: stock(10, 1, 0, 3, fields) } });
const BEFORE = [eventNumbers.deducted, 77, 7, 1, 3, 4, LONG_AGO];
const LONG = `${'l'.repeat(128)}:${'s'.repeat(128)}`;

/** What an order leaves to be remembered for a day, by id and item. */
function remember(world: World, now: number, id: string, ref: string): void {
  const { a, r, s, v } = world.stock[ref]!;
  world.ids[`${id}:${ref}`] = [eventNumbers.deducted, 77, a!, r!, s!, v!, now];
}
const event = (available: number, sold: number, version: number, more: object = {}) => ({
  kind: 'deducted',
  ref: A,
  id: 'o1',
  quantity: 2,
  actor: 'who',
  detail: ' for:bo',
  available,
  reserved: 1,
  sold,
  version,
  fingerprint: 77,
  ...more,
});
const refused = <R extends { readonly status: (typeof stockDeduct.statuses)[number] }>(
  answer: R,
  name: string,
  given: Partial<World>,
  over: Partial<StockDeductOp> = {},
) => ({ status: answer.status, name, given, ops: [op(over)], answers: [answer] });

table({
  script: stockDeduct,
  valid: { given: one(), ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'sold in one step',
      given: one(),
      ops: [op()],
      answers: (now) => [{ status: 'ok', available: 8, reserved: 1, sold: 2, version: 4, updatedAt: now }],
      after: (world, now) => {
        change(world, A, now, { a: 8, s: 2 });
        remember(world, now, 'o1', A);
        world.due[`i:o1:${A}`] = now + DAY_MS;
      },
      events: [event(8, 2, 4)],
    },
    {
      status: 'ok',
      name: 'the last ones of a limited item behind a room, by the buyer',
      given: (now) => ({
        stock: { [A]: stock(2, 1, 0, 3, { l: 4, w: 5, m: 'gate', o: now - 1, c: now + 60_000 }) },
        buyers: { [A]: { bo: 2 } },
      }),
      ops: [op({ room: 'gate', actor: 'bo' })],
      answers: (now) => [{ status: 'ok', available: 0, reserved: 1, sold: 2, version: 4, updatedAt: now }],
      after: (world, now) => {
        change(world, A, now, { a: 0, s: 2 });
        world.buyers[A] = { bo: 4 };
        remember(world, now, 'o1', A);
        world.due[`i:o1:${A}`] = now + DAY_MS;
      },
      events: [
        event(0, 2, 4, { actor: 'bo', detail: 'limited' }),
        { kind: 'sold_out', ref: A, available: 0, reserved: 1, sold: 2, version: 4 },
      ],
    },
    {
      status: 'exists',
      name: 'the answer that was given',
      given: { ...one(), ids: { [`o1:${A}`]: BEFORE } },
      ops: [op()],
      answers: [{ status: 'exists', available: 7, reserved: 1, sold: 3, version: 4, updatedAt: LONG_AGO }],
    },
    ...(
      [
        ['no id', { id: '' }],
        ['a buyer with a blank', { buyer: 'b o' }],
        ['no units', { quantity: 0 }],
        ['too many units', { quantity: limits.max_quantity + 1 }],
        ['an actor too long', { actor: 'a'.repeat(limits.detail_bytes + 1) }],
      ] as const
    ).map(([name, over]) => refused({ status: 'invalid_argument' } as const, name, one(), over)),
    refused(
      { status: 'id_conflict' },
      'other content',
      { ...one(), ids: { [`o1:${A}`]: BEFORE } },
      { fingerprint: 78 },
    ),
    refused({ status: 'id_conflict' }, 'another kind of change', {
      ...one(),
      ids: { [`o1:${A}`]: [eventNumbers.restocked, 77, 7, 1, 3, 4, LONG_AGO] },
    }),
    refused({ status: 'sku_not_found' }, 'no such item', one(), { item: B }),
    refused({ status: 'buyer_required' }, 'a limited item', one({ l: 5 }), { buyer: '' }),
    refused({ status: 'admission_required' }, 'another room', one({ m: 'gate' }), { room: 'door' }),
    refused({ status: 'not_on_sale' }, 'not yet', one({ o: 4_000_000_000_000 })),
    refused({ status: 'not_on_sale' }, 'no more', one({ c: 1_000 })),
    refused({ status: 'buyer_limit', available: 1 }, 'tells what is left to the buyer', {
      ...one({ l: 4 }),
      buyers: { [A]: { bo: 3 } },
    }),
    refused({ status: 'insufficient_stock', available: 10, overdue: 0 }, 'tells what is left', one(), { quantity: 11 }),
    refused(
      { status: 'insufficient_stock', available: 10, overdue: 1 },
      'and that something waits to be swept',
      { ...one(), due: { h: 1_000 } },
      { quantity: 11 },
    ),
  ],
  more: [
    refused({ status: 'invalid_argument' }, 'invalid_argument and sku_not_found: invalid_argument', one(), {
      item: B,
      quantity: 0,
    }),
    refused(
      { status: 'buyer_required' },
      'buyer_required and admission_required: buyer_required',
      one({ l: 5, m: 'gate' }),
      { buyer: '' },
    ),
    refused(
      { status: 'admission_required' },
      'admission_required and not_on_sale: admission_required',
      one({ m: 'gate', c: 1 }),
    ),
    refused({ status: 'not_on_sale' }, 'not_on_sale and buyer_limit: not_on_sale', one({ c: 1, l: 1 })),
    refused({ status: 'buyer_limit', available: 1 }, 'buyer_limit and insufficient_stock: buyer_limit', one({ l: 1 }), {
      quantity: 11,
    }),
    {
      status: 'exists',
      name: 'the same id for two items, twice, beside ones that are refused',
      given: { stock: { [A]: stock(3, 1, 0, 3), [B]: stock(9) } },
      ops: [op(), op({ id: 'o2' }), op({ item: B }), op(), op({ fingerprint: 1 }), op({ quantity: 0 })],
      answers: (now) => [
        { status: 'ok', available: 1, reserved: 1, sold: 2, version: 4, updatedAt: now },
        { status: 'insufficient_stock', available: 1, overdue: 0 },
        { status: 'ok', available: 7, reserved: 0, sold: 2, version: 2, updatedAt: now },
        { status: 'exists', available: 1, reserved: 1, sold: 2, version: 4, updatedAt: now },
        { status: 'id_conflict' },
        { status: 'invalid_argument' },
      ],
      after: (world, now) => {
        change(world, A, now, { a: 1, s: 2 });
        change(world, B, now, { a: 7, s: 2 });
        remember(world, now, 'o1', A);
        remember(world, now, 'o1', B);
        world.due[`i:o1:${A} i:o1:${B}`] = now + DAY_MS;
      },
      events: [event(1, 2, 4), event(7, 2, 2, { ref: B, reserved: 0 })],
    },
    {
      status: 'ok',
      name: 'as many operations as a call may have, with long names: entries of the due index stay nameable',
      given: { stock: { [LONG]: stock(1_000) } },
      ops: longIds().map((id) => op({ id, item: LONG, quantity: 1 })),
      answers: (now) =>
        longIds().map((_, i) => ({
          status: 'ok',
          available: 999 - i,
          reserved: 0,
          sold: i + 1,
          version: i + 2,
          updatedAt: now,
        })),
      after: (world, now) => {
        longIds().forEach((id, i) => {
          change(world, LONG, now, { a: 999 - i, s: i + 1 });
          remember(world, now, id, LONG);
        });
        const names = longIds().map((id) => `i:${id}:${LONG}`);
        const fit = Math.floor((limits.detail_bytes + 1) / (names[0]!.length + 1));
        for (let i = 0; i < names.length; i += fit) world.due[names.slice(i, i + fit).join(' ')] = now + DAY_MS;
      },
      events: longIds().map((id, i) => event(999 - i, i + 1, i + 2, { id, ref: LONG, quantity: 1, reserved: 0 })),
    },
  ],
});

function longIds(): string[] {
  return Array.from({ length: limits.max_ops }, (_, i) => `${i}-`.padEnd(128, '~'));
}
