import { claimsAbort, type ClaimsAbortOp } from '../../engine/scripts/generated/claims-abort.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { claimed, claimEvent, quietClaim } from './claim-rows.js';
import { CONFIRMED, EXPIRED, FAR, HELD, PENDING, RELEASED, RETURNED } from './fixtures.js';

const op = (over: Partial<ClaimsAbortOp> = {}): ClaimsAbortOp => ({ id: 'h', attempt: 5, ...over });
const pending = claimed({ state: PENDING, deadline: FAR });
const gone = (world: World) => {
  delete world.claims.h;
};
const event = claimEvent('claim_aborted', 0, { actor: 'bo' });

table({
  script: claimsAbort,
  valid: { given: pending, ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'as if it had never been',
      given: pending,
      ops: [op()],
      answers: [{ status: 'ok' }],
      after: gone,
      events: [event],
    },
    quietClaim({ status: 'exists' }, 'no such claim', { state: PENDING, deadline: FAR }, op({ id: 'i' })),
    quietClaim({ status: 'exists' }, 'a later attempt', { state: PENDING, deadline: FAR, attempt: 6 }, op()),
    quietClaim({ status: 'exists' }, 'an earlier attempt', { state: PENDING, deadline: FAR, attempt: 4 }, op()),
    ...[HELD, CONFIRMED, RELEASED, EXPIRED, RETURNED].map((state) =>
      quietClaim({ status: 'exists' } as const, `in state ${state}`, { state, deadline: FAR }, op()),
    ),
    quietClaim({ status: 'invalid_argument' }, 'no id', { state: PENDING, deadline: FAR }, op({ id: '' })),
    quietClaim({ status: 'invalid_argument' }, 'no attempt', { state: PENDING, deadline: FAR }, op({ attempt: -5 })),
  ],
  more: [
    {
      status: 'exists',
      name: 'twice within one call, beside ones that are refused',
      given: pending,
      ops: [op({ id: '' }), op({ attempt: 4 }), op(), op()],
      answers: [{ status: 'invalid_argument' }, { status: 'exists' }, { status: 'ok' }, { status: 'exists' }],
      after: gone,
      events: [event],
    },
  ],
});
