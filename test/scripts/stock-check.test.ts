import { stockCheck } from '../../engine/scripts/generated/stock-check.js';
import { table } from '../support/rows.js';
import { A, B, LONG_AGO, stock } from './fixtures.js';

const given = { stock: { [A]: stock(10, 1, 2, 3, { l: 4, o: 5, c: 6, w: 7, h: 8, m: 'gate' }), [B]: stock(0) } };
const answerA = {
  status: 'ok' as const,
  available: 10,
  reserved: 1,
  sold: 2,
  version: 3,
  updatedAt: LONG_AGO,
  buyerLimit: 4,
  opensAt: 5,
  closesAt: 6,
  lowStock: 7,
  holdSeconds: 8,
  room: 'gate',
};
const answerB = {
  status: 'ok' as const,
  available: 0,
  reserved: 0,
  sold: 0,
  version: 1,
  updatedAt: LONG_AGO,
  buyerLimit: 0,
  opensAt: 0,
  closesAt: 0,
  lowStock: 0,
  holdSeconds: 0,
  room: '',
};

table({
  script: stockCheck,
  valid: { given, ops: [{ item: A }] },
  rows: [
    { status: 'ok', name: 'all settings', given, ops: [{ item: A }], answers: [answerA] },
    { status: 'ok', name: 'no settings', given, ops: [{ item: B }], answers: [answerB] },
    {
      status: 'invalid_argument',
      name: 'an item that the call did not declare',
      given,
      // The binding cannot make such a call: the index of an item is its own.
      ops: [{ item: A }, undeclared()],
      answers: [answerA, { status: 'invalid_argument' }],
    },
    {
      status: 'sku_not_found',
      name: 'no such item',
      given,
      ops: [{ item: 'x:y' }],
      answers: [{ status: 'sku_not_found' }],
    },
  ],
  more: [
    {
      status: 'sku_not_found',
      name: 'one answer for each, in the order asked, repeats included',
      given,
      ops: [{ item: B }, { item: 'x:y' }, { item: A }, { item: B }],
      answers: [answerB, { status: 'sku_not_found' }, answerA, answerB],
    },
    {
      status: 'ok',
      name: 'as many as a call may have',
      given,
      ops: Array.from({ length: 128 }, (_, i) => ({ item: i % 2 ? A : B })),
      answers: Array.from({ length: 128 }, (_, i) => (i % 2 ? answerA : answerB)),
    },
  ],
});

/** Names an item when it is encoded that it did not name when the keys were gathered. */
function undeclared(): { readonly item: string } {
  let asked = 0;
  return {
    get item() {
      return asked++ === 0 ? A : 'never:declared';
    },
  };
}
