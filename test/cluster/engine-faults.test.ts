import t from 'tap';
import type { CallResult } from '../../engine/caller.js';
import { type Context, vouch } from '../../engine/context.js';
import type { StockReserveResult } from '../../engine/scripts/generated/stock-reserve.js';
import { stockReserve } from '../../engine/scripts/generated/stock-reserve.js';
import { ScriptSet } from '../../engine/scripts/loading.js';
import type { RedisCluster, RedisNode } from '../../stack/redis-cluster.js';
import { parseNodes, withAdmin } from '../../stack/redis-form.js';
import { startCluster } from '../harness/index.js';
import { availableOf, itemIn, reserve, stockUp, testCore, type TestCore, until } from '../support/core.js';
import { startProxy } from '../support/proxy.js';
import { MemorySource } from '../support/source.js';

const UNITS = 1_000_000;
/** Long enough for a failover: calls wait, and are told. */
const PATIENT = { timeoutMs: 30_000 };

type TapTest = Parameters<Parameters<typeof t.test>[0]>[0];

interface Traffic {
  readonly acknowledged: Map<string, CallResult<StockReserveResult>>;
  readonly failed: Map<string, unknown>;
  stop(): Promise<void>;
}

/** Clients that reserve one unit of each item in turn until they are stopped, or until a call fails. */
function startTraffic(core: TestCore, items: readonly string[], clients = 8): Traffic {
  const acknowledged: Traffic['acknowledged'] = new Map();
  const failed: Traffic['failed'] = new Map();
  let running = true;
  const work = Array.from({ length: clients }, async (_, client) => {
    for (let n = 0; running; n++) {
      const id = `c${client}-${n}`;
      const item = items[(client + n) % items.length]!;
      await reserve(core, item, id, 1, PATIENT).then(
        (answer) => void acknowledged.set(`${item} ${id}`, answer),
        (error: unknown) => void failed.set(`${item} ${id}`, error),
      );
    }
  });
  return {
    acknowledged,
    failed,
    stop: async () => {
      running = false;
      await Promise.all(work);
    },
  };
}

/** Every acknowledged reservation is there once, and nothing else has taken units. */
async function expectAllThere(t: TapTest, core: TestCore, items: readonly string[], traffic: Traffic): Promise<void> {
  t.strictSame([...traffic.failed].slice(0, 3), [], 'no call failed');
  t.ok(traffic.acknowledged.size > 100, `${traffic.acknowledged.size} reservations`);
  const statuses = new Set([...traffic.acknowledged.values()].map(({ result }) => result.status));
  t.ok(
    [...statuses].every((status) => status === 'ok' || status === 'exists'),
    [...statuses].join(' '),
  );
  for (const item of items) {
    const taken = [...traffic.acknowledged.keys()].filter((key) => key.startsWith(`${item} `)).length;
    t.equal(await availableOf(core, item, PATIENT), UNITS - taken, item);
    const held = new Set<string>();
    for await (const page of core.partitions.dump(core.keys.partitions.of(item)))
      for (const hold of page.holds ?? []) held.add(hold.id);
    const lost = [...traffic.acknowledged.keys()].filter(
      (key) => key.startsWith(`${item} `) && !held.has(key.split(' ')[1]!),
    );
    t.strictSame(lost, [], `no acknowledged reservation of ${item} is lost`);
  }
}

async function setUp(options: Parameters<typeof startCluster>[0] = {}, source?: MemorySource) {
  const cluster = await startCluster({ ...options, conf: { 'cluster-node-timeout': '1500', ...options?.conf } });
  const core = await testCore({ redis: cluster.url, prefix: 'f', source });
  // Epochs are compared afterwards: every partition has to have its first one.
  await core.ready();
  const items = [5, 30, 60].map((partition) => itemIn(core, partition));
  await Promise.all(items.map((item) => stockUp(core, item, UNITS)));
  return { cluster, core, items };
}

function masterOf(core: TestCore, cluster: RedisCluster, partition: number): RedisNode {
  const { port } = core.caller.linkOf(partition)!.master.endpoint;
  return cluster.nodes.find((node) => node.port === port)!;
}

async function epochs(core: TestCore): Promise<number[]> {
  return (await core.partitions.status()).map(({ epoch }) => epoch);
}

const some = (traffic: Traffic, count: number) =>
  until('traffic', async () => traffic.acknowledged.size + traffic.failed.size >= count);

