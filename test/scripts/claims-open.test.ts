import { limits } from '../../engine/scripts/generated/limits.js';
import { claimsOpen, type ClaimsOpenOp } from '../../engine/scripts/generated/claims-open.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { claimed, quietClaim } from './claim-rows.js';
import { A, claim, CONFIRMED, EXPIRED, FAR, HELD, hold, LONG_AGO, PENDING, RELEASED } from './fixtures.js';

const CLAIM_MS = limits.claim_seconds * 1_000;
const LAMP = 'hall-2:lamp';
const op = (over: Partial<ClaimsOpenOp> = {}): ClaimsOpenOp => ({
  id: 'h',
  fingerprint: 77,
  buyer: 'bo',
  lines: [
    { ref: A, quantity: 2 },
    { ref: LAMP, quantity: 1 },
  ],
  ...over,
});
const opened = (attempt: (now: number) => number, id = 'h') => ({
  answers: (now: number) => [
    { status: 'ok' as const, attempt: attempt(now), deadline: now + CLAIM_MS, state: PENDING },
  ],
  after: (world: World, now: number) => {
    world.claims[id] = claim({ state: PENDING, deadline: now + CLAIM_MS, attempt: attempt(now), opened: now });
    world.due[`c:${id}`] = now + CLAIM_MS;
  },
  events: (now: number) => [event(now, attempt(now))],
});
const event = (now: number, attempt: number, id = 'h') => ({
  kind: 'claim_opened',
  id,
  actor: 'bo',
  detail: `["${A}",2,"${LAMP}",1]`,
  deadline: now + CLAIM_MS,
  fingerprint: 77,
  attempt,
});

table({
  script: claimsOpen,
  valid: { ops: [op()] },
  rows: [
    { status: 'ok', name: 'a new claim: its attempt is the time', ops: [op()], ...opened((now) => now) },
    {
      status: 'ok',
      name: 'an old pending claim is taken over under a later attempt',
      given: (now) => claimed({ state: PENDING, deadline: now + 7_000, opened: now - limits.takeover_ms }),
      ops: [op()],
      ...opened((now) => now),
    },
    {
      status: 'ok',
      name: 'attempts grow though the clock went back',
      given: claimed({ state: PENDING, deadline: 9, opened: 9, attempt: FAR }),
      ops: [op()],
      ...opened(() => FAR + 1),
    },
    {
      status: 'ok',
      name: 'a part of an earlier claim under the id does not stand in the way',
      given: { holds: { h: hold({ state: EXPIRED, deadline: 9, attempt: 5 }) } },
      ops: [op()],
      ...opened((now) => now),
    },
    quietClaim({ status: 'exists', attempt: 5, deadline: FAR, state: HELD }, 'complete', { deadline: FAR }, op()),
    quietClaim(
      { status: 'exists', attempt: 5, deadline: 9, state: EXPIRED },
      'past its deadline',
      { deadline: 9 },
      op(),
    ),
    quietClaim(
      { status: 'exists', attempt: 5, deadline: 9, state: RELEASED },
      'released',
      { state: RELEASED, deadline: 9 },
      op(),
    ),
    quietClaim(
      { status: 'exists', attempt: 5, deadline: 9, state: CONFIRMED },
      'sold',
      { state: CONFIRMED, deadline: 9 },
      op(),
    ),
    quietClaim({ status: 'in_flight' }, 'pending and young', { state: PENDING, deadline: FAR, opened: FAR }, op()),
    ...(
      [
        ['no id', { id: '' }],
        ['a buyer with a blank', { buyer: 'b o' }],
        ['no line', { lines: [] }],
        ['too many lines', { lines: Array.from({ length: 101 }, () => ({ ref: A, quantity: 1 })) }],
        ['no units', { lines: [{ ref: A, quantity: 0 }] }],
        ['too many units', { lines: [{ ref: A, quantity: limits.max_quantity + 1 }] }],
        ['an item without a location', { lines: [{ ref: 'chair', quantity: 1 }] }],
        ['an item with a quote', { lines: [{ ref: 'x:"', quantity: 1 }] }],
        ['an item too long', { lines: [{ ref: `x:${'y'.repeat(256)}`, quantity: 1 }] }],
        [
          'a good line after a bad one',
          {
            lines: [
              { ref: '', quantity: 1 },
              { ref: A, quantity: 1 },
            ],
          },
        ],
      ] as const
    ).map(([name, over]) => ({
      status: 'invalid_argument' as const,
      name,
      ops: [op(over)],
      answers: [{ status: 'invalid_argument' as const }],
    })),
    quietClaim({ status: 'id_conflict' }, 'other content', { deadline: FAR, fingerprint: 78 }, op()),
    {
      status: 'id_conflict',
      name: 'a reservation of its own has the id',
      given: { holds: { h: hold({ deadline: FAR }) } },
      ops: [op()],
      answers: [{ status: 'id_conflict' }],
    },
  ],
  more: [
    quietClaim(
      { status: 'invalid_argument' },
      'invalid_argument and id_conflict: invalid_argument',
      { deadline: FAR, fingerprint: 78 },
      op({ lines: [] }),
    ),
    {
      status: 'in_flight',
      name: 'twice within one call, beside one that is refused and another id',
      ops: [op(), op({ id: '' }), op(), op({ id: 'i' }), op({ fingerprint: 1 })],
      answers: (now) => [
        { status: 'ok', attempt: now, deadline: now + CLAIM_MS, state: PENDING },
        { status: 'invalid_argument' },
        { status: 'in_flight' },
        { status: 'ok', attempt: now, deadline: now + CLAIM_MS, state: PENDING },
        { status: 'id_conflict' },
      ],
      after: (world, now) => {
        for (const id of ['h', 'i'])
          world.claims[id] = claim({ state: PENDING, deadline: now + CLAIM_MS, attempt: now, opened: now });
        world.due['c:h c:i'] = now + CLAIM_MS;
      },
      events: (now) => [event(now, now), event(now, now, 'i')],
    },
    quietClaim(
      { status: 'in_flight' },
      'a moment too young',
      { state: PENDING, deadline: 9, opened: LONG_AGO * 2 },
      op(),
    ),
  ],
});
