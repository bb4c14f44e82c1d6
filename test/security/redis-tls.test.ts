/** Redis over TLS: every connection of engine, cache and queue; who is not known is not talked to. (docs/security.md) */
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import t from 'tap';
import { openEngine } from '../../engine/index.js';
import { makeRedisPasswords } from '../../stack/redis-users.js';
import { PartitionQueue } from '../../workers/wake/queue.js';
import { startCluster } from '../harness/index.js';
import { type Certificates, makeCertificates, noOpenssl } from './certificates.js';

const log = pino({ level: 'silent' });
const skip = noOpenssl();
if (skip) console.error(`# SKIPPED, nothing about TLS is tested: ${skip}`);

async function problemOf(redis: string): Promise<string> {
  try {
    const engine = await openEngine({ redis });
    await engine.close();
  } catch (error) {
    return (error as Error).message;
  }
  return 'it was let in';
}

/** The URL with other parameters, for each node. */
function trusting(url: string, parameters: Record<string, string>): string {
  const search = new URLSearchParams(parameters).toString();
  return url
    .split(',')
    .map((one) => one.replace(/\?.*$/, search && `?${search}`))
    .join(',');
}

t.test('a cluster that talks only TLS, with users', { skip: skip ?? false }, async (t) => {
  const ours = makeCertificates();
  const strangers = makeCertificates();
  const cluster = await startCluster({ tls: ours, users: { passwords: makeRedisPasswords(), prefix: 'hf' } });
  const url = cluster.urlFor('worker');
  t.match(url, /^rediss:\/\/holdfast-worker:/);

  await t.test('engine, replicas, near cache', async (t) => {
    const engine = await openEngine({ redis: url });
    await engine.ready();
    const item = { location: 'berlin', sku: 'mug' };
    await engine.stock.configure(item, {});
    await engine.stock.restock(item, { quantity: 10, movementId: 'in-1' });
    const cache = engine.openCache();
    t.equal((await cache.get('berlin:mug')).entry.available, 10);
    const told: number[] = [];
    const followed = cache.follow('berlin:mug', ({ available }) => told.push(available));
    const reservationId = engine.newReservationId(item);
    const held = await engine.reservations.reserve(
      { reservationId, buyerId: 'b', lines: [{ ...item, quantity: 3 }] },
      { ack: 'replicated' },
    );
    t.match(held, { ack: 'replicated' }, 'replicas follow over TLS');
    for (let i = 0; i < 200 && told.at(-1) !== 7; i++) await sleep(50);
    t.equal(told.at(-1), 7, 'the change was pushed');
    followed.stop();
    cache.close();
    await engine.close();
  });

  await t.test('queue', async (t) => {
    const queue = await PartitionQueue.open(url, log, 'hf');
    const done: number[] = [];
    const worker = queue.worker(2, async (_, partition) => void done.push(partition));
    await worker.ready();
    await queue.add([{ name: 'drain', partition: 3 }]);
    for (let i = 0; i < 200 && done.length === 0; i++) await sleep(50);
    t.same(done, [3]);
    await worker.close();
    await queue.close();
  });

  const certificate = { sslrootcert: ours.ca, sslcert: ours.cert, sslkey: ours.key };
  await t.test('with a certificate of our own', async (t) => {
    t.equal(await problemOf(trusting(url, certificate)), 'it was let in');
    const foreign = { ...certificate, sslcert: strangers.cert, sslkey: strangers.key };
    t.not(await problemOf(trusting(url, foreign)), 'it was let in', 'signed by somebody else');
  });

  await t.test('a node that cannot prove who it is gets no password', async (t) => {
    const advice = /certificate.*\(is sslrootcert the authority of its certificate/;
    t.match(await problemOf(trusting(url, { sslrootcert: strangers.ca })), advice, 'signed by somebody else');
    t.match(await problemOf(trusting(url, {})), advice, 'signed by nobody whom Node trusts');
    await t.rejects(PartitionQueue.open(trusting(url, { sslrootcert: strangers.ca }), log, 'hf'), /certificate/);
    await t.rejects(PartitionQueue.open(trusting(url, {}), log, 'hf'), /certificate/);
  });

  await t.test('plain connections are told what is wrong', async (t) => {
    const plain = trusting(url, {}).replaceAll('rediss:', 'redis:');
    t.match(await problemOf(plain), /where it expects TLS, use rediss:/);
    t.match(await problemOf(url.replaceAll(/:[^:@/]+@/g, ':guess@')), /WRONGPASS/);
  });
});

t.test('a certificate for another host', { skip: skip ?? false }, async (t) => {
  const elsewhere: Certificates = makeCertificates('DNS:redis.example.com');
  // Redis itself does not look at names among its nodes; one node is enough here.
  const cluster = await startCluster({ masters: 1, replicasPerMaster: 0 });
  t.match(
    await problemOf(cluster.url.replace('redis:', 'rediss:')),
    /does it talk TLS on this port\?/,
    'TLS where there is none',
  );
  const { createServer } = await import('node:tls');
  const { readFileSync } = await import('node:fs');
  const server = createServer({ cert: readFileSync(elsewhere.cert), key: readFileSync(elsewhere.key) });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const found = await problemOf(`rediss://127.0.0.1:${port}?sslrootcert=${encodeURIComponent(elsewhere.ca)}`);
  server.close();
  t.match(found, /does not match certificate/);
});

t.test('addresses that cannot be are refused before anything is connected', async (t) => {
  const wrong: [string, RegExp][] = [
    ['rediss://h:1?sslrootcert=/nowhere/ca.pem', /sslrootcert cannot be read: ENOENT/],
    ['redis://h:1?sslrootcert=/nowhere/ca.pem', /sslrootcert goes with rediss:/],
    ['rediss://h:1?rejectUnauthorized=false', /unknown parameter rejectUnauthorized/],
    [`rediss://h:1?sslcert=${process.execPath}`, /sslcert and sslkey go together/],
    ['rediss://h:1,redis://h:2', /same scheme/],
    [`rediss://h:1,rediss://h:2?sslrootcert=${process.execPath}`, /same scheme, user, password and parameters/],
  ];
  for (const [url, why] of wrong) {
    t.match(await problemOf(url), why, url);
    await t.rejects(PartitionQueue.open(url, log, 'hf'), why, url);
  }
});
