import t from 'tap';
import { runDemo } from '../../cli/demo/index.js';
import { startStack } from '../harness/index.js';

const SIZE = { buyers: 600, units: 60, orders: 150 };

t.test('the demo sale sells exactly what there is, and everything adds up', async (t) => {
  const stack = await startStack({ workers: 2 });
  const demo = () => runDemo({ url: stack.url, env: stack.env, options: SIZE });
  const item = `${stack.url}/v1/stock/Rotterdam_Zuid/DROP-001`;
  const level = async () =>
    (await (await fetch(`${item}?fresh=true`)).json()) as { available: number; reserved: number; sold: number };
  /** Resolves when buyers have got something. */
  const begun = async () => {
    const before = await level();
    for (let now = before; now.reserved === 0 && now.sold === before.sold; now = await level())
      await new Promise((resolve) => setTimeout(resolve, 20));
  };

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
    t.equal(tail.outcomes.total, SIZE.orders);
    t.ok(tail.several > 0 && tail.locations > 0);
    for (const outcome of ['confirmed', 'released', 'expired', 'returned', 'refused'])
      t.ok(tail.outcomes.of(outcome) > 0, `some orders were ${outcome}`);
    t.same(figures.errors.entries(), []);
    t.match(await level(), { available: 0, reserved: 0, sold: SIZE.units });
  });

  await t.test('and again on what it left', async (t) => {
    const { ok, checks, sale } = await demo();
    for (const { name, ok, detail } of checks) t.ok(ok, `${name}: ${detail}`);
    t.ok(ok);
    t.equal(sale.hotBefore.sold, SIZE.units);
    t.equal(sale.watch.level.sold, 2 * SIZE.units);
  });

  await t.test('a server and a worker killed in the middle of it cost nobody an answer and no unit', async (t) => {
    const kill = async () => {
      await begun();
      for (const app of [stack.servers[0]!, stack.workers[0]!]) {
        app.kill('SIGKILL');
        await app.exited;
      }
      await stack.startApps();
    };
    const [{ ok, checks, sale }] = await Promise.all([demo(), kill()]);
    for (const { name, ok, detail } of checks) t.ok(ok, `${name}: ${detail}`);
    t.ok(ok);
    t.ok(sale.figures.repeated.total > 0, 'requests were made again');
    t.equal(sale.hot.fates.of('bought'), SIZE.units);
  });

  await t.test('sums that do not come out are said', async (t) => {
    const headers = { ...(await stack.authorization('admin')), 'content-type': 'application/json' };
    // Somebody finds one more unit in the middle of the sale: more are then sold, or left, than there were.
    const meddle = async () => {
      await begun();
      return fetch(`${item}/restock`, { method: 'POST', headers, body: '{"quantity":1}' });
    };
    const [{ ok, checks }, restock] = await Promise.all([demo(), meddle()]);
    t.equal(restock.status, 200);
    t.notOk(ok);
    t.notOk(checks.find(({ name }) => name === `exactly ${SIZE.units} sold`)!.ok);
    t.ok(checks.find(({ name }) => name === 'Redis and Postgres agree')!.ok);
  });
});

t.test('sizes it does not do are refused before anything happens', async (t) => {
  const context = { url: 'http://127.0.0.1:1', env: {} };
  await t.rejects(runDemo({ ...context, options: { buyers: 100, units: 50 } }), /at least 5 buyers a unit/);
  await t.rejects(runDemo({ ...context, options: { units: 0 } }), /10 to 20000 units, not 0/);
  await t.rejects(runDemo({ ...context, options: { buyers: 1e9 } }), RangeError);
});
