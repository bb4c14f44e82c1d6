/** Between a failover and its recovery the log may be one that never happened: the drain waits, and raises no alarm. (FAULTS 4) */
import t from 'tap';
import { Drainer } from '../../workers/drain/drain.js';
import { Halts } from '../../workers/drain/halts.js';
import { WorkerMetrics } from '../../workers/metrics.js';
import { openBench, silent, stockEachPartition, trade, until } from './support.js';

const PARTITION = 2;

t.test('a log with a gap halts its partition only when recovery has opened it', async (t) => {
  const bench = await openBench();
  const worker = await bench.worker();
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  await until(async () => (await engine.partitions.status()).every(({ seq, persisted }) => seq === persisted.seq));
  await worker.stop();

  await trade(engine, [items[PARTITION]!], 60, 'gap');
  const log = bench.keys.fixed('log', PARTITION);
  const [oldest] = await bench.redis.xrange(log, '-', '+', 'COUNT', 1);
  await bench.redis.xdel(log, oldest![0]);
  const meta = bench.keys.fixed('meta', PARTITION);
  const owner = (await bench.redis.hget(meta, 'owner'))!;

  const metrics = new WorkerMetrics();
  const halts = new Halts(bench.pools.general, silent, metrics);
  const { partitions } = engine;
  const drainer = new Drainer({ partitions, pool: bench.pools.drain, halts, metrics, log: silent });
  const quarantine = async () => (await bench.pools.general.query('SELECT partition FROM quarantine')).rows;
  const announced = async (epoch: number) =>
    bench.pools.general.query('UPDATE positions SET epoch = epoch + $2 WHERE partition = $1', [PARTITION, epoch]);

  await bench.redis.hset(meta, 'owner', '');
  t.equal(await drainer.drain(PARTITION), 'fenced', 'a promoted replica: nobody has opened it');
  await bench.redis.hset(meta, 'owner', owner);
  await announced(1);
  t.equal(await drainer.drain(PARTITION), 'fenced', 'a master that was cut off: a newer epoch is announced');
  t.same(await quarantine(), []);

  await announced(-1);
  t.equal(await drainer.drain(PARTITION), 'halted', 'the log of an open partition is the one that counts');
  t.same(await quarantine(), [{ partition: PARTITION }]);
});
