import { stockReturn, type StockReturnOp } from '../../engine/scripts/generated/stock-return.js';
import { table } from '../support/rows.js';
import { A, B, bought, change, CONFIRMED, EXPIRED, FAR, held, HELD, hold, RELEASED, RETURNED } from './fixtures.js';

/** An operation that names how many A and how many B have come back altogether. */
const op = (a: number, b: number, over: Partial<StockReturnOp> = {}): StockReturnOp => ({
  id: 'h',
  attempt: 0,
  actor: 'who',
  lines: [
    { item: A, total: a },
    { item: B, total: b },
  ],
  ...over,
});
const event = (
  ref: string,
  quantity: number,
  level: readonly [available: number, sold: number, version: number],
  attempt = 0,
) => ({
  kind: 'returned',
  ref,
  id: 'h',
  quantity,
  actor: 'who',
  available: level[0],
  sold: level[1],
  version: level[2],
  deadline: FAR,
  fingerprint: 77,
  attempt,
});

type Parts = Parameters<typeof held>[1];
const refused = <R extends { readonly status: (typeof stockReturn.statuses)[number] }>(
  answer: R,
  name: string,
  parts: Parts,
  over: StockReturnOp,
) => ({ status: answer.status, name, given: (now: number) => held(now, parts), ops: [over], answers: [answer] });

