import { limits } from '../../engine/scripts/generated/limits.js';
import { stockSettle } from '../../engine/scripts/generated/stock-settle.js';
import { table } from '../support/rows.js';
import { type Cell, type World } from '../support/scripts.js';
import { A, claim, CONFIRMED, DAY_MS, EXPIRED, FAR, hold, LONG_AGO, PENDING, RELEASED, RETURNED } from './fixtures.js';

const RETENTION_MS = limits.retention_seconds * 1_000;
const WINDOW_MS = limits.return_window_seconds * 1_000;
const op = (member: string, later = 0) => ({ member, later });
const ok = (forgotten: number) => ({ status: 'ok' as const, forgotten });

/** A due entry `h` whose record is in some state. */
const due = (record: Cell[] | undefined): Partial<World> => ({
  holds: record ? { h: record } : {},
  due: { h: 1_000, other: FAR },
});
const dueClaim = (record: Cell[]): Partial<World> => ({ claims: { h: record }, due: { 'c:h': 1_000 } });

table({
  script: stockSettle,
  valid: { given: due(undefined), ops: [op('h')] },
  rows: [
    ...[
      [RELEASED, RETENTION_MS],
      [EXPIRED, RETENTION_MS],
      [CONFIRMED, WINDOW_MS],
      [RETURNED, WINDOW_MS],
    ].flatMap(([state, retention]) => [
      {
        status: 'ok' as const,
        name: `a hold in state ${state} is forgotten after its retention`,
        given: (now: number) => due(hold({ state, deadline: 9, resolved: now - retention! })),
        ops: [op('h')],
        answers: [ok(1)],
        after: (world: World) => {
          delete world.holds.h;
          delete world.due.h;
        },
      },
      {
        status: 'ok' as const,
        name: `a hold in state ${state} is looked at again at the end of its retention`,
        given: (now: number) => due(hold({ state, deadline: 9, resolved: now - retention! + 60_000 })),
        ops: [op('h')],
        answers: [ok(0)],
        after: (world: World) => {
          world.due.h = Number(world.holds.h![5]) + retention!;
        },
      },
      {
        status: 'ok' as const,
        name: `a claim in state ${state} is forgotten after its retention`,
        given: (now: number) => dueClaim(claim({ state, deadline: 9, resolved: now - retention! })),
        ops: [op('c:h')],
        answers: [ok(1)],
        after: (world: World) => {
          delete world.claims.h;
          delete world.due['c:h'];
        },
      },
      {
        status: 'ok' as const,
        name: `a claim in state ${state} is looked at again at the end of its retention`,
        given: (now: number) => dueClaim(claim({ state, deadline: 9, resolved: now - retention! + 60_000 })),
        ops: [op('c:h')],
        answers: [ok(0)],
        after: (world: World) => {
          world.due['c:h'] = Number(world.claims.h![5]) + retention!;
        },
      },
    ]),
    {
      status: 'ok',
      name: 'one that is held is due at its deadline',
      given: due(hold({ deadline: FAR })),
      ops: [op('h')],
      answers: [ok(0)],
      after: (world) => {
        world.due.h = FAR;
      },
    },
    {
      status: 'ok',
      name: 'one that is overdue but still held in a second',
      given: due(hold({ deadline: 9, attempt: 5 })),
      ops: [op('h')],
      answers: [ok(0)],
      after: (world, now) => {
        world.due.h = now + 1_000;
      },
    },
    {
      status: 'ok',
      name: 'a claim that is pending is due at its deadline',
      given: dueClaim(claim({ state: PENDING, deadline: FAR })),
      ops: [op('c:h')],
      answers: [ok(0)],
      after: (world) => {
        world.due['c:h'] = FAR;
      },
    },
    {
      status: 'ok',
      name: 'a record that is gone leaves nothing behind',
      given: due(undefined),
      ops: [op('h')],
      answers: [ok(0)],
      after: (world) => {
        delete world.due.h;
      },
    },
    {
      status: 'ok',
      name: 'an id record is forgotten when its time has come',
      given: { ids: { [`m:${A}`]: [2, 77, 1, 2, 3, 4, LONG_AGO] }, due: { [`i:m:${A}`]: 1_000 } },
      ops: [op(`i:m:${A}`)],
      answers: [ok(1)],
      after: (world) => {
        world.ids = {};
        world.due = {};
      },
    },
    {
      status: 'ok',
      name: 'an entry that could not be looked at stays for later, records and all',
      given: due(hold({ state: RELEASED, deadline: 9, resolved: 9 })),
      ops: [op('h', 5_000)],
      answers: [ok(0)],
      after: (world, now) => {
        world.due.h = now + 5_000;
      },
    },
    {
      status: 'ok',
      name: 'an entry that has moved meanwhile, or is gone, is left alone',
      given: (now) => ({ holds: { h: hold({ state: RELEASED, deadline: 9, resolved: 9 }) }, due: { h: now + 60_000 } }),
      ops: [op('h'), op('i'), op('h', 1_000)],
      answers: [ok(0), ok(0), ok(0)],
    },
    ...(
      [
        ['an entry longer than any', op('x'.repeat(limits.detail_bytes + 1))],
        ['an entry with NUL', op('h\0')],
        ['a negative time', op('h', -1)],
        ['a time that is no whole number', op('h', 1.5)],
      ] as const
    ).map(([name, malformed]) => ({
      status: 'invalid_argument' as const,
      name,
      given: due(undefined),
      ops: [malformed],
      answers: [{ status: 'invalid_argument' as const }],
    })),
  ],
  more: [
    {
      status: 'ok',
      name: 'the holds of one entry go their own ways, beside an entry that is refused and one named twice',
      given: (now) => ({
        holds: {
          a: hold({ state: RELEASED, deadline: 9, resolved: now - DAY_MS }),
          b: hold({ deadline: FAR }),
          d: hold({ state: RELEASED, deadline: 9, resolved: now - DAY_MS }),
        },
        claims: { a: claim({ deadline: FAR }) },
        due: { 'a b gone': 1_000, 'c:a d': 2_000 },
      }),
      ops: [op('\0'), op('a b gone'), op('c:a d'), op('a b gone')],
      answers: [{ status: 'invalid_argument' }, ok(1), ok(1), ok(0)],
      after: (world) => {
        delete world.holds.a;
        delete world.holds.d;
        world.due = { 'b c:a': FAR };
      },
    },
  ],
});
