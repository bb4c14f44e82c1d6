/** `replicatedOnDisk`: an answer says `replicated` when every node of the shard has it on disk, and never before. */
import t, { type Test } from 'tap';
import { findRedis, knowsWaitaof } from '../../stack/redis-binary.js';
import type { RedisCluster } from '../../stack/redis-cluster.js';
import { withAdmin } from '../../stack/redis-form.js';
import { startCluster, tempDir } from '../harness/index.js';
import { losePower, noDisks, stopSyncing, syncAgain, withDisks } from '../support/disks.js';
import { itemIn, reserve, stockUp, testCore, type TestCore, until } from '../support/core.js';

const UNITS = 1_000_000;
const PATIENT = { timeoutMs: 60_000 };
const SHORT = { timeoutMs: 1_500 };
/** Nobody takes over from a node that hangs. */
const CALM = { 'cluster-node-timeout': '60000' };

const known = knowsWaitaof(findRedis());
const needs = { skip: !known && 'this Redis has no WAITAOF; run it with Valkey or Redis 7.2 (HOLDFAST_REDIS_SERVER)' };
const missing = noDisks();
const needsDisks = { skip: needs.skip || (missing ?? false) };

async function open(cluster: RedisCluster, onDisk = true): Promise<TestCore> {
  const core = await testCore({ redis: cluster.url, prefix: 'd', replicatedOnDisk: onDisk });
  await core.ready();
  return core;
}

async function stocked(options: Parameters<typeof startCluster>[0] = {}, disks?: string) {
  const cluster = await startCluster({ masters: 1, ...options, conf: { ...CALM, ...options.conf } });
  if (disks !== undefined) await withDisks(cluster, disks);
  const core = await open(cluster);
  const item = itemIn(core, 7);
  await stockUp(core, item, UNITS, PATIENT);
  const node = (role: string) => cluster.nodes.find((one) => one.role === role)!;
  return { cluster, core, item, master: node('master'), replica: node('replica') };
}

/** Each node with a disk of its own that can hang. */
const setUp = (options: Parameters<typeof startCluster>[0] = {}) => stocked(options, tempDir());

async function heldIn(core: TestCore, item: string): Promise<Set<string>> {
  const held = new Set<string>();
  for await (const page of core.partitions.dump(core.keys.partitions.of(item)))
    for (const hold of page.holds ?? []) held.add(hold.id);
  return held;
}

const epochOf = async (core: TestCore) => (await core.partitions.status([7]))[0]!.epoch;

function reopened(core: TestCore, epoch: number): Promise<unknown> {
  return until(
    'the partition is open again',
    async () => {
      const [status] = await core.partitions.status([7]);
      return status?.open && status.epoch > epoch;
    },
    60_000,
  );
}

/** Asks under new ids until the answer has this ack. */
let asked = 0;
const untilAck = (core: TestCore, item: string, ack: string) =>
  until(`${ack} again`, async () => (await reserve(core, item, `again-${asked++}`, 1, PATIENT)).ack === ack, 60_000);

void t.test('the power of a whole shard fails: what was answered as replicated is there', needsDisks, async (t) => {
  const { cluster, core, item } = await setUp();
  const safe: string[] = [];
  for (let wave = 0; safe.length < 100; wave++) {
    const ids = Array.from({ length: 20 }, (_, n) => `w${wave}-${n}`);
    const answers = await Promise.all(ids.map((id) => reserve(core, item, id, 1, PATIENT)));
    t.ok(
      answers.every(({ ack }) => ack === 'replicated'),
      `wave ${wave} is replicated`,
    );
    safe.push(...ids);
  }
  // The last wave was answered a moment ago. What is only executed goes on, and is lost or not.
  const loose = Array.from({ length: 20 }, (_, n) => reserve(core, item, `loose-${n}`, 1, { ack: 'executed' }));
  await Promise.all(loose);
  const before = await epochOf(core);
  await losePower(cluster.nodes);
  for (const node of cluster.nodes) await node.restart();
  await cluster.healthy();
  await reopened(core, before);
  const held = await heldIn(core, item);
  t.same(
    safe.filter((id) => !held.has(id)),
    [],
    '100 of 100 are there',
  );
});

void t.test('a node does not sync: answers say executed, and what they say is true', needsDisks, async (t) => {
  const { cluster, core, item, master, replica } = await setUp();
  const plain = await open(cluster, false);
  for (const [name, node] of Object.entries({ master, replica })) {
    await stopSyncing(node);
    t.match(await reserve(core, item, `${name}-1`, 1, SHORT), { ack: 'executed', result: { status: 'ok' } }, name);
    t.match(await reserve(core, item, `${name}-2`, 1, { timeoutMs: 10_000 }), { ack: 'executed' }, 'in full length');
    t.match(await reserve(plain, item, `${name}-3`), { ack: 'replicated' }, 'to others memory is enough');
    const notice = await until('a notice', async () => core.notices.find(({ message }) => /on disk/.test(message)));
    t.match(notice, {
      level: 'warn',
      replicas: 1,
      onDisk: { master: name === 'replica', replicas: name === 'master' ? 1 : 0 },
    });
    core.notices.length = 0;
    await syncAgain(node);
    await untilAck(core, item, 'replicated');
    // One notice a node and minute: the second disk is told to an engine of its own.
    if (name === 'master') await core.close();
    if (name === 'master') Object.assign(core, await open(cluster));
  }
  await stopSyncing(master);
  await stopSyncing(replica);
  t.match(await reserve(plain, item, 'in-memory'), { ack: 'replicated', result: { status: 'ok' } });
  const before = await epochOf(core);
  await losePower(cluster.nodes);
  for (const node of cluster.nodes) await node.restart();
  await cluster.healthy();
  await reopened(core, before);
  t.notOk((await heldIn(core, item)).has('in-memory'), 'without the setting, such a loss of power takes it');
});