t.test('SCRIPT FLUSH: the scripts are loaded again, nothing else happens', async (t) => {
  const { cluster, core, items } = await setUp({ replicasPerMaster: 0 });
  const before = await epochs(core);
  const traffic = startTraffic(core, items);
  for (let round = 1; round <= 5; round++) {
    await some(traffic, round * 200);
    for (const node of cluster.nodes) await withAdmin(node.port, (client) => client.script('FLUSH'));
  }
  await some(traffic, traffic.acknowledged.size + 200);
  await traffic.stop();
  await expectAllThere(t, core, items, traffic);
  t.strictSame(await epochs(core), before, 'no epoch was raised');
});

t.test('four engines that open one fresh cluster at once open every partition once', async (t) => {
  const cluster = await startCluster({ replicasPerMaster: 0 });
  const cores = await Promise.all(Array.from({ length: 4 }, () => testCore({ redis: cluster.url, prefix: 'race' })));
  await Promise.all(cores.map((core) => core.ready()));
  const logs = await Promise.all(
    Array.from({ length: 64 }, (_, p) => cores[1]!.partitions.readLog(p, { epoch: 0, seq: 0 }, 10)),
  );
  t.ok(logs.every((events) => events.length === 1 && events[0]!.kind === 40 && events[0]!.seq === 1));
  t.strictSame(
    await epochs(cores[0]!),
    logs.map(([opening]) => opening!.epoch),
  );
});

t.test('a master dies: its replica is opened under a new epoch, no replicated answer is lost', async (t) => {
  const { cluster, core, items } = await setUp();
  const before = await epochs(core);
  const traffic = startTraffic(core, items);
  await some(traffic, 300);
  const victim = masterOf(core, cluster, 30);
  const others = [5, 60].filter((partition) => masterOf(core, cluster, partition) !== victim);
  victim.kill('SIGKILL');
  await until('sales on the dead shard go on', async () => {
    const status = (await core.partitions.status()).find(({ partition }) => partition === 30);
    return status?.open && status.epoch > before[30]!;
  });
  const elsewhere = await core.partitions.status();
  for (const partition of others)
    t.equal(elsewhere.find((one) => one.partition === partition)!.epoch, before[partition]);
  const seen = traffic.acknowledged.size;
  await some(traffic, seen + 300);
  await traffic.stop();
  await expectAllThere(t, core, items, traffic);
  t.ok(traffic.acknowledged.size > 600);
});

t.test('a master hangs and comes back as a replica: calls in flight are repeated, none counts twice', async (t) => {
  const { cluster, core, items } = await setUp();
  const before = await epochs(core);
  const traffic = startTraffic(core, items);
  await some(traffic, 300);
  const victim = masterOf(core, cluster, 30);
  victim.kill('SIGSTOP');
  await until('the replica took over', async () => {
    const status = (await core.partitions.status()).find(({ partition }) => partition === 30);
    return status?.open && status.epoch > before[30]!;
  });
  const seen = traffic.acknowledged.size;
  await some(traffic, seen + 300);
  victim.kill('SIGCONT');
  await cluster.healthy();
  const back = traffic.acknowledged.size;
  await some(traffic, back + 300);
  await traffic.stop();
  await expectAllThere(t, core, items, traffic);
});

t.test('a replica hangs: answers say that they are only executed, until it is back', async (t) => {
  const { cluster, core, items } = await setUp({ masters: 1, conf: { 'cluster-node-timeout': '60000' } });
  const replica = cluster.nodes.find(({ role }) => role === 'replica')!;
  const [item] = items as [string];
  t.match(await reserve(core, item, 'before'), { ack: 'replicated', result: { status: 'ok' } });
  replica.kill('SIGSTOP');
  const waiting = reserve(core, item, 'during', 1, { timeoutMs: 300 });
  t.match(await reserve(core, item, 'narrow', 1, { ack: 'executed' }), { ack: 'executed', result: { status: 'ok' } });
  t.match(await waiting, { ack: 'executed', result: { status: 'ok' } });
  // A repetition that finds it done wrote nothing, and Valkey's WAIT vouches only for what its connection wrote: so it is asked
  // behind a write of its own, which must not pass for replicated either.
  t.equal(await vouch(core as unknown as Context, 5, { ack: 'replicated', timeoutMs: 300 }), 'executed');
  replica.kill('SIGCONT');
  let n = 0;
  await until('replicated again', async () => (await reserve(core, item, `after-${n++}`)).ack === 'replicated');
  t.equal(await availableOf(core, item), UNITS - 3 - n);
});