table({
  script: stockReturn,
  valid: { given: (now) => bought(now), ops: [op(1, 1)] },
  rows: [
    {
      status: 'ok',
      name: 'one of two: still confirmed, and counts one less',
      given: (now) => bought(now, { deadline: FAR }),
      ops: [op(1, 0)],
      answers: [{ status: 'ok', deadline: FAR, state: CONFIRMED }],
      after: (world, now) => {
        change(world, A, now, { a: 9, s: 1 });
        world.buyers[A] = { bo: 1 };
        world.holds.h = hold({
          state: CONFIRMED,
          deadline: FAR,
          resolved: now,
          lines: [
            [A, 2, 1, 1],
            [B, 1, 0, 0],
          ],
        });
      },
      events: [event(A, 1, [9, 1, 5])],
    },
    {
      status: 'ok',
      name: 'everything, of a part of a claim: returned',
      given: (now) => bought(now, { deadline: FAR, attempt: 5 }),
      ops: [op(2, 1, { attempt: 5 })],
      answers: [{ status: 'ok', deadline: FAR, state: RETURNED }],
      after: (world, now) => {
        change(world, A, now, { a: 10, s: 0 });
        change(world, B, now, { a: 5, s: 5 });
        delete world.buyers[A];
        world.holds.h = hold({
          state: RETURNED,
          deadline: FAR,
          resolved: now,
          attempt: 5,
          lines: [
            [A, 2, 2, 1],
            [B, 1, 1, 0],
          ],
        });
      },
      events: [event(A, 2, [10, 0, 5], 5), event(B, 1, [5, 5, 11], 5)],
    },
    {
      status: 'exists',
      name: 'the same totals again, or smaller ones',
      given: (now) =>
        bought(now, {
          deadline: FAR,
          lines: [
            [A, 2, 1, 1],
            [B, 1, 0, 0],
          ],
        }),
      ops: [op(1, 0), op(0, 0)],
      answers: [
        { status: 'exists', deadline: FAR, state: CONFIRMED },
        { status: 'exists', deadline: FAR, state: CONFIRMED },
      ],
    },
    {
      status: 'exists',
      name: 'everything came back before',
      given: (now) =>
        bought(now, {
          deadline: FAR,
          state: RETURNED,
          lines: [
            [A, 2, 2, 1],
            [B, 1, 1, 0],
          ],
        }),
      ops: [op(2, 1)],
      answers: [{ status: 'exists', deadline: FAR, state: RETURNED }],
    },
    ...(
      [
        ['a line is missing', [{ item: A, total: 1 }]],
        [
          'another order',
          [
            { item: B, total: 1 },
            { item: A, total: 1 },
          ],
        ],
        [
          'another item',
          [
            { item: A, total: 1 },
            { item: 'x:y', total: 1 },
          ],
        ],
      ] as const
    ).map(([name, lines]) => ({
      status: 'items_mismatch' as const,
      name,
      given: (now: number) => bought(now),
      ops: [op(1, 1, { lines })],
      answers: [{ status: 'items_mismatch' as const }],
    })),
    ...(
      [
        ['no id', { id: '' }],
        ['no line', { lines: [] }],
        ['too many lines', { lines: Array.from({ length: 101 }, () => ({ item: A, total: 1 })) }],
        ['an actor too long', { actor: 'a'.repeat(16_385) }],
      ] as const
    ).map(([name, over]) => ({
      status: 'invalid_argument' as const,
      name,
      given: (now: number) => bought(now),
      ops: [op(1, 1, over)],
      answers: [{ status: 'invalid_argument' as const }],
    })),
    refused({ status: 'reservation_not_found' }, 'no such id', { state: CONFIRMED }, op(1, 0, { id: 'i' })),
    refused({ status: 'reservation_not_found' }, 'another attempt', { state: CONFIRMED, attempt: 5 }, op(1, 0)),
    refused({ status: 'reservation_released' }, 'released', { state: RELEASED }, op(1, 0)),
    refused({ status: 'hold_expired', deadline: 9 }, 'swept', { state: EXPIRED, deadline: 9 }, op(1, 0)),
    refused({ status: 'hold_expired', deadline: 9 }, 'past its deadline, not swept', { deadline: 9 }, op(1, 0)),
    refused({ status: 'reservation_held' }, 'not sold yet', { deadline: FAR }, op(1, 0)),
    refused(
      { status: 'reservation_held' },
      'a part that is held, overdue or not',
      { deadline: 9, attempt: 5 },
      op(1, 0, { attempt: 5 }),
    ),
    {
      status: 'return_exceeds_sold',
      name: 'the first line that would, and what it sold',
      given: (now) => bought(now),
      ops: [op(2, 2), op(3, 2)],
      answers: [
        { status: 'return_exceeds_sold', line: 2, sold: 1 },
        { status: 'return_exceeds_sold', line: 1, sold: 2 },
      ],
    },
  ],
  more: [
    refused(
      { status: 'items_mismatch' },
      'items_mismatch and reservation_released: items_mismatch',
      { state: RELEASED },
      op(1, 1, { lines: [{ item: A, total: 1 }] }),
    ),
    refused(
      { status: 'invalid_argument' },
      'invalid_argument and reservation_not_found: invalid_argument',
      { state: HELD },
      op(1, 1, { id: 'i', lines: [] }),
    ),
    refused({ status: 'reservation_held' }, 'reservation_held and return_exceeds_sold: held', {}, op(9, 9)),
    {
      status: 'ok',
      name: 'one after the other within one call, beside one that is refused',
      given: (now) => bought(now, { deadline: FAR }),
      ops: [op(1, 0), op(9, 0), op(2, 0), op(2, 0)],
      answers: [
        { status: 'ok', deadline: FAR, state: CONFIRMED },
        { status: 'return_exceeds_sold', line: 1, sold: 2 },
        { status: 'ok', deadline: FAR, state: CONFIRMED },
        { status: 'exists', deadline: FAR, state: CONFIRMED },
      ],
      after: (world, now) => {
        change(world, A, now, { a: 10, s: 0 }, 2);
        delete world.buyers[A];
        world.holds.h = hold({
          state: CONFIRMED,
          deadline: FAR,
          resolved: now,
          lines: [
            [A, 2, 2, 1],
            [B, 1, 0, 0],
          ],
        });
      },
      events: [event(A, 1, [9, 1, 5]), event(A, 1, [10, 0, 6])],
    },
  ],
});
