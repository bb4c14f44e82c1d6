import t from 'tap';
import { openCore } from '../../engine/core.js';
import { InvalidArgument, ShardUnavailable } from '../../engine/errors.js';
import { openEngine } from '../../engine/index.js';
import type { HoldRecord, StockItem } from '../../engine/types.js';
import { freePorts } from '../../stack/ports.js';
import { spawnManaged } from '../../stack/processes.js';
import { findRedis } from '../../stack/redis-binary.js';
import { withAdmin } from '../../stack/redis-form.js';
import { startCluster, tempDir, testCluster } from '../harness/index.js';
import { itemIn, reserve, stockUp, testCore, type TestCore, until } from '../support/core.js';

async function statusOf(core: TestCore, partition: number) {
  return (await core.partitions.status()).find((one) => one.partition === partition)!;
}

t.test('the log is read in whole entries, in order, from any position', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  const partition = 40;
  const item = itemIn(core, partition);
  await stockUp(core, item, 10_000);
  for (let round = 0; round < 30; round++)
    await Promise.all(Array.from({ length: 20 }, (_, n) => reserve(core, item, `r${round}-${n}`)));
  const all = await core.partitions.readLog(partition, { epoch: 0, seq: 0 }, 10_000);
  t.strictSame(
    all.map(({ seq }) => seq),
    Array.from({ length: 603 }, (_, n) => n + 1),
    'gapless: opening, configuring, restocking, 600 holds',
  );
  const { epoch } = await statusOf(core, partition);
  t.match(all[3], { partition, epoch, kind: 5, ref: item, quantity: 1, available: 9999, reserved: 1, sold: 0 });
  const paged: number[] = [];
  for (let after = { epoch: 0, seq: 0 }; ;) {
    const page = await core.partitions.readLog(partition, after, 50);
    if (page.length === 0) break;
    t.ok(page.length < 50 + 128);
    paged.push(...page.map(({ seq }) => seq));
    after = { epoch: page.at(-1)!.epoch, seq: page.at(-1)!.seq };
  }
  t.strictSame(
    paged,
    all.map(({ seq }) => seq),
  );
  t.strictSame(await core.partitions.readLog(partition, { epoch: epoch + 1, seq: 0 }, 10), []);
});

t.test('records are read by name as pages have them, more than a page of them too', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  const partition = 40;
  const item = itemIn(core, partition);
  await stockUp(core, item, 10_000);
  const ids = Array.from({ length: 620 }, (_, n) => `r${n}`);
  await Promise.all(ids.map((id) => reserve(core, item, id)));
  const paged = { items: [] as StockItem[], holds: [] as HoldRecord[] };
  for await (const page of core.partitions.dump(partition)) {
    paged.items.push(...(page.items ?? []));
    paged.holds.push(...(page.holds ?? []));
  }
  const read = await core.partitions.read(partition, {
    items: [item, `${item}-not`],
    holds: ['not', ...ids],
    claims: ids,
  });
  const byId = (x: HoldRecord, y: HoldRecord) => (x.id < y.id ? -1 : 1);
  t.equal(read.holds.length, 620);
  t.strictSame([...read.holds].sort(byId), paged.holds.sort(byId));
  t.strictSame(read.items, paged.items);
  t.strictSame(read.claims, []);
  t.strictSame(await core.partitions.read(partition, {}), { items: [], holds: [], claims: [] });
});

t.test('marking persisted trims exactly up to the position, only grows, and refuses what lies ahead', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  const partition = 40;
  const item = itemIn(core, partition);
  await stockUp(core, item, 100);
  for (let n = 0; n < 7; n++) await reserve(core, item, `r${n}`);
  const rest = async () => (await core.partitions.readLog(partition, { epoch: 0, seq: 0 }, 100)).map(({ seq }) => seq);
  const { epoch } = await statusOf(core, partition);
  await core.partitions.markPersisted(partition, { epoch, seq: 4 });
  t.strictSame(await rest(), [5, 6, 7, 8, 9, 10]);
  t.match(await statusOf(core, partition), {
    persisted: { epoch, seq: 4 },
    logLength: 6,
    seq: 10,
    epoch,
    open: true,
  });
  await core.partitions.markPersisted(partition, { epoch, seq: 2 });
  t.match(await statusOf(core, partition), { persisted: { epoch, seq: 4 }, logLength: 6 });
  for (const ahead of [
    { epoch, seq: 11 },
    { epoch: epoch + 1, seq: 5 },
  ])
    await t.rejects(core.partitions.markPersisted(partition, ahead), InvalidArgument);
  t.strictSame(await rest(), [5, 6, 7, 8, 9, 10]);
  await core.partitions.markPersisted(partition, { epoch, seq: 10 });
  t.strictSame(await rest(), []);
  await reserve(core, item, 'next');
  t.strictSame(await rest(), [11]);
});

