/** What one transaction cannot carry, and one partition or node that is in trouble, keep nobody from being persisted. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { pack } from 'msgpackr';
import pg from 'pg';
import t from 'tap';
import type { Engine, ItemRef, PartitionsApi } from '../../engine/types.js';
import { openPools, type Pools } from '../../workers/db/pools.js';
import { Drainer, type DrainerOptions } from '../../workers/drain/drain.js';
import { Halts } from '../../workers/drain/halts.js';
import { WorkerMetrics } from '../../workers/metrics.js';
import { atEnd } from '../harness/index.js';
import { type Bench, openBench, PARTITIONS, silent, stockEachPartition, until } from './support.js';

interface Sale {
  readonly bench: Bench;
  readonly engine: Engine;
  readonly items: readonly ItemRef[];
}

/** A sale whose worker is gone: what is sold from now on stays in the logs. */
async function openSale(): Promise<Sale> {
  const bench = await openBench();
  const worker = await bench.worker();
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  await until(async () => (await lagOf(engine)).length === 0);
  await worker.stop();
  return { bench, engine, items };
}

/** Partitions that Postgres is behind with, as Redis has heard. */
async function lagOf(engine: Engine): Promise<number[]> {
  const statuses = await engine.partitions.status();
  return statuses.filter(({ seq, persisted }) => seq > persisted.seq).map(({ partition }) => partition);
}

async function sell({ engine, items }: Sale, partition: number, orders: number): Promise<void> {
  const one = async (n: number) => {
    const order = { quantity: 1, orderId: `order-${partition}-${n}`, buyerId: `buyer-${n % 50}` };
    const { status } = await engine.stock.deduct(items[partition]!, order);
    if (status !== 'ok') throw new Error(`deduct answered ${status}`);
  };
  for (let n = 0; n < orders; n += 500)
    await Promise.all(Array.from({ length: Math.min(500, orders - n) }, (_, i) => one(n + i)));
}

