import { stockTouch } from '../../engine/scripts/generated/stock-touch.js';
import { table } from '../support/rows.js';

const given = { meta: { seq: 41 } };

table({
  script: stockTouch,
  valid: { given, ops: [{ id: 'x' }] },
  rows: [
    { status: 'ok', name: 'writes what is there', given, ops: [{ id: 'x' }], answers: [{ status: 'ok' }] },
    {
      status: 'invalid_argument',
      name: 'what cannot be an id, beside one that can',
      given,
      ops: [{ id: '' }, { id: 'x' }, { id: '\0' }],
      answers: [{ status: 'invalid_argument' }, { status: 'ok' }, { status: 'invalid_argument' }],
    },
  ],
});
