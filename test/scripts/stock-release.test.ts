import { stockRelease } from '../../engine/scripts/generated/stock-release.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, B, change, CONFIRMED, EXPIRED, FAR, held, HELD, hold, RELEASED, RETURNED, stock } from './fixtures.js';
import { holdOp as op, invalidRows, mismatchRows, moveEvents, notFoundRows, quiet } from './hold-rows.js';

const back = (state: number) => (world: World, now: number) => {
  change(world, A, now, { a: 10, r: 0 });
  change(world, B, now, { a: 5, r: 0 });
  delete world.buyers[A];
  const record = world.holds.h!;
  record[0] = state;
  record[5] = now;
};
const events = (kind: string, deadline: number, attempt = 0) =>
  moveEvents(
    kind,
    deadline,
    [
      [10, 0, 0, 4],
      [5, 0, 5, 10],
    ],
    attempt,
  );

table({
  script: stockRelease,
  valid: { given: (now) => held(now), ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'the units are back on sale and count no more',
      given: (now) => held(now, { deadline: FAR }),
      ops: [op()],
      answers: [{ status: 'ok', deadline: FAR, state: RELEASED }],
      after: back(RELEASED),
      events: events('released', FAR),
    },
    {
      status: 'ok',
      name: 'a part of a claim is released whatever its deadline',
      given: (now) => held(now, { deadline: 1_000, attempt: 5 }),
      ops: [op({ attempt: 5 })],
      answers: [{ status: 'ok', deadline: 1_000, state: RELEASED }],
      after: back(RELEASED),
      events: events('released', 1_000, 5),
    },
    quiet({ status: 'exists', deadline: 9, state: RELEASED }, 'again', { state: RELEASED, deadline: 9 }),
    quiet({ status: 'exists', deadline: 9, state: EXPIRED }, 'it had expired', { state: EXPIRED, deadline: 9 }),
    {
      status: 'exists',
      name: 'past its deadline it expires here and now',
      given: (now) => held(now, { deadline: 1_000 }),
      ops: [op()],
      answers: [{ status: 'exists', deadline: 1_000, state: EXPIRED }],
      after: back(EXPIRED),
      events: events('expired', 1_000),
    },
    ...mismatchRows(),
    ...invalidRows(),
    ...notFoundRows(),
    quiet({ status: 'reservation_confirmed' }, 'sold before', { state: CONFIRMED }),
    quiet({ status: 'reservation_returned' }, 'everything came back', { state: RETURNED }),
  ],
  more: [
    quiet(
      { status: 'items_mismatch' },
      'items_mismatch and reservation_confirmed: items_mismatch',
      { state: CONFIRMED },
      { lines: [{ item: B }] },
    ),
    quiet(
      { status: 'invalid_argument' },
      'invalid_argument and items_mismatch: invalid_argument',
      {},
      { actor: 'a'.repeat(16_385), lines: [{ item: A }] },
    ),
    {
      status: 'exists',
      name: 'two reservations of one item and buyer, one twice, one refused beside them',
      given: {
        stock: { [A]: stock(5, 3, 0, 7, { l: 9 }) },
        buyers: { [A]: { bo: 4, cy: 1 } },
        holds: {
          h: hold({ deadline: FAR, lines: [[A, 2, 0, 1]] }),
          i: hold({ deadline: FAR, lines: [[A, 1, 0, 1]] }),
          j: hold({ deadline: FAR, state: CONFIRMED, lines: [[A, 1, 0, 1]] }),
        },
      },
      ops: [
        op({ lines: [{ item: A }] }),
        op({ id: 'j', lines: [{ item: A }] }),
        op({ id: 'i', lines: [{ item: A }] }),
        op({ lines: [{ item: A }] }),
      ],
      answers: [
        { status: 'ok', deadline: FAR, state: RELEASED },
        { status: 'reservation_confirmed' },
        { status: 'ok', deadline: FAR, state: RELEASED },
        { status: 'exists', deadline: FAR, state: RELEASED },
      ],
      after: (world, now) => {
        change(world, A, now, { a: 8, r: 0 }, 2);
        world.buyers[A] = { bo: 1, cy: 1 };
        for (const id of ['h', 'i']) Object.assign(world.holds[id]!, { 0: RELEASED, 5: now });
      },
      events: [
        { id: 'h', quantity: 2, available: 7, reserved: 1, version: 8 },
        { id: 'i', quantity: 1, available: 8, reserved: 0, version: 9 },
      ].map((event) => ({ kind: 'released', ref: A, actor: 'who', deadline: FAR, fingerprint: 77, ...event })),
    },
    {
      status: 'ok',
      name: 'a limit that came after the hold counts nothing down',
      given: {
        stock: { [A]: stock(5, 2, 0, 7, { l: 9 }) },
        buyers: { [A]: { bo: 1 } },
        holds: { h: hold({ state: HELD, deadline: FAR, lines: [[A, 2, 0, 0]] }) },
      },
      ops: [op({ lines: [{ item: A }] })],
      answers: [{ status: 'ok', deadline: FAR, state: RELEASED }],
      after: (world, now) => {
        change(world, A, now, { a: 7, r: 0 });
        Object.assign(world.holds.h!, { 0: RELEASED, 5: now });
      },
      events: [
        {
          kind: 'released',
          ref: A,
          id: 'h',
          quantity: 2,
          actor: 'who',
          available: 7,
          version: 8,
          deadline: FAR,
          fingerprint: 77,
        },
      ],
    },
  ],
});
