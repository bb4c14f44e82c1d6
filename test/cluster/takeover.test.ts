/**
 * Who asks for a failover, when, and of whom (decision 19). Whether a replica was asked stands in its own log; that the cluster also
 * fails over by itself does not matter to that.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { RedisCluster, RedisNode } from '../../stack/redis-cluster.js';
import { withAdmin } from '../../stack/redis-form.js';
import { startCluster, tempDir } from '../harness/index.js';
import { availableOf, itemIn, reserve, stockUp, testCore, type TestCore, until } from '../support/core.js';
import { startProxy } from '../support/proxy.js';

const UNITS = 1_000;
const PATIENT = { timeoutMs: 30_000 };
const ASKED = 'a master is gone, its replica was asked to take over';
const NOT_ASKED = 'a master is gone, its replica was not asked to take over';
/** Nothing but a request comes before this. */
const LONG = { 'cluster-node-timeout': '60000' };

interface Shop {
  readonly cluster: RedisCluster;
  readonly core: TestCore;
  readonly master: RedisNode;
  readonly replicas: readonly RedisNode[];
  /** Lies on that master. */
  readonly item: string;
  asked(): readonly RedisNode[];
}

async function openShop({ replicas: count = 1, conf = {}, takeover = true } = {}): Promise<Shop> {
  const dir = tempDir();
  const cluster = await startCluster({ dir, conf, replicasPerMaster: count });
  const core = await testCore({ redis: cluster.url, takeover });
  await core.ready();
  const owner = core.caller.linkOf(0)!.master;
  const item = itemIn(core, 0);
  await stockUp(core, item, UNITS);
  const replicas = cluster.nodes.filter(({ id }) => owner.standbys.some((standby) => standby.id === id));
  const asked = () =>
    cluster.nodes.filter(({ port }) =>
      readFileSync(join(dir, 'logs', `redis-${port}.log`), 'utf8').includes('Forced failover user request accepted'),
    );
  return { cluster, core, master: cluster.nodes.find(({ id }) => id === owner.id)!, replicas, item, asked };
}

const told = ({ notices }: TestCore, message: string) => notices.filter((notice) => notice.message === message);

/** The replica cannot log in at its master any more, and goes on with what it has. */
async function cutOff(master: RedisNode, replica: RedisNode): Promise<void> {
  await withAdmin(replica.port, async (redis) => {
    await redis.config('SET', 'masteruser', 'nobody');
    await redis.config('SET', 'masterauth', 'nothing');
  });
  await withAdmin(master.port, async (redis) => {
    const lines = ((await redis.client('LIST', 'TYPE', 'REPLICA')) as string).trim().split('\n');
    const ports = (await redis.info('replication')).matchAll(/slave\d+:ip=[^,]*,port=(\d+)/g);
    // One connection a replica, in the same order.
    for (const [index, [, port]] of [...ports].entries())
      if (Number(port) === replica.port) await redis.client('KILL', 'ID', Number(/\bid=(\d+)/.exec(lines[index]!)![1]));
  });
  await until('the replica is cut off', async () =>
    withAdmin(replica.port, async (redis) => (await redis.info('replication')).includes('master_link_status:down')),
  );
}

async function roleOf(node: RedisNode): Promise<string> {
  return withAdmin(node.port, async (redis) => /role:(\w+)/.exec(await redis.info('replication'))![1]!);
}

