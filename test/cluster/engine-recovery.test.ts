import t from 'tap';
import { ShardUnavailable } from '../../engine/errors.js';
import { stockConfirm } from '../../engine/scripts/generated/stock-confirm.js';
import { stockRestock } from '../../engine/scripts/generated/stock-restock.js';
import type { HoldRecord, PartitionDump, StockItem } from '../../engine/types.js';
import { withAdmin } from '../../stack/redis-form.js';
import { startCluster, testCluster } from '../harness/index.js';
import { availableOf, itemIn, reserve, stockUp, testCore, type TestCore, until } from '../support/core.js';
import { MemorySource } from '../support/source.js';

async function dumped(core: TestCore, partition: number): Promise<Required<PartitionDump>> {
  const all = { items: [] as StockItem[], holds: [] as HoldRecord[], claims: [] as HoldRecord[] };
  for await (const page of core.partitions.dump(partition)) {
    all.items.push(...(page.items ?? []));
    all.holds.push(...(page.holds ?? []));
    all.claims.push(...(page.claims ?? []));
  }
  return all;
}

async function onMaster<T>(core: TestCore, partition: number, work: Parameters<typeof withAdmin<T>>[1]): Promise<T> {
  return withAdmin(core.caller.linkOf(partition)!.master.endpoint.port, work);
}

/** Removes every key of the partition, as if its node had come back empty. */
async function wipe(core: TestCore, partition: number): Promise<void> {
  await onMaster(core, partition, async (client) => {
    const slot = core.keys.partitions.slots[partition]!;
    for (const key of await client.cluster('GETKEYSINSLOT', slot, 1000))
      if (key.startsWith(`${core.keys.prefix}:`)) await client.del(key);
  });
}

t.test('what is persisted and Redis has lost is written back exactly, before the partition opens', async (t) => {
  const { url, prefix } = await testCluster();
  const source = new MemorySource();
  const core = await testCore({ redis: url, prefix, source });
  const partition = 9;
  const item = itemIn(core, partition);
  await stockUp(core, item, 100);
  const id = 'hold-1';
  await reserve(core, item, id, 3);
  await reserve(core, item, 'hold-2', 2);
  const lines = [{ item }];
  await core.caller.call(stockConfirm, partition, { id: 'hold-2', attempt: 0, actor: 'näu', lines });
  const before = await dumped(core, partition);
  t.equal(before.items.length, 1);
  t.equal(before.holds.length, 2);
  const { epoch, seq } = (await core.partitions.status())[partition]!;
  t.strictSame(
    source.raised.find((one) => one.partition === partition),
    { partition, epoch, seq: 0 },
  );

  // Postgres has all of it, and two records that only it knows: a long claim, and the answer of a restock.
  const claim: HoldRecord = {
    id: 'claim-1',
    state: 'confirmed',
    deadline: 1_900_000_000_000,
    fingerprint: 2 ** 45 + 1,
    attempt: 1_800_000_000_001,
    buyerId: 'buyer',
    resolvedAt: 1_800_000_000_002,
    openedAt: 1_800_000_000_000,
    lines: Array.from({ length: 100 }, (_, n) => ({
      location: 'l'.repeat(128),
      sku: `${'s'.repeat(120)}${n}`,
      quantity: n + 1,
      returned: 0,
      counted: false,
    })),
  };
  const level = { ...before.items[0]!, available: 100, reserved: 0, sold: 0, version: 2 };
  source.positions.set(partition, { epoch, seq, announced: epoch });
  source.states.set(partition, [
    { ...before, claims: [claim] },
    {
      ids: [{ id: 'again', ref: item, kind: 2, fingerprint: 77, level }],
      buyers: [{ ref: item, buyerId: 'buyer', units: 4 }],
      gone: { holds: ['never-was'], claims: ['nor-this'] },
    },
  ]);
  await wipe(core, partition);
  t.equal(await availableOf(core, item, { timeoutMs: 10_000 }), 95);
  const after = await dumped(core, partition);
  t.strictSame(after.items, before.items);
  const byId = (holds: readonly HoldRecord[]) => [...holds].sort((a, b) => (a.id < b.id ? -1 : 1));
  t.strictSame(byId(after.holds), byId(before.holds));
  t.strictSame(after.claims, [claim]);
  t.strictSame(source.asked, [{ partition, seq: 0 }]);
  const [status] = (await core.partitions.status()).filter((one) => one.partition === partition);
  t.match(status, { seq: seq + 1, open: true, persisted: { epoch, seq } });
  t.ok(status!.epoch > epoch);
  // Other partitions of the node are opened at the same time.
  t.strictSame(
    source.raised.findLast((one) => one.partition === partition),
    { partition, epoch: status!.epoch, seq },
  );
  // What was done before is known by its id, as it was.
  const repeated = await core.caller.call(stockRestock, partition, {
    ...{ id: 'again', fingerprint: 77, item, quantity: 1, reason: '', actor: '' },
  });
  t.match(repeated.result, { status: 'exists', available: 100, version: 2 });
  t.match((await reserve(core, item, id, 3)).result, { status: 'exists' });
  await onMaster(core, partition, async (client) => {
    t.equal(await client.hget(core.keys.item('buyers', partition, item), 'buyer'), '4');
    t.equal(
      await client.zscore(core.keys.fixed('due', partition), id),
      String(before.holds.find((h) => h.id === id)!.deadline),
    );
    t.equal(await client.hget(core.keys.fixed('meta', partition), 'persistence'), 'postgres');
  });
});

