/**
 * Clients that mean harm or break: on every route, over bare sockets. Whatever they do, the process stays, forgets them,
 * and answers the next one. (FAULTS 23, 24)
 */
import { pack } from 'msgpackr';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { LOCATION, makeItem } from './parts/scene.js';
import { Client, fresh, startSystem, type Operation } from './support.js';

const stack = await startSystem({ env: { HOLDFAST_BODY_TIMEOUT_MS: '1500' } });
const server = stack.servers[0];
if (server === undefined) throw new Error('there is no server');
const { pid } = server;
const client = await new Client(stack.url, stack.jwtSecret).load();
const authorization = await client.authorization('admin');

type Attack = (socket: Socket, operation: Operation) => void;

const path = ({ path }: Operation): string => path.replace('{file}', 'start.js').replace(/\{\w+\}/g, 'x');
const head = (operation: Operation, ...lines: string[]): string =>
  [
    `${operation.method.toUpperCase()} ${path(operation)} HTTP/1.1`,
    'Host: x',
    `Authorization: ${authorization}`,
    ...lines,
    '',
    '',
  ].join('\r\n');
const JSON_TYPE = 'Content-Type: application/json';
const PACK_TYPE = 'Content-Type: application/msgpack';
const body = (operation: Operation, type: string, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(head(operation, type, `Content-Length: ${bytes.length}`)), bytes]);
const reset = (socket: Socket): void => void setTimeout(() => socket.resetAndDestroy(), 20);