void t.test(
  'a shard without replicas: the one disk is asked, and its answer is not called replicated',
  needsDisks,
  async (t) => {
    const { core, item, master } = await setUp({ replicasPerMaster: 0 });
    t.match(await reserve(core, item, 'one', 1, PATIENT), { ack: 'executed', alone: true });
    await stopSyncing(master);
    t.match(await reserve(core, item, 'two', 1, SHORT), { ack: 'executed', alone: false });
    await syncAgain(master);
    await until('safe again', async () => (await reserve(core, item, `more-${asked++}`, 1, PATIENT)).alone, 60_000);
  },
);

void t.test('a replica hangs: executed, until it is back', needs, async (t) => {
  const { core, item, replica } = await stocked();
  t.match(await reserve(core, item, 'before', 1, PATIENT), { ack: 'replicated' });
  replica.kill('SIGSTOP');
  t.match(await reserve(core, item, 'during', 1, SHORT), { ack: 'executed', result: { status: 'ok' } });
  replica.kill('SIGCONT');
  await untilAck(core, item, 'replicated');
});

void t.test(
  'many at once: all of them are replicated, and those in a hurry are executed meanwhile',
  needs,
  async (t) => {
    const { core, item } = await stocked();
    let slow = true;
    const patient = Promise.all(
      Array.from({ length: 500 }, async (_, client) => {
        for (let n = 0; n < 4; n++) {
          const { ack } = await reserve(core, item, `p${client}-${n}`, 1, PATIENT);
          if (ack !== 'replicated') return ack;
        }
        return 'replicated';
      }),
    ).finally(() => (slow = false));
    let quick = 0;
    for (; slow; quick++)
      if ((await reserve(core, item, `q${quick}`, 1, { ack: 'executed', timeoutMs: 10_000 })).ack !== 'executed') break;
    t.same(new Set(await patient), new Set(['replicated']));
    // With all lanes waiting for the disk it would be a few.
    t.ok(quick > 8, `${quick} calls, one after the other, while 2,000 waited for the disks`);
  },
);

async function refused(t: Test, cluster: RedisCluster, message: RegExp, redis = cluster.url): Promise<void> {
  await t.rejects(testCore({ redis, prefix: 'd', replicatedOnDisk: true }), { code: 'invalid_argument', message });
}

void t.test('an engine does not open where a node cannot do it, and says what to do', async (t) => {
  const cluster = await startCluster({ masters: 1 });
  const core = await open(cluster, false);
  if (!known) {
    await refused(
      t,
      cluster,
      /Redis at 127\.0\.0\.1:\d+ is version .*no WAITAOF.*Redis 7\.2 or newer, or Valkey; or leave/,
    );
    return;
  }
  for (const role of ['replica', 'master']) {
    const { port } = cluster.nodes.find((node) => node.role === role)!;
    await withAdmin(port, (client) => client.config('SET', 'appendonly', 'no'));
    await refused(t, cluster, new RegExp(`:${port} has no append-only file\\. It needs .appendonly yes`));
    await withAdmin(port, (client) => client.config('SET', 'appendonly', 'yes'));
  }
  for (const { port } of cluster.nodes)
    await withAdmin(port, (client) =>
      client.call('ACL', 'SETUSER', 'old', 'on', '>pw', '~*', '&*', '+@all', '-waitaof'),
    );
  await refused(t, cluster, /\+waitaof/, cluster.url.replaceAll('redis://', 'redis://old:pw@'));
  await core.close();
});

void t.test(
  'a node stops writing while stock is sold: answers say executed, and the operator is told',
  needs,
  async (t) => {
    const { core, item, master } = await stocked();
    const { port } = master;
    await withAdmin(port, (client) => client.config('SET', 'appendonly', 'no'));
    t.match(await reserve(core, item, 'off', 1, PATIENT), { ack: 'executed', result: { status: 'ok' } });
    t.match(
      core.notices.filter(({ level }) => level === 'error'),
      [{ message: /refuses WAITAOF/, reason: /appendonly is disabled/ }],
    );
    await withAdmin(port, (client) => client.config('SET', 'appendonly', 'yes'));
    await untilAck(core, item, 'replicated');
  },
);

void t.test('the setting is true or false', async (t) => {
  const cluster = await startCluster({ masters: 1, replicasPerMaster: 0 });
  await t.rejects(testCore({ redis: cluster.url, replicatedOnDisk: 'yes' as never }), { code: 'invalid_argument' });
});
