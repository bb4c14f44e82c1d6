/** What each role may do in Redis is what it does, and no more (docs/security.md). */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { scripts } from '../../engine/scripts/generated/index.js';
import { withAdmin } from '../../stack/redis-form.js';
import { makePostgresPasswords } from '../../stack/postgres-roles.js';
import {
  aclLines,
  makeRedisPasswords,
  REDIS_ROLES,
  type RedisRole,
  redisUser,
  RIGHTS,
} from '../../stack/redis-users.js';
import { migrate } from '../../workers/db/migrate.js';
import { grantRoles } from '../../workers/db/roles.js';
import { PostgresSource } from '../../workers/recovery/source.js';
import { emptyForRebuild } from '../../workers/recovery/rebuild.js';
import { connect } from '../../workers/verify/connect.js';
import { verify } from '../../workers/verify/verify.js';
import { startStack, type TestStack } from '../harness/index.js';

const passwords = makeRedisPasswords();

/** A stack whose parts log in as what they are, as with `up`. */
const stack: TestStack = await startStack({
  users: {
    redis: passwords,
    postgres: makePostgresPasswords(),
    prepareDatabase: async (ownerUrl, roles) => {
      await migrate(ownerUrl);
      await grantRoles(ownerUrl, roles);
    },
  },
});

const cluster = stack.redis!;
const admin = await stack.authorization('admin');

