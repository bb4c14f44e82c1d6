/** No two openings of a partition share an epoch, also where the later one knows nothing of the earlier. */
import t from 'tap';
import { type Context, isVouchedFor } from '../../engine/context.js';
import { viewFrom, withAdmin } from '../../stack/redis-form.js';
import { startCluster, testCluster } from '../harness/index.js';
import { availableOf, itemIn, reserve, stockUp, testCore, type TestCore, until } from '../support/core.js';
import { MemorySource } from '../support/source.js';

const PATIENT = { timeoutMs: 30_000 };
const PARTITION = 30;
/** `HSET`, past recovery: whoever looks next finds the partition closed. */
async function close(core: TestCore): Promise<void> {
  const { port } = core.caller.linkOf(PARTITION)!.master.endpoint;
  await withAdmin(port, (client) => client.hset(core.keys.fixed('meta', PARTITION), 'owner', ''));
}

const openAfter = (core: TestCore, former: { node?: string; epoch?: number }) =>
  until('the partition is open anew', async () => {
    const status = (await core.partitions.status()).find(({ partition }) => partition === PARTITION);
    return status?.open && status.node !== former.node && status.epoch !== former.epoch && status;
  });

t.test('a failover loses the last opening and what was sold under it: its epoch does not come again', async (t) => {
  const conf = { 'cluster-node-timeout': '1500', 'cluster-replica-validity-factor': '0' };
  const cluster = await startCluster({ conf });
  const core = await testCore({ redis: cluster.url, prefix: 'e' });
  await core.ready();
  const item = itemIn(core, PARTITION);
  await stockUp(core, item, 10);
  const kept = await reserve(core, item, 'kept');
  t.match(kept, { ack: 'replicated', result: { status: 'ok' } });
  const { id, endpoint } = core.caller.linkOf(PARTITION)!.master;
  const replica = (await viewFrom(endpoint.port)).find(({ masterId }) => masterId === id)!;

  // A password that its master does not know: the replica hears nothing from here on.
  await withAdmin(replica.port, (client) => client.config('SET', 'masterauth', 'wrong'));
  await withAdmin(endpoint.port, (client) => client.call('CLIENT', 'KILL', 'TYPE', 'replica'));
  await close(core);
  const lost = await reserve(core, item, 'lost', 1, { ack: 'executed', ...PATIENT });
  t.match(lost.result, { status: 'ok' });
  t.ok(lost.epoch > kept.epoch);

  const master = cluster.nodes.find(({ port }) => port === endpoint.port)!;
  master.kill('SIGKILL');
  const { epoch } = await openAfter(core, { node: id });
  t.ok(epoch > kept.epoch);
  t.not(epoch, lost.epoch, 'though both openings followed the same epoch');
  t.equal(await availableOf(core, item, PATIENT), 9, 'the last sale is gone');
  const { keys, caller, ack, timeoutMs, safeMs } = core;
  const { partitions } = keys;
  const context: Context = { caller, partitions, ack, timeoutMs, safeMs, swept: async () => undefined };
  // What the dead master has answered: whoever asks for a safer ack now must not be given that of the other history.
  t.notOk(await isVouchedFor(context, PARTITION, lost.epoch, PATIENT, ['replicated']));
  t.ok(await isVouchedFor(context, PARTITION, epoch, PATIENT, ['replicated']), 'which is safe itself, or stands alone');
});

t.test('what was opened without Postgres is taken over by whoever has it, above all it announced', async (t) => {
  const { url, prefix } = await testCluster();
  const alone = await testCore({ redis: url, prefix });
  await alone.ready();
  const item = itemIn(alone, PARTITION);
  await stockUp(alone, item, 5);
  const before = await reserve(alone, item, 'before');
  await alone.close();
  const source = new MemorySource();
  const worker = await testCore({ redis: url, prefix, source });
  await close(worker);
  const taken = await openAfter(worker, { epoch: before.epoch });
  t.ok(taken.epoch > before.epoch);
  t.strictSame(source.raised, [{ partition: PARTITION, epoch: taken.epoch, seq: before.seq }]);
  t.match((await reserve(worker, item, 'before')).result, { status: 'exists' });

  // Announced by a process whose clock runs a day ahead of ours.
  const ahead = taken.epoch + 86_400_000_000;
  source.positions.set(PARTITION, { epoch: 0, seq: 0, announced: ahead });
  await close(worker);
  const { epoch } = await openAfter(worker, { epoch: taken.epoch });
  t.ok(epoch > ahead);
  t.equal(await availableOf(worker, item), 4);
});