t.test('a master restarts in place: it is opened under a new epoch before it sells', async (t) => {
  const { cluster, core, items } = await setUp({ replicasPerMaster: 0, conf: { appendfsync: 'always' } });
  const before = await epochs(core);
  const traffic = startTraffic(core, items);
  await some(traffic, 300);
  const victim = masterOf(core, cluster, 30);
  const seen = traffic.acknowledged.size;
  await victim.restart();
  await until('sales go on', async () => traffic.acknowledged.size > seen + 300);
  await traffic.stop();
  await expectAllThere(t, core, items, traffic);
  const restarted = core.caller.linkOf(30)!.master.partitions;
  for (const { partition, epoch } of await core.partitions.status())
    if (restarted.includes(partition)) t.ok(epoch > before[partition]!, `epoch of partition ${partition}`);
    else t.equal(epoch, before[partition], `epoch of partition ${partition}`);
  // No event between the last of the old life and the opening: the numbers go on without a gap.
  const events = await core.partitions.readLog(30, { epoch: 0, seq: 0 }, 1_000_000);
  t.strictSame(
    events.map(({ seq }) => seq),
    events.map((_, n) => n + 1),
  );
  t.equal(events.filter(({ kind }) => kind === 40).length, 2);
});

t.test('a reply that is lost: the call is repeated by its id and has one effect', async (t) => {
  const cluster = await startCluster({ masters: 1, replicasPerMaster: 0 });
  const { port } = cluster.nodes[0]!;
  const proxy = await startProxy(port);
  await withAdmin(port, (client) => client.config('SET', 'cluster-announce-port', proxy.port));
  const core = await testCore({ redis: `redis://127.0.0.1:${proxy.port}`, prefix: 'cut' });
  const item = 't:item';
  await stockUp(core, item, 1000);
  for (let round = 0; round < 10; round++) {
    proxy.swallowReplies();
    const answers = Array.from({ length: 20 }, (_, n) =>
      reserve(core, item, `r${round}-${n}`, 1, { timeoutMs: 20_000 }),
    );
    await until('the calls ran', async () => proxy.swallowed > 0);
    proxy.cut();
    const statuses = (await Promise.all(answers)).map(({ result }) => result.status);
    t.ok(statuses.every((status) => status === 'ok' || status === 'exists'));
    t.ok(statuses.includes('exists'), 'they had been executed');
    t.equal(await availableOf(core, item), 1000 - 20 * (round + 1));
  }
  // An operation without an id is not repeated: the caller is told.
  proxy.swallowReplies();
  const answer = reserve(core, item, 'once', 1, { timeoutMs: 20_000, repeatable: false }).catch(
    (error: unknown) => error,
  );
  await until('the call ran', async () => proxy.swallowed > 0);
  proxy.cut();
  t.match(await answer, { code: 'outcome_unknown', id: 'once' });
});

t.test('no scripts are loaded while a node cannot be fenced', async (t) => {
  const cluster = await startCluster({ replicasPerMaster: 0, conf: { 'cluster-require-full-coverage': 'yes' } });
  const first = await testCore({ redis: cluster.url, prefix: 'down' });
  await first.ready();
  await first.close();
  // One node away: the others answer CLUSTERDOWN to everything, and have lost their scripts as if they had restarted.
  cluster.nodes[2]!.kill('SIGKILL');
  await cluster.nodes[2]!.exited;
  const [node] = cluster.nodes;
  await until('the cluster is down', async () =>
    withAdmin(node!.port, async (client) => (await client.cluster('INFO')).includes('cluster_state:fail')),
  );
  await withAdmin(node!.port, (client) => client.script('FLUSH'));
  const second = await testCore({ redis: cluster.url, prefix: 'down' });
  await until('recovery has tried', async () =>
    second.notices.some(({ problem }) => String(problem).startsWith('CLUSTERDOWN')),
  );
  const sha1 = new ScriptSet('down').sha1(stockReserve);
  t.strictSame(await withAdmin(node!.port, (client) => client.script('EXISTS', sha1)), [0]);
});

