import { claimsReturn, type ClaimsReturnOp } from '../../engine/scripts/generated/claims-return.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { claimed, claimEvent, quietClaim } from './claim-rows.js';
import { CONFIRMED, EXPIRED, FAR, HELD, PENDING, RELEASED, RETURNED } from './fixtures.js';

const op = (over: Partial<ClaimsReturnOp> = {}): ClaimsReturnOp => ({ id: 'h', actor: 'who', ...over });
const bought = claimed({ state: CONFIRMED, deadline: 9 });
/** Decided, and looked at soon, should whoever decided die before the parts are told. */
const back = (world: World, now: number) => {
  world.claims.h![0] = RETURNED;
  world.claims.h![5] = now;
  world.due['c:h'] = now + limits.claim_seconds * 1_000;
};

table({
  script: claimsReturn,
  valid: { given: bought, ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'everything has come back',
      given: bought,
      ops: [op()],
      answers: [{ status: 'ok', deadline: 9, state: RETURNED }],
      after: back,
      events: [claimEvent('claim_returned', 9)],
    },
    quietClaim({ status: 'exists', deadline: 9, state: RETURNED }, 'again', { state: RETURNED, deadline: 9 }, op()),
    quietClaim({ status: 'invalid_argument' }, 'no id', { state: CONFIRMED, deadline: 9 }, op({ id: '' })),
    quietClaim(
      { status: 'invalid_argument' },
      'an actor with NUL',
      { state: CONFIRMED, deadline: 9 },
      op({ actor: '\0' }),
    ),
    quietClaim(
      { status: 'reservation_not_found' },
      'no such claim',
      { state: CONFIRMED, deadline: 9 },
      op({ id: 'i' }),
    ),
    ...[HELD, RELEASED, EXPIRED, PENDING].map((state) =>
      quietClaim(
        { status: 'reservation_not_found' } as const,
        `not sold: state ${state}`,
        { state, deadline: FAR },
        op(),
      ),
    ),
  ],
  more: [
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: bought,
      ops: [op({ id: 'i' }), op({ id: '' }), op(), op()],
      answers: [
        { status: 'reservation_not_found' },
        { status: 'invalid_argument' },
        { status: 'ok', deadline: 9, state: RETURNED },
        { status: 'exists', deadline: 9, state: RETURNED },
      ],
      after: back,
      events: [claimEvent('claim_returned', 9)],
    },
  ],
});
