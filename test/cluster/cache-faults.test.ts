/** The near cache when messages, connections, nodes and partitions go astray: late perhaps, never wrong for long, never silently. */
import { Packr } from 'msgpackr';
import t from 'tap';
import { ShardUnavailable } from '../../engine/errors.js';
import type { Engine, ItemRef } from '../../engine/types.js';
import type { RedisCluster, RedisNode } from '../../stack/redis-cluster.js';
import { withAdmin } from '../../stack/redis-form.js';
import { startCluster } from '../harness/index.js';
import { bareCache, cacheBench, change, clientFor, makeItem, refOf, warm } from '../support/cache.js';
import { until } from '../support/core.js';

const packr = new Packr({ useRecords: false });
const item = (sku: string): ItemRef => ({ location: 'main', sku });
type Bench = Awaited<ReturnType<typeof cacheBench>>;

async function ownCluster(nodes: { replicasPerMaster?: number } = {}) {
  const cluster = await startCluster({ ...nodes, conf: { 'cluster-node-timeout': '1500' } });
  return { cluster, bench: await cacheBench({}, { url: cluster.url, prefix: 'c' }) };
}

/** Some items, all in memory, each in a partition of its own. */
async function someItems({ engine, cache }: Bench, count: number): Promise<ItemRef[]> {
  const items = Array.from({ length: count }, (_, n) => item(`one-${n}`));
  for (const one of items) {
    await makeItem(engine, one, 100_000);
    await warm(cache, one);
  }
  return items;
}

/** Sells one of each, and waits until the cache says so from memory. */
async function seenAfterChange(t: Tap, { engine, cache }: Bench, items: readonly ItemRef[], what: string) {
  for (const one of items) {
    const { version } = await change(
      engine.stock.deduct(one, { quantity: 1, orderId: `${what.replaceAll(' ', '-')}-${one.sku}` }),
    );
    await until(`${what}: ${one.sku}`, async () => {
      await cache.get(refOf(one)).catch(() => undefined);
      const entry = cache.hit(refOf(one), performance.now());
      return entry !== undefined && entry.version >= version;
    });
  }
  t.pass(what);
}

async function expectSame(t: Tap, engine: Engine, { cache }: Bench, items: readonly ItemRef[]): Promise<void> {
  const truth = await engine.stock.check(items);
  for (const [index, one] of items.entries()) {
    const { entry } = await cache.get(refOf(one));
    const { available, reserved, sold, version } = truth[index]!;
    t.match(entry, { available, reserved, sold, version }, one.sku);
  }
}

type Tap = Parameters<Parameters<typeof t.test>[0]>[0];

t.test('a message that shows a gap makes the partition be read again', async (t) => {
  const bench = await cacheBench();
  const { engine, cache, url, prefix } = bench;
  const one = item('gap');
  const ref = refOf(one);
  await makeItem(engine, one, 5);
  await warm(cache, one);
  const feed = cache.deltas.feeds[engine.partitions.of(one)]!;
  const { core } = await bareCache(url, prefix);
  const channel = core.keys.fixed('deltas', feed.partition);
  const client = await clientFor(url, channel);
  const { generation, seq } = feed;
  const gaps = cache.deltas.counts.gaps;
  const reads = cache.counts.reads;
  // As if the messages up to seq + 3 had been lost.
  const forged = packr.pack([feed.epoch, seq + 3, seq + 4, Date.now()]);
  await client.call('SPUBLISH', channel, forged);
  await until('the gap', async () => feed.generation > generation);
  t.equal(cache.deltas.counts.gaps, gaps + 1);
  t.equal(cache.hit(ref, performance.now()), undefined, 'what was known is not answered from memory any more');
  t.match(await cache.get(ref), { entry: { available: 5 } }, 'it is read');
  t.equal(cache.counts.reads, reads + 1);
  await client.call('SPUBLISH', channel, Buffer.from('nonsense'));
  await client.call('SPUBLISH', channel, packr.pack([1, 'x', {}, null]));
  await until('counted as malformed', async () => cache.deltas.counts.malformed === 2);
  // The forged message was ahead of the truth: the partition catches up with it before anything is believed again.
  for (let n = 0; n < 6; n++)
    await change(engine.stock.deduct(one, { quantity: 0 + 1, orderId: `g${n}` })).catch(() => 0);
  await until('right again', async () => (await cache.get(ref)).entry.available === 0);
});

