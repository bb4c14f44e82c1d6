import { limits } from '../../engine/scripts/generated/limits.js';
import { stockReserve } from '../../engine/scripts/generated/stock-reserve.js';
import { CLAIM_MS, HELD_AGAIN, heldEvent, one, op, place } from './reserve-rows.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import {
  A,
  B,
  change,
  claim,
  CONFIRMED,
  EXPIRED,
  FAR,
  held,
  HELD,
  hold,
  RELEASED,
  RETURNED,
  stock,
} from './fixtures.js';

const DEFAULT_MS = limits.default_hold_seconds * 1_000;
const invalid = { status: 'invalid_argument' } as const;
const many = Array.from({ length: limits.max_ops }, (_, i) => `id-${i}`);

table({
  script: stockReserve,
  valid: { given: one(), ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'two lines, one of a limited item, with the default hold',
      given: { stock: { [A]: stock(10, 1, 0, 3, { l: 4 }), [B]: stock(5, 0, 2, 9) }, buyers: { [A]: { bo: 1 } } },
      ops: [
        op({
          lines: [
            { item: A, quantity: 3 },
            { item: B, quantity: 1 },
          ],
        }),
      ],
      answers: (now) => [{ status: 'ok', deadline: now + DEFAULT_MS, hold: limits.default_hold_seconds, state: HELD }],
      after: (world, now) => {
        change(world, A, now, { a: 7, r: 4 });
        change(world, B, now, { a: 4, r: 1 });
        world.buyers[A]!.bo = 4;
        place(world, 'r1', now + DEFAULT_MS, {
          lines: [
            [A, 3, 0, 1],
            [B, 1, 0, 0],
          ],
        });
      },
      events: (now) => [
        heldEvent(A, 3, [7, 4, 0, 4], now + DEFAULT_MS, { detail: 'limited for:bo' }),
        heldEvent(B, 1, [4, 1, 2, 10], now + DEFAULT_MS),
      ],
    },
    {
      status: 'ok',
      name: 'a part of a claim is due after claim_seconds and tells the hold asked for',
      given: one(),
      ops: [op({ attempt: 9, hold: 600, buyer: '' })],
      answers: (now) => [{ status: 'ok', deadline: now + CLAIM_MS, hold: 600, state: HELD }],
      after: (world, now) => {
        change(world, A, now, { a: 8, r: 2 });
        place(world, 'r1', now + CLAIM_MS, { attempt: 9, buyer: '', lines: [[A, 2, 0, 0]] });
      },
      events: (now) => [heldEvent(A, 2, [8, 2, 0, 2], now + CLAIM_MS, { attempt: 9, detail: ' for:' })],
    },
    {
      status: 'ok',
      name: 'a part of a claim with a short hold is due after that',
      given: one(),
      ops: [op({ attempt: 9, hold: 2 })],
      answers: (now) => [{ status: 'ok', deadline: now + 2_000, hold: 2, state: HELD }],
      after: (world, now) => {
        change(world, A, now, { a: 8, r: 2 });
        place(world, 'r1', now + 2_000, { attempt: 9, lines: [[A, 2, 0, 0]] });
      },
      events: (now) => [heldEvent(A, 2, [8, 2, 0, 2], now + 2_000, { attempt: 9 })],
    },
    {
      status: 'ok',
      name: 'the log does not repeat a buyer who acts',
      given: one(),
      ops: [op({ actor: 'bo' })],
      answers: (now) => [{ status: 'ok', deadline: now + DEFAULT_MS, hold: limits.default_hold_seconds, state: HELD }],
      after: (world, now) => {
        change(world, A, now, { a: 8, r: 2 });
        place(world, 'r1', now + DEFAULT_MS, { lines: [[A, 2, 0, 0]] });
      },
      events: (now) => [heldEvent(A, 2, [8, 2, 0, 2], now + DEFAULT_MS, { actor: 'bo', detail: '' })],
    },
    {
      status: 'ok',
      name: 'the shortest hold of the items, low stock and sold out',
      given: { stock: { [A]: stock(2, 0, 0, 1, { h: 90, w: 1 }), [B]: stock(9, 0, 0, 1, { h: 60, w: 8 }) } },
      ops: [
        op({
          lines: [
            { item: A, quantity: 2 },
            { item: B, quantity: 1 },
          ],
        }),
      ],
      answers: (now) => [{ status: 'ok', deadline: now + 60_000, hold: 60, state: HELD }],
      after: (world, now) => {
        change(world, A, now, { a: 0, r: 2 });
        change(world, B, now, { a: 8, r: 1 });
        place(world, 'r1', now + 60_000, {
          lines: [
            [A, 2, 0, 0],
            [B, 1, 0, 0],
          ],
        });
      },
      events: (now) => [
        heldEvent(A, 2, [0, 2, 0, 2], now + 60_000),
        heldEvent(B, 1, [8, 1, 0, 2], now + 60_000),
        { kind: 'low_stock', ref: A, quantity: 1, available: 0, reserved: 2, version: 2 },
        { kind: 'sold_out', ref: A, available: 0, reserved: 2, version: 2 },
        { kind: 'low_stock', ref: B, quantity: 8, available: 8, reserved: 1, version: 2 },
      ],
    },
    {
      status: 'exists',
      name: 'the same id and content',
      given: { ...one(), holds: { r1: hold({ deadline: FAR, lines: [[A, 2, 0, 0]] }) } },
      ops: [op({ hold: 60 })],
      answers: [{ status: 'exists', deadline: FAR, hold: 60, state: HELD }],
    },
    {
      status: 'exists',
      name: 'a hold past its deadline is told to be expired',
      given: { ...one(), holds: { r1: hold({ deadline: 1_000, lines: [[A, 2, 0, 0]] }) } },
      ops: [op()],
      answers: [{ status: 'exists', deadline: 1_000, hold: limits.default_hold_seconds, state: EXPIRED }],
    },
    {
      status: 'exists',
      name: 'one that was released stays so',
      given: { ...one(), holds: { r1: hold({ state: RELEASED, deadline: 1_000, lines: [[A, 2, 0, 0]] }) } },
      ops: [op()],
      answers: [{ status: 'exists', deadline: 1_000, hold: limits.default_hold_seconds, state: RELEASED }],
    },
    {
      status: 'exists',
      name: 'a later attempt takes a held part over and is due again',
      given: {
        stock: { [A]: stock(8, 2) },
        holds: { r1: hold({ deadline: 1_000, attempt: 9, lines: [[A, 2, 0, 0]] }) },
        due: { r1: 1_000 },
      },
      ops: [op({ attempt: 10 })],
      answers: (now) => [
        { status: 'exists', deadline: now + CLAIM_MS, hold: limits.default_hold_seconds, state: HELD },
      ],
      after: (world, now) => place(world, 'r1', now + CLAIM_MS, { attempt: 10, lines: [[A, 2, 0, 0]] }),
      events: (now) => [
        { kind: 'extended', id: 'r1', actor: 'who', deadline: now + CLAIM_MS, fingerprint: 77, attempt: 10 },
      ],
    },
    ...(
      [
        ['sold', CONFIRMED],
        ['sold and returned', RETURNED],
      ] as const
    ).map(([name, state]) => ({
      status: 'exists' as const,
      name: `a later attempt meets a part that was ${name}: nothing is held again`,
      given: {
        stock: { [A]: stock(8, 0, 2) },
        holds: { r1: hold({ state, deadline: 1_000, attempt: 9, resolved: 900, lines: [[A, 2, 0, 0]] }) },
      },
      ops: [op({ attempt: 10 })],
      answers: [{ status: 'exists' as const, deadline: 1_000, hold: limits.default_hold_seconds, state }],
      after: (world: World) => {
        world.holds.r1![3] = 10;
      },
      events: [{ kind: 'extended', id: 'r1', actor: 'who', deadline: 1_000, fingerprint: 77, attempt: 10 }],
    })),
    {
      status: 'superseded',
      name: 'an attempt older than the part',
      given: { ...one(), holds: { r1: hold({ deadline: 1_000, attempt: 9, lines: [[A, 2, 0, 0]] }) } },
      ops: [op({ attempt: 8 })],
      answers: [{ status: 'superseded' }],
    },
    ...(
      [
        ['no id', { id: '' }],
        ['an id with a blank', { id: 'a b' }],
        ['an id too long', { id: 'a'.repeat(129) }],
        ['a hold too long', { hold: limits.max_hold_seconds + 1 }],
        ['no line', { lines: [] }],
        [
          'too many lines',
          { lines: Array.from({ length: limits.max_lines + 1 }, (_, i) => ({ item: `x:${i}`, quantity: 1 })) },
        ],
        [
          'an item twice',
          {
            lines: [
              { item: A, quantity: 1 },
              { item: A, quantity: 1 },
            ],
          },
        ],
        ['no units', { lines: [{ item: A, quantity: 0 }] }],
        ['too many units', { lines: [{ item: A, quantity: limits.max_quantity + 1 }] }],
        ['an actor too long', { actor: 'a'.repeat(limits.detail_bytes + 1) }],
      ] as const
    ).map(([name, over]) => ({
      status: 'invalid_argument' as const,
      name,
      given: one(),
      ops: [op(over)],
      answers: [invalid],
    })),
    {
      status: 'id_conflict',
      name: 'other content under the id',
      given: (now) => held(now),
      ops: [op({ id: 'h', fingerprint: 78 })],
      answers: [{ status: 'id_conflict' }],
    },
    {
      status: 'id_conflict',
      name: 'a claim has the id',
      given: (now) => ({ ...one(), claims: { r1: claim({ deadline: now + 5_000 }) } }),
      ops: [op()],
      answers: [{ status: 'id_conflict' }],
    },
    {
      status: 'id_conflict',
      name: 'a reservation of its own has the id of the part',
      given: (now) => held(now),
      ops: [op({ id: 'h', attempt: 4 })],
      answers: [{ status: 'id_conflict' }],
    },
    {
      status: 'id_conflict',
      name: 'a part has the id of the reservation',
      given: (now) => held(now, { attempt: 4 }),
      ops: [op({ id: 'h' })],
      answers: [{ status: 'id_conflict' }],
    },
    {
      status: 'sku_not_found',
      name: 'the second line',
      given: one(),
      ops: [
        op({
          lines: [
            { item: A, quantity: 1 },
            { item: B, quantity: 1 },
          ],
        }),
      ],
      answers: [{ status: 'sku_not_found', line: 2 }],
    },
    {
      status: 'buyer_required',
      name: 'a limited item without a buyer',
      given: one({ l: 3 }),
      ops: [op({ buyer: '' })],
      answers: [{ status: 'buyer_required', line: 1 }],
    },
    {
      status: 'admission_required',
      name: 'without a room',
      given: one({ m: 'gate' }),
      ops: [op()],
      answers: [{ status: 'admission_required', line: 1 }],
    },
    {
      status: 'admission_required',
      name: 'admitted by another room',
      given: one({ m: 'gate' }),
      ops: [op({ room: 'gate2' })],
      answers: [{ status: 'admission_required', line: 1 }],
    },
    {
      status: 'not_on_sale',
      name: 'before it opens',
      given: (now) => one({ o: now + 60_000 }),
      ops: [op()],
      answers: [{ status: 'not_on_sale', line: 1 }],
    },
    {
      status: 'not_on_sale',
      name: 'after it closed',
      given: (now) => one({ o: 1, c: now }),
      ops: [op()],
      answers: [{ status: 'not_on_sale', line: 1 }],
    },
    {
      status: 'buyer_limit',
      name: 'tells what the buyer may still take',
      given: { ...one({ l: 3 }), buyers: { [A]: { bo: 2 } } },
      ops: [op()],
      answers: [{ status: 'buyer_limit', line: 1, available: 1 }],
    },
    {
      status: 'buyer_limit',
      name: 'nothing when the limit was lowered below what the buyer has',
      given: { ...one({ l: 3 }), buyers: { [A]: { bo: 5 } } },
      ops: [op()],
      answers: [{ status: 'buyer_limit', line: 1, available: 0 }],
    },
    {
      status: 'insufficient_stock',
      name: 'tells what is left',
      given: one(),
      ops: [op({ lines: [{ item: A, quantity: 11 }] })],
      answers: [{ status: 'insufficient_stock', line: 1, available: 10, overdue: 0 }],
    },
    {
      status: 'insufficient_stock',
      name: 'tells that something waits to be swept',
      given: (now) => ({ ...one(), due: { other: now - 1 } }),
      ops: [op({ lines: [{ item: A, quantity: 11 }] })],
      answers: [{ status: 'insufficient_stock', line: 1, available: 10, overdue: 1 }],
    },
  ],
  more: [
    {
      status: 'ok',
      name: 'alike but for their holds, the last unit among them, and one of them again',
      given: { stock: { [A]: stock(3, 0, 0, 1) } },
      ops: ['r1', 'r2', 'r3', 'r1'].map((id, i) =>
        op({ id, hold: i === 1 ? 60 : 0, actor: i === 2 ? 'bo' : '', lines: [{ item: A, quantity: 1 }] }),
      ),
      answers: (now) => {
        const long = { deadline: now + limits.default_hold_seconds * 1_000, hold: limits.default_hold_seconds };
        return [
          { status: 'ok', ...long, state: HELD },
          { status: 'ok', deadline: now + 60_000, hold: 60, state: HELD },
          { status: 'ok', ...long, state: HELD },
          { status: 'exists', ...long, state: HELD },
        ];
      },
      after: (world, now) => {
        const long = now + limits.default_hold_seconds * 1_000;
        change(world, A, now, { a: 0, r: 3 }, 3);
        for (const id of ['r1', 'r2', 'r3'])
          world.holds[id] = hold({ deadline: id === 'r2' ? now + 60_000 : long, lines: [[A, 1, 0, 0]] });
        world.due = { 'r1 r3': long, r2: now + 60_000 };
      },
      events: (now) => {
        const long = now + limits.default_hold_seconds * 1_000;
        const who = { actor: 'bo', detail: '' };
        return [
          heldEvent(A, 1, [2, 1, 0, 2], long, { ...who, id: 'r1' }),
          heldEvent(A, 1, [1, 2, 0, 3], now + 60_000, { ...who, id: 'r2' }),
          heldEvent(A, 1, [0, 3, 0, 4], long, { ...who, id: 'r3' }),
          { kind: 'sold_out', ref: A, available: 0, reserved: 3, version: 4 },
        ];
      },
    },
    ...HELD_AGAIN,
    {
      status: 'ok',
      name: 'the room that admitted, within the sale window, at the edge of limit and stock',
      given: (now) => ({ stock: { [A]: stock(2, 0, 0, 1, { m: 'gate', o: now - 1, c: now + 60_000, l: 2 }) } }),
      ops: [op({ room: 'gate', hold: limits.max_hold_seconds })],
      answers: (now) => [
        { status: 'ok', deadline: now + limits.max_hold_seconds * 1_000, hold: limits.max_hold_seconds, state: HELD },
      ],
      after: (world, now) => {
        change(world, A, now, { a: 0, r: 2 });
        world.buyers[A] = { bo: 2 };
        place(world, 'r1', now + limits.max_hold_seconds * 1_000, { lines: [[A, 2, 0, 1]] });
      },
      events: (now) => [
        heldEvent(A, 2, [0, 2, 0, 2], now + limits.max_hold_seconds * 1_000, { detail: 'limited for:bo' }),
        { kind: 'sold_out', ref: A, available: 0, reserved: 2, version: 2 },
      ],
    },
    {
      status: 'superseded',
      name: 'superseded and id_conflict: superseded',
      given: { ...one(), holds: { r1: hold({ deadline: 1_000, attempt: 9, lines: [[A, 2, 0, 0]] }) } },
      ops: [op({ attempt: 8, fingerprint: 1 })],
      answers: [{ status: 'superseded' }],
    },
    {
      status: 'invalid_argument',
      name: 'invalid_argument and id_conflict: invalid_argument',
      given: (now) => held(now),
      ops: [op({ id: 'h', fingerprint: 78, lines: [{ item: A, quantity: 0 }] })],
      answers: [invalid],
    },
    {
      status: 'id_conflict',
      name: 'id_conflict and sku_not_found: id_conflict',
      given: (now) => held(now),
      ops: [op({ id: 'h', fingerprint: 78, lines: [{ item: 'no:where', quantity: 1 }] })],
      answers: [{ status: 'id_conflict' }],
    },
    {
      status: 'sku_not_found',
      name: 'insufficient_stock in the first line, sku_not_found in the second: sku_not_found',
      given: one(),
      ops: [
        op({
          lines: [
            { item: A, quantity: 11 },
            { item: B, quantity: 1 },
          ],
        }),
      ],
      answers: [{ status: 'sku_not_found', line: 2 }],
    },
    {
      status: 'buyer_required',
      name: 'buyer_required and admission_required: buyer_required',
      given: one({ l: 3, m: 'gate' }),
      ops: [op({ buyer: '' })],
      answers: [{ status: 'buyer_required', line: 1 }],
    },
    {
      status: 'admission_required',
      name: 'admission_required and not_on_sale: admission_required',
      given: one({ m: 'gate', c: 1 }),
      ops: [op()],
      answers: [{ status: 'admission_required', line: 1 }],
    },
    {
      status: 'not_on_sale',
      name: 'not_on_sale and buyer_limit: not_on_sale',
      given: { ...one({ c: 1, l: 1 }) },
      ops: [op()],
      answers: [{ status: 'not_on_sale', line: 1 }],
    },
    {
      status: 'buyer_limit',
      name: 'insufficient_stock in the first line, buyer_limit in the second: buyer_limit',
      given: { stock: { [A]: stock(1), [B]: stock(10, 0, 0, 1, { l: 1 }) } },
      ops: [
        op({
          lines: [
            { item: A, quantity: 2 },
            { item: B, quantity: 2 },
          ],
        }),
      ],
      answers: [{ status: 'buyer_limit', line: 2, available: 1 }],
    },
    {
      status: 'insufficient_stock',
      name: 'the same refusal twice: the first line',
      given: { stock: { [A]: stock(1), [B]: stock(1) } },
      ops: [
        op({
          lines: [
            { item: B, quantity: 2 },
            { item: A, quantity: 2 },
          ],
        }),
      ],
      answers: [{ status: 'insufficient_stock', line: 1, available: 1, overdue: 0 }],
    },
    {
      status: 'insufficient_stock',
      name: 'one operation among others fails alone, and the others see each other',
      given: { stock: { [A]: stock(3, 0, 0, 1, { l: 9 }) } },
      ops: [
        op({ id: 'r1' }),
        op({ id: 'r2' }),
        op({ id: '' }),
        op({ id: 'r3', lines: [{ item: A, quantity: 1 }] }),
        op({ id: 'r1' }),
        op({ id: 'r1', fingerprint: 1 }),
      ],
      answers: (now) => [
        { status: 'ok', deadline: now + DEFAULT_MS, hold: limits.default_hold_seconds, state: HELD },
        { status: 'insufficient_stock', line: 1, available: 1, overdue: 0 },
        invalid,
        { status: 'ok', deadline: now + DEFAULT_MS, hold: limits.default_hold_seconds, state: HELD },
        { status: 'exists', deadline: now + DEFAULT_MS, hold: limits.default_hold_seconds, state: HELD },
        { status: 'id_conflict' },
      ],
      after: (world, now) => {
        change(world, A, now, { a: 0, r: 3 }, 2);
        world.buyers[A] = { bo: 3 };
        world.holds.r1 = hold({ deadline: now + DEFAULT_MS, lines: [[A, 2, 0, 1]] });
        world.holds.r3 = hold({ deadline: now + DEFAULT_MS, lines: [[A, 1, 0, 1]] });
        world.due['r1 r3'] = now + DEFAULT_MS;
      },
      events: (now) => [
        heldEvent(A, 2, [1, 2, 0, 2], now + DEFAULT_MS, { detail: 'limited for:bo' }),
        heldEvent(A, 1, [0, 3, 0, 3], now + DEFAULT_MS, { detail: 'limited for:bo', id: 'r3' }),
        { kind: 'sold_out', ref: A, available: 0, reserved: 3, version: 3 },
      ],
    },
    {
      status: 'ok',
      name: 'as many operations as a call may have',
      given: { stock: { [A]: stock(1_000) } },
      ops: many.map((id) => op({ id, lines: [{ item: A, quantity: 1 }] })),
      answers: (now) =>
        many.map(() => ({ status: 'ok', deadline: now + DEFAULT_MS, hold: limits.default_hold_seconds, state: HELD })),
      after: (world, now) => {
        change(world, A, now, { a: 1_000 - many.length, r: many.length }, many.length);
        for (const id of many) world.holds[id] = hold({ deadline: now + DEFAULT_MS, lines: [[A, 1, 0, 0]] });
        world.due[many.join(' ')] = now + DEFAULT_MS;
      },
      events: (now) => many.map((id, i) => heldEvent(A, 1, [999 - i, i + 1, 0, i + 2], now + DEFAULT_MS, { id })),
    },
    {
      status: 'ok',
      name: 'long ids make several entries of the due index, each short enough to be taken off again',
      given: { stock: { [A]: stock(1_000) } },
      ops: many.map((id) => op({ id: id.padEnd(128, '~'), lines: [{ item: A, quantity: 1 }] })),
      answers: (now) =>
        many.map(() => ({ status: 'ok', deadline: now + DEFAULT_MS, hold: limits.default_hold_seconds, state: HELD })),
      after: (world, now) => {
        change(world, A, now, { a: 1_000 - many.length, r: many.length }, many.length);
        const ids = many.map((id) => id.padEnd(128, '~'));
        for (const id of ids) world.holds[id] = hold({ deadline: now + DEFAULT_MS, lines: [[A, 1, 0, 0]] });
        const fit = Math.floor((limits.detail_bytes + 1) / 129);
        for (let i = 0; i < ids.length; i += fit) world.due[ids.slice(i, i + fit).join(' ')] = now + DEFAULT_MS;
      },
      events: (now) =>
        many.map((id, i) => heldEvent(A, 1, [999 - i, i + 1, 0, i + 2], now + DEFAULT_MS, { id: id.padEnd(128, '~') })),
    },
    {
      status: 'ok',
      name: 'a part whose earlier attempt ended is held anew',
      given: { ...one(), holds: { r1: hold({ state: EXPIRED, deadline: 1_000, attempt: 9, lines: [[A, 2, 0, 0]] }) } },
      ops: [op({ attempt: 10 })],
      answers: (now) => [{ status: 'ok', deadline: now + CLAIM_MS, hold: limits.default_hold_seconds, state: HELD }],
      after: (world, now) => {
        change(world, A, now, { a: 8, r: 2 });
        place(world, 'r1', now + CLAIM_MS, { attempt: 10, lines: [[A, 2, 0, 0]] });
      },
      events: (now) => [heldEvent(A, 2, [8, 2, 0, 2], now + CLAIM_MS, { attempt: 10 })],
    },
    {
      status: 'exists',
      name: 'the same attempt of a part that is confirmed',
      given: {
        ...one(),
        holds: { r1: hold({ state: CONFIRMED, deadline: 1_000, attempt: 9, lines: [[A, 2, 0, 0]] }) },
      },
      ops: [op({ attempt: 9 })],
      answers: [{ status: 'exists', deadline: 1_000, hold: limits.default_hold_seconds, state: CONFIRMED }],
    },
  ],
});
