import { limits } from '../../engine/scripts/generated/limits.js';
import { stockExtend, type StockExtendOp } from '../../engine/scripts/generated/stock-extend.js';
import { table } from '../support/rows.js';
import { CONFIRMED, EXPIRED, FAR, held, HELD, RELEASED, RETURNED } from './fixtures.js';

const op = (over: Partial<StockExtendOp> = {}): StockExtendOp => ({
  id: 'h',
  attempt: 0,
  hold: 600,
  untilMs: 0,
  actor: 'who',
  ...over,
});
const event = (deadline: number, attempt = 0) => ({
  kind: 'extended',
  id: 'h',
  actor: 'who',
  deadline,
  fingerprint: 77,
  attempt,
});

type Held = Parameters<typeof held>[1];
const refused = <R extends { readonly status: (typeof stockExtend.statuses)[number] }>(
  answer: R,
  name: string,
  parts: Held,
  over: Partial<StockExtendOp> = {},
) => ({ status: answer.status, name, given: (now: number) => held(now, parts), ops: [op(over)], answers: [answer] });

table({
  script: stockExtend,
  valid: { given: (now) => held(now), ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'seconds from now',
      given: (now) => held(now),
      ops: [op()],
      answers: (now) => [{ status: 'ok', deadline: now + 600_000, state: HELD }],
      after: (world, now) => {
        world.holds.h![1] = now + 600_000;
        world.due.h = now + 600_000;
      },
      events: (now) => [event(now + 600_000)],
    },
    {
      status: 'ok',
      name: 'a part of a claim is due when its claim says, overdue or not',
      given: (now) => held(now, { deadline: 1_000, attempt: 5 }),
      ops: [op({ attempt: 5, hold: 0, untilMs: FAR })],
      answers: [{ status: 'ok', deadline: FAR, state: HELD }],
      after: (world) => {
        world.holds.h![1] = FAR;
        world.due.h = FAR;
      },
      events: [event(FAR, 5)],
    },
    refused({ status: 'exists', deadline: FAR, state: HELD }, 'never fewer than it has', { deadline: FAR }),
    refused(
      { status: 'exists', deadline: FAR, state: HELD },
      'nor a part brought nearer',
      { deadline: FAR, attempt: 5 },
      { attempt: 5, untilMs: FAR - 1 },
    ),
    ...(
      [
        ['no id', { id: '' }],
        ['no seconds', { hold: 0 }],
        ['too many seconds', { hold: limits.max_hold_seconds + 1 }],
        ['an actor too long', { actor: 'a'.repeat(limits.detail_bytes + 1) }],
      ] as const
    ).map(([name, over]) => refused({ status: 'invalid_argument' } as const, name, {}, over)),
    refused({ status: 'reservation_not_found' }, 'no such id', {}, { id: 'i' }),
    refused({ status: 'reservation_not_found' }, 'another attempt', { attempt: 5 }, { attempt: 6, untilMs: FAR }),
    refused({ status: 'reservation_released' }, 'released', { state: RELEASED }),
    refused({ status: 'hold_expired', deadline: 9 }, 'swept', { state: EXPIRED, deadline: 9 }),
    refused({ status: 'hold_expired', deadline: 9 }, 'past its deadline, not swept', { deadline: 9 }),
    refused({ status: 'reservation_confirmed' }, 'sold', { state: CONFIRMED }),
    refused({ status: 'reservation_returned' }, 'returned', { state: RETURNED }),
  ],
  more: [
    refused(
      { status: 'invalid_argument' },
      'invalid_argument and reservation_not_found: invalid_argument',
      {},
      { id: 'i', hold: 0 },
    ),
    {
      status: 'ok',
      name: 'the longest hold, beside ones that are refused; the second time there is nothing to move',
      given: (now) => held(now),
      ops: [op({ id: 'i' }), op({ hold: limits.max_hold_seconds }), op({ hold: 0 }), op()],
      answers: (now) => [
        { status: 'reservation_not_found' },
        { status: 'ok', deadline: now + limits.max_hold_seconds * 1_000, state: HELD },
        { status: 'invalid_argument' },
        { status: 'exists', deadline: now + limits.max_hold_seconds * 1_000, state: HELD },
      ],
      after: (world, now) => {
        world.holds.h![1] = now + limits.max_hold_seconds * 1_000;
        world.due.h = now + limits.max_hold_seconds * 1_000;
      },
      events: (now) => [event(now + limits.max_hold_seconds * 1_000)],
    },
  ],
});
