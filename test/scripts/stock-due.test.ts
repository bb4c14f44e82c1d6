import { limits } from '../../engine/scripts/generated/limits.js';
import { stockDue } from '../../engine/scripts/generated/stock-due.js';
import { table } from '../support/rows.js';
import { FAR } from './fixtures.js';

const given = { due: { b: 2_000, 'a c': 1_000, 'c:x': 3_000, 'i:m:x:y': 2_500, later: FAR } };

table({
  script: stockDue,
  valid: { given, args: { page: 10 } },
  rows: [
    {
      status: 'ok',
      name: 'oldest first, none whose time has not come',
      given,
      args: { page: 10 },
      answers: [{ status: 'ok', members: 'a c\nb\ni:m:x:y\nc:x' }],
    },
    {
      status: 'ok',
      name: 'no more than asked for',
      given,
      args: { page: 2 },
      answers: [{ status: 'ok', members: 'a c\nb' }],
    },
    {
      status: 'ok',
      name: 'none',
      given: { due: { later: FAR } },
      args: { page: 2 },
      answers: [{ status: 'ok', members: '' }],
    },
    {
      status: 'invalid_argument',
      name: 'no page',
      given,
      args: { page: 0 },
      answers: [{ status: 'invalid_argument' }],
    },
    {
      status: 'invalid_argument',
      name: 'a page too large',
      given,
      args: { page: limits.due_page + 1 },
      answers: [{ status: 'invalid_argument' }],
    },
    {
      status: 'invalid_argument',
      name: 'a page that is no number',
      given,
      args: { page: Number.NaN },
      answers: [{ status: 'invalid_argument' }],
    },
  ],
});
