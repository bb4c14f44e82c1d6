import { stockAbort } from '../../engine/scripts/generated/stock-abort.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, B, change, CONFIRMED, EXPIRED, held, RELEASED, RETURNED } from './fixtures.js';
import { holdOp, type HoldOp, invalidRows, mismatchRows, moveEvents, quiet } from './hold-rows.js';

const op = (over: Partial<HoldOp> = {}) => holdOp({ attempt: 5, ...over });

/** As if it had never been: only the index remembers, until the sweep looks. */
function gone(world: World, now: number): void {
  change(world, A, now, { a: 10, r: 0 });
  change(world, B, now, { a: 5, r: 0 });
  delete world.buyers[A];
  delete world.holds.h;
}
const events = (deadline: number) =>
  moveEvents(
    'aborted',
    deadline,
    [
      [10, 0, 0, 4],
      [5, 0, 5, 10],
    ],
    5,
  );

table({
  script: stockAbort,
  valid: { given: (now) => held(now, { attempt: 5 }), ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'a held part goes, whatever its deadline',
      given: (now) => held(now, { deadline: 1_000, attempt: 5 }),
      ops: [op()],
      answers: [{ status: 'ok' }],
      after: gone,
      events: events(1_000),
    },
    quiet({ status: 'exists' }, 'no such id', { attempt: 5 }, { id: 'i', attempt: 5 }),
    quiet({ status: 'exists' }, 'a later attempt has it', { attempt: 6 }, { attempt: 5 }),
    quiet({ status: 'exists' }, 'an earlier attempt has it', { attempt: 4 }, { attempt: 5 }),
    quiet({ status: 'exists' }, 'a reservation of its own is no part', {}, { attempt: 0 }),
    ...[CONFIRMED, RELEASED, EXPIRED, RETURNED].map((state) =>
      quiet({ status: 'exists' }, `in state ${state}`, { state, attempt: 5 }, { attempt: 5 }),
    ),
    ...mismatchRows(5),
    ...invalidRows(),
  ],
  more: [
    quiet(
      { status: 'exists' },
      'exists and items_mismatch: exists',
      { attempt: 6 },
      { attempt: 5, lines: [{ item: A }] },
    ),
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: (now) => held(now, { deadline: 1_000, attempt: 5 }),
      ops: [op({ lines: [] }), op({ lines: [{ item: B }] }), op(), op()],
      answers: [{ status: 'invalid_argument' }, { status: 'items_mismatch' }, { status: 'ok' }, { status: 'exists' }],
      after: gone,
      events: events(1_000),
    },
  ],
});