t.test('a master is killed: the replica that has most is asked, whoever asks', async (t) => {
  const { cluster, core, master, replicas, item, asked } = await openShop({ replicas: 2, conf: LONG });
  const other = await testCore({ redis: cluster.url });
  await other.ready();
  const [behind, heir] = [...replicas].sort((a, b) => (a.id < b.id ? -1 : 1)) as [RedisNode, RedisNode];
  await cutOff(master, behind);
  for (let n = 0; n < 50; n++) await reserve(core, item, `before-${n}`, 1, { ack: 'executed' });
  await until('the other replica has it', () =>
    withAdmin(master.port, async (redis) => (await redis.call('WAIT', 1, 1_000)) === 1),
  );

  master.kill('SIGKILL');
  await until('it takes over', async () => (await roleOf(heir)) === 'master');
  const answer = await reserve(core, item, 'after', 1, PATIENT);
  t.equal(answer.result.status, 'ok', 'it sells');
  t.equal(await availableOf(core, item, PATIENT), UNITS - 51, 'all that was sold is sold');
  t.strictSame(
    asked().map(({ id }) => id),
    [heir.id],
    'nobody else was asked',
  );
  const notices = [...told(core, ASKED), ...told(other, ASKED)];
  t.ok(notices.length > 0);
  for (const notice of notices) t.match(notice, { node: master.id, replica: heir.id });
  for (const one of [core, other]) t.strictSame(told(one, NOT_ASKED), []);
});

t.test('a replica that lacks what its master had is left to the cluster', async (t) => {
  const { core, master, replicas, item, asked } = await openShop({ conf: { 'cluster-node-timeout': '2000' } });
  const [replica] = replicas;
  await cutOff(master, replica!);
  await reserve(core, item, 'lost', 1, { ack: 'executed' });
  const seen = core.notices.length;
  // What it had is known from a look, and one more is made because the last moment before its death does not count.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  master.kill('SIGKILL');
  const [notice] = await until('it is told', async () => {
    const all = told(core, NOT_ASKED);
    return all.length > 0 && all;
  });
  t.match(notice, { node: master.id, problem: /lacks what the master had/ });
  t.ok(core.notices.length > seen);
  await until('the cluster fails over', async () => (await roleOf(replica!)) === 'master', 60_000);
  t.strictSame(asked(), []);
});

t.test('a master that hangs, and a process that leaves it to the cluster', async (t) => {
  const { cluster, core, master, replicas, item, asked } = await openShop({ conf: { 'cluster-node-timeout': '2000' } });
  master.kill('SIGSTOP');
  await until('the cluster fails over', async () => (await roleOf(replicas[0]!)) === 'master', 60_000);
  t.equal((await reserve(core, item, 'after', 1, PATIENT)).result.status, 'ok');
  master.kill('SIGCONT');
  await cluster.healthy();
  await core.close();

  const alone = await testCore({ redis: cluster.url, takeover: false });
  await alone.ready();
  replicas[0]!.kill('SIGKILL');
  await until('and back', async () => (await roleOf(master)) === 'master', 60_000);
  t.equal((await reserve(alone, item, 'again', 1, PATIENT)).result.status, 'ok');
  t.strictSame(asked(), []);
  for (const one of [core, alone]) t.strictSame([...told(one, ASKED), ...told(one, NOT_ASKED)], []);
});

t.test('a port that refuses while a replica still follows', async (t) => {
  const { cluster, core: first, master, replicas, item, asked } = await openShop({ conf: LONG });
  await first.close();
  const proxy = await startProxy(master.port);
  await withAdmin(master.port, (redis) => redis.config('SET', 'cluster-announce-port', proxy.port));
  await until('its replica follows through the proxy', () =>
    withAdmin(replicas[0]!.port, async (redis) => {
      const info = await redis.info('replication');
      return info.includes(`master_port:${proxy.port}`) && info.includes('master_link_status:up');
    }),
  );
  const core = await testCore({ redis: cluster.url });
  await core.ready();
  await until('it goes through the proxy', async () =>
    core.caller.links.some(({ master: { endpoint } }) => endpoint.port === proxy.port),
  );
  // Connections that there are stay, the replica's among them; then ours are ended.
  proxy.refuse();
  await withAdmin(master.port, (redis) => redis.client('KILL', 'TYPE', 'normal'));
  const [notice] = await until('it is told', async () => {
    const all = told(core, NOT_ASKED);
    return all.length > 0 && all;
  });
  t.match(notice, { node: master.id, problem: 'a replica still follows it' });
  t.equal(await roleOf(master), 'master');
  t.strictSame(asked(), []);
  t.strictSame(told(core, ASKED), []);
  await t.rejects(reserve(core, item, 'unreachable', 1), { code: 'shard_unavailable' });
});