t.test('a subscriber that is disconnected misses nothing that it does not notice', async (t) => {
  const { cluster, bench } = await ownCluster({ replicasPerMaster: 0 });
  const items = await someItems(bench, 12);
  const before = bench.cache.deltas.resubscribed;
  for (let round = 0; round < 5; round++) {
    for (const { port } of cluster.nodes)
      await withAdmin(port, (client) => client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
    await seenAfterChange(t, bench, items, `round ${round}`);
  }
  t.ok(bench.cache.deltas.resubscribed > before);
  await expectSame(t, bench.engine, bench, items);
});

t.test('a failover is a gap: what the new master says counts', async (t) => {
  const { cluster, bench } = await ownCluster();
  const items = await someItems(bench, 8);
  const feeds = items.map((one) => bench.cache.deltas.feeds[bench.engine.partitions.of(one)]!);
  const epochs = feeds.map(({ epoch }) => epoch);
  const replica = await replicaOf(cluster, bench, items[0]!);
  await withAdmin(replica.port, (client) => client.call('CLUSTER', 'FAILOVER'));
  await until('a new epoch', async () => {
    await Promise.all(items.map((one) => bench.cache.get(refOf(one)).catch(() => undefined)));
    return feeds.some(({ epoch }, index) => epoch > epochs[index]!);
  });
  await seenAfterChange(t, bench, items, 'after the failover');
  await expectSame(t, bench.engine, bench, items);
});

t.test('a partition that moves to another node is followed there', async (t) => {
  const { cluster, bench } = await ownCluster({ replicasPerMaster: 0 });
  const items = await someItems(bench, 6);
  const { core } = await bareCache(cluster.url, 'c');
  const slot = core.keys.partitions.slots[bench.engine.partitions.of(items[0]!)]!;
  await moveSlot(cluster, slot);
  await seenAfterChange(t, bench, items, 'after the move');
  await expectSame(t, bench.engine, bench, items);
});

t.test(
  'a master that hangs: answers say that they grow old, then they are asked for, then there are none',
  async (t) => {
    const { cluster, bench } = await ownCluster({ replicasPerMaster: 0 });
    const { cache, engine } = bench;
    const [one] = await someItems(bench, 1);
    const ref = refOf(one!);
    const node = await masterOf(cluster, bench, one!);
    node.kill('SIGSTOP');
    const ages: number[] = [];
    await until('nobody vouches any more', async () => {
      const now = performance.now();
      const entry = cache.hit(ref, now);
      if (entry) ages.push(cache.ageOf(entry, now));
      return entry === undefined;
    });
    t.ok(ages.length > 1 && ages.at(-1)! > ages[0]!, 'older and older');
    t.ok(
      ages.every((age) => age <= cache.maxStaleMs + 1),
      'never older than promised',
    );
    await t.rejects(Promise.race([cache.get(ref), late(engine, one!)]), ShardUnavailable);
    node.kill('SIGCONT');
    await seenAfterChange(t, bench, [one!], 'after it woke');
  },
);

t.test('followers are told of every item what holds, also after what they missed', async (t) => {
  const { cluster, bench } = await ownCluster({ replicasPerMaster: 0 });
  const items = await someItems(bench, 6);
  const told = new Map<string, number[]>();
  const follows = items.map((one) => {
    const versions: number[] = [];
    told.set(one.sku, versions);
    return bench.cache.follow(refOf(one), (entry) => void versions.push(entry.version));
  });
  t.ok(
    [...told.values()].every((versions) => versions.length === 1),
    'told at once what is known',
  );
  for (let round = 0; round < 3; round++) {
    for (const { port } of cluster.nodes)
      await withAdmin(port, (client) => client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
    for (const one of items) {
      const { version } = await change(
        bench.engine.stock.deduct(one, { quantity: 1, orderId: `f${round}-${one.sku}` }),
      );
      await until(`told of ${version}`, async () => told.get(one.sku)!.at(-1)! >= version);
    }
  }
  for (const versions of told.values())
    t.strictSame(
      versions,
      [...versions].sort((a, b) => a - b),
      'in order',
    );
  for (const one of items)
    await until('vouched for', async () => bench.cache.vouchedAt(bench.engine.partitions.of(one)) > 0);
  for (const follow of follows) follow.stop();
  const counts = items.map((one) => told.get(one.sku)!.length);
  await seenAfterChange(t, bench, items, 'nobody follows');
  t.strictSame(
    items.map((one) => told.get(one.sku)!.length),
    counts,
    'nothing is told any more',
  );
});

async function masterOf(cluster: RedisCluster, { engine }: Bench, one: ItemRef): Promise<RedisNode> {
  const partition = engine.partitions.of(one);
  const { node } = (await engine.partitions.status()).find((status) => status.partition === partition)!;
  for (const candidate of cluster.nodes) {
    const id = await withAdmin(candidate.port, (client) => client.call('CLUSTER', 'MYID'));
    if (id === node) return candidate;
  }
  throw new Error(`no node ${node}`);
}

async function replicaOf(cluster: RedisCluster, bench: Bench, one: ItemRef): Promise<RedisNode> {
  const master = await masterOf(cluster, bench, one);
  for (const candidate of cluster.nodes) {
    const role = await withAdmin(candidate.port, (client) => client.info('replication'));
    if (role.includes('role:slave') && role.includes(`master_port:${master.port}`)) return candidate;
  }
  throw new Error('the master has no replica');
}

/** Moves a slot with its keys from the master that has it to another. */
async function moveSlot(cluster: RedisCluster, slot: number): Promise<void> {
  const nodes = await Promise.all(
    cluster.nodes.map(async ({ port }) =>
      withAdmin(port, async (client) => ({
        port,
        id: (await client.call('CLUSTER', 'MYID')) as string,
        keys: (await client.call('CLUSTER', 'COUNTKEYSINSLOT', slot)) as number,
      })),
    ),
  );
  const from = nodes.find(({ keys }) => keys > 0)!;
  const to = nodes.find((node) => node !== from)!;
  await withAdmin(to.port, (client) => client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id));
  await withAdmin(from.port, async (client) => {
    await client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    for (;;) {
      const keys = (await client.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[];
      if (keys.length === 0) break;
      await client.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys);
    }
  });
  for (const port of [to.port, from.port, ...nodes.map((node) => node.port)])
    await withAdmin(port, (client) => client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id));
}

/** Only ends a test that would never end. */
async function late(engine: Engine, one: ItemRef): Promise<never> {
  await engine.stock.check([one], { timeoutMs: 30_000 });
  throw new Error('the hung node answered');
}
