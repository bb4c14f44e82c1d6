/** Reads from memory and reads that took the careful way are the same answer, byte for byte but for its age. (S2, S10) */
import t from 'tap';
import { pack, unpack } from 'msgpackr';
import { packMessage } from '../../server/http/msgpack.js';
import { LOCATION, makeItem, must } from './parts/scene.js';
import { Client, fresh, startSystem, type Reply } from './support.js';
import { until } from '../support/core.js';

const stack = await startSystem({ servers: 1 });
const client = await new Client(stack.url, stack.jwtSecret).load();
const PACKED = { accept: 'application/msgpack' };

const aged = (reply: Reply): unknown => {
  const strip = ({ staleMs, ...rest }: Record<string, unknown>) => {
    if (rest.code === undefined && !(Number.isInteger(staleMs) && Number(staleMs) >= 0 && Number(staleMs) <= 1_001))
      throw new Error(`staleMs is ${String(staleMs)}`);
    return rest;
  };
  return reply.body.items ? reply.body.items.map(strip) : strip(reply.body);
};
const hits = async (): Promise<number> =>
  Number(/^holdfast_cache_hits_total (\d+)/m.exec((await client.call('GET', '/metrics')).bytes.toString())![1]);

// Counts of every width that MessagePack has.
const skus = await Promise.all(
  [0, 1, 200, 70_000, 5_000_000_000].map(async (countedTo) => {
    const sku = await makeItem(client, 0);
    const body = { countedTo, reason: 'count' };
    if (countedTo > 0) await must(client.call('POST', `/v1/stock/${LOCATION}/${sku}/adjust`, { as: 'admin', body }));
    return sku;
  }),
);
const unknown = fresh('none');
const list = [...skus, unknown, skus[1]!];

/** The same request until all of it comes from memory. */
async function fromMemory(path: string, options: Parameters<Client['call']>[2], method = 'GET'): Promise<Reply> {
  let reply!: Reply;
  await until(`${method} ${path} from memory`, async () => {
    const before = await hits();
    reply = await client.call(method, path, options);
    return (await hits()) - before >= (reply.body.items?.length ?? 1);
  });
  return reply;
}

t.test('one item', async (t) => {
  for (const sku of skus) {
    const path = `/v1/stock/${LOCATION}/${sku}`;
    const careful = await client.call('GET', `${path}?fresh=true`);
    t.equal(careful.body.staleMs, 0);
    const quick = await fromMemory(path, {});
    t.same(aged(quick), aged(careful));
    t.same(Object.keys(quick.body), Object.keys(careful.body), 'in the same order');
    const packed = await fromMemory(path, { headers: PACKED });
    t.match(packed.headers.get('content-type'), /msgpack/);
    t.same(aged(packed), aged(careful));
    t.same(packed.bytes, packMessage(unpack(packed.bytes)), 'as the careful way would have encoded it');
    for (const name of ['x-request-id', 'x-response-time', 'cache-control', 'vary', 'x-content-type-options'])
      t.ok(quick.headers.get(name), name);
    t.same([...quick.headers.keys()].sort(), [...careful.headers.keys()].sort(), 'the same headers');
  }
  const headers = { 'x-request-id': 'mine-1' };
  t.equal(
    (await client.call('GET', `/v1/stock/${LOCATION}/${skus[0]}`, { headers })).headers.get('x-request-id'),
    'mine-1',
  );
  t.match(await client.call('GET', `/v1/stock/${LOCATION}/${unknown}`), { status: 404, code: 'sku_not_found' });
  t.equal((await fetch(`${stack.url}/v1/stock/${LOCATION}/${skus[0]}`, { method: 'HEAD' })).status, 200);
  t.match(await client.call('GET', `/v1/stock/${LOCATION}/${skus[0]}?frehs=1`), { status: 400 });
});

t.test('many items, by address and by body, in JSON and in MessagePack', async (t) => {
  const query = { items: list.map((sku) => [LOCATION, sku]) };
  const careful = await client.call('POST', '/v1/stock/query?fresh=true', { body: query });
  t.equal(careful.body.items.length, list.length);
  t.match(careful.body.items[5], { sku: unknown, code: 'sku_not_found' });
  const path = `/v1/stock?items=${list.map((sku) => `${LOCATION}:${sku}`).join(',')}`;
  const types = { 'content-type': 'application/msgpack', ...PACKED };
  const spaced = { 'content-type': 'application/json' };
  const ways: [string, string, Parameters<Client['call']>[2]][] = [
    ['GET', path, {}],
    ['GET', path, { headers: PACKED }],
    ['GET', path, { headers: { 'accept-encoding': 'identity' } }],
    ['POST', '/v1/stock/query', { body: query }],
    ['POST', '/v1/stock/query', { raw: JSON.stringify(query, null, 2), headers: spaced }],
    ['POST', '/v1/stock/query', { raw: packMessage(query), headers: types }],
    ['POST', '/v1/stock/query', { raw: pack(query), headers: types }],
  ];
  for (const [method, to, options] of ways) {
    const reply = await fromMemory(to, options, method);
    t.equal(reply.status, 200);
    t.same(aged(reply), aged(careful), `${method} ${JSON.stringify(options)}`.slice(0, 60));
    t.same(aged(await fromMemory(to, options, method)), aged(careful), 'remembered');
  }
});

t.test('a list that is remembered shows what has changed', async (t) => {
  const path = `/v1/stock?items=${LOCATION}:${skus[2]},${LOCATION}:${skus[3]}`;
  for (let n = 1; n <= 10; n++) {
    const body = { quantity: 1 };
    const reply = await client.call('POST', `/v1/stock/${LOCATION}/${skus[2]}/restock`, { as: 'admin', body });
    const { version } = reply.body;
    await until(`version ${version}`, async () => (await client.call('GET', path)).body.items[0].version >= version);
  }
  t.equal((await client.call('GET', path)).body.items[0].available, 210);
});

t.test('lists that are wrong are refused as ever', async (t) => {
  const bad = [
    `items=${LOCATION}:a,`,
    `items=,${LOCATION}:a`,
    `items=${LOCATION}`,
    `items=${LOCATION}:a:b`,
    'items=',
    `items=${Array.from({ length: 501 }, () => 'a:b').join(',')}`,
    `items=${LOCATION}:a&items=${LOCATION}:b`,
  ];
  for (const query of bad)
    t.match(await client.call('GET', `/v1/stock?${query}`), { status: 400, code: 'invalid_request' });
  const bodies = [
    '{"items":[]}',
    '{"items":[["a"]]}',
    '{"items":[["a","b","c"]]}',
    '{"items":[["a","b"]],"x":1}',
    '{"items":[["a","b"]]}}',
  ];
  for (const raw of bodies)
    t.match(await client.call('POST', '/v1/stock/query', { raw, headers: { 'content-type': 'application/json' } }), {
      status: 400,
    });
});