const attacks: Record<string, Attack> = {
  'a reset in the middle of the head': (socket, operation) => {
    socket.write(head(operation).slice(0, 40));
    reset(socket);
  },
  'a reset in the middle of the body': (socket, operation) => {
    socket.write(`${head(operation, JSON_TYPE, 'Content-Length: 1000')}{"lines":[`);
    reset(socket);
  },
  'a reset in the middle of a chunk': (socket, operation) => {
    socket.write(`${head(operation, JSON_TYPE, 'Transfer-Encoding: chunked')}3e8\r\n{"lines":[`);
    reset(socket);
  },
  'a whole request and a reset at once': (socket, operation) => {
    socket.write(body(operation, JSON_TYPE, Buffer.from('{}')));
    socket.resetAndDestroy();
  },
  'a whole request and a reset while it is worked on': (socket, operation) => {
    socket.write(body(operation, JSON_TYPE, Buffer.from('{}')), () => setImmediate(() => socket.resetAndDestroy()));
  },
  'a whole request and the end': (socket, operation) => {
    socket.end(body(operation, JSON_TYPE, Buffer.from('{}')));
  },
  'a gigabyte announced': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, 'Content-Length: 1073741824')}{`),
  'half a gigabyte announced': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, 'Content-Length: 536870912')}{`),
  'a length that is no number': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, 'Content-Length: -1')}{`),
  'a length beyond all numbers': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, `Content-Length: ${'9'.repeat(40)}`)}{`),
  'length and chunks together': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, 'Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`),
  'chunks of garbage': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, 'Transfer-Encoding: chunked')}zz\r\n{}\r\n0\r\n\r\n`),
  'a chunk beyond all numbers': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, 'Transfer-Encoding: chunked')}${'f'.repeat(32)}\r\n{`),
  'a body without end': (socket, operation) => {
    socket.write(head(operation, JSON_TYPE, 'Transfer-Encoding: chunked'));
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`;
    let sent = 0;
    const more = (): void => {
      sent += 1;
      if (sent <= 128 && socket.writable) socket.write(chunk, () => setImmediate(more));
    };
    more();
  },
  'a body that does not come': (socket, operation) =>
    socket.write(`${head(operation, JSON_TYPE, 'Content-Length: 10')}{`),
  'bytes that are not UTF-8': (socket, operation) =>
    socket.write(body(operation, JSON_TYPE, Buffer.from('7b22fffe80223a317d', 'hex'))),
  'JSON nested by the hundred thousand': (socket, operation) =>
    socket.write(body(operation, JSON_TYPE, Buffer.alloc(100_000, '['))),
  'MessagePack nested by the hundred thousand': (socket, operation) =>
    socket.write(body(operation, PACK_TYPE, Buffer.alloc(100_000, 0x91))),
  'MessagePack that announces four billion entries': (socket, operation) =>
    socket.write(body(operation, PACK_TYPE, Buffer.from('ddffffffff', 'hex'))),
  'MessagePack with an extension': (socket, operation) =>
    socket.write(body(operation, PACK_TYPE, pack(new Map([[1, new Date()]])))),
  'three hundred headers': (socket, operation) =>
    socket.write(head(operation, ...Array.from({ length: 300 }, (_, n) => `X-${n}: y`))),
  'a header of 200 kB': (socket, operation) => socket.write(head(operation, `X: ${'y'.repeat(200_000)}`)),
  'a head in crumbs': (socket, operation) => {
    const text = head(operation);
    for (let at = 0; at < text.length; at += 7)
      setTimeout(() => socket.writable && socket.write(text.slice(at, at + 7)), at);
  },
  'requests without waiting for answers': (socket, operation) =>
    socket.write(body(operation, JSON_TYPE, Buffer.from('{}')).toString().repeat(20)),
  'an idempotency key of bytes': (socket, operation) =>
    socket.write(head(operation, 'Idempotency-Key: \u0001\u00ff', 'Content-Length: 0')),
  'a query of bytes': (socket, operation) =>
    socket.write(head(operation).replace(path(operation), `${path(operation)}?items=%ff%fe&fresh=%00`)),
  'an upgrade': (socket, operation) =>
    socket.write(
      head(
        operation,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version: 13',
      ),
    ),
};

/** How long an attacker waits for an answer, and after one for more. */
const PATIENCE_MS = 2_500;
const MORE_MS = 150;

/** Resolves with what came back, when the connection is closed or nothing more comes. */
function attack(operation: Operation, strike: Attack): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(stack.port, '127.0.0.1', () => strike(socket, operation));
    let timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on('data', (chunk) => {
      answer = (answer + chunk.toString('latin1')).slice(0, 4_000);
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), MORE_MS);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
}

for (const [name, strike] of Object.entries(attacks)) {
  await t.test(name, async (t) => {
    const answers = await Promise.all(
      client.all.map(async (operation) => ({ operation, answer: await attack(operation, strike) })),
    );
    for (const { operation, answer } of answers) {
      t.notMatch(answer, /^HTTP\/1\.1 500/, operation.operationId);
      t.notMatch(answer, /Error:|node_modules|\.ts:\d/, 'nothing of the inside gets out');
    }
    t.equal((await client.call('GET', '/livez')).status, 200);
    t.equal(server.pid, pid);
    t.ok(server.running, 'the same process');
  });
}

await t.test('what cannot be read is not sent to the routes', async (t) => {
  for (const bytes of [
    Buffer.from([0, 1, 2, 255, 13, 10, 13, 10]),
    Buffer.from('16030100a5010000a10303', 'hex'),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  ]) {
    const answer = await attack(client.all[0] as Operation, (socket) => socket.write(bytes));
    t.notMatch(answer, /^HTTP\/1\.1 [25]/);
  }
  t.ok(server.running);
});

await t.test('bad bodies are told so where they can be', async (t) => {
  const operation = client.all.find(({ operationId }) => operationId === 'reserve') as Operation;
  const told: [name: string, answer: RegExp][] = [
    ['half a gigabyte announced', /^HTTP\/1\.1 413 /],
    // Who is still sending when the connection is closed may find it cut before it has read why.
    ['a body without end', /^(?:HTTP\/1\.1 413 |$)/],
    ['a body that does not come', /^HTTP\/1\.1 408 /],
    ['bytes that are not UTF-8', /^HTTP\/1\.1 400 /],
    ['JSON nested by the hundred thousand', /^HTTP\/1\.1 400 /],
    ['MessagePack nested by the hundred thousand', /^HTTP\/1\.1 400 /],
    ['MessagePack that announces four billion entries', /^HTTP\/1\.1 400 /],
  ];
  for (const [name, answer] of told) t.match(await attack(operation, attacks[name] as Attack), answer, name);
});

await t.test('a change whose client has gone is made once, and its answer kept', async (t) => {
  const sku = await makeItem(client, 100);
  const key = fresh('key');
  const text = JSON.stringify({ lines: [{ location: LOCATION, sku, quantity: 1 }] });
  const operation = client.all.find(({ operationId }) => operationId === 'reserve') as Operation;
  const request = `${head(operation, JSON_TYPE, `Content-Length: ${text.length}`, `Idempotency-Key: ${key}`)}${text}`;
  await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      attack(operation, (socket) => socket.write(request, () => setTimeout(() => socket.resetAndDestroy(), n))),
    ),
  );
  const after = await client.call('POST', '/v1/reservations', {
    as: 'admin',
    raw: text,
    headers: { 'idempotency-key': key },
  });
  t.equal(after.status, 201);
  t.match((await client.call('GET', `/v1/stock/${LOCATION}/${sku}`)).body, { available: 99, reserved: 1 });
});

await t.test('everybody is forgotten', async (t) => {
  const gauge = async (name: string): Promise<number> => {
    const text = (await client.call('GET', '/metrics')).bytes.toString();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  for (let tries = 0; tries < 50 && (await gauge('holdfast_http_requests_in_flight')) > 1; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.equal(await gauge('holdfast_http_requests_in_flight'), 1, 'only the one that asks');
  t.equal(await gauge('holdfast_http_body_bytes'), 0);
  t.equal(await gauge('holdfast_http_bodies_receiving'), 0);
  const log = readFileSync(server.logFile, 'utf8');
  t.notMatch(log, /request failed|could not be sent|uncaught/, 'nothing went wrong inside');
});
