import { claimsRelease, type ClaimsReleaseOp } from '../../engine/scripts/generated/claims-release.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { claimed, claimEvent, quietClaim } from './claim-rows.js';
import { CONFIRMED, EXPIRED, FAR, PENDING, RELEASED, RETURNED } from './fixtures.js';

const op = (over: Partial<ClaimsReleaseOp> = {}): ClaimsReleaseOp => ({ id: 'h', actor: 'who', ...over });
const held = claimed({ deadline: FAR });
/** Decided, and looked at soon, should whoever decided die before the parts are told. */
const ended = (state: number) => (world: World, now: number) => {
  world.claims.h![0] = state;
  world.claims.h![5] = now;
  world.due['c:h'] = now + limits.claim_seconds * 1_000;
};
const event = claimEvent('claim_released', FAR);

table({
  script: claimsRelease,
  valid: { given: held, ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'decided',
      given: held,
      ops: [op()],
      answers: [{ status: 'ok', deadline: FAR, state: RELEASED }],
      after: ended(RELEASED),
      events: [event],
    },
    quietClaim({ status: 'exists', deadline: 9, state: RELEASED }, 'again', { state: RELEASED, deadline: 9 }, op()),
    quietClaim(
      { status: 'exists', deadline: 9, state: EXPIRED },
      'it had expired',
      { state: EXPIRED, deadline: 9 },
      op(),
    ),
    {
      status: 'exists',
      name: 'past its deadline it expires here and now',
      given: claimed({ deadline: 9 }),
      ops: [op()],
      answers: [{ status: 'exists', deadline: 9, state: EXPIRED }],
      after: ended(EXPIRED),
      events: [claimEvent('claim_expired', 9)],
    },
    quietClaim({ status: 'invalid_argument' }, 'no id', { deadline: FAR }, op({ id: '' })),
    quietClaim({ status: 'invalid_argument' }, 'an actor with NUL', { deadline: FAR }, op({ actor: '\0' })),
    quietClaim({ status: 'reservation_not_found' }, 'no such claim', { deadline: FAR }, op({ id: 'i' })),
    quietClaim({ status: 'reservation_not_found' }, 'not complete', { state: PENDING, deadline: FAR }, op()),
    quietClaim({ status: 'reservation_confirmed' }, 'sold', { state: CONFIRMED, deadline: FAR }, op()),
    quietClaim({ status: 'reservation_returned' }, 'returned', { state: RETURNED, deadline: FAR }, op()),
  ],
  more: [
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: held,
      ops: [op({ id: 'i' }), op({ id: '' }), op(), op()],
      answers: [
        { status: 'reservation_not_found' },
        { status: 'invalid_argument' },
        { status: 'ok', deadline: FAR, state: RELEASED },
        { status: 'exists', deadline: FAR, state: RELEASED },
      ],
      after: ended(RELEASED),
      events: [event],
    },
  ],
});