/** Drains as a worker does, again and again, until `done`; what fails is tried again. @returns the errors */
async function drainUntil(drainer: Drainer, done: () => Promise<boolean>, timeoutMs: number): Promise<string[]> {
  const errors: string[] = [];
  const stop = new AbortController();
  const jobs = Array.from({ length: PARTITIONS }, async (_, partition) => {
    while (!stop.signal.aborted) {
      await drainer.drain(partition, stop.signal).catch((error: Error) => errors.push(error.message));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  // A job that hangs must not hide that what was waited for did not happen.
  await until(done, timeoutMs).finally(() => stop.abort());
  await Promise.all(jobs);
  return errors;
}

function drainerOf(pools: Pools, partitions: PartitionsApi, options: Partial<DrainerOptions> = {}): Drainer {
  const metrics = new WorkerMetrics();
  const halts = new Halts(pools.general, silent, metrics);
  return new Drainer({ partitions, pool: pools.drain, halts, metrics, log: silent, ...options });
}

function poolsOf(url: string, queryMs?: number): Pools {
  const pools = openPools(url, { queryMs });
  atEnd(() => pools.end());
  return pools;
}

/** A proxy that passes so many bytes a second on to Postgres. What is under way when its client goes is lost. @returns its URL */
async function narrowLink(url: string, bytesPerSecond: number): Promise<string> {
  const link = new URL(url);
  const { hostname, port } = link;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const postgres = connect(Number(port), hostname);
    for (const socket of [client, postgres]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        postgres.destroy();
      });
    }
    const queue: Buffer[] = [];
    const pass = (): void => {
      const data = queue[0]!;
      setTimeout(
        () => {
          postgres.write(data);
          queue.shift();
          if (queue.length > 0) pass();
        },
        (data.length / bytesPerSecond) * 1_000,
      );
    };
    client.on('data', (data) => {
      if (queue.push(data) === 1) pass();
    });
    postgres.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  link.hostname = '127.0.0.1';
  link.port = String((server.address() as AddressInfo).port);
  return link.href;
}

t.test('a backlog of which no transaction of its size comes through in time', async (t) => {
  const sale = await openSale();
  const { bench, engine } = sale;
  for (const partition of [0, 3]) await sell(sale, partition, 6_000);
  for (const partition of [1, 2, 4, 5, 6, 7]) await sell(sale, partition, 50);
  t.equal((await lagOf(engine)).length, PARTITIONS);
  // A full batch of one partition alone takes longer than a transaction may.
  const pools = poolsOf(await narrowLink(bench.databaseUrl, 300_000), 1_000);
  const drainer = drainerOf(pools, engine.partitions);
  const errors = await drainUntil(drainer, async () => (await lagOf(engine)).length === 0, 90_000);
  t.ok(
    errors.some((message) => /timeout|terminated/.test(message)),
    'some were too large',
  );
  t.same((await bench.verify(engine)).problems, []);
});

t.test('a partition that every transaction fails with, and nobody knows why', async (t) => {
  const sale = await openSale();
  const { bench, engine } = sale;
  await bench.pools.general.query(`
    CREATE FUNCTION too_much() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'too much of partition 3' USING ERRCODE = '54000'; END $$;
    CREATE TRIGGER too_much BEFORE INSERT OR UPDATE ON stock FOR EACH ROW WHEN (NEW.partition = 3)
    EXECUTE FUNCTION too_much()`);
  for (let partition = 0; partition < PARTITIONS; partition++) await sell(sale, partition, 100);
  const drainer = drainerOf(poolsOf(bench.databaseUrl), engine.partitions);
  const others = async () => (await lagOf(engine)).every((partition) => partition === 3);
  const errors = await drainUntil(drainer, others, 60_000);
  t.ok(errors.some((message) => /too much of partition 3/.test(message)));
  t.same(await lagOf(engine), [3]);

  await bench.pools.general.query('DROP TRIGGER too_much ON stock');
  await drainUntil(drainer, async () => (await lagOf(engine)).length === 0, 30_000);
  t.same((await bench.verify(engine)).problems, []);
});

t.test('a node that hangs delays nobody but its partitions', async (t) => {
  const sale = await openSale();
  const { bench, engine } = sale;
  const statuses = await engine.partitions.status();
  const hanging = new Set(statuses.filter(({ node }) => node === statuses[0]!.node).map(({ partition }) => partition));
  const served = statuses.map(({ partition }) => partition).filter((partition) => !hanging.has(partition));
  const [spoilt, ...others] = served as [number, ...number[]];
  await sell(sale, spoilt, 20);
  for (const partition of others) await sell(sale, partition, 20);
  // One that answers is refused: the drain has to ask how its partition stands, while the node of others does not answer.
  const log = bench.keys.fixed('log', spoilt);
  const [[id]] = (await bench.redis.xrange(log, '-', '+', 'COUNT', 1)) as [[string, string[]]];
  const [epoch, seq] = id.split('-').map(Number);
  await bench.redis.del(log);
  await bench.redis.xaddBuffer(log, id, 'e', pack([1, 'nonsense', epoch, seq]));

  // It still answered that its logs are empty, and is silent from then on.
  const never = new Promise<never>(() => undefined);
  const partitions: PartitionsApi = {
    ...engine.partitions,
    status: (asked) => (!asked || asked.some((one) => hanging.has(one)) ? never : engine.partitions.status(asked)),
  };
  const halted = async () => (await bench.pools.general.query('SELECT partition FROM quarantine')).rows.length > 0;
  const behind = async () => (await lagOf(engine)).filter((partition) => partition !== spoilt);
  const drainer = drainerOf(poolsOf(bench.databaseUrl), partitions);
  await drainUntil(drainer, async () => (await halted()) && (await behind()).length === 0, 30_000);
  t.same((await bench.pools.general.query('SELECT partition FROM quarantine')).rows, [{ partition: spoilt }]);
});

t.test('a session that stands still amid a statement is ended by those who drain', async (t) => {
  const sale = await openSale();
  const { bench, engine } = sale;
  const partition = 3;
  const frozen = new pg.Client({ connectionString: bench.databaseUrl });
  frozen.on('error', () => undefined);
  await frozen.connect();
  const ended = new Promise((resolve) => frozen.once('end', () => resolve('ended')));
  await frozen.query('CREATE TEMP TABLE received (n integer)');
  await frozen.query('BEGIN; SELECT pg_advisory_xact_lock(1212961604, 3)');
  (frozen as unknown as { connection: pg.Connection }).connection.query('COPY received FROM STDIN');
  for (let other = 0; other < PARTITIONS; other++) await sell(sale, other, 20);
  const pools = poolsOf(bench.databaseUrl);
  const drainer = drainerOf(pools, engine.partitions, { stallMs: 1_000 });
  const errors = await drainUntil(drainer, async () => (await lagOf(engine)).length === 0, 30_000);
  t.same(errors, []);
  t.equal(await ended, 'ended');
  t.equal((await bench.verify(engine)).problems.length, 0, `partition ${partition} as well`);
});
