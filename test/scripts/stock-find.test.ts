import { stockFind } from '../../engine/scripts/generated/stock-find.js';
import { table } from '../support/rows.js';
import { type World } from '../support/scripts.js';
import { A, B, claim, FAR, held, hold } from './fixtures.js';

const MOST = Number.MAX_SAFE_INTEGER;
const given = (now: number): Partial<World> => ({
  ...held(now, { deadline: FAR, fingerprint: 70_368_744_177_663 }),
  claims: { h: claim({ deadline: FAR }), c: claim({ deadline: FAR, buyer: '', state: 6, attempt: 1_795_168_432_498 }) },
});
const HOLD = `1|4000000000000|70368744177663|0|bo|0|${A}|2|0|1|${B}|1|0|0`;
const CLAIM = `1|4000000000000|77|5|bo|0|1600000000000|${A}|2|hall-2:lamp|1`;
const PENDING = `6|4000000000000|77|1795168432498||0|1600000000000|${A}|2|hall-2:lamp|1`;

table({
  script: stockFind,
  valid: { given, ops: [{ id: 'h' }] },
  rows: [
    {
      status: 'ok',
      name: 'hold and claim, claim alone, each number exact',
      given,
      ops: [{ id: 'h' }, { id: 'c' }],
      answers: [
        { status: 'ok', hold: HOLD, claim: CLAIM },
        { status: 'ok', hold: '', claim: PENDING },
      ],
    },
    {
      status: 'ok',
      name: 'hold alone',
      given: (now) => held(now, { deadline: FAR, fingerprint: 70_368_744_177_663 }),
      ops: [{ id: 'h' }],
      answers: [{ status: 'ok', hold: HOLD, claim: '' }],
    },
    {
      status: 'invalid_argument',
      name: 'what cannot be an id',
      given,
      ops: [{ id: '' }, { id: 'a b' }, { id: 'x'.repeat(129) }],
      answers: [{ status: 'invalid_argument' }, { status: 'invalid_argument' }, { status: 'invalid_argument' }],
    },
    {
      status: 'reservation_not_found',
      name: 'neither',
      given,
      ops: [{ id: 'i' }],
      answers: [{ status: 'reservation_not_found' }],
    },
  ],
  more: [
    {
      status: 'ok',
      name: 'the largest numbers come back exactly',
      given: { holds: { h: hold({ deadline: 1, fingerprint: MOST - 1, attempt: MOST, lines: [] }) } },
      ops: [{ id: 'h' }],
      answers: [{ status: 'ok', hold: `1|1|${MOST - 1}|${MOST}|bo|0`, claim: '' }],
    },
    {
      status: 'reservation_not_found',
      name: 'one answer for each, in the order asked',
      given,
      ops: [{ id: 'i' }, { id: 'h' }, { id: '{' }, { id: 'h' }],
      answers: [
        { status: 'reservation_not_found' },
        { status: 'ok', hold: HOLD, claim: CLAIM },
        { status: 'invalid_argument' },
        { status: 'ok', hold: HOLD, claim: CLAIM },
      ],
    },
  ],
});
