/** What bodies and queries may be, and that refusals name the field. */
import fc from 'fast-check';
import t from 'tap';
import { limits } from '../../../engine/scripts/generated/limits.js';
import { Problem } from '../../../server/http/problems.js';
import { parseQuery } from '../../../server/http/query.js';
import { checkText } from '../../../server/routes/stock-changes.js';
import { parseIdempotencyKey, scopeHash } from '../../../server/idempotency/key.js';
import { ReserveBody } from '../../../server/schemas/reservations.js';
import {
  AdjustBody,
  ConfigureBody,
  ImportBody,
  PageQuery,
  ReadManyQuery,
  ReadQuery,
  RestockBody,
  StockQueryBody,
} from '../../../server/schemas/stock.js';
import { validator } from '../../../server/schemas/validate.js';

const reserve = validator(ReserveBody);
const restock = validator(RestockBody);
const configure = validator(ConfigureBody);
const line = { location: 'berlin', sku: 'a-1', quantity: 1 };

const errorsOf = (work: () => unknown): Problem => {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was taken');
};
const fieldsOf = (work: () => unknown): string[] => (errorsOf(work).extra.errors ?? []).map(({ field }) => field ?? '');

t.test('what is taken comes back as it is', async (t) => {
  const body = { lines: [line], holdSeconds: 60, ack: 'durable', buyerId: 'b', reservationId: 'r' };
  t.same(reserve.parse(body), body);
  t.same(configure.parse({ opensAt: '2026-01-31T12:00:00+01:00', closesAt: null, room: null }), {
    opensAt: '2026-01-31T12:00:00+01:00',
    closesAt: null,
    room: null,
  });
});

t.test('every wrong field is named', async (t) => {
  t.same(
    fieldsOf(() => reserve.parse({ lines: [{ ...line, sku: 'a b', extra: 1 }], price: 1 })),
    ['price', 'lines[0].extra', 'lines[0].sku'],
  );
  t.same(
    fieldsOf(() => reserve.parse({})),
    ['lines'],
  );
  t.same(
    fieldsOf(() => reserve.parse({ lines: [] })),
    ['lines'],
  );
  t.same(
    fieldsOf(() => reserve.parse(null)),
    [''],
  );
  t.same(
    fieldsOf(() => reserve.parse({ lines: [line], ack: 'sure' })),
    ['ack'],
  );
  t.equal(
    errorsOf(() => reserve.parse({ lines: [line], ack: 'sure' })).detail,
    'ack must be "executed" or "replicated" or "durable".',
  );
  t.equal(errorsOf(() => restock.parse({})).detail, 'quantity is missing: an integer from 1 to 1000000.');
  t.same(
    fieldsOf(() => reserve.parse(JSON.parse(`{"lines":[${JSON.stringify(line)}],"__proto__":{"x":1}}`))),
    ['__proto__'],
  );
});

const poisons: unknown[] = [
  -5,
  0,
  1.5,
  Number.NaN,
  Infinity,
  1e308,
  limits.max_quantity + 1,
  '1',
  '0x10',
  '',
  null,
  true,
  [],
  {},
  2 ** 53,
];
t.test('poisoned quantities', async (t) => {
  for (const quantity of poisons)
    t.same(
      fieldsOf(() => restock.parse({ quantity })),
      ['quantity'],
      String(quantity),
    );
});

const badIds = ['', ' ', 'a b', 'a:b', '{a}', 'a\0', 'ä', 'a/b', 'x'.repeat(129), '*', 'a\n', '%41'];
t.test('ids that could reach into a key or an address', async (t) => {
  for (const sku of badIds)
    t.same(
      fieldsOf(() => reserve.parse({ lines: [{ ...line, sku }] })),
      ['lines[0].sku'],
      JSON.stringify(sku),
    );
});

t.test('texts without what Postgres cannot keep', async (t) => {
  for (const reason of ['a\0b', 'a\u001fb', '\ud800', 'x\udc00', '', 'x'.repeat(201), 7]) {
    t.same(
      fieldsOf(() => restock.parse({ quantity: 1, reason })),
      ['reason'],
      JSON.stringify(reason),
    );
  }
  for (const reason of ['ok', 'Über – “quotes”', '😀', 'x'.repeat(200)]) t.ok(restock.parse({ quantity: 1, reason }));
  t.equal(checkText('reason', '😀'.repeat(50)), '😀'.repeat(50));
  t.throws(() => checkText('reason', '😀'.repeat(51)), { name: 'Problem', message: /at most 200 bytes/ });
});

