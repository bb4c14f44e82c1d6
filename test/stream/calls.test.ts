/** Every operation over the stream, against a real server and cluster: answers, refusals, who may do what. */
import t from 'tap';
import { codeOf, LOCATION, startScene, token } from './support.js';

const scene = await startScene();
const service = await scene.client();
const line = (sku: string, quantity = 1) => ({ location: LOCATION, sku, quantity });

await t.test('the life of a reservation', async (t) => {
  const sku = await scene.item(5);
  const held = await service.reserve(
    { lines: [line(sku, 2)], buyerId: 'anna', holdSeconds: 60 },
    { ack: 'replicated' },
  );
  t.equal(held.status, 'held');
  t.equal(held.ack, 'replicated');
  t.notOk(held.repeated);
  t.ok(held.expiresInMs > 50_000 && held.expiresInMs <= 60_000, String(held.expiresInMs));
  const id = held.reservationId;
  t.ok(
    (await service.reserve({ reservationId: id, lines: [line(sku, 2)], buyerId: 'anna', holdSeconds: 60 })).repeated,
  );
  t.match(await service.find(id), {
    status: 'held',
    buyerId: 'anna',
    lines: [{ location: LOCATION, sku, quantity: 2, returned: 0 }],
  });
  t.ok((await service.extend(id, 600)).expiresInMs > 500_000);
  t.equal((await service.confirm(id)).status, 'confirmed');
  t.ok((await service.confirm(id)).repeated);
  t.equal(await codeOf(service.release(id)), 'reservation_confirmed');
  t.equal((await service.return(id)).status, 'returned');
  const other = await service.reserve({ lines: [line(sku)] });
  t.equal((await service.release(other.reservationId)).status, 'released');
  t.match((await service.stock([line(sku)], { fresh: true })).items[0], { available: 5, reserved: 0, sold: 0 });
});

await t.test('several lines over several partitions; a part of a sale comes back', async (t) => {
  const skus = await Promise.all(Array.from({ length: 6 }, () => scene.item(4)));
  const { reservationId } = await service.reserve({ lines: skus.map((sku) => line(sku, 3)) });
  await service.confirm(reservationId);
  await service.return(reservationId, [{ location: LOCATION, sku: skus[0]!, quantity: 1 }]);
  const found = await service.find(reservationId);
  t.equal(found.lines.length, 6);
  t.equal(found.lines.find(({ sku }) => sku === skus[0])?.returned, 1);
  const refused = await service.reserve({ lines: [line(skus[0]!), line(skus[1]!, 2)] }).catch((e: unknown) => e);
  t.match(refused, { code: 'insufficient_stock', available: 1, line: 1 });
});

await t.test('deduct and query', async (t) => {
  const sku = await scene.item(3);
  const sold = await service.deduct(line(sku), { quantity: 2, orderId: `o-${sku}` });
  t.match(sold, { location: LOCATION, sku, available: 1, sold: 2 });
  t.equal(await codeOf(service.deduct(line(sku), { quantity: 2, orderId: `p-${sku}` })), 'insufficient_stock');
  t.equal(await codeOf(service.deduct(line(sku), { quantity: 1, orderId: `o-${sku}` })), 'id_conflict');
  const answer = await service.stock([line(sku), line('unknown'), line(sku)], { fresh: true });
  t.match(answer.items, [{ available: 1 }, undefined, { available: 1 }]);
  t.equal(answer.staleMs, 0);
});

await t.test('refusals carry the codes of HTTP', async (t) => {
  const sku = await scene.item(1);
  const refused = await service.reserve({ lines: [line(sku, 2)] }).catch((error: unknown) => error);
  t.match(refused, { code: 'insufficient_stock', available: 1, line: 0 });
  t.equal(await codeOf(service.reserve({ lines: [line('unknown')] })), 'sku_not_found');
  t.equal(await codeOf(service.confirm('nothing')), 'reservation_not_found');
  t.equal(await codeOf(service.find('nothing')), 'reservation_not_found');
  for (const quantity of [0, -5, 1.5, NaN, 1e308, 2 ** 60, '1' as unknown as number])
    t.equal(await codeOf(service.reserve({ lines: [line(sku, quantity)] })), 'invalid_request', String(quantity));
  t.equal(await codeOf(service.reserve({ lines: [line('a b')] })), 'invalid_request');
  t.equal(await codeOf(service.reserve({ lines: [] })), 'invalid_request');
  t.equal(await codeOf(service.reserve({ lines: [line(sku)], holdSeconds: -1 })), 'invalid_request');
  t.equal(await codeOf(service.reserve({ lines: [line(sku)], buyerId: '{x}' })), 'invalid_request');
  t.match((await service.stock([line(sku)], { fresh: true })).items[0], { available: 1, reserved: 0, version: 2 });
});

await t.test('roles and owners are as over HTTP', async (t) => {
  const sku = await scene.item(10);
  const anna = await scene.client({ token: await token('buyer', 'anna') });
  const bert = await scene.client({ token: await token('buyer', 'bert') });
  const { reservationId } = await anna.reserve({ lines: [line(sku)] });
  t.equal((await service.find(reservationId)).buyerId, 'anna', 'a buyer acts as its own sub');
  t.equal(await codeOf(anna.reserve({ lines: [line(sku)], buyerId: 'bert' })), 'forbidden');
  for (const call of [
    bert.find(reservationId),
    bert.confirm(reservationId),
    bert.release(reservationId),
    bert.extend(reservationId, 60),
    bert.return(reservationId),
  ])
    t.equal(await codeOf(call), 'reservation_not_found', 'it does not exist for others');
  t.equal((await anna.confirm(reservationId)).status, 'confirmed');
  const nobody = await scene.client({ token: undefined });
  t.equal(await codeOf(nobody.reserve({ lines: [line(sku)] })), 'unauthenticated');
  t.equal((await nobody.stock([line(sku)])).items[0]?.available, 9, 'reading is public');
});

await t.test('10,000 in flight, each answered once', async (t) => {
  const sku = await scene.item(4_000);
  const outcomes = new Map<string, number>();
  const calls = Array.from({ length: 10_000 }, async () => {
    const code = await codeOf(service.reserve({ lines: [line(sku)] }, { timeoutMs: 60_000 }));
    outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
  });
  t.equal(service.inFlight, 10_000);
  t.equal(await codeOf(service.confirm('one-more')), 'overloaded', 'the client bounds itself');
  await Promise.all(calls);
  t.same(Object.fromEntries(outcomes), { done: 4_000, insufficient_stock: 6_000 });
  t.match((await service.stock([line(sku)], { fresh: true })).items[0], { available: 0, reserved: 4_000 });
});
