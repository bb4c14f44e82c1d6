import t from 'tap';
import type { ItemRef } from '../../engine/types.js';
import { readConfig } from '../../workers/config.js';
import { startWorker } from '../../workers/worker.js';
import { atEnd } from '../harness/index.js';
import { openBench, PARTITIONS, silent, stockEachPartition, trade, until } from './support.js';

const bench = await openBench();

t.test('a worker finds by itself what disagrees, and what agrees again', async (t) => {
  const worker = await startWorker(readConfig({ ...bench.env, HOLDFAST_VERIFY_SECONDS: '1' }), silent);
  atEnd(() => worker.stop());
  const values = async (): Promise<Map<number, number>> => {
    const { values } = await worker.metrics.violations.get();
    return new Map(values.map(({ labels, value }) => [Number(labels['partition']), value]));
  };
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  await trade(engine, items, 300, 'before');
  await until(async () => (await values()).size === PARTITIONS, 60_000);
  await trade(engine, items, 300, 'meanwhile');
  t.same(
    [...(await values()).values()],
    Array.from({ length: PARTITIONS }, () => 0),
    'selling is no violation',
  );

  // An item that nobody trades: the next event of another would write the wrong count down.
  let quiet: ItemRef;
  let n = 0;
  do quiet = { location: 'quiet', sku: `sku-${n++}` };
  while (engine.partitions.of(quiet) !== 0);
  await engine.stock.configure(quiet, {});
  await engine.stock.restock(quiet, { quantity: 10 });
  const key = bench.keys.item('stock', 0, `${quiet.location}:${quiet.sku}`);
  await bench.redis.hincrby(key, 'a', 5);
  await until(async () => ((await values()).get(0) ?? 0) > 0, 60_000);
  const found = await values();
  for (let partition = 1; partition < PARTITIONS; partition++)
    t.equal(found.get(partition), 0, `partition ${partition}`);
  await bench.redis.hincrby(key, 'a', -5);
  await until(async () => (await values()).get(0) === 0, 60_000);

  // Where something is always being sold, Postgres is always a little behind: that hides nothing.
  let selling = true;
  const busy = items[0]!;
  const sold = (async () => {
    const statuses = new Set<string>();
    for (let n = 0; selling; n++)
      statuses.add((await engine.stock.deduct(busy, { quantity: 1, orderId: `busy-${n}`, buyerId: 'bo' })).status);
    return [...statuses];
  })();
  await bench.redis.hincrby(key, 'a', 5);
  await until(async () => ((await values()).get(0) ?? 0) > 0, 60_000);
  await bench.redis.hincrby(key, 'a', -5);
  await until(async () => (await values()).get(0) === 0, 60_000);
  selling = false;
  t.same(await sold, ['ok']);
  const { problems } = await bench.verify(engine);
  t.same(problems, []);
});
