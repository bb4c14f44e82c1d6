/** Reservations: the life of a hold, whose it is, and every refusal. (S3, S5, S6, S8, S9) */
import type { Test } from 'tap';
import { fresh, type CallOptions, type Reply } from '../support.js';
import { LOCATION, makeItem, makeReservation, must, type Scene } from './scene.js';

export async function reservationsPart(t: Test, { client }: Scene): Promise<void> {
  const reserve = (
    lines: [sku: string, quantity: number][],
    extra: Record<string, unknown> = {},
    as: CallOptions['as'] = 'service',
  ) =>
    client.call('POST', '/v1/reservations', {
      as,
      body: { lines: lines.map(([sku, quantity]) => ({ location: LOCATION, sku, quantity })), ...extra },
    });
  const act = (id: string, what: string, body?: unknown, as: CallOptions['as'] = 'service') =>
    client.call('POST', `/v1/reservations/${id}/${what}`, { as, body });
  const look = (id: string, as: CallOptions['as'] = 'service') => client.call('GET', `/v1/reservations/${id}`, { as });
  const counts = async (sku: string): Promise<number[]> => {
    const { available, reserved, sold } = (await client.call('GET', `/v1/stock/${LOCATION}/${sku}?fresh=true`)).body;
    return [available, reserved, sold];
  };
  const until = async (id: string, status: string): Promise<Reply> => {
    for (let tries = 0; tries < 100; tries += 1) {
      const reply = await look(id);
      if (reply.body.status === status) return reply;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${id} did not become ${status}`);
  };

  await t.test('held, looked at, confirmed, confirmed again, returned', async (t) => {
    const sku = await makeItem(client, 5);
    const held = await reserve(
      [
        [sku, 2],
        [sku, 1],
      ],
      { holdSeconds: 120 },
      'buyer:b-1',
    );
    t.match(held, { status: 201, body: { status: 'held', buyerId: 'b-1', ack: /executed|replicated/ } });
    t.match(held.body.lines, [{ location: LOCATION, sku, quantity: 3, returned: 0 }], 'duplicate lines are summed');
    t.equal(held.headers.get('location'), `/v1/reservations/${held.body.reservationId}`);
    t.ok(held.body.expiresInSeconds <= 120 && held.body.expiresInSeconds >= 118);
    const id = held.body.reservationId as string;
    t.match(await look(id, 'buyer:b-1'), { status: 200, body: { reservationId: id, status: 'held' } });
    t.same(await counts(sku), [2, 3, 0]);
    t.match(await act(id, 'return', {}), { status: 409, code: 'reservation_held' });
    for (let time = 0; time < 2; time += 1) {
      t.match(await act(id, 'confirm', undefined, 'buyer:b-1'), {
        status: 200,
        body: { status: 'confirmed', expiresInSeconds: 0 },
      });
    }
    t.same(await counts(sku), [2, 0, 3]);
    t.match(await act(id, 'release'), { status: 409, code: 'reservation_confirmed' });
    t.match(await act(id, 'extend', { holdSeconds: 60 }), { status: 409, code: 'reservation_confirmed' });
    const lines = [{ location: LOCATION, sku, quantity: 1 }];
    for (let time = 0; time < 2; time += 1) {
      t.match((await act(id, 'return', { lines })).body, { status: 'confirmed', lines: [{ returned: 1 }] });
    }
    t.same(await counts(sku), [3, 0, 2], 'the same return twice is one');
    t.match(await act(id, 'return', { lines: [{ ...lines[0], quantity: 4 }] }), {
      status: 409,
      code: 'return_exceeds_sold',
    });
    t.match((await act(id, 'return')).body, { status: 'returned', lines: [{ returned: 3 }] });
    t.same(await counts(sku), [5, 0, 0]);
    t.match(await act(id, 'confirm'), { status: 409, code: 'reservation_returned' });
    t.match(await act(id, 'release'), { status: 409, code: 'reservation_returned' });
    t.match(await act(id, 'extend', { holdSeconds: 60 }), { status: 409, code: 'reservation_returned' });
  });

  await t.test('released: twice is harmless, then it is over', async (t) => {
    const sku = await makeItem(client, 1);
    const id = await makeReservation(client, sku);
    for (let time = 0; time < 2; time += 1)
      t.match(await act(id, 'release'), { status: 200, body: { status: 'released' } });
    t.same(await counts(sku), [1, 0, 0]);
    for (const [what, body] of [['confirm'], ['extend', { holdSeconds: 9 }], ['return', {}]] as const) {
      t.match(await act(id, what, body), { status: 409, code: 'reservation_released' }, what);
    }
  });

  await t.test('extended: later, never nearer', async (t) => {
    const sku = await makeItem(client, 1);
    const id = await makeReservation(client, sku, { holdSeconds: 100 });
    const before = await look(id);
    t.equal((await act(id, 'extend', { holdSeconds: 10 })).body.expiresAt, before.body.expiresAt);
    const after = await act(id, 'extend', { holdSeconds: 1000 });
    t.ok(after.body.expiresInSeconds > 990);
  });

  await t.test('expired: gone at the deadline, back on sale, never confirmed', async (t) => {
    const sku = await makeItem(client, 1);
    const id = await makeReservation(client, sku, { holdSeconds: 1 });
    await until(id, 'expired');
    for (const [what, body] of [['confirm'], ['extend', { holdSeconds: 9 }], ['return', {}]] as const) {
      t.match(await act(id, what, body), { status: 410, code: 'hold_expired' }, what);
    }
    t.match(await reserve([[sku, 1]]), { status: 201 }, 'it never blocks a sale');
  });

  await t.test('over several partitions: all or nothing', async (t) => {
    const skus = await Promise.all(Array.from({ length: 6 }, () => makeItem(client, 2)));
    const id = fresh('order');
    const lines = skus.map((sku): [string, number] => [sku, 1]);
    t.match(await reserve(lines, { reservationId: id }), { status: 201, body: { reservationId: id } });
    t.match(await reserve(lines, { reservationId: id }), { status: 201, body: { status: 'held' } }, 'the same again');
    t.match(await reserve(lines.slice(1), { reservationId: id }), { status: 409, code: 'id_conflict' });
    const last = skus.at(-1) ?? '';
    const short = await reserve([...lines.slice(0, -1), [last, 2]]);
    t.match(short, { status: 409, code: 'insufficient_stock' });
    t.match(short.body.errors, [{ line: 5, sku: last, available: 1 }], 'it says which line, and what is left');
    for (const sku of skus) t.same(await counts(sku), [1, 1, 0], 'nothing of it stays');
    t.match(await act(id, 'confirm'), { status: 200 });
    for (const sku of skus) t.same(await counts(sku), [1, 0, 1]);
    t.match((await act(id, 'return', {})).body, { status: 'returned' });
  });

  await t.test('reasons not to hold', async (t) => {
    const sku = await makeItem(client, 1);
    const none = fresh('none');
    t.match(
      await reserve([
        [sku, 1],
        [none, 1],
      ]),
      { status: 404, code: 'sku_not_found', body: { errors: [{ line: 1, sku: none }] } },
    );
    t.match(await reserve([[sku, 2]]), {
      status: 409,
      code: 'insufficient_stock',
      body: { errors: [{ line: 0, sku, available: 1 }] },
    });
    const limited = await makeItem(client, 9, { buyerLimit: 2 });
    t.match(await reserve([[limited, 1]]), { status: 400, code: 'invalid_request' }, 'a limit needs a buyer');
    t.match(await reserve([[limited, 3]], { buyerId: 'b-1' }), {
      status: 409,
      code: 'buyer_limit',
      body: { errors: [{ available: 2 }] },
    });
    const closed = await makeItem(client, 1, { closesAt: '2020-01-01T00:00:00Z' });
    t.match(await reserve([[closed, 1]]), { status: 409, code: 'not_on_sale' });
    const guarded = await makeItem(client, 1, { room: 'drop-1' });
    t.match(await reserve([[guarded, 1]]), { status: 403, code: 'admission_required' });
    const id = fresh('mine');
    t.match(await reserve([[sku, 1]], { reservationId: id }), { status: 201 });
    t.match(await reserve([[sku, 1]], { reservationId: id, buyerId: 'x' }), { status: 409, code: 'id_conflict' });
  });

  await t.test('others’ reservations do not exist for a buyer', async (t) => {
    const sku = await makeItem(client, 3);
    const id = await makeReservation(client, sku, { as: 'buyer:b-1' });
    for (const [what, body] of [['confirm'], ['release'], ['extend', { holdSeconds: 9 }], ['return', {}]] as const) {
      const others = await act(id, what, body, 'buyer:b-2');
      const none = await act(fresh('none'), what, body, 'buyer:b-2');
      t.match(others, { status: 404, code: 'reservation_not_found' }, what);
      t.same({ ...others.body, requestId: '' }, { ...none.body, requestId: '' }, 'word for word the same');
    }
    t.match(await look(id, 'buyer:b-2'), { status: 404, code: 'reservation_not_found' });
    t.match(await look(fresh('none'), 'admin'), { status: 404, code: 'reservation_not_found' });
    t.match(await look(id, 'admin'), { status: 200, body: { status: 'held' } }, 'nothing happened to it');
    t.match(await reserve([[sku, 1]], { buyerId: 'b-2' }, 'buyer:b-1'), { status: 403, code: 'forbidden' });
    const forBuyer = await must(reserve([[sku, 1]], { buyerId: 'b-3' }, 'service'));
    t.match(
      await look(forBuyer.body.reservationId as string, 'buyer:b-3'),
      { status: 200 },
      'a service acts for a buyer',
    );
  });

  await t.test('durable: the answer names the ack that was reached', async (t) => {
    const sku = await makeItem(client, 3);
    t.match(await reserve([[sku, 1]], { ack: 'durable' }), { status: 201, body: { ack: 'durable' } });
    t.match(await reserve([[sku, 1]], { ack: 'executed' }), { status: 201 });
  });
}