/** Commands that a script calls, as ACL names them. */
function callsOf(source: string): string[] {
  return [...source.matchAll(/redis\.call\(\s*'([A-Z]+)'(?:,\s*'([A-Z]+)')?/g)].map(([, name, sub]) =>
    (name === 'CLUSTER' ? `${name}|${sub}` : name!).toLowerCase(),
  );
}

t.test('the table holds every command that the scripts call', async (t) => {
  const recovery = new Set(['partition/fence', 'partition/open', 'partition/restore', 'partition/persisted']);
  const missing: string[] = [];
  for (const { name, source } of scripts) {
    const calls = callsOf(source);
    t.ok(calls.length > 0, name);
    for (const role of ['server', 'worker', 'operator'] as const) {
      if (role === 'server' && recovery.has(name)) continue;
      for (const call of calls) if (!RIGHTS[role].commands.includes(call)) missing.push(`${role}: ${name} ${call}`);
    }
  }
  t.same(missing, []);
  t.notOk(RIGHTS.server.commands.includes('script|load'), 'front ends load no scripts');
});

t.test('the file says who may what, without a password in it', async (t) => {
  const lines = aclLines('hf', passwords);
  t.equal(lines.length, 1 + REDIS_ROLES.length);
  t.match(lines[0], /^user default off /);
  for (const role of REDIS_ROLES) t.notOk(lines.join('\n').includes(passwords[role]), role);
  for (const prefix of ['', '*', 'a b', 'x:y', 'ü', 'a'.repeat(33)])
    t.throws(() => aclLines(prefix, passwords), RangeError, JSON.stringify(prefix));
});

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${stack.url}${path}`, {
    method,
    headers: { ...admin, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: (text ? JSON.parse(text) : {}) as Record<string, unknown> };
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await check().catch(() => false)) return;
    await sleep(100);
  }
  throw new Error(`${what} did not come true within 60 s`);
}

function onMasters<T>(work: (client: Redis) => Promise<T>): Promise<T[]> {
  const masters = cluster.nodes.filter(({ role }) => role === 'master');
  return Promise.all(masters.map(({ port }) => withAdmin(port, work, cluster.access)));
}

/** What any node refused to anybody. */
async function refusals(): Promise<string[]> {
  const logs = await Promise.all(
    cluster.nodes.map(({ port }) => withAdmin(port, (client) => client.call('ACL', 'LOG'), cluster.access)),
  );
  return (logs as string[][][])
    .flat()
    .map((entry) =>
      JSON.stringify(Object.fromEntries(entry.map((cell, i) => [cell, entry[i + 1]]).filter((_, i) => i % 2 === 0))),
    );
}

/** A replica that has just come back may not have been counted in yet: answers say less than was asked for until then. */
function untilReplicated(): Promise<void> {
  return until('every change reaches its replicas', async () => {
    const restocks = ['mug', 'cup', 'jug', 'pot'].map((sku) =>
      call('POST', `/v1/stock/berlin/${sku}/restock`, { quantity: 1, ack: 'replicated' }),
    );
    return (await Promise.all(restocks)).every(({ body }) => body.ack === 'replicated');
  });
}

let made = 0;
const lines = (...skus: string[]) => skus.map((sku) => ({ location: 'berlin', sku, quantity: 1 }));

/** Everything a shop does. */
async function sell(t: Test): Promise<void> {
  const round = ++made;
  for (const sku of ['mug', 'cup', 'jug', 'pot']) {
    t.match(await call('PUT', `/v1/stock/berlin/${sku}`, { buyerLimit: 1_000, lowStock: 1 }), { status: /20[01]/ });
    t.match(await call('POST', `/v1/stock/berlin/${sku}/restock`, { quantity: 20 }), { status: 200 });
  }
  t.match(await call('POST', '/v1/stock/berlin/mug/adjust', { by: -1, reason: 'broken' }), { status: 200 });
  t.match(await call('POST', '/v1/stock/berlin/mug/deduct', { quantity: 1, orderId: `o-${round}`, buyerId: 'b' }), {
    status: 200,
  });
  const key = { 'idempotency-key': `"key-${round}"` };
  const wanted = { lines: lines('mug', 'cup', 'jug', 'pot'), buyerId: 'b', ack: 'durable' };
  const first = await call('POST', '/v1/reservations', wanted, key);
  t.match(first, { status: 201, body: { status: 'held', ack: 'durable' } });
  t.match(await call('POST', '/v1/reservations', wanted, key), first, 'the same answer again');
  const id = String(first.body.reservationId);
  t.match(await call('POST', `/v1/reservations/${id}/extend`, { holdSeconds: 600 }), { status: 200 });
  t.match(await call('POST', `/v1/reservations/${id}/confirm`, { ack: 'replicated' }), {
    status: 200,
    body: { status: 'confirmed', ack: 'replicated' },
  });
  t.match(await call('POST', `/v1/reservations/${id}/return`, {}), { status: 200 });
  const second = await call('POST', '/v1/reservations', { lines: lines('mug', 'pot'), buyerId: 'b' });
  t.match(await call('POST', `/v1/reservations/${String(second.body.reservationId)}/release`), { status: 200 });
  const short = await call('POST', '/v1/reservations', { lines: lines('cup', 'jug'), buyerId: 'b', holdSeconds: 1 });
  const shortId = String(short.body.reservationId);
  await until('the hold expires', async () => {
    const { body } = await call('GET', `/v1/reservations/${shortId}`);
    return body.status === 'expired';
  });
  t.match(await call('POST', '/v1/stock/query', { items: [['berlin', 'mug']] }), { status: 200 });
  t.match(await call('GET', '/v1/stock/berlin/mug?fresh=true'), { status: 200 });
  t.match(await call('GET', '/v1/stock/berlin/mug/movements'), { status: 200 });
  t.match(await call('GET', '/v1/admin/partitions'), { status: 200 });
}

t.test('selling, recovery, failover, verify and rebuild get along with what their roles may', async (t) => {
  await sell(t);

  await onMasters((client) => client.script('FLUSH'));
  await until(
    'workers load the scripts again',
    async () => (await call('POST', '/v1/stock/berlin/mug/restock', { quantity: 1 })).status === 200,
  );
  await sell(t);

  const replica = cluster.nodes.find(({ role }) => role === 'replica')!;
  await withAdmin(replica.port, (client) => client.call('CLUSTER', 'FAILOVER'), cluster.access);
  await until('the replica took over', async () => {
    await cluster.refresh();
    return replica.role === 'master';
  });
  await cluster.healthy();
  await until('every partition is open', async () => {
    const { body } = await call('GET', '/v1/admin/partitions');
    return body.open === body.count;
  });
  await untilReplicated();
  await sell(t);

  const master = cluster.nodes.find(({ role, id }) => role === 'master' && id !== replica.id)!;
  master.kill('SIGKILL');
  await until('a replica was asked to take over, and did', async () => {
    await cluster.refresh();
    const log = ({ port }: { port: number }) => readFileSync(join(stack.dir, 'logs', `redis-${port}.log`), 'utf8');
    return cluster.nodes.some((node) => node.role === 'master' && log(node).includes('Forced failover user request'));
  });
  await master.restart();
  await cluster.healthy();
  await untilReplicated();
  await sell(t);

  const target = { redisUrl: stack.redisUrl, databaseUrl: stack.readerUrl, keyPrefix: 'hf', partitions: 64 };
  const check = async () => {
    const connection = await connect(target);
    try {
      const { partitions } = connection.engine;
      return await verify({ partitions, pool: connection.pools.general, waitMs: 60_000 });
    } finally {
      await connection.close();
    }
  };
  t.match(await check(), { ok: true }, 'the operator verifies, as a reader of Postgres');

  const forRebuild = await connect({ ...target, databaseUrl: stack.databaseUrl });
  const { general } = forRebuild.pools;
  const source = new PostgresSource(general);
  const emptied = await emptyForRebuild({
    target: { ...target, databaseUrl: stack.databaseUrl },
    pool: general,
    source,
    replace: true,
    discardUnpersisted: false,
  });
  await forRebuild.close();
  t.ok(emptied.length > 0);
  await until('the worker has written it anew', async () => {
    const { status } = await call('GET', '/v1/stock/berlin/mug?fresh=true');
    const { body } = await call('GET', '/v1/admin/partitions');
    return status === 200 && body.open === body.count;
  });
  t.match(await check(), { ok: true });
  await sell(t);

  const jobs = (await onMasters((client) => client.keys('{hfbull}:*'))).flat();
  t.ok(jobs.length > 0, 'the queue was used');
  t.same(await refusals(), [], 'nobody was refused anything');
});

/** Digests of what all nodes hold, in any order: roles may change. */
async function digests(): Promise<string[]> {
  const ask = ({ port }: { port: number }) =>
    withAdmin(port, (client) => client.call('DEBUG', 'DIGEST') as Promise<string>, cluster.access);
  return (await Promise.all(cluster.nodes.map(ask))).sort();
}

t.test('what scripts have written comes back from the append-only files', async (t) => {
  // Nobody may repair from Postgres what a node has lost.
  await Promise.all(stack.workers.map((worker) => worker.stop()));
  const body = { lines: lines('mug', 'cup', 'jug', 'pot'), buyerId: 'b', ack: 'replicated' };
  t.match(await call('POST', '/v1/reservations', body), { status: 201 });
  await Promise.all(stack.servers.map((server) => server.stop()));
  // What expires by itself meanwhile (jobs of the queue, locks) would look like something that was lost.
  await onMasters(async (client) => {
    for (const key of await client.keys('*')) if ((await client.pttl(key)) >= 0) await client.del(key);
  });
  await until('replicas are in step', async () => new Set(await digests()).size === cluster.nodes.length / 2);
  const before = await digests();
  for (const node of cluster.nodes) node.kill('SIGKILL');
  await Promise.all(cluster.nodes.map(({ exited }) => exited));
  await Promise.all(cluster.nodes.map((node) => node.restart()));
  await cluster.healthy();
  t.same(await digests(), before);
  t.same(await refusals(), []);
  await stack.startApps();
});

const KEY = 'hf:{x}:stock:berlin:mug';
const SHA = 'f'.repeat(40);
const FORBIDDEN: readonly (readonly string[])[] = [
  ['FLUSHALL'],
  ['FLUSHDB'],
  ['CONFIG', 'GET', '*'],
  ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru'],
  ['CONFIG', 'RESETSTAT'],
  ['SCRIPT', 'FLUSH'],
  ['SCRIPT', 'KILL'],
  ['KEYS', '*'],
  ['DEBUG', 'SLEEP', '0'],
  ['EVAL', 'return 1', '1', KEY],
  ['FUNCTION', 'FLUSH'],
  ['SHUTDOWN'],
  ['ACL', 'SETUSER', 'mallory', 'on', 'nopass', '+@all', '~*'],
  ['ACL', 'LIST'],
  ['CLUSTER', 'RESET'],
  ['CLUSTER', 'FAILOVER', 'TAKEOVER'],
  ['CLUSTER', 'SETSLOT', '0', 'STABLE'],
  ['CLUSTER', 'FORGET', SHA],
  ['REPLICAOF', 'NO', 'ONE'],
  ['CLIENT', 'KILL', 'TYPE', 'normal'],
  ['CLIENT', 'LIST'],
  ['MONITOR'],
  ['SAVE'],
  ['BGREWRITEAOF'],
  ['MIGRATE', '127.0.0.1', '1', KEY, '0', '10'],
  ['RESTORE', KEY, '0', 'x'],
  ['DUMP', KEY],
  ['RENAME', KEY, `${KEY}2`],
  ['GET', 'other:{x}:stock'],
  ['HSET', 'other:{x}:stock', 'available', '9'],
  ['SSUBSCRIBE', 'other:{x}:deltas'],
  ['SUBSCRIBE', 'hf:x'],
];
const FORBIDDEN_TO: Readonly<Partial<Record<RedisRole, readonly (readonly string[])[]>>> = {
  server: [
    ...FORBIDDEN,
    ['SCRIPT', 'LOAD', 'return 1'],
    ['EVAL', 'return 1', '0'],
    ['XTRIM', KEY, 'MAXLEN', '0'],
    ['SCAN', '0'],
    ['UNLINK', KEY],
    ['CLUSTER', 'GETKEYSINSLOT', '0', '10'],
    ['HGETALL', '{hfbull}:partitions-hf:meta'],
  ],
  // Recovery asks replicas to take over, and nothing in ACL tells one word after the subcommand from another.
  worker: FORBIDDEN.filter(([, sub]) => sub !== 'FAILOVER'),
  operator: [...FORBIDDEN, ['EVAL', 'return 1', '0'], ['HGETALL', '{hfbull}:partitions-hf:meta']],
  replica: [...FORBIDDEN, ['GET', KEY], ['INFO'], ['EVALSHA', SHA, '0']],
};

async function as<T>(login: { username?: string; password?: string }, work: (client: Redis) => Promise<T>): Promise<T> {
  return withAdmin(cluster.nodes[0]!.port, work, login);
}

for (const [role, commands] of Object.entries(FORBIDDEN_TO) as [RedisRole, readonly (readonly string[])[]][])
  t.test(`refused to ${role}`, async (t) => {
    const stock = async () => (await onMasters((client) => client.keys('hf:*'))).flat().sort();
    const before = await stock();
    await as({ username: redisUser(role), password: passwords[role] }, async (client) => {
      t.equal(await client.call('PING'), 'PONG', 'it is logged in');
      for (const [name, ...args] of commands)
        await t.rejects(client.call(name!, ...args), /^NOPERM /, [name, ...args].join(' '));
    });
    t.same(await stock(), before);
  });

/** What a node answers to one line of somebody who is not logged in. */
async function raw(line: string): Promise<string> {
  const socket = connectTcp({ host: '127.0.0.1', port: cluster.nodes[0]!.port });
  try {
    socket.write(`${line}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString().trim();
  } finally {
    socket.destroy();
  }
}

t.test('nobody gets in without a password, or with a wrong one', async (t) => {
  for (const line of ['PING', 'INFO', 'GET x', 'CLUSTER NODES', 'CONFIG GET *', 'HELLO 3', 'FLUSHALL'])
    t.match(await raw(line), /^-NOAUTH /, line);
  for (const user of ['default', ...REDIS_ROLES.map(redisUser)]) {
    t.match(await raw(`AUTH ${user} guess`), /^-WRONGPASS /, user);
    t.match(await raw(`AUTH ${user} ""`), /^-WRONGPASS /, user);
  }
  t.match(await raw(`AUTH ${passwords.admin}`), /^-WRONGPASS /, 'the default user has no password that works');
});
