import { limits } from '../../engine/scripts/generated/limits.js';
import { stockConfigure, type StockConfigureOp } from '../../engine/scripts/generated/stock-configure.js';
import { table } from '../support/rows.js';
import { type StockFields } from '../support/scripts.js';
import { A, B, change, LONG_AGO, stock } from './fixtures.js';

const op = (over: Partial<StockConfigureOp> = {}): StockConfigureOp => ({
  item: A,
  buyerLimit: '',
  opens: '',
  closes: '',
  lowMark: '',
  holdSeconds: '',
  room: '',
  force: 0,
  detail: '{"x":1}',
  actor: 'who',
  ...over,
});
const SETTINGS = { l: 4, o: 5_000, c: 6_000, w: 7, h: 8, m: 'gate' };
const one = (fields: StockFields = {}) => ({ stock: { [A]: stock(10, 1, 2, 3, fields) } });
const all = {
  buyerLimit: '4',
  opens: '5000',
  closes: '6000',
  lowMark: '7',
  holdSeconds: '8',
  room: 'gate',
} as const;
const none = { buyerLimit: '-', opens: '-', closes: '-', lowMark: '-', holdSeconds: '-', room: '-' } as const;
const event = (version: number, more: object = {}) => ({
  kind: 'configured',
  ref: A,
  actor: 'who',
  detail: '{"x":1}',
  available: 10,
  reserved: 1,
  sold: 2,
  version,
  ...more,
});
const level = (version: number, updatedAt: number) => ({
  available: 10,
  reserved: 1,
  sold: 2,
  version,
  updatedAt,
  created: 0,
});
const same = (name: string, given: StockFields, over: Partial<StockConfigureOp>) => ({
  status: 'exists' as const,
  name,
  given: one(given),
  ops: [op(over)],
  answers: [{ status: 'exists' as const, ...level(3, LONG_AGO) }],
});

table({
  script: stockConfigure,
  valid: { given: one(), ops: [op({ force: 1 })] },
  rows: [
    {
      status: 'ok',
      name: 'a new item with nothing in stock',
      ops: [op(all)],
      answers: (now) => [{ status: 'ok', available: 0, reserved: 0, sold: 0, version: 1, updatedAt: now, created: 1 }],
      after: (world, now) => {
        world.stock[A] = { a: 0, r: 0, s: 0, v: 1, u: now, ...SETTINGS };
      },
      events: [event(1, { available: 0, reserved: 0, sold: 0 })],
    },
    {
      status: 'ok',
      name: 'a new item without settings',
      ops: [op()],
      answers: (now) => [{ status: 'ok', available: 0, reserved: 0, sold: 0, version: 1, updatedAt: now, created: 1 }],
      after: (world, now) => {
        world.stock[A] = { a: 0, r: 0, s: 0, v: 1, u: now };
      },
      events: [event(1, { available: 0, reserved: 0, sold: 0 })],
    },
    {
      status: 'ok',
      name: 'settings are set, changed, removed and left',
      given: one({ l: 4, w: 9, h: 8 }),
      ops: [op({ buyerLimit: '-', opens: '5000', lowMark: '7', room: 'gate' })],
      answers: (now) => [{ status: 'ok', ...level(4, now) }],
      after: (world, now) => {
        change(world, A, now, { o: 5_000, w: 7, m: 'gate' });
        delete world.stock[A]!.l;
      },
      events: [event(4)],
    },
    {
      status: 'ok',
      name: 'all are removed',
      given: one(SETTINGS),
      ops: [op(none)],
      answers: (now) => [{ status: 'ok', ...level(4, now) }],
      after: (world, now) => {
        world.stock[A] = { a: 10, r: 1, s: 2, v: 4, u: now };
      },
      events: [event(4)],
    },
    {
      status: 'ok',
      name: 'nothing to change, but the log wants it',
      given: one(SETTINGS),
      ops: [op({ ...all, force: 1 })],
      answers: (now) => [{ status: 'ok', ...level(4, now) }],
      after: (world, now) => change(world, A, now, {}),
      events: [event(4)],
    },
    same('as they should be', SETTINGS, all),
    same('nothing asked for', SETTINGS, {}),
    same('nothing there to remove', {}, none),
    ...(
      [
        ['a limit of nothing', { buyerLimit: '0' }],
        ['a limit too large', { buyerLimit: String(limits.max_quantity + 1) }],
        ['a limit that is no number', { buyerLimit: 'four' }],
        ['a time that is no whole number', { opens: '1.5' }],
        ['a time past 2^53', { closes: '9007199254740992' }],
        ['a negative time', { closes: '-5' }],
        ['a mark too large', { lowMark: String(limits.max_stock + 1) }],
        ['a hold too long', { holdSeconds: String(limits.max_hold_seconds + 1) }],
        ['a room with a colon', { room: 'a:b' }],
        ['force that is neither', { force: 2 }],
        ['a detail too long', { detail: 'a'.repeat(limits.detail_bytes + 1) }],
        ['a detail with NUL', { detail: '\0' }],
      ] as const
    ).map(([name, over]) => ({
      status: 'invalid_argument' as const,
      name,
      given: one(),
      ops: [op({ ...all, ...over })],
      answers: [{ status: 'invalid_argument' as const }],
    })),
  ],
  more: [
    {
      status: 'invalid_argument',
      name: 'malformed settings make no item',
      ops: [op({ buyerLimit: '0' })],
      answers: [{ status: 'invalid_argument' }],
    },
    {
      status: 'ok',
      name: 'the largest settings',
      given: one(),
      ops: [
        op({
          buyerLimit: String(limits.max_quantity),
          opens: '9007199254740991',
          closes: '9007199254740991',
          lowMark: String(limits.max_stock),
          holdSeconds: String(limits.max_hold_seconds),
          room: 'r'.repeat(128),
        }),
      ],
      answers: (now) => [{ status: 'ok', ...level(4, now) }],
      after: (world, now) =>
        change(world, A, now, {
          l: limits.max_quantity,
          o: Number.MAX_SAFE_INTEGER,
          c: Number.MAX_SAFE_INTEGER,
          w: limits.max_stock,
          h: limits.max_hold_seconds,
          m: 'r'.repeat(128),
        }),
      events: [event(4)],
    },
    {
      status: 'exists',
      name: 'an item made, changed and left alone within one call, beside one that is refused',
      given: one(),
      ops: [
        op({ item: B, buyerLimit: '4' }),
        op({ item: B, buyerLimit: '-', room: 'gate' }),
        op({ buyerLimit: '0' }),
        op({ item: B, room: 'gate' }),
        op(),
      ],
      answers: (now) => [
        { status: 'ok', available: 0, reserved: 0, sold: 0, version: 1, updatedAt: now, created: 1 },
        { status: 'ok', available: 0, reserved: 0, sold: 0, version: 2, updatedAt: now, created: 0 },
        { status: 'invalid_argument' },
        { status: 'exists', available: 0, reserved: 0, sold: 0, version: 2, updatedAt: now, created: 0 },
        { status: 'exists', ...level(3, LONG_AGO) },
      ],
      after: (world, now) => {
        world.stock[B] = { a: 0, r: 0, s: 0, v: 2, u: now, m: 'gate' };
      },
      events: [1, 2].map((version) => event(version, { ref: B, available: 0, reserved: 0, sold: 0 })),
    },
  ],
});
