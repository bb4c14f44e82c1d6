import t from 'tap';
import { runDemo } from '../../cli/demo/index.js';
import { startStack } from '../harness/index.js';

const SIZE = { buyers: 600, units: 60, orders: 150 };

t.test('the demo sale sells exactly what there is, and everything adds up', async (t) => {
  const stack = await startStack({ workers: 2 });
  const demo = () => runDemo({ url: stack.url, env: stack.env, options: SIZE });

  await t.test('on an empty stack', async (t) => {
    const { ok, checks, sale, verify } = await demo();
    for (const { name, ok, detail } of checks) t.ok(ok, `${name}: ${detail}`);
    t.ok(ok);
    t.ok(verify.ok);
    t.ok(verify.counted.items > 5_000, 'the whole catalogue is there');
    const { hot, tail, figures } = sale;
    t.equal(hot.fates.of('bought'), SIZE.units);
    t.equal(hot.fates.total, SIZE.buyers);
    const others = hot.fates.of('released') + hot.fates.of('expired');
    t.equal(hot.fates.of('refused'), SIZE.buyers - SIZE.units - others);
    t.ok(hot.refusals.of('insufficient_stock') >= hot.fates.of('refused'), 'nobody was refused without an answer');
    t.ok(hot.lapsed.length > 0 && hot.fates.of('released') > 0, 'units came back both ways and were sold again');
    t.equal(tail.outcomes.total, SIZE.orders);
    t.ok(tail.several > 0 && tail.locations > 0);
    t.same(figures.errors.entries(), []);
    const found = await fetch(`${stack.url}/v1/stock/Rotterdam_Zuid/DROP-001?fresh=true`);
    t.match(await found.json(), { available: 0, reserved: 0, sold: SIZE.units });
  });

  await t.test('and again on what it left', async (t) => {
    const { ok, checks, sale } = await demo();
    for (const { name, ok, detail } of checks) t.ok(ok, `${name}: ${detail}`);
    t.ok(ok);
    t.equal(sale.hotBefore.sold, SIZE.units);
    t.equal(sale.watch.level.sold, 2 * SIZE.units);
  });
});

t.test('sums that do not come out are said', async (t) => {
  const stack = await startStack({ workers: 2 });
  const authorization = await stack.authorization('admin');
  // Somebody else's unit in the middle of the sale: the counts then do not agree with what the buyers were told.
  let stolen = false;
  const thief = setInterval(() => {
    if (stolen) return;
    void fetch(`${stack.url}/v1/stock/Rotterdam_Zuid/DROP-001/deduct`, {
      method: 'POST',
      headers: { ...authorization, 'content-type': 'application/json', 'idempotency-key': 'thief' },
      body: JSON.stringify({ quantity: 1, orderId: 'thief' }),
    }).then(
      ({ status }) => (stolen ||= status === 200),
      () => undefined,
    );
  }, 20);
  try {
    const { ok, checks } = await runDemo({ url: stack.url, env: stack.env, options: SIZE });
    t.ok(stolen);
    t.notOk(ok);
    t.notOk(checks.find(({ name }) => name === `exactly ${SIZE.units} sold`)!.ok);
    t.ok(checks.find(({ name }) => name === 'Redis and Postgres agree')!.ok);
  } finally {
    clearInterval(thief);
  }
});

t.test('sizes it does not do are refused before anything happens', async (t) => {
  const context = { url: 'http://127.0.0.1:1', env: {} };
  await t.rejects(runDemo({ ...context, options: { buyers: 100, units: 50 } }), /at least 5 buyers a unit/);
  await t.rejects(runDemo({ ...context, options: { units: 0 } }), /10 to 20000 units, not 0/);
  await t.rejects(runDemo({ ...context, options: { buyers: 1e9 } }), RangeError);
});