t.test('a lost tail within an epoch: only what changed since is asked for; other cases of who is ahead', async (t) => {
  const { url, prefix } = await testCluster();
  const source = new MemorySource();
  const core = await testCore({ redis: url, prefix, source });
  await core.ready();
  const before = (await core.partitions.status()).map(({ epoch }) => epoch);
  const meta = (partition: number, ...fields: string[]) =>
    onMaster(core, partition, (client) => client.hset(core.keys.fixed('meta', partition), ...fields));
  const opened = (partition: number) =>
    until(`partition ${partition} opens`, async () => {
      const status = (await core.partitions.status()).find((one) => one.partition === partition);
      return status?.open && status.epoch > before[partition]! ? status : undefined;
    });
  source.raised.length = 0;
  // Same epoch, Postgres ahead.
  source.positions.set(1, { epoch: before[1]!, seq: 7, announced: before[1]! });
  await meta(1, 'owner', 'another', 'seq', '4');
  const first = await opened(1);
  t.equal(first.seq, 8);
  // Redis ahead: its log still holds what Postgres lacks.
  source.positions.set(2, { epoch: before[2]!, seq: 3, announced: before[2]! });
  await meta(2, 'owner', 'another', 'seq', '9');
  const second = await opened(2);
  t.equal(second.seq, 10);
  // Postgres knows a later epoch: it is not known where the histories parted.
  const later = before[3]! + 3;
  source.positions.set(3, { epoch: later, seq: 6, announced: later });
  await meta(3, 'owner', 'another', 'seq', '9');
  const third = await opened(3);
  t.equal(third.seq, 7);
  t.ok(third.epoch > later);
  // A recovery announced an epoch and died before it opened.
  const announced = Date.now() * 1_000 + 60_000_000;
  source.positions.set(4, { epoch: before[4]!, seq: 1, announced });
  await meta(4, 'owner', 'another');
  const fourth = await opened(4);
  t.equal(fourth.seq, 2);
  t.ok(fourth.epoch > announced);
  t.strictSame(
    source.asked.sort((a, b) => a.partition - b.partition),
    [
      { partition: 1, seq: 4 },
      { partition: 3, seq: 0 },
    ],
  );
  t.strictSame(
    source.raised.sort((a, b) => a.partition - b.partition),
    [
      { partition: 1, epoch: first.epoch, seq: 7 },
      { partition: 2, epoch: second.epoch, seq: 9 },
      { partition: 3, epoch: third.epoch, seq: 6 },
      { partition: 4, epoch: fourth.epoch, seq: 1 },
    ],
  );
});

