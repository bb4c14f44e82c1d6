/** Stock: every answer that reading and changing it can get. (S1–S8, S10, S12) */
import type { Test } from 'tap';
import { fresh } from '../support.js';
import { LOCATION, makeItem, makeReservation, must, type Scene } from './scene.js';

const admin = { as: 'admin' } as const;
const service = { as: 'service' } as const;

export async function stockPart(t: Test, { client }: Scene): Promise<void> {
  const at = (sku: string, rest = ''): string => `/v1/stock/${LOCATION}/${sku}${rest}`;

  await t.test('an item is made, filled, read', async (t) => {
    const sku = fresh('sku');
    t.match(await client.call('GET', at(sku)), { status: 404, code: 'sku_not_found' });
    t.equal((await client.call('GET', at(sku, '/movements'), admin)).code, 'sku_not_found');
    const made = await client.call('PUT', at(sku), {
      ...admin,
      body: { holdSeconds: 60, opensAt: '2026-01-01T00:00:00+01:00' },
    });
    t.match(made, {
      status: 201,
      body: { available: 0, settings: { holdSeconds: 60, opensAt: '2025-12-31T23:00:00.000Z' } },
    });
    const changed = await client.call('PUT', at(sku), { ...admin, body: { opensAt: null } });
    t.equal(changed.status, 200);
    t.same(changed.body.settings, { holdSeconds: 60 });
    t.match(await client.call('POST', at(sku, '/restock'), { ...admin, body: { quantity: 7, reason: 'delivery' } }), {
      status: 200,
      body: { available: 7, reserved: 0, sold: 0, ack: /replicated|executed/ },
    });
    const read = await client.call('GET', at(sku, '?fresh=true'));
    t.match(read.body, { location: LOCATION, sku, available: 7, reserved: 0, sold: 0, staleMs: 0 });
  });

  await t.test('many at once, in the order asked, unknown ones in their place', async (t) => {
    const [a, b] = [await makeItem(client, 1), await makeItem(client, 2)];
    const unknown = fresh('none');
    const items = [b, unknown, a, b];
    const got = await client.call('GET', `/v1/stock?items=${items.map((sku) => `${LOCATION}:${sku}`).join(',')}`);
    const posted = await client.call('POST', '/v1/stock/query', {
      body: { items: items.map((sku) => [LOCATION, sku]) },
    });
    for (const reply of [got, posted]) {
      t.equal(reply.status, 200);
      t.match(reply.body.items, [
        { available: 2 },
        { sku: unknown, code: 'sku_not_found' },
        { available: 1 },
        { available: 2 },
      ]);
    }
    const full = Array.from({ length: 500 }, () => [LOCATION, a]);
    t.equal((await client.call('POST', '/v1/stock/query', { body: { items: full } })).body.items.length, 500);
  });

  await t.test('restock: repeated, reused, too much', async (t) => {
    const sku = await makeItem(client, 0);
    const body = { quantity: 5, movementId: fresh('move') };
    t.equal((await client.call('POST', at(sku, '/restock'), { ...admin, body })).body.available, 5);
    t.equal(
      (await client.call('POST', at(sku, '/restock'), { ...admin, body })).body.available,
      5,
      'the same movement once',
    );
    t.match(await client.call('POST', at(sku, '/restock'), { ...admin, body: { ...body, quantity: 6 } }), {
      status: 409,
      code: 'id_conflict',
    });
    t.match(await client.call('POST', at(fresh('none'), '/restock'), { ...admin, body }), {
      status: 404,
      code: 'sku_not_found',
    });
    await must(client.call('POST', at(sku, '/adjust'), { ...admin, body: { countedTo: 1e12, reason: 'full' } }));
    t.match(await client.call('POST', at(sku, '/restock'), { ...admin, body: { quantity: 1 } }), {
      status: 409,
      code: 'stock_limit',
    });
    t.match(await client.call('POST', at(sku, '/adjust'), { ...admin, body: { by: 1, reason: 'x' } }), {
      status: 409,
      code: 'stock_limit',
    });
  });

  await t.test('adjust: by difference, by count, never below what is reserved', async (t) => {
    const sku = await makeItem(client, 5);
    await makeReservation(client, sku, { quantity: 3 });
    const adjust = (body: Record<string, unknown>) =>
      client.call('POST', at(sku, '/adjust'), { ...admin, body: { reason: 'count', ...body } });
    t.match((await adjust({ by: -1 })).body, { available: 1, reserved: 3 });
    t.match((await adjust({ countedTo: 10 })).body, { available: 7, reserved: 3 });
    const refused = await adjust({ countedTo: 2 });
    t.match(refused, { status: 409, code: 'insufficient_stock' });
    t.match(refused.body.errors, [{ location: LOCATION, sku, available: 7 }], 'it says what there is');
    const movementId = fresh('move');
    t.equal((await adjust({ by: 1, movementId })).status, 200);
    t.match(await adjust({ by: 2, movementId }), { status: 409, code: 'id_conflict' });
    for (const body of [{}, { by: 1, countedTo: 1 }, { by: 0 }])
      t.match(await adjust(body), { status: 400, code: 'invalid_request' });
    t.match(await client.call('POST', at(sku, '/adjust'), { ...admin, body: { by: 1 } }), {
      status: 400,
      body: { errors: [{ field: 'reason' }] },
    });
    t.match(await client.call('POST', at(fresh('none'), '/adjust'), { ...admin, body: { by: 1, reason: 'x' } }), {
      code: 'sku_not_found',
    });
  });

  await t.test('deduct: sold in one step, and every reason not to', async (t) => {
    const deduct = (sku: string, body: Record<string, unknown>, as: 'service' | `buyer:${string}` = 'service') =>
      client.call('POST', at(sku, '/deduct'), { as, body: { quantity: 1, orderId: fresh('order'), ...body } });
    const sku = await makeItem(client, 2);
    const orderId = fresh('order');
    t.match(await deduct(sku, { orderId }), { status: 200, body: { available: 1, sold: 1 } });
    t.match(await deduct(sku, { orderId }), { status: 200, body: { available: 1, sold: 1 } }, 'an order sells once');
    t.match(await deduct(sku, { orderId, quantity: 2 }), { status: 409, code: 'id_conflict' });
    const short = await deduct(sku, { quantity: 2 });
    t.match(short, { status: 409, code: 'insufficient_stock', body: { errors: [{ sku, available: 1 }] } });
    t.match(await deduct(fresh('none'), {}), { status: 404, code: 'sku_not_found' });

    const limited = await makeItem(client, 9, { buyerLimit: 2 });
    t.match(await deduct(limited, {}), { status: 400, code: 'invalid_request' }, 'a limit needs a buyer');
    t.equal((await deduct(limited, { quantity: 2 }, 'buyer:b-1')).status, 200);
    t.match(await deduct(limited, {}, 'buyer:b-1'), { status: 409, code: 'buyer_limit' });
    t.match(await deduct(limited, { buyerId: 'b-2' }, 'buyer:b-1'), { status: 403, code: 'forbidden' });

    const closed = await makeItem(client, 1, { opensAt: '2099-01-01T00:00:00Z' });
    t.match(await deduct(closed, {}), { status: 409, code: 'not_on_sale' });
    const guarded = await makeItem(client, 1, { room: 'drop-1' });
    t.match(await deduct(guarded, {}), { status: 403, code: 'admission_required' });
  });

  await t.test('the audit trail: who, why, before and after, page by page', async (t) => {
    const sku = await makeItem(client, 0);
    const change = {
      ...admin,
      body: { quantity: 3, reason: 'delivery 17', movementId: fresh('move'), ack: 'durable' },
    };
    t.match(await client.call('POST', at(sku, '/restock'), change), { status: 200, body: { ack: 'durable' } });
    const id = await makeReservation(client, sku, { quantity: 2, as: 'buyer:b-7' });
    const confirmed = await client.call('POST', `/v1/reservations/${id}/confirm`, {
      as: 'buyer:b-7',
      headers: { prefer: 'ack=durable' },
    });
    t.equal(confirmed.body.ack, 'durable', 'Prefer is heard');

    const trail = await client.call('GET', at(sku, '/movements'), admin);
    t.match(trail.body, { next: null });
    t.match(trail.body.items, [
      { kind: 'configured', actor: 'admin', settings: {} },
      {
        kind: 'restocked',
        id: change.body.movementId,
        quantity: 3,
        actor: 'admin',
        reason: 'delivery 17',
        before: { available: 0, reserved: 0, sold: 0 },
        after: { available: 3, reserved: 0, sold: 0 },
      },
      { kind: 'held', id, actor: 'b-7', before: { available: 3, reserved: 0 }, after: { available: 1, reserved: 2 } },
      { kind: 'confirmed', id, actor: 'b-7', before: { reserved: 2, sold: 0 }, after: { reserved: 0, sold: 2 } },
    ]);
    const paged: unknown[] = [];
    let after: string | null = '';
    while (after !== null) {
      const page = await client.call(
        'GET',
        at(sku, `/movements?limit=3${after === '' ? '' : `&after=${after}`}`),
        admin,
      );
      paged.push(...page.body.items);
      after = page.body.next as string | null;
      if (paged.length > 10) break;
    }
    t.same(paged, trail.body.items, 'pages give the same');
    t.match(await client.call('GET', at(sku, '/movements?after=x'), admin), { status: 400 });
  });

  await t.test('import: created, adjusted, unchanged, rejected; export gives it back', async (t) => {
    const importId = fresh('import');
    const known = await makeItem(client, 4);
    const held = await makeItem(client, 4);
    await makeReservation(client, held, { quantity: 3 });
    const [fresh1, fresh2] = [fresh('file'), fresh('file')];
    const attributes = { Title: 'Shirt, "blue"', 'Option1 Value': 'XL' };
    const rows = [
      { line: 2, location: LOCATION, sku: fresh1, countedTo: 10, attributes, settings: { lowStock: 2 } },
      { line: 3, location: LOCATION, sku: known, countedTo: 6 },
      { line: 4, location: LOCATION, sku: known, countedTo: 6 },
      { line: 5, location: LOCATION, sku: held, countedTo: 2 },
      { line: 6, location: LOCATION, sku: 'a b', countedTo: 2 },
      { line: 7, location: LOCATION, sku: fresh('x'), countedTo: -1 },
      { line: 8, location: LOCATION, sku: fresh2, countedTo: 1, attributes: { big: 'x'.repeat(5000) } },
      'not a row',
    ];
    const body = { rows, reason: 'stocktaking', importId };
    const first = await client.call('POST', '/v1/stock/import', { ...admin, body });
    t.equal(first.status, 200);
    t.match(first.body.results, [
      { line: 2, sku: fresh1, status: 'created', available: 10 },
      { line: 3, sku: known, status: 'adjusted', available: 6 },
      { line: 4, status: 'unchanged', available: 6 },
      { line: 5, status: 'rejected', code: 'insufficient_stock', available: 1 },
      { line: 6, status: 'rejected', code: 'invalid_request' },
      { line: 7, status: 'rejected', code: 'invalid_request', detail: /countedTo/ },
      { line: 8, status: 'rejected', code: 'invalid_request', detail: /attributes/ },
      { status: 'rejected', code: 'invalid_request' },
    ]);
    await must(
      client.call('POST', at(known, '/deduct'), { ...service, body: { quantity: 1, orderId: fresh('order') } }),
    );
    const again = await client.call('POST', '/v1/stock/import', { ...admin, body });
    t.match(again.body.results[1], { status: 'unchanged' }, 'the same import again changes nothing');
    t.equal((await client.call('GET', at(known))).body.available, 5);

    await must(client.call('POST', at(known, '/restock'), { ...admin, body: { quantity: 1, ack: 'durable' } }));
    await must(client.call('POST', at(fresh1, '/restock'), { ...admin, body: { quantity: 1, ack: 'durable' } }));
    const exported: { sku: string }[] = [];
    for (let after: string | null = ''; after !== null;) {
      const page = await client.call('GET', `/v1/stock/export?limit=7${after === '' ? '' : `&after=${after}`}`, admin);
      exported.push(...page.body.items);
      after = page.body.next as string | null;
    }
    t.match(
      exported.find(({ sku }) => sku === fresh1),
      { available: 11, attributes },
    );
    t.match(
      exported.find(({ sku }) => sku === known),
      { available: 6, sold: 1, attributes: {} },
    );
    const order = exported.map((item) => `${LOCATION}:${item.sku}`);
    t.same(order, [...order].sort(), 'in order, nothing twice');
    t.equal(new Set(order).size, order.length);
  });
}
