import { stockExpire } from '../../engine/scripts/generated/stock-expire.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, B, change, CONFIRMED, EXPIRED, FAR, held, HELD, RELEASED, RETURNED } from './fixtures.js';
import { holdOp as op, invalidRows, mismatchRows, moveEvents, notFoundRows, quiet } from './hold-rows.js';

function expired(world: World, now: number): void {
  change(world, A, now, { a: 10, r: 0 });
  change(world, B, now, { a: 5, r: 0 });
  delete world.buyers[A];
  Object.assign(world.holds.h!, { 0: EXPIRED, 5: now });
}
const events = (deadline: number, attempt = 0) =>
  moveEvents(
    'expired',
    deadline,
    [
      [10, 0, 0, 4],
      [5, 0, 5, 10],
    ],
    attempt,
  );

table({
  script: stockExpire,
  valid: { given: (now) => held(now, { deadline: 1_000 }), ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'past its deadline',
      given: (now) => held(now, { deadline: 1_000 }),
      ops: [op()],
      answers: [{ status: 'ok', deadline: 1_000, state: EXPIRED }],
      after: expired,
      events: events(1_000),
    },
    {
      status: 'ok',
      name: 'a part of a claim expires whatever its deadline',
      given: (now) => held(now, { deadline: FAR, attempt: 5 }),
      ops: [op({ attempt: 5 })],
      answers: [{ status: 'ok', deadline: FAR, state: EXPIRED }],
      after: expired,
      events: events(FAR, 5),
    },
    quiet({ status: 'exists', deadline: FAR, state: HELD }, 'before its deadline', { deadline: FAR }),
    ...[CONFIRMED, RELEASED, EXPIRED, RETURNED].map((state) =>
      quiet({ status: 'exists', deadline: 9, state }, `in state ${state}`, { state, deadline: 9 }),
    ),
    ...mismatchRows().map((row) => ({ ...row, given: (now: number) => held(now, { deadline: 1_000 }) })),
    ...invalidRows(),
    ...notFoundRows(),
  ],
  more: [
    quiet(
      { status: 'exists', deadline: FAR, state: HELD },
      'exists and items_mismatch: exists',
      { deadline: FAR },
      { lines: [{ item: A }] },
    ),
    quiet(
      { status: 'invalid_argument' },
      'invalid_argument and reservation_not_found: invalid_argument',
      {},
      { id: 'i', lines: [] },
    ),
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: (now) => held(now, { deadline: 1_000 }),
      ops: [op({ id: 'i' }), op({ lines: [{ item: B }] }), op(), op()],
      answers: [
        { status: 'reservation_not_found' },
        { status: 'items_mismatch' },
        { status: 'ok', deadline: 1_000, state: EXPIRED },
        { status: 'exists', deadline: 1_000, state: EXPIRED },
      ],
      after: expired,
      events: events(1_000),
    },
  ],
});