t.test('a failover there and back that nobody saw is a new life, although the scripts are still loaded', async (t) => {
  const { cluster, core, items } = await setUp();
  const { partitions } = core.caller.linkOf(30)!.master;
  const first = masterOf(core, cluster, 30);
  const before = await epochs(core);
  await core.close();
  const follower = await until('its replica is known', () =>
    withAdmin(first.port, async (client) => {
      const view = parseNodes((await client.cluster('NODES')) as string);
      return cluster.nodes.find(({ port }) => view.some((node) => node.port === port && node.masterId === first.id));
    }),
  );
  for (const node of [follower, first]) {
    await withAdmin(node.port, (client) => client.cluster('FAILOVER'));
    await until('it is the master', async () => {
      await cluster.refresh();
      return node.role === 'master';
    });
    await cluster.healthy();
  }
  const sha1 = new ScriptSet('f').sha1(stockReserve);
  t.strictSame(await withAdmin(first.port, (client) => client.script('EXISTS', sha1)), [1]);
  const again = await testCore({ redis: cluster.url, prefix: 'f' });
  const after = await reserve(again, items[1]!, 'after');
  t.equal(after.result.status, 'ok');
  t.ok(after.epoch > before[30]!);
  await again.ready();
  for (const { partition, epoch } of await again.partitions.status())
    if (partitions.includes(partition)) t.ok(epoch > before[partition]!, `epoch of partition ${partition}`);
    else t.equal(epoch, before[partition], `epoch of partition ${partition}`);
});

t.test('a slot moves while it is used: calls wait, its partition is opened at its new place', async (t) => {
  const { core, items } = await setUp({ replicasPerMaster: 0 });
  const before = await epochs(core);
  const traffic = startTraffic(core, items);
  await some(traffic, 200);
  const partition = 30;
  const from = core.caller.linkOf(partition)!.master;
  const to = core.caller.links.map((link) => link.master).find((master) => master.id !== from.id)!;
  const slot = core.keys.partitions.slots[partition]!;
  await withAdmin(from.endpoint.port, (source) =>
    withAdmin(to.endpoint.port, async (target) => {
      await target.cluster('SETSLOT', slot, 'IMPORTING', from.id);
      await source.cluster('SETSLOT', slot, 'MIGRATING', to.id);
      // One by one and slowly, so that calls meet every state in between.
      for (const key of await source.cluster('GETKEYSINSLOT', slot, 1000)) {
        await source.call('MIGRATE', '127.0.0.1', to.endpoint.port, key, 0, 5000);
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      let left = await source.cluster('COUNTKEYSINSLOT', slot);
      while (left > 0) {
        for (const key of await source.cluster('GETKEYSINSLOT', slot, 1000))
          await source.call('MIGRATE', '127.0.0.1', to.endpoint.port, key, 0, 5000);
        left = await source.cluster('COUNTKEYSINSLOT', slot);
      }
      await target.cluster('SETSLOT', slot, 'NODE', to.id);
      await source.cluster('SETSLOT', slot, 'NODE', to.id);
    }),
  );
  await until('the partition is open at its new place', async () => {
    const status = (await core.partitions.status()).find((one) => one.partition === partition);
    return status?.open && status.node === to.id;
  });
  const seen = traffic.acknowledged.size;
  await some(traffic, seen + 300);
  await traffic.stop();
  await expectAllThere(t, core, items, traffic);
  const now = await epochs(core);
  t.ok(now[partition]! > before[partition]!);
  t.strictSame(now.toSpliced(partition, 1), before.toSpliced(partition, 1));
});

t.test('durable answers go on after a failover, from the new node', async (t) => {
  const source = new MemorySource();
  const { cluster, core, items } = await setUp({}, source);
  const item = items[1]!;
  /** Held once it was persisted under another epoch than the one before. */
  const durable = async (id: string, former: number) => {
    const answer = reserve(core, item, id, 1, { ack: 'durable', ...PATIENT });
    const persisted = until('it is persisted', async () => {
      const status = (await core.partitions.status()).find(({ partition }) => partition === 30);
      if (!status?.open || status.epoch === former) return false;
      const { epoch } = status;
      source.positions.set(30, { epoch, seq: status.seq, announced: epoch });
      await core.partitions.markPersisted(30, { epoch, seq: status.seq });
      return Promise.race([answer, pause(50)]);
    });
    await persisted;
    return answer;
  };
  const before = await durable('before', 0);
  t.equal(before.ack, 'durable');
  masterOf(core, cluster, 30).kill('SIGKILL');
  const after = await durable('after', before.epoch);
  t.equal(after.ack, 'durable');
  t.ok(after.epoch > before.epoch);
});

const pause = (ms: number) => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), ms));
