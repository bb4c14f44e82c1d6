import t from 'tap';
import { type WorkerProcess, spawnWorker } from './processes.js';
import { openBench, PARTITIONS, stockEachPartition, trade, until } from './support.js';

t.test('workers killed in mid-batch, and two at once: every movement once', async (t) => {
  const bench = await openBench();
  const workers: WorkerProcess[] = [await spawnWorker(bench.env)];
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);

  const persisted = async () => {
    const { rows } = await bench.pools.general.query('SELECT sum(seq)::int8 AS seq FROM positions');
    return rows[0].seq as number;
  };
  let trading = true;
  let rounds = 0;
  const traffic = (async () => {
    while (trading) rounds += await trade(engine, items, 400, `t${rounds}`);
  })();
  // Killed while transactions are known to be under way: a batch is committed again and again, and the next one is on its way.
  for (let kill = 0; kill < 2; kill++) {
    const from = await persisted();
    while ((await persisted()) < from + 500) await new Promise((resolve) => setTimeout(resolve, 3));
    await workers.pop()!.kill('SIGKILL');
    const at = await persisted();
    workers.push(await spawnWorker(bench.env));
    if (kill === 1) workers.push(await spawnWorker(bench.env));
    while ((await persisted()) === at) await new Promise((resolve) => setTimeout(resolve, 10));
    t.pass(`after kill ${kill + 1} the next worker goes on`);
  }
  // The jobs of the dead worker keep those of the next one out for some seconds: then its partitions go on too.
  const killed = await engine.partitions.status();
  await until(async () =>
    (await engine.partitions.status()).every(({ persisted }, partition) => persisted.seq >= killed[partition]!.seq),
  );
  const from = await persisted();
  while ((await persisted()) < from + 2_000) await new Promise((resolve) => setTimeout(resolve, 20));
  const during = await bench.verify(engine);
  t.same(during.problems, [], 'verify is clean while sales go on');
  trading = false;
  await traffic;
  t.ok(rounds >= 800);

  const report = await bench.verify(engine);
  t.same(report.problems, []);
  t.equal(report.chain.length, PARTITIONS);
  const unlinked = await bench.pools.general.query(
    `SELECT partition, seq, linked FROM positions LEFT JOIN (
       SELECT partition, sum(last_seq - first_seq + 1)::int8 AS linked, max(last_seq) AS last FROM ledger_chain GROUP BY partition
     ) c USING (partition) WHERE seq > 0 AND (linked = seq AND last = seq) IS NOT TRUE`,
  );
  t.same(unlinked.rows, [], 'every movement has its link, and one only');
  const { rows } = await bench.pools.general.query(
    `SELECT partition, count(*)::int8 AS movements, count(DISTINCT (epoch, seq))::int8 AS different, max(seq) AS last
     FROM movements GROUP BY partition ORDER BY partition`,
  );
  t.equal(rows.length, PARTITIONS);
  for (const row of rows) {
    const seq = Number(await bench.redis.hget(bench.keys.fixed('meta', row.partition), 'seq'));
    t.same(row, { partition: row.partition, movements: row.last, different: row.last, last: row.last });
    t.ok(row.last <= seq);
  }
  const both = await Promise.all(
    workers.map(async ({ port }) => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return Number(/^holdfast_persisted_events_total (\d+)/m.exec(text)?.[1]);
    }),
  );
  t.ok(
    both.every((events) => events > 0),
    `both workers persisted: ${both.join(' and ')}`,
  );
  for (const worker of workers) {
    t.equal((await fetch(`http://127.0.0.1:${worker.port}/readyz`)).status, 200);
    await worker.kill('SIGTERM');
    t.equal(worker.child.exitCode, 0, 'ends in good order when asked to');
    t.same(
      worker.lines.filter((line) => Number(line.level) >= 50),
      [],
      'no errors logged',
    );
  }
});