t.test('times', async (t) => {
  for (const opensAt of [
    '2026-13-01T00:00:00Z',
    '2026-02-30T00:00:00',
    'now',
    5,
    '2026-01-01',
    '2026-01-01T25:00:00Z',
  ]) {
    t.same(
      fieldsOf(() => configure.parse({ opensAt })),
      ['opensAt'],
      String(opensAt),
    );
  }
});

t.test('limits of lists', async (t) => {
  const lines = (count: number) => Array.from({ length: count }, () => line);
  t.ok(reserve.parse({ lines: lines(limits.max_lines) }));
  t.same(
    fieldsOf(() => reserve.parse({ lines: lines(limits.max_lines + 1) })),
    ['lines'],
  );
  const query = validator(StockQueryBody);
  t.ok(query.parse({ items: Array.from({ length: 500 }, () => ['a', 'b']) }));
  t.same(
    fieldsOf(() => query.parse({ items: Array.from({ length: 501 }, () => ['a', 'b']) })),
    ['items'],
  );
  t.same(
    fieldsOf(() => query.parse({ items: [['a']] })),
    ['items[0]'],
  );
  t.same(
    fieldsOf(() => query.parse({ items: [['a', 'b', 'c']] })),
    ['items[0]'],
  );
  t.same(
    fieldsOf(() => validator(ImportBody).parse({ rows: [], reason: 'x', importId: 'i' })),
    ['rows'],
  );
});

t.test('at most twenty mistakes are listed', async (t) => {
  const lines = Array.from({ length: 50 }, () => ({ ...line, sku: '' }));
  t.equal(fieldsOf(() => reserve.parse({ lines })).length, 20);
});

t.test('any JSON is taken or refused, never more', async (t) => {
  const all = [reserve, restock, configure, validator(AdjustBody), validator(ImportBody)];
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...all), (value, schema) => {
      try {
        schema.parse(value);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

t.test('query strings', async (t) => {
  t.same(parseQuery('', ReadQuery), {});
  t.same(parseQuery('fresh=true', ReadQuery), { fresh: true });
  t.same(parseQuery('fresh', ReadQuery), { fresh: true });
  t.same(parseQuery('after=5-1&limit=10', PageQuery), { after: '5-1', limit: 10 });
  t.same(
    fieldsOf(() => parseQuery('frsh=1', ReadQuery)),
    ['frsh'],
  );
  t.same(
    fieldsOf(() => parseQuery('fresh=1&fresh=0', ReadQuery)),
    ['fresh'],
  );
  t.same(
    fieldsOf(() => parseQuery('__proto__=1', ReadQuery)),
    ['__proto__'],
  );
  t.same(
    fieldsOf(() => validator(PageQuery).parse(parseQuery('limit=1e3', PageQuery))),
    ['limit'],
  );
  t.same(
    fieldsOf(() => validator(PageQuery).parse(parseQuery('limit=1001', PageQuery))),
    ['limit'],
  );
  const many = validator(ReadManyQuery);
  for (const items of ['', 'a', 'a:b,', ':b', 'a:b:c', 'a:b,,c:d', 'a:b c']) {
    t.same(
      fieldsOf(() => many.parse(parseQuery(`items=${encodeURIComponent(items)}`, ReadManyQuery))),
      ['items'],
      items,
    );
  }
});

t.test('idempotency keys', async (t) => {
  t.equal(parseIdempotencyKey('"abc"'), parseIdempotencyKey('abc'));
  t.equal(parseIdempotencyKey('"a\\"b"'), 'a"b');
  for (const header of ['""', '"', 'a b', 'ä', 'x'.repeat(256), 'a\tb']) {
    if (header === '"') continue;
    t.throws(() => parseIdempotencyKey(header), { name: 'Problem', message: /visible ASCII/ }, header);
  }
  const scope = { sub: 'a', role: 'buyer', method: 'post', url: '/v1/reservations', key: 'k' };
  const hashes = [
    scope,
    { ...scope, sub: 'b' },
    { ...scope, role: 'service' },
    { ...scope, url: '/x' },
    { ...scope, key: 'l' },
  ].map(scopeHash);
  t.equal(new Set(hashes).size, hashes.length, 'every part of the scope counts');
});
