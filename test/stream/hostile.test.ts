/** Frames and clients as they should not be: the connection that sends them ends or is refused, the process and all others go on. */
import { pack } from 'msgpackr';
import t from 'tap';
import { OP, PUSH } from '../../wire/stream.js';
import { Raw } from './raw.js';
import { codeOf, LOCATION, startScene, token, until } from './support.js';

const scene = await startScene({
  requestsPerFrame: 4_096,
  frameBytes: 64 * 1024,
  pauseBytes: 65_536,
  dropBytes: 4 << 20,
});
const service = await scene.client();
const http = scene.url.replace('ws', 'http');
const as = async (role: 'buyer' | 'service', sub?: string, expires?: string | number) => ({
  Authorization: `Bearer ${await token(role, sub, expires)}`,
});

await t.test('frames that are no requests end their connection, with a reason', async (t) => {
  const deep = Buffer.concat([Buffer.alloc(50, 0x91), Buffer.from([0xc0])]);
  const cases: [what: string, opcode: number, payload: Buffer, code: number][] = [
    ['text', 1, Buffer.from('{}'), 1003],
    ['nothing', 2, Buffer.alloc(0), 1007],
    ['no array', 2, pack({ op: 1 }), 1007],
    ['a number', 2, pack(7), 1007],
    ['cut off', 2, pack([[OP.ping, 1]]).subarray(0, 2), 1007],
    ['four billion entries', 2, Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), 1007],
    ['a string of four gigabytes', 2, Buffer.from([0x91, 0xdb, 0xff, 0xff, 0xff, 0xff]), 1007],
    ['bytes behind', 2, Buffer.concat([pack([]), pack([])]), 1007],
    ['too deep', 2, deep, 1007],
    ['a map', 2, pack([[OP.ping, 1, { a: 1 }]]), 1007],
    ['an extension', 2, pack([[OP.ping, 1, new Date()]]), 1007],
    ['text that is not UTF-8', 2, Buffer.from([0x91, 0x93, 2, 1, 0xa1, 0xff]), 1007],
    ['a request without id', 2, pack([[OP.ping]]), 1007],
    ['an id below zero', 2, pack([[OP.ping, -1]]), 1007],
    ['a request that is none', 2, pack(['ping']), 1007],
    ['too many requests', 2, pack(Array.from({ length: 4_097 }, (_, id) => [OP.ping, id])), 1008],
  ];
  for (const [what, opcode, payload, code] of cases) {
    const raw = await Raw.open(scene.url);
    raw.frame(opcode, payload);
    t.equal(await raw.end(), code, what);
    t.ok(raw.closeReason, raw.closeReason);
  }
  const raw = await Raw.open(scene.url);
  raw.frame(2, Buffer.alloc(65 * 1024));
  await raw.end();
  t.pass('a frame past the limit ends it, too');
  t.equal(await codeOf(service.stock([{ location: LOCATION, sku: 'x' }])), 'done', 'others go on');
});

await t.test('requests of the wrong shape are refused one by one', async (t) => {
  const raw = await Raw.open(scene.url, await as('service'));
  const wrong: unknown[][] = [
    [99],
    [0],
    [1.5],
    [OP.reserve],
    [OP.reserve, null, 'x'],
    [OP.reserve, 5, ['a:b', 1]],
    [OP.reserve, null, []],
    [OP.reserve, null, ['a:b']],
    [OP.reserve, null, ['ab', 1]],
    [OP.reserve, null, ['a:b:c', 1]],
    [OP.reserve, null, [7, 1]],
    [OP.reserve, null, [-1, 1]],
    [OP.reserve, null, ['a:b', 1], null, null, 3],
    [OP.reserve, null, ['a:b', 1], null, null, 'durable'],
    [OP.reserve, null, ['a:b', 1], null, [1]],
    [OP.confirm],
    [OP.confirm, 'a b'],
    [OP.confirm, 'x'.repeat(129)],
    [OP.extend, 'x'],
    [OP.extend, 'x', 'y'],
    [OP.return, 'x', [1]],
    [OP.deduct, 'a:b', 1],
    [OP.deduct, 'a:b', -1, 'x'],
    [OP.items, 1, ['a:b']],
    [OP.items, 0, ['a:{b}']],
    [OP.stock, 'a:b'],
    [OP.stock, [null]],
    [OP.subscribe, ['a:b']],
    [OP.subscribe, [0]],
    [OP.find, 'a{b'],
    [OP.auth, 5],
  ];
  raw.send(wrong.map(([op, ...rest], index) => [op, index + 1, ...rest]));
  for (const [index, request] of wrong.entries())
    t.equal((await raw.answer(index + 1))[1], 'invalid_request', JSON.stringify(request));
  raw.send([[OP.ping, 77]]);
  t.equal((await raw.answer(77))[1], 0, 'the connection goes on');
  raw.socket.destroy();
});

