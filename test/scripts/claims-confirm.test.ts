import { claimsConfirm, type ClaimsConfirmOp } from '../../engine/scripts/generated/claims-confirm.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { claimed, claimEvent, quietClaim } from './claim-rows.js';
import { CONFIRMED, EXPIRED, FAR, PENDING, RELEASED, RETURNED } from './fixtures.js';

const op = (over: Partial<ClaimsConfirmOp> = {}): ClaimsConfirmOp => ({ id: 'h', actor: 'who', sold: 0, ...over });
const held = claimed({ deadline: FAR });
/** Decided, and looked at soon, should whoever decided die before the parts are told. */
const sold = (world: World, now: number) => {
  world.claims.h![0] = CONFIRMED;
  world.claims.h![5] = now;
  world.due['c:h'] = now + limits.claim_seconds * 1_000;
};
const event = claimEvent('claim_confirmed', FAR);

table({
  script: claimsConfirm,
  valid: { given: held, ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'decided',
      given: held,
      ops: [op()],
      answers: [{ status: 'ok', deadline: FAR, state: CONFIRMED }],
      after: sold,
      events: [event],
    },
    {
      status: 'ok',
      name: 'past its deadline, but a part is sold: it was decided before',
      given: claimed({ deadline: 9 }),
      ops: [op({ sold: 1 })],
      answers: [{ status: 'ok', deadline: 9, state: CONFIRMED }],
      after: sold,
      events: [claimEvent('claim_confirmed', 9)],
    },
    quietClaim({ status: 'exists', deadline: 9, state: CONFIRMED }, 'again', { state: CONFIRMED, deadline: 9 }, op()),
    quietClaim({ status: 'invalid_argument' }, 'no id', { deadline: FAR }, op({ id: '' })),
    quietClaim({ status: 'invalid_argument' }, 'an actor with NUL', { deadline: FAR }, op({ actor: '\0' })),
    quietClaim({ status: 'invalid_argument' }, 'sold twice', { deadline: FAR }, op({ sold: 2 })),
    quietClaim({ status: 'reservation_not_found' }, 'no such claim', { deadline: FAR }, op({ id: 'i' })),
    quietClaim({ status: 'reservation_not_found' }, 'not complete', { state: PENDING, deadline: FAR }, op()),
    quietClaim({ status: 'reservation_released' }, 'released', { state: RELEASED, deadline: FAR }, op()),
    quietClaim({ status: 'hold_expired', deadline: 9 }, 'swept', { state: EXPIRED, deadline: 9 }, op()),
    quietClaim(
      { status: 'hold_expired', deadline: 9 },
      'swept, whatever a part says',
      { state: EXPIRED, deadline: 9 },
      op({ sold: 1 }),
    ),
    quietClaim({ status: 'hold_expired', deadline: 9 }, 'past its deadline, not swept', { deadline: 9 }, op()),
    quietClaim({ status: 'reservation_returned' }, 'returned', { state: RETURNED, deadline: 9 }, op()),
  ],
  more: [
    quietClaim(
      { status: 'invalid_argument' },
      'invalid_argument and reservation_not_found: invalid_argument',
      { deadline: FAR },
      op({ id: 'i', actor: '\0' }),
    ),
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: held,
      ops: [op({ id: 'i' }), op({ id: '' }), op(), op()],
      answers: [
        { status: 'reservation_not_found' },
        { status: 'invalid_argument' },
        { status: 'ok', deadline: FAR, state: CONFIRMED },
        { status: 'exists', deadline: FAR, state: CONFIRMED },
      ],
      after: sold,
      events: [event],
    },
  ],
});
