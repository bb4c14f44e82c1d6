/** Redis comes back with a history that parted from what is persisted, and who may open what a worker has drained. */
import t from 'tap';
import { ShardUnavailable } from '../../engine/errors.js';
import { withAdmin } from '../../stack/redis-form.js';
import { testCluster } from '../harness/index.js';
import { availableOf, itemIn, reserve, stockUp, testCore, type TestCore, until } from '../support/core.js';
import { MemorySource } from '../support/source.js';

async function meta(core: TestCore, partition: number, ...fields: string[]): Promise<void> {
  await withAdmin(core.caller.linkOf(partition)!.master.endpoint.port, (client) =>
    client.hset(core.keys.fixed('meta', partition), ...fields),
  );
}

t.test('items and buyers that Postgres does not know are gone; what it knows is as it says', async (t) => {
  const { url, prefix } = await testCluster();
  const source = new MemorySource();
  const core = await testCore({ redis: url, prefix, source });
  const partition = 3;
  const [known, phantom] = [itemIn(core, partition, 'known'), itemIn(core, partition, 'phantom')];
  await stockUp(core, known, 100);
  await stockUp(core, phantom, 100);
  await reserve(core, phantom, 'order', 2);
  const port = core.caller.linkOf(partition)!.master.endpoint.port;
  const buyers = [known, phantom].map((ref) => core.keys.item('buyers', partition, ref));
  await withAdmin(port, async (client) => {
    for (const key of buyers) await client.hset(key, 'buyer', 2);
  });
  const later = (await core.partitions.status())[partition]!.epoch + 3;
  source.positions.set(partition, { epoch: later, seq: 6, announced: later });
  const [location, sku] = known.split(':') as [string, string];
  const item = { location, sku, available: 7, reserved: 0, sold: 0, version: 3, updatedAt: 1, settings: {} };
  source.states.set(partition, [{ items: [item] }]);
  await meta(core, partition, 'owner', 'another');
  await until('the partition opens', async () =>
    (await core.partitions.status()).find((one) => one.partition === partition && one.open && one.epoch > later),
  );
  t.equal(await availableOf(core, known), 7);
  t.equal(await availableOf(core, phantom), undefined, 'nothing may be sold of it');
  t.equal(await withAdmin(port, (client) => client.exists(...buyers)), 0);
});

t.test(
  'what a worker has drained is opened by workers only, also where it was open before the worker came',
  async (t) => {
    const { url, prefix } = await testCluster();
    const alone = await testCore({ redis: url, prefix });
    const partition = 11;
    const item = itemIn(alone, partition);
    await stockUp(alone, item, 5);
    const { epoch, seq } = (await alone.partitions.status())[partition]!;
    await alone.partitions.markPersisted(partition, { epoch, seq });
    // Its node comes back without the last events.
    await meta(alone, partition, 'owner', '', 'seq', '1');
    await t.rejects(availableOf(alone, item, { timeoutMs: 500 }), ShardUnavailable);
    t.ok(alone.notices.some((notice) => notice.level === 'error' && notice['partition'] === partition));
  },
);

t.test(
  'open under an epoch older than one announced, whoever opened it: closed, and opened anew above it',
  async (t) => {
    const { url, prefix } = await testCluster();
    const partition = 6;
    const alone = await testCore({ redis: url, prefix });
    await alone.ready();
    const item = itemIn(alone, partition);
    await stockUp(alone, item, 5);
    const { epoch, seq } = (await alone.partitions.status())[partition]!;
    await alone.close();
    const source = new MemorySource();
    // A recovery has announced that and ended before it opened.
    const announced = epoch + 3_600_000_000;
    source.positions.set(partition, { epoch: 0, seq: 0, announced });
    const core = await testCore({ redis: url, prefix, source });
    const found = await until('the partition is opened anew', async () => {
      const status = (await core.partitions.status()).find((one) => one.partition === partition);
      return status?.open && status.epoch > announced && status;
    });
    t.equal(found.seq, seq + 1);
    t.equal(await availableOf(core, item, { timeoutMs: 10_000 }), 5, 'nothing of it is lost');
    t.same(
      source.raised.map((one) => one.partition),
      [partition],
      'the others stay open',
    );
    t.match(
      core.notices.find(({ level }) => level === 'warn'),
      { partition, epoch, announced },
    );
  },
);

t.test('a recovery that lost its lock opens under an epoch older than the one announced: opened anew', async (t) => {
  const { url, prefix } = await testCluster();
  const partition = 5;
  const source = new MemorySource();
  const core = await testCore({ redis: url, prefix, source });
  await core.ready();
  const port = core.caller.linkOf(partition)!.master.endpoint.port;
  const key = core.keys.fixed('meta', partition);
  const [owner, run, seq, epoch] = await withAdmin(port, (client) => client.hmget(key, 'owner', 'run', 'seq', 'epoch'));
  const others = Number(epoch) + 1;
  source.raised.length = 0;
  const raise = source.raiseEpoch.bind(source);
  let late = 1;
  // The other one had looked and announced before this one did; now that this one has announced, it opens.
  source.raiseEpoch = async (at, announced, after) => {
    await raise(at, announced, after);
    if (at === partition && late-- > 0)
      await meta(core, at, 'owner', owner!, 'run', run!, 'epoch', String(others), 'seq', seq!);
  };
  source.positions.set(partition, { epoch: Number(epoch), seq: Number(seq), announced: others });
  await meta(core, partition, 'owner', '');
  const found = await until('the partition is open for good', async () => {
    const status = (await core.partitions.status()).find((one) => one.partition === partition);
    return late <= 0 && status?.open && status.epoch >= (await source.position(partition)).announced && status;
  });
  const raised = source.raised.map((one) => one.epoch);
  t.equal(raised.length, 2);
  t.ok(raised[0]! > others);
  t.equal(found.epoch, raised[1]);
});
