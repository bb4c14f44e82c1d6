import { claimsExtend, type ClaimsExtendOp } from '../../engine/scripts/generated/claims-extend.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { claimed, claimEvent, quietClaim } from './claim-rows.js';
import { CONFIRMED, EXPIRED, FAR, HELD, PENDING, RELEASED, RETURNED } from './fixtures.js';

const op = (over: Partial<ClaimsExtendOp> = {}): ClaimsExtendOp => ({ id: 'h', hold: 600, actor: 'who', ...over });
const soon = (now: number) => claimed({ deadline: now + 60_000 });
const until = (ms: number) => (world: World, now: number) => {
  world.claims.h![1] = now + ms;
  world.due['c:h'] = now + ms;
};

table({
  script: claimsExtend,
  valid: { given: soon, ops: [op()] },
  rows: [
    {
      status: 'ok',
      name: 'seconds from now',
      given: soon,
      ops: [op()],
      answers: (now) => [{ status: 'ok', deadline: now + 600_000, state: HELD }],
      after: until(600_000),
      events: (now) => [claimEvent('claim_extended', now + 600_000)],
    },
    quietClaim({ status: 'exists', deadline: FAR, state: HELD }, 'never fewer than it has', { deadline: FAR }, op()),
    ...(
      [
        ['no id', { id: '' }],
        ['no seconds', { hold: 0 }],
        ['too many seconds', { hold: limits.max_hold_seconds + 1 }],
        ['an actor with NUL', { actor: '\0' }],
      ] as const
    ).map(([name, over]) => quietClaim({ status: 'invalid_argument' } as const, name, { deadline: FAR }, op(over))),
    quietClaim({ status: 'reservation_not_found' }, 'no such claim', { deadline: FAR }, op({ id: 'i' })),
    quietClaim({ status: 'reservation_not_found' }, 'not complete', { state: PENDING, deadline: FAR }, op()),
    quietClaim({ status: 'reservation_released' }, 'released', { state: RELEASED, deadline: FAR }, op()),
    quietClaim({ status: 'hold_expired', deadline: 9 }, 'swept', { state: EXPIRED, deadline: 9 }, op()),
    quietClaim({ status: 'hold_expired', deadline: 9 }, 'past its deadline, not swept', { deadline: 9 }, op()),
    quietClaim({ status: 'reservation_confirmed' }, 'sold', { state: CONFIRMED, deadline: FAR }, op()),
    quietClaim({ status: 'reservation_returned' }, 'returned', { state: RETURNED, deadline: FAR }, op()),
  ],
  more: [
    {
      status: 'ok',
      name: 'the longest hold, beside ones that are refused; the second time there is nothing to move',
      given: soon,
      ops: [op({ id: 'i' }), op({ hold: limits.max_hold_seconds }), op({ hold: 0 }), op()],
      answers: (now) => [
        { status: 'reservation_not_found' },
        { status: 'ok', deadline: now + limits.max_hold_seconds * 1_000, state: HELD },
        { status: 'invalid_argument' },
        { status: 'exists', deadline: now + limits.max_hold_seconds * 1_000, state: HELD },
      ],
      after: until(limits.max_hold_seconds * 1_000),
      events: (now) => [claimEvent('claim_extended', now + limits.max_hold_seconds * 1_000)],
    },
  ],
});
