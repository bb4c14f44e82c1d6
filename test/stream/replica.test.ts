/** Subscriptions: counts first, then changes; the newest after any break; how old they may be is known. */
import t from 'tap';
import { codeOf, LOCATION, startScene, until } from './support.js';

const scene = await startScene({ subscriptions: 50, items: 100, itemsPerRequest: 20 });
const { engine } = scene;
const item = (sku: string) => ({ location: LOCATION, sku });
const sell = (sku: string, quantity: number) =>
  engine.stock.deduct(item(sku), { quantity, orderId: engine.newReservationId(item(sku)) });

await t.test('the counts come first, then every change, newest last', async (t) => {
  const client = await scene.client();
  const { replica } = client;
  const sku = await scene.item(100);
  t.equal(replica.get(LOCATION, sku), undefined);
  const seen: number[] = [];
  replica.onChange((changed) => seen.push(changed.version));
  await client.subscribe([item(sku)]);
  const live = replica.get(LOCATION, sku)!;
  t.match({ ...live }, { available: 100, reserved: 0, sold: 0, exists: true });
  for (let turn = 0; turn < 30; turn++) await sell(sku, 1);
  await until(() => live.available === 70, 'the last change came');
  t.equal(replica.get(LOCATION, sku), live, 'the object stays the same');
  t.equal(live.sold, 30);
  t.same(
    seen,
    [...seen].sort((a, b) => a - b),
    'never an older count after a newer one',
  );
  await until(() => replica.staleMs(live) < 1_000, 'its age is known');
  t.equal(replica.fresh(LOCATION, sku, 60_000), live);
  t.equal(replica.fresh(LOCATION, sku, -1), undefined, 'too old is nothing');
});

await t.test('items that do not exist yet are told when they do', async (t) => {
  const client = await scene.client();
  const sku = `later-${Math.random().toString(36).slice(2)}`;
  await client.subscribe([item(sku)]);
  t.notOk(client.replica.get(LOCATION, sku)!.exists);
  await engine.stock.configure(item(sku), {});
  await engine.stock.restock(item(sku), { quantity: 7 });
  await until(() => client.replica.get(LOCATION, sku)!.available === 7, 'it exists');
  t.ok(client.replica.get(LOCATION, sku)!.exists);
});

await t.test('unsubscribed is no longer told; a subscription of two ends with the second', async (t) => {
  const client = await scene.client();
  const [one, two] = [await scene.item(5), await scene.item(5)];
  await client.subscribe([item(one), item(two)]);
  await client.subscribe([item(one)]);
  await client.unsubscribe([item(one), item(two)]);
  t.ok(client.replica.get(LOCATION, one), 'still wanted once');
  t.equal(client.replica.get(LOCATION, two), undefined);
  await sell(one, 1);
  await sell(two, 1);
  await until(() => client.replica.get(LOCATION, one)!.available === 4, 'the one that is left is told');
});

await t.test('bounds: subscriptions of a connection', async (t) => {
  const client = await scene.client();
  const skus = Array.from({ length: 51 }, (_, index) => item(`bound-${index}`));
  await client.subscribe(skus.slice(0, 50));
  t.equal(client.replica.size, 50, 'in several requests, each within its bound');
  t.equal(await codeOf(client.subscribe(skus.slice(50))), 'invalid_request');
  t.equal(client.replica.size, 50);
});

await t.test('past the bound of declared items calls go by their refs', async (t) => {
  const client = await scene.client();
  const sku = await scene.item(3);
  const many = Array.from({ length: 120 }, (_, index) => item(`declared-${index}`));
  for (let from = 0; from < many.length; from += 20) await client.stock(many.slice(from, from + 20));
  const { reservationId } = await client.reserve({ lines: [{ ...item(sku), quantity: 2 }] });
  t.equal((await client.find(reservationId)).status, 'held');
  t.equal((await client.stock([item(sku)], { fresh: true })).items[0]?.available, 1);
});
