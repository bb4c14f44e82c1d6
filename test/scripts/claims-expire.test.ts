import { claimsExpire } from '../../engine/scripts/generated/claims-expire.js';
import { table } from '../support/rows.js';
import { claimed, claimEvent, quietClaim } from './claim-rows.js';
import { CONFIRMED, EXPIRED, FAR, HELD, PENDING, RELEASED, RETURNED } from './fixtures.js';

const op = { id: 'h' };
const overdue = claimed({ deadline: 9 });

table({
  script: claimsExpire,
  valid: { given: overdue, ops: [op] },
  rows: [
    {
      status: 'ok',
      name: 'past its deadline',
      given: overdue,
      ops: [op],
      answers: [{ status: 'ok', state: EXPIRED }],
      after: (world, now) => {
        world.claims.h![0] = EXPIRED;
        world.claims.h![5] = now;
      },
      events: [claimEvent('claim_expired', 9, { actor: 'bo' })],
    },
    {
      status: 'ok',
      name: 'one that was never completed is forgotten',
      given: claimed({ state: PENDING, deadline: 9 }),
      ops: [op],
      answers: [{ status: 'ok', state: EXPIRED }],
      after: (world) => {
        delete world.claims.h;
      },
      events: [claimEvent('claim_aborted', 9, { actor: 'bo' })],
    },
    quietClaim({ status: 'exists', state: HELD }, 'alive', { deadline: FAR }, op),
    quietClaim({ status: 'exists', state: PENDING }, 'not complete, and alive', { state: PENDING, deadline: FAR }, op),
    ...[CONFIRMED, RELEASED, EXPIRED, RETURNED].map((state) =>
      quietClaim({ status: 'exists', state } as const, `ended in state ${state}`, { state, deadline: 9 }, op),
    ),
    quietClaim({ status: 'invalid_argument' }, 'no id', { deadline: 9 }, { id: '' }),
    quietClaim({ status: 'reservation_not_found' }, 'no such claim', { deadline: 9 }, { id: 'i' }),
  ],
  more: [
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: overdue,
      ops: [{ id: 'i' }, { id: '' }, op, op],
      answers: [
        { status: 'reservation_not_found' },
        { status: 'invalid_argument' },
        { status: 'ok', state: EXPIRED },
        { status: 'exists', state: EXPIRED },
      ],
      after: (world, now) => {
        world.claims.h![0] = EXPIRED;
        world.claims.h![5] = now;
      },
      events: [claimEvent('claim_expired', 9, { actor: 'bo' })],
    },
  ],
});
