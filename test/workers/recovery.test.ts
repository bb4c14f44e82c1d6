// @alone: it compares what is quiet, and waits for it.
import t from 'tap';
import type { Engine, ItemRef } from '../../engine/types.js';
import { emptyForRebuild, RebuildRefused } from '../../workers/recovery/rebuild.js';
import { PostgresSource } from '../../workers/recovery/source.js';
import type { RunningWorker } from '../../workers/worker.js';
import { type Bench, openBench, PARTITIONS, stockEachPartition, trade, until } from './support.js';

let bench: Bench;
let engine: Engine;
let items: ItemRef[];
let worker: RunningWorker;

const KINDS = ['holds', 'claims', 'ids'] as const;

async function keysOf(partition: number): Promise<string[]> {
  const base = bench.keys.fixed('meta', partition).slice(0, -'meta'.length);
  const names: string[] = [];
  for (const node of bench.redis.nodes('master')) {
    let cursor = '0';
    do {
      const [next, found] = await node.scan(cursor, 'MATCH', `${base}*`, 'COUNT', 1_000);
      cursor = next;
      names.push(...found);
    } while (cursor !== '0');
  }
  return names.sort();
}

/** Every field of every hash of the partition, as bytes. Hashes are compared by content: DUMP also shows in what order they grew. */
async function contentOf(partition: number): Promise<Record<string, Record<string, string>>> {
  const content: Record<string, Record<string, string>> = {};
  const fixed = KINDS.map((kind) => bench.keys.fixed(kind, partition));
  for (const key of await keysOf(partition)) {
    if (!fixed.includes(key) && !key.includes(':stock:') && !key.includes(':buyers:')) continue;
    const fields = await bench.redis.hgetallBuffer(key);
    content[key] = Object.fromEntries(
      Object.entries(fields)
        .map(([field, value]) => [field, value.toString('hex')] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }
  return content;
}

/** Everything is drained, and nothing will move by itself any more. */
async function quiet(): Promise<void> {
  await until(async () => {
    const statuses = await engine.partitions.status();
    const soon = Date.now() + 60_000;
    const { rows } = await bench.pools.general.query('SELECT 1 FROM holds WHERE state = 1 AND deadline < $1 LIMIT 1', [
      soon,
    ]);
    return rows.length === 0 && statuses.every((status) => status.seq === status.persisted.seq);
  }, 40_000);
}

t.before(async () => {
  bench = await openBench();
  worker = await bench.worker();
  engine = await bench.engine();
  await engine.ready(20_000);
  items = await stockEachPartition(engine);
  await trade(engine, items, 700, 'first');
  await quiet();
});

t.test('partitions that vanish from Redis are written back as they were', async (t) => {
  for (const partition of [0, 3]) {
    const before = await contentOf(partition);
    t.ok(Object.keys(before).length >= 3, 'there is something to lose');
    const epoch = Number(await bench.redis.hget(bench.keys.fixed('meta', partition), 'epoch'));
    for (const key of await keysOf(partition)) await bench.redis.del(key);
    await until(async () => Number(await bench.redis.hget(bench.keys.fixed('meta', partition), 'epoch')) > epoch);
    await until(async () => (await engine.partitions.status())[partition]?.open);
    t.same(await contentOf(partition), before, `partition ${partition} is the same, byte by byte`);
  }
  t.same((await bench.verify(engine)).problems, []);
});

t.test('a partition that lost its tail is brought forward to what Postgres has', async (t) => {
  const partition = 2;
  const meta = bench.keys.fixed('meta', partition);
  const dumps = new Map<string, Buffer>();
  for (const key of await keysOf(partition)) dumps.set(key, await bench.redis.dumpBuffer(key));
  const early = await contentOf(partition);
  await trade(engine, items, 700, 'tail');
  await quiet();
  const late = await contentOf(partition);
  const aborted = await bench.pools.general.query('SELECT 1 FROM movements WHERE partition = $1 AND kind = 11', [
    partition,
  ]);
  t.ok(aborted.rows.length > 0, 'some of what was held in the tail was aborted');
  t.notSame(late, early);

  // As after a failover to a replica that had not received the tail: older data, and nobody who may write.
  await worker.stop();
  for (const key of await keysOf(partition)) await bench.redis.del(key);
  for (const [key, dump] of dumps) await bench.redis.restore(key, 0, dump);
  await bench.redis.hset(meta, 'owner', '');
  t.same(await contentOf(partition), early);
  worker = await bench.worker();
  await until(async () => (await engine.partitions.status())[partition]?.open);
  t.same(await contentOf(partition), late, 'what Postgres had and Redis lost is back, byte by byte');
  await trade(engine, items, 200, 'after');
  t.same((await bench.verify(engine)).problems, [], 'and it goes on from there');
});

t.test('what a cut-off master sold beyond the point where epochs parted is gone', async (t) => {
  const partition = 2;
  const item = items[partition]!;
  const dump = async () => {
    const dumps = new Map<string, Buffer>();
    for (const key of await keysOf(partition)) dumps.set(key, await bench.redis.dumpBuffer(key));
    return dumps;
  };
  const putBack = async (dumps: ReadonlyMap<string, Buffer>) => {
    for (const key of await keysOf(partition)) await bench.redis.del(key);
    for (const [key, value] of dumps) await bench.redis.restore(key, 0, value);
    await bench.redis.hset(bench.keys.fixed('meta', partition), 'owner', '');
    worker = await bench.worker();
    await until(async () => (await engine.partitions.status())[partition]?.open);
  };
  await quiet();
  const parted = await dump();
  await worker.stop();
  const lost = await engine.reservations.reserve({
    buyerId: 'nobody',
    lines: [{ ...item, quantity: 7 }],
    holdSeconds: 2,
  });
  t.equal(lost.status, 'ok');
  const cutOff = await dump();

  await putBack(parted);
  await trade(engine, items, 300, 'epoch');
  await quiet();
  const late = await contentOf(partition);
  await worker.stop();
  await putBack(cutOff);
  t.same(await contentOf(partition), late, 'byte by byte what Postgres has, and nothing else');
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  t.same((await bench.verify(engine)).problems, [], 'the lost hold does not come back by expiring');
});

t.test('one process recovers; no batch commits meanwhile; epochs only grow', async (t) => {
  const source = new PostgresSource(bench.pools.general);
  const other = new PostgresSource(bench.pools.general);
  const partition = 1;
  const position = await source.position(partition);
  await source.exclusively(partition, async () => {
    t.equal(await other.exclusively(partition, () => Promise.resolve('in')), false);
    await trade(engine, [items[partition]!], 30, 'meanwhile');
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.equal((await other.position(partition)).seq, position.seq, 'nothing is persisted during a recovery');
    await t.rejects(source.raiseEpoch(partition, position.announced, position.seq, position.epoch), /does not follow/);
    await t.rejects(
      source.raiseEpoch(partition, position.announced + 1, position.seq - 1, position.epoch),
      /does not follow/,
    );
  });
  await until(async () => (await source.position(partition)).seq > position.seq);
  t.equal(await other.exclusively(partition, () => Promise.resolve('in')), 'in');
  await t.rejects(
    source.exclusively(partition, () => Promise.reject(new Error('broken'))),
    /broken/,
  );
  // Postgres ends the session it was told to let go of a moment later.
  await until(async () => (await other.exclusively(partition, () => Promise.resolve('in'))) === 'in');
  t.pass('a failed recovery gives the locks back');
});

t.test('a rebuild that is interrupted leaves nothing that is sold from half emptied', async (t) => {
  const partition = 4;
  await quiet();
  const before = await contentOf(partition);
  await worker.stop();
  const target = {
    redisUrl: bench.redisUrl,
    databaseUrl: bench.databaseUrl,
    keyPrefix: bench.prefix,
    partitions: PARTITIONS,
  };
  // Its session ends as with a restart of Postgres, once the first records are gone; the process itself goes on.
  class Interrupted extends PostgresSource {
    override async position(asked: number) {
      const gone = Object.keys(await contentOf(partition)).length < Object.keys(before).length;
      if (asked === partition && gone)
        await bench.pools.general.query(
          `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
          [partition],
        );
      return super.position(asked);
    }
  }
  const source = new Interrupted(bench.pools.general);
  const options = { target, pool: bench.pools.general, source, replace: true, discardUnpersisted: false };
  await t.rejects(emptyForRebuild({ ...options, pageKeys: 1 }), 'who has lost the lock removes nothing any more');
  const left = await contentOf(partition);
  t.ok(Object.keys(left).length < Object.keys(before).length, 'something of it was gone by then');
  t.ok(Object.keys(left).length > 0, 'and something was not');
  worker = await bench.worker();
  await until(async () => (await engine.partitions.status()).every((status) => status.open));
  t.same(await contentOf(partition), before, 'a worker that comes by writes it back, byte by byte');
  t.same((await bench.verify(engine)).problems, []);
});

t.test('rebuild writes an emptied Redis anew, and refuses to throw away what Postgres does not have', async (t) => {
  await quiet();
  const before = await Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => contentOf(partition)));
  const kinds = before.flatMap((content) => Object.keys(content)).map((key) => key.split(':')[2]);
  t.same([...new Set(kinds)].sort(), ['buyers', 'claims', 'holds', 'ids', 'stock'], 'every kind of record is among it');
  const source = new PostgresSource(bench.pools.general);
  const target = {
    redisUrl: bench.redisUrl,
    databaseUrl: bench.databaseUrl,
    keyPrefix: bench.prefix,
    partitions: PARTITIONS,
  };
  const empty = (replace: boolean, discardUnpersisted = false) =>
    emptyForRebuild({ target, pool: bench.pools.general, source, replace, discardUnpersisted }).catch(
      (error: unknown) => error,
    );
  t.ok((await empty(false)) instanceof RebuildRefused, 'not without --replace');
  await worker.stop();
  await engine.stock.restock(items[0]!, { quantity: 5, movementId: 'unpersisted' });
  const refusal = await empty(true);
  t.ok(refusal instanceof RebuildRefused);
  t.match((refusal as Error).message, /does not have 1 events of 1 partitions/);
  const filled = (await empty(true, true)) as number[];
  t.equal(filled.length, PARTITIONS);
  worker = await bench.worker();
  await until(async () => (await engine.partitions.status()).every((status) => status.open));
  for (let partition = 0; partition < PARTITIONS; partition++) t.same(await contentOf(partition), before[partition]);
  t.same((await bench.verify(engine)).problems, []);
});
