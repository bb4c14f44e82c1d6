import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import t from 'tap';
import { stampOf } from '../../stack/identity.js';
import { startRedisCluster } from '../../stack/redis-cluster.js';
import { viewFrom, withAdmin } from '../../stack/redis-form.js';
import { startCluster, tempDir } from '../harness/index.js';

const KEYS = 300;

async function write(nodes: { host: string; port: number }[]): Promise<void> {
  const redis = new Cluster(nodes);
  for (let i = 0; i < KEYS; i++) await redis.set(`key:${i}`, `value ${i}`);
  redis.disconnect();
  await Promise.all(nodes.map(({ port }) => written(port)));
}

/** `appendfsync everysec` lets a write wait while an fsync is slow: what a killed process keeps is what it has written. */
async function written(port: number): Promise<void> {
  await withAdmin(port, async (redis) => {
    while (!/^aof_buffer_length:0\r?$/m.test(await redis.info('persistence')))
      await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

async function missing(nodes: { host: string; port: number }[]): Promise<number[]> {
  const redis = new Cluster(nodes);
  const lost: number[] = [];
  for (let i = 0; i < KEYS; i++) if ((await redis.get(`key:${i}`)) !== `value ${i}`) lost.push(i);
  redis.disconnect();
  return lost;
}

t.test(
  'three masters share the slots equally and in order, one replica each, with the settings of redis.conf',
  async (t) => {
    const cluster = await startCluster();
    const view = await viewFrom(cluster.nodes[0]!.port);
    const byPort = (port: number) => view.find((node) => node.port === port)!;
    t.strictSame(
      cluster.nodes.map((node) => node.role),
      ['master', 'master', 'master', 'replica', 'replica', 'replica'],
    );
    t.strictSame(
      cluster.nodes.slice(0, 3).map((node) => byPort(node.port).slots),
      [5461, 5461, 5462],
    );
    for (const [i, replica] of cluster.nodes.slice(3).entries())
      t.equal(byPort(replica.port).masterId, cluster.nodes[i]!.id, `replica ${i} follows master ${i}`);
    const settings = await withAdmin(cluster.nodes[0]!.port, async (redis) => ({
      policy: await redis.config('GET', 'maxmemory-policy'),
      appendonly: await redis.config('GET', 'appendonly'),
      coverage: await redis.config('GET', 'cluster-require-full-coverage'),
    }));
    t.strictSame(settings, {
      policy: ['maxmemory-policy', 'noeviction'],
      appendonly: ['appendonly', 'yes'],
      coverage: ['cluster-require-full-coverage', 'no'],
    });
  },
);

t.test('data survives SIGKILL of every node at once, on the same ports and with the same node ids', async (t) => {
  const dir = tempDir();
  const first = await startCluster({ dir });
  await write(first.startupNodes);
  const before = first.nodes.map((node) => [node.port, node.id]);
  for (const node of first.nodes) node.kill('SIGKILL');
  await Promise.all(first.nodes.map((node) => node.exited));

  const second = await startCluster({ dir });
  t.strictSame(
    second.nodes.map((node) => [node.port, node.id]),
    before,
  );
  t.strictSame(await missing(second.startupNodes), []);

  const pids = second.nodes.map((node) => node.pid);
  await second.stop();
  t.strictSame(
    pids.map((pid) => stampOf(pid)),
    pids.map(() => undefined),
    'stop leaves no process',
  );
});

t.test('a node that lost its append-only file is not started empty', async (t) => {
  const cluster = await startCluster();
  await write(cluster.startupNodes);
  const victim = cluster.nodes[0]!;
  victim.kill('SIGKILL');
  await victim.exited;
  rmSync(join(victim.dir, 'appendonlydir'), { recursive: true });
  await t.rejects(victim.restart(), /lost its append-only file/);
  t.notOk(victim.running);
});

t.test('a cluster whose port was taken meanwhile says so and starts nothing', async (t) => {
  const dir = tempDir();
  const cluster = await startCluster({ dir, masters: 1, replicasPerMaster: 0 });
  const { port } = cluster.nodes[0]!;
  await cluster.stop();
  const squatter = createServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => squatter.once('listening', resolve));
  await t.rejects(startRedisCluster({ dir }), new RegExp(`Port ${port} belongs to this Redis cluster`));
  squatter.close();
  await new Promise((resolve) => squatter.once('close', resolve));
  const again = await startCluster({ dir });
  t.equal(again.nodes[0]!.port, port);
});

t.test('what a killed parent left running is ended at the next start, and nothing else', async (t) => {
  const dir = tempDir();
  const cluster = await startCluster({ dir, masters: 1, replicasPerMaster: 0 });
  const orphan = cluster.nodes[0]!;
  const pidFile = JSON.parse(readFileSync(join(dir, 'run', `redis-${orphan.port}.pid`), 'utf8')) as { pid: number };
  t.equal(pidFile.pid, orphan.pid);
  const again = await startCluster({ dir });
  t.equal(stampOf(orphan.pid), undefined, 'the first process is gone');
  t.ok(again.nodes[0]!.running);
  t.not(again.nodes[0]!.pid, orphan.pid);
});

t.test('nonsense is refused before anything is started', async (t) => {
  await t.rejects(startRedisCluster({ dir: tempDir(), masters: 0 }), /cannot be started/);
  await t.rejects(startRedisCluster({ dir: tempDir(), masters: 40, replicasPerMaster: 1 }), /cannot be started/);
});

t.test(
  'a master that died may return when its replica has taken over; a replica, or a master without one, at once',
  async (t) => {
    const cluster = await startCluster({ conf: { 'cluster-node-timeout': '1000' } });
    const [first, second, third] = cluster.nodes;
    const replicaOf = (master: number) => cluster.nodes[3 + master]!;
    const die = async (...nodes: { kill(): void; exited: Promise<unknown> }[]) => {
      for (const node of nodes) node.kill();
      await Promise.all(nodes.map(({ exited }) => exited));
    };
    const slotsOf = async (port: number) => (await viewFrom(third!.port)).find((node) => node.port === port)!.slots;

    await die(first!);
    await cluster.mayReturn(first!, 60_000);
    t.equal(await slotsOf(first!.port), 0, 'it has nothing left');
    t.equal(await slotsOf(replicaOf(0).port), 5461, 'its replica has it');

    await die(replicaOf(2));
    await cluster.mayReturn(replicaOf(2), 60_000);
    t.equal(await slotsOf(third!.port), 5462, 'nothing changed for the master of a replica that died');

    await die(replicaOf(1), second!);
    await cluster.mayReturn(second!, 60_000);
    t.equal(await slotsOf(second!.port), 5461, 'it still owns its slots: nobody else can');
  },
);