await t.test('tokens: header, subprotocol, frame; refused with a reason', async (t) => {
  const sku = await scene.item(5);
  const reserve = (id: number) => [OP.reserve, id, null, [`${LOCATION}:${sku}`, 1]];
  const good = await token('service');
  const byHeader = await Raw.open(scene.url, { Authorization: `Bearer ${good}` });
  byHeader.send([reserve(1)]);
  t.equal((await byHeader.answer(1))[1], 0);
  t.match(byHeader.messages[0], [PUSH.hello, 1, 64]);
  const byProtocol = await Raw.open(scene.url, { 'Sec-WebSocket-Protocol': `holdfast.v1, bearer.${good}` });
  t.match(byProtocol.head, /sec-websocket-protocol: holdfast\.v1/i, 'the token is not sent back');
  byProtocol.send([reserve(1)]);
  t.equal((await byProtocol.answer(1))[1], 0);
  const byFrame = await Raw.open(scene.url);
  byFrame.send([reserve(1), [OP.auth, 2, await token('service', 'new-one')], reserve(3)]);
  t.equal((await byFrame.answer(1))[1], 'unauthenticated');
  t.equal((await byFrame.answer(2))[1], 0);
  t.equal((await byFrame.answer(3))[1], 0, 'what comes behind the token is asked in its name');
  byFrame.send([[OP.auth, 4, await token('service', 'another')]]);
  t.equal((await byFrame.answer(4))[1], 'forbidden', 'a connection belongs to one subject');
  for (const bad of ['nonsense', `${good}x`, await token('service', 'service', 1)]) {
    const refused = await Raw.open(scene.url, { Authorization: `Bearer ${bad}` });
    t.equal(refused.status, 401);
    t.match(refused.head, /www-authenticate: Bearer/i);
    byFrame.send([[OP.auth, 5, bad]]);
    t.equal((await byFrame.answer(5))[1], 'unauthenticated');
    refused.socket.destroy();
  }
  t.equal(await codeOf(scene.client({ token: 'nonsense' })), 'unauthenticated', 'connecting says why');
  for (const raw of [byHeader, byProtocol, byFrame]) raw.socket.destroy();
});

await t.test('a token that expires in the middle', async (t) => {
  const sku = await scene.item(5);
  const lines = [{ location: LOCATION, sku, quantity: 1 }];
  const soon = () => token('service', 'service', Math.floor(Date.now() / 1000) + 1);
  const fixed = await scene.client({ token: await soon() });
  let asked = 0;
  const renewing = await scene.client({ token: () => (asked++ === 0 ? soon() : token('service')) });
  t.ok(await fixed.reserve({ lines }));
  const code = () => codeOf(fixed.find('nothing'));
  await until(async () => (await code()) === 'unauthenticated', 'the token has expired');
  t.equal(await codeOf(fixed.reserve({ lines })), 'unauthenticated');
  t.equal((await fixed.stock([lines[0]!])).items.length, 1, 'reading stays public');
  await until(async () => {
    t.equal(await codeOf(renewing.find('nothing')), 'reservation_not_found');
    return asked === 2;
  }, 'a new token was asked for, and no call failed');
});

await t.test('who does not read is told nothing more, refused, and at last cut off', async (t) => {
  const sku = await scene.item(1_000);
  const ref = `${LOCATION}:${sku}`;
  const raw = await Raw.open(scene.url, await as('service'));
  raw.send([
    [OP.items, 1, 0, [ref]],
    [OP.subscribe, 2, [0]],
  ]);
  await raw.answer(2);
  raw.socket.pause();
  const metric = async (name: string) =>
    Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await (await fetch(`${http}/metrics`)).text())?.[1]);
  const flood = (request: unknown[]) => {
    for (let frame = 0; frame < 5; frame++) raw.send(Array.from({ length: 400 }, () => request));
  };
  const query = [OP.stock, 3, Array.from({ length: 20 }, () => 0)];
  let sold = 0;
  const before = await metric('holdfast_stream_connections');
  // The kernel's buffers take megabytes before anything waits in the process.
  await until(async () => {
    flood(query);
    const request = { quantity: 1, orderId: `slow-${sku}-${++sold}` };
    await scene.engine.stock.deduct({ location: LOCATION, sku }, request);
    return raw.closed || (await metric('holdfast_stream_paused_total')) > 0;
  }, 'news was held back');
  t.notOk(raw.closed, `not cut off yet: ${raw.closeCode} ${raw.closeReason}`);
  raw.socket.resume();
  await until(() => raw.messages.some(([id, code]) => id === 3 && code === 'overloaded'), 'and requests were refused');
  const newest = () => (raw.messages.findLast(([id]) => id === PUSH.changes)?.[1] as number[])[1];
  await until(() => newest() === 1_000 - sold, 'who reads again is told the newest');
  raw.socket.pause();
  await until(async () => {
    for (let more = 0; more < 20; more++) flood([OP.ping, 4]);
    return (await metric('holdfast_stream_connections')) < before;
  }, 'who never reads is cut off');
  raw.socket.destroy();
  // The server may still have its hands full with the flood, and then says so.
  await until(
    () => service.reserve({ lines: [{ location: LOCATION, sku, quantity: 1 }] }).then(Boolean, () => false),
    'others go on',
  );
});
