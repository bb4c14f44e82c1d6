import t from 'tap';
import { startCluster, startDatabase } from '../harness/index.js';
import { ConfigError, readConfig } from '../../workers/config.js';
import { type RunningWorker, startWorker } from '../../workers/worker.js';
import { spawnWorker } from './processes.js';
import { openBench, PARTITIONS, silent, stockEachPartition, trade, until } from './support.js';

const database = await startDatabase();
const cluster = await startCluster();
const bench = await openBench({ redisUrl: cluster.url, databaseUrl: database.url });

const persisted = async () => {
  const { rows } = await bench.pools.general.query('SELECT sum(seq)::int8 AS seq FROM positions');
  return rows[0].seq as number;
};

async function failures({ metrics }: RunningWorker): Promise<number> {
  const { values } = await metrics.failures.get();
  return values.reduce((sum, { value, labels }) => (labels.step === 'drain' ? sum + value : sum), 0);
}

t.test('while Postgres is away selling goes on, and what was sold is caught up with', async (t) => {
  const worker = await bench.worker();
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  await trade(engine, items, 200, 'before');
  const traffic = trade(engine, items, 1_500, 'during');
  await until(async () => (await persisted()) > 300);
  await database.stop();
  t.equal(await trade(engine, items, 300, 'away'), 300, 'sold while Postgres is away');
  const [failed, since] = [await failures(worker), Date.now()];
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const vain = (await failures(worker)) - failed;
  const seconds = (Date.now() - since) / 1_000;
  await database.restart();
  // A job a partition and second, and one that was on its way; looked for are they 16 times a second.
  t.ok(vain <= 2 * PARTITIONS * (seconds + 1), `${vain} jobs were tried in vain`);
  await traffic;
  t.same((await bench.verify(engine, 30_000)).problems, []);

  // Killed instead of stopped: what was under way is either committed or not.
  const more = trade(engine, items, 1_500, 'killed');
  const from = await persisted();
  await until(async () => (await persisted()) > from + 100);
  database.kill('SIGKILL');
  await database.exited;
  await database.restart();
  await more;
  t.same((await bench.verify(engine, 30_000)).problems, []);
  await worker.stop();
});

t.test('a frozen worker does not keep its partitions', async (t) => {
  const engine = await bench.engine();
  const frozen = await spawnWorker(bench.env);
  const items = await stockEachPartition(engine);
  const traffic = trade(engine, items, 1_500, 'freeze');
  const from = await persisted();
  await until(async () => (await persisted()) > from + 200);
  frozen.child.kill('SIGSTOP');
  const other = await bench.worker();
  await traffic;
  const statuses = await engine.partitions.status();
  const last = statuses.reduce((sum, status) => sum + status.seq, 0);
  // Jobs of the frozen worker stay "active" for 30 s and more; the sweep does not wait for them.
  await until(async () => (await persisted()) >= last, 20_000);
  t.pass('another worker has persisted everything');
  frozen.child.kill('SIGCONT');
  await trade(engine, items, 200, 'thawed');
  t.same((await bench.verify(engine, 20_000)).problems, []);
  await frozen.kill('SIGTERM');
  await other.stop();
});

t.test('a worker killed inside a transaction', async (t) => {
  const engine = await bench.engine();
  const victim = await spawnWorker(bench.env);
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  // The transaction has written the ledger and waits for the stock table: then its process dies.
  const blocker = await bench.pools.general.connect();
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE stock IN ACCESS EXCLUSIVE MODE');
  const traffic = trade(engine, items, 300, 'inside');
  await until(async () => {
    const text = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'holdfast-drain' AND wait_event_type = 'Lock'`;
    return (await bench.pools.general.query(text)).rows.length > 0;
  });
  await victim.kill('SIGKILL');
  await blocker.query('COMMIT');
  blocker.release();
  await traffic;
  const worker = await bench.worker();
  t.same((await bench.verify(engine, 20_000)).problems, []);
  await worker.stop();
});

t.test('a Redis that may drop keys is refused', async (t) => {
  const [master] = bench.redis.nodes('master');
  await master!.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await t.rejects(startWorker(readConfig(bench.env), silent), /maxmemory-policy allkeys-lru.*noeviction/);
  await master!.config('SET', 'maxmemory-policy', 'noeviction');
});

t.test('every mistake in the configuration is named', async (t) => {
  const wrong = { HOLDFAST_PARTITIONS: '48', HOLDFAST_WORKER_CONCURRENCY: '1e3', HOLDFAST_LOG_LEVEL: 'loud' };
  try {
    readConfig(wrong);
    t.fail('accepted');
  } catch (error) {
    t.ok(error instanceof ConfigError);
    for (const name of ['REDIS_URL', 'DATABASE_URL', 'PARTITIONS', 'WORKER_CONCURRENCY', 'LOG_LEVEL']) {
      t.match((error as Error).message, `HOLDFAST_${name}`);
    }
  }
});