t.test('without a source: partitions that a worker owns are refused, all others go on', async (t) => {
  const { url, prefix } = await testCluster();
  const worker = await testCore({ redis: url, prefix, source: new MemorySource() });
  await worker.ready();
  const item = itemIn(worker, 11);
  await stockUp(worker, item, 5);
  await worker.close();
  const alone = await testCore({ redis: url, prefix });
  await alone.ready();
  t.equal(await availableOf(alone, item), 5, 'what is open may be used by anybody');
  await onMaster(alone, 11, (client) => client.hset(alone.keys.fixed('meta', 11), 'owner', ''));
  await t.rejects(availableOf(alone, item, { timeoutMs: 500 }), ShardUnavailable);
  t.ok(alone.notices.some(({ level, partition }) => level === 'error' && partition === 11));
  t.equal(await alone.ready(200).catch((error: Error) => error.message), '1 of 64 partitions are not open: 11');
  const second = await testCore({ redis: url, prefix, source: new MemorySource() });
  t.equal(await availableOf(second, item, { timeoutMs: 10_000 }), 5);
  t.equal(await availableOf(alone, item, { timeoutMs: 10_000 }), 5);
});

t.test('external: waits until another process has opened, and says so when nobody does', async (t) => {
  const cluster = await startCluster({ replicasPerMaster: 0 });
  const server = await testCore({ redis: cluster.url, prefix: 'ext', recovery: 'external' });
  const item = itemIn(server, 20);
  await t.rejects(availableOf(server, item, { timeoutMs: 300 }), { code: 'shard_unavailable', partition: 20 });
  await t.rejects(server.ready(100), ShardUnavailable);
  const waiting = availableOf(server, item, { timeoutMs: 20_000 });
  const worker = await testCore({ redis: cluster.url, prefix: 'ext' });
  t.equal(await waiting, undefined, 'opened while the call waited; there is no such item');
  await server.ready(20_000);
  await worker.close();
  // Flushed scripts are no reason to open anything: whoever recovers must see it.
  for (const node of cluster.nodes) await withAdmin(node.port, (client) => client.script('FLUSH'));
  await t.rejects(availableOf(server, item, { timeoutMs: 300 }), ShardUnavailable);
  await testCore({ redis: cluster.url, prefix: 'ext' });
  t.equal(await availableOf(server, item, { timeoutMs: 20_000 }), undefined);
});

t.test('restoring into an open partition, and opening what has moved on, are refused', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  await core.ready();
  const before = await dumped(core, 2);
  const { partitionRestore } = await import('../../engine/scripts/generated/partition-restore.js');
  const { partitionOpen } = await import('../../engine/scripts/generated/partition-open.js');
  const op = { kind: 2, id: 'x', due: 0, head: '[1,0,0,0,"",0]', tail: '', lines: [] };
  await t.rejects(core.caller.callOnce(partitionRestore, 2, { recovery: 'mine' }, [op]), ShardUnavailable);
  const { id } = core.caller.linkOf(2)!.master;
  const { epoch } = (await core.partitions.status())[2]!;
  const from = { recovery: '', fromEpoch: epoch, fromSeq: 0 };
  const args = { node: id, run: 'other', ...from, epoch: epoch + 1, seq: 0, persistence: '', persisted: '' };
  await t.rejects(core.caller.callOnce(partitionOpen, 2, args), ShardUnavailable);
  await t.rejects(core.caller.callOnce(partitionOpen, 2, { ...args, node: 'other', fromSeq: 1 }), ShardUnavailable);
  await t.rejects(core.caller.callOnce(partitionOpen, 2, { ...args, epoch, fromSeq: 1 }), ShardUnavailable);
  t.strictSame(await dumped(core, 2), before);
  t.equal((await core.partitions.status())[2]!.epoch, epoch);
});