t.test('status: every partition once, the earliest that is due', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  await core.ready();
  const status = await core.partitions.status();
  t.strictSame(
    status.map(({ partition }) => partition),
    Array.from({ length: 64 }, (_, n) => n),
  );
  t.ok(status.every(({ open, epoch, seq, logLength }) => open && epoch > 0 && seq === 1 && logLength === 1));
  t.equal(new Set(status.map(({ node }) => node)).size, 3);
  t.strictSame(
    (await core.partitions.status([40, 3, 3, 64])).map(({ partition }) => partition),
    [3, 40],
    'of some only',
  );
  t.strictSame(await core.partitions.status([]), []);
  const item = itemIn(core, 3);
  await stockUp(core, item, 5);
  const { result } = await reserve(core, item, 'r');
  t.equal(result.status === 'ok' && result.deadline > 0, true);
  const { nextDue } = await statusOf(core, 3);
  t.equal(typeof nextDue, 'number');
  t.ok(nextDue! <= (result as { deadline: number }).deadline);
});

t.test('durable: told when Postgres has it, by message or by looking; else the ack that was reached', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  const partition = 12;
  const item = itemIn(core, partition);
  await stockUp(core, item, 1000);
  const durable = (id: string, timeoutMs = 20_000) => reserve(core, item, id, 1, { ack: 'durable', timeoutMs });
  const { ack, epoch } = await durable('nobody', 300);
  t.equal(ack, 'replicated', 'nobody persists');
  // The first waits for its subscription too, the others only for the message.
  for (let round = 0; round < 5; round++) {
    const answers = ['a', 'b', 'c'].map((name) => durable(`${name}${round}`));
    const seq = await until('the calls ran', async () => {
      const { seq } = await statusOf(core, partition);
      return seq >= 4 + 3 * (round + 1) && seq;
    });
    await core.partitions.markPersisted(partition, { epoch, seq });
    for (const { ack, result } of await Promise.all(answers)) t.strictSame([ack, result.status], ['durable', 'ok']);
  }
  // Somebody else published, and the message was lost: the position is read.
  const unheard = durable('unheard');
  const { seq } = await until('it ran', async () => {
    const status = await statusOf(core, partition);
    return status.seq === 20 && status;
  });
  const { port } = core.caller.linkOf(partition)!.master.endpoint;
  await withAdmin(port, (client) => client.hset(core.keys.fixed('meta', partition), 'persisted', `${epoch}-${seq}`));
  t.equal((await unheard).ack, 'durable');
  // A later epoch says nothing about this event.
  const later = durable('later');
  await until('it ran', async () => (await statusOf(core, partition)).seq === 21);
  await withAdmin(port, (client) => client.hset(core.keys.fixed('meta', partition), 'persisted', `${epoch + 1}-99`));
  t.equal((await later).ack, 'replicated');
  // A refusal changed nothing: there is nothing to wait for.
  t.match(await reserve(core, item, 'much', 100_000, { ack: 'durable' }), { ack: 'executed' });
});

t.test('an engine is not handed out for what cannot work', async (t) => {
  const [port] = await freePorts(1);
  await t.rejects(openEngine({ redis: `redis://127.0.0.1:${port}` }), ShardUnavailable);
  await t.rejects(openEngine({ redis: '' }), InvalidArgument);
  const dir = tempDir();
  const lone = await spawnManaged({
    name: 'lone-redis',
    command: findRedis().command,
    args: ['--port', String(port), '--dir', dir, '--save', ''],
    runDir: `${dir}/run`,
    logFile: `${dir}/log`,
  });
  await until('it answers', () =>
    withAdmin(port!, async (client) => (await client.ping()) === 'PONG').catch(() => false),
  );
  await t.rejects(openEngine({ redis: `redis://127.0.0.1:${port}` }), {
    code: 'invalid_argument',
    message: /cluster mode/,
  });
  await lone.stop();

  const { url, prefix } = await testCluster();
  for (const options of [
    { partitions: 3 },
    { prefix: 'a{b}' },
    { ack: 'sure' },
    { timeoutMs: 0 },
    { recovery: 'maybe' },
    { takeover: 'no' },
    { recovery: 'external', source: {} },
  ])
    await t.rejects(openEngine({ redis: url, ...options } as never), InvalidArgument, JSON.stringify(options));
  const first = await openCore({ redis: url, prefix, partitions: 32 });
  await first.close();
  for (const recovery of ['self', 'external'] as const)
    await t.rejects(openEngine({ redis: url, prefix, recovery }), {
      code: 'invalid_argument',
      message: /has 32 partitions, not 64/,
    });
});

t.test('a node that would evict is warned of', async (t) => {
  const cluster = await startCluster({ masters: 1, replicasPerMaster: 0, conf: { 'maxmemory-policy': 'allkeys-lru' } });
  const core = await testCore({ redis: cluster.url });
  t.match(
    core.notices.find(({ policy }) => policy),
    { level: 'warn', policy: 'allkeys-lru' },
  );
});
