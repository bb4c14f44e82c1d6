import { stockConfirm } from '../../engine/scripts/generated/stock-confirm.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, B, change, CONFIRMED, EXPIRED, FAR, held, RELEASED, RETURNED } from './fixtures.js';
import { holdOp as op, invalidRows, mismatchRows, moveEvents, notFoundRows, quiet } from './hold-rows.js';

function sold(world: World, now: number): void {
  change(world, A, now, { r: 0, s: 2 });
  change(world, B, now, { r: 0, s: 6 });
  const record = world.holds.h!;
  record[0] = CONFIRMED;
  record[5] = now;
}
const events = (deadline: number, attempt = 0) =>
  moveEvents(
    'confirmed',
    deadline,
    [
      [8, 0, 2, 4],
      [4, 0, 6, 10],
    ],
    attempt,
  );

table({
  script: stockConfirm,
  valid: { given: (now) => held(now), ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'what is held is sold, and still counts towards the limit',
      given: (now) => held(now, { deadline: FAR }),
      ops: [op()],
      answers: [{ status: 'ok', deadline: FAR, state: CONFIRMED }],
      after: sold,
      events: events(FAR),
    },
    {
      status: 'ok',
      name: 'a part of a claim is confirmed whatever its deadline',
      given: (now) => held(now, { deadline: 1_000, attempt: 5 }),
      ops: [op({ attempt: 5 })],
      answers: [{ status: 'ok', deadline: 1_000, state: CONFIRMED }],
      after: sold,
      events: events(1_000, 5),
    },
    quiet({ status: 'exists', deadline: 1_000, state: CONFIRMED }, 'again', { state: CONFIRMED, deadline: 1_000 }),
    ...mismatchRows(),
    ...invalidRows(),
    ...notFoundRows(),
    quiet({ status: 'reservation_released' }, 'released before', { state: RELEASED }),
    quiet({ status: 'hold_expired', deadline: 1_000 }, 'swept', { state: EXPIRED, deadline: 1_000 }),
    quiet({ status: 'hold_expired', deadline: 1_000 }, 'past its deadline, not swept', { deadline: 1_000 }),
    quiet({ status: 'reservation_returned' }, 'everything came back', { state: RETURNED }),
  ],
  more: [
    quiet(
      { status: 'items_mismatch' },
      'items_mismatch and reservation_released: items_mismatch',
      { state: RELEASED },
      { lines: [{ item: A }] },
    ),
    quiet(
      { status: 'invalid_argument' },
      'invalid_argument and reservation_not_found: invalid_argument',
      {},
      { id: 'nobody', lines: [] },
    ),
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: (now) => held(now, { deadline: FAR }),
      ops: [op({ id: 'i' }), op(), op(), op({ lines: [] })],
      answers: [
        { status: 'reservation_not_found' },
        { status: 'ok', deadline: FAR, state: CONFIRMED },
        { status: 'exists', deadline: FAR, state: CONFIRMED },
        { status: 'invalid_argument' },
      ],
      after: sold,
      events: events(FAR),
    },
  ],
});
