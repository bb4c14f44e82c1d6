import { claimsSeal, type ClaimsSealOp } from '../../engine/scripts/generated/claims-seal.js';
import { table } from '../support/rows.js';
import { claimed, claimEvent, quietClaim } from './claim-rows.js';
import { CONFIRMED, EXPIRED, FAR, HELD, PENDING } from './fixtures.js';

const UNTIL = FAR + 1_000;
const op = (over: Partial<ClaimsSealOp> = {}): ClaimsSealOp => ({ id: 'h', attempt: 5, deadline: UNTIL, ...over });
const pending = claimed({ state: PENDING, deadline: FAR });

table({
  script: claimsSeal,
  valid: { given: pending, ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'held until the deadline of its parts',
      given: pending,
      ops: [op()],
      answers: [{ status: 'ok', deadline: UNTIL, state: HELD }],
      after: (world) => {
        world.claims.h![0] = HELD;
        world.claims.h![1] = UNTIL;
        world.due['c:h'] = UNTIL;
      },
      events: [claimEvent('claim_sealed', UNTIL, { actor: 'bo' })],
    },
    quietClaim({ status: 'exists', deadline: FAR, state: HELD }, 'again', { deadline: FAR }, op()),
    quietClaim({ status: 'exists', deadline: 9, state: EXPIRED }, 'past its deadline', { deadline: 9 }, op()),
    quietClaim({ status: 'exists', deadline: 9, state: CONFIRMED }, 'sold', { state: CONFIRMED, deadline: 9 }, op()),
    quietClaim({ status: 'superseded' }, 'no such claim', { state: PENDING, deadline: FAR }, op({ id: 'i' })),
    quietClaim({ status: 'superseded' }, 'a later attempt', { state: PENDING, deadline: FAR, attempt: 6 }, op()),
    quietClaim({ status: 'superseded' }, 'an earlier attempt', { state: PENDING, deadline: FAR, attempt: 4 }, op()),
    quietClaim({ status: 'superseded' }, 'pending past its deadline', { state: PENDING, deadline: 9 }, op()),
    ...(
      [
        ['no id', { id: '' }],
        ['a negative attempt', { attempt: -5 }],
        ['a deadline that is no number', { deadline: Number.NaN }],
      ] as const
    ).map(([name, over]) =>
      quietClaim({ status: 'invalid_argument' } as const, name, { state: PENDING, deadline: FAR }, op(over)),
    ),
  ],
  more: [
    quietClaim(
      { status: 'superseded' },
      'exists and superseded: another attempt than the one that stands',
      { deadline: FAR, attempt: 6 },
      op(),
    ),
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: pending,
      ops: [op({ attempt: 4 }), op({ id: '' }), op(), op({ deadline: 1 })],
      answers: [
        { status: 'superseded' },
        { status: 'invalid_argument' },
        { status: 'ok', deadline: UNTIL, state: HELD },
        { status: 'exists', deadline: UNTIL, state: HELD },
      ],
      after: (world) => {
        world.claims.h![0] = HELD;
        world.claims.h![1] = UNTIL;
        world.due['c:h'] = UNTIL;
      },
      events: [claimEvent('claim_sealed', UNTIL, { actor: 'bo' })],
    },
  ],
});
