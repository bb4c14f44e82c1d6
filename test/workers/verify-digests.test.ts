/** What verify finds, and what it has to read for it: where digests agree, no record crosses the wire. */
import t from 'tap';
import type { Engine } from '../../engine/types.js';
import { openBench, stockEachPartition, trade, until } from './support.js';

const bench = await openBench();
const { general } = bench.pools;
const PARTITION = 2;
const holdsKey = bench.keys.fixed('holds', PARTITION);
let engine: Engine;
let refs: string[];
let id: string;

t.before(async () => {
  const worker = await bench.worker();
  engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  refs = items.map(({ location, sku }) => `${location}:${sku}`);
  await trade(engine, items, 2_400, 'all');
  // Until nothing is due and Postgres has everything: from then on both are still.
  await until(async () => {
    const all = await engine.partitions.status();
    const later = Date.now() + 120_000;
    return all.every(({ nextDue, seq, persisted }) => (nextDue ?? Infinity) > later && seq === persisted.seq);
  }, 60_000);
  await worker.stop();
  const { rows } = await general.query<{ id: string }>(
    `SELECT id FROM holds WHERE partition = $1 AND state = 2 AND cardinality(refs) = 1 AND attempt = 0 ORDER BY id LIMIT 1`,
    [PARTITION],
  );
  id = rows[0]!.id;
});

/** What is told while `change` is there; without it everything agrees. */
async function found(change: () => Promise<unknown>, undo: () => Promise<unknown>) {
  await change();
  const report = await bench.verify(engine, 100);
  await undo();
  return { subjects: report.problems.map(({ subject }) => subject), rows: report.counted.rows, report };
}

const sql = (text: string, ...values: unknown[]) => general.query(text, values);

t.test('where all agrees, Postgres sends digests and no record', async (t) => {
  const { problems, counted } = await bench.verify(engine);
  t.strictSame(problems, []);
  t.equal(counted.rows, 0);
  const { rows } = await sql(
    `SELECT (SELECT count(*)::int8 FROM stock) AS items, (SELECT count(*)::int8 FROM holds) AS holds, (SELECT count(*)::int8 FROM claims) AS claims`,
  );
  t.match(counted, rows[0] as object);
  t.ok(counted.holds > 1_500 && counted.claims > 100, `${counted.holds} holds, ${counted.claims} claims`);
});

/** Tells of which subjects nothing was told. */
const silent = (told: readonly string[], subjects: readonly string[]) => subjects.filter((one) => !told.includes(one));

t.test('counts that one side changed, each in an item of its own', async (t) => {
  const fields = ['a', 'r', 's', 'v', 'u'];
  const inRedis = (by: number) =>
    Promise.all(fields.map((field, n) => bench.redis.hincrby(bench.keys.item('stock', n, refs[n]!), field, by)));
  const redis = await found(
    () => inRedis(5),
    () => inRedis(-5),
  );
  t.strictSame(silent(redis.subjects, refs.slice(0, 5)), [], redis.subjects.join(', '));

  const columns = ['available', 'reserved', 'sold', 'version', 'updated_at'];
  const inPostgres = (by: number) =>
    Promise.all(
      columns.map((column, n) => sql(`UPDATE stock SET ${column} = ${column} + $1 WHERE ref = $2`, by, refs[n])),
    );
  const postgres = await found(
    () => inPostgres(5),
    () => inPostgres(-5),
  );
  t.strictSame(silent(postgres.subjects, refs.slice(0, 5)), [], postgres.subjects.join(', '));

  const ref = refs[PARTITION]!;
  const { subjects } = await found(
    () => sql(`UPDATE stock SET settings = settings || '{"lowStock": 3}' WHERE ref = $1`, ref),
    () => sql(`UPDATE stock SET settings = settings - 'lowStock' WHERE ref = $1`, ref),
  );
  t.strictSame(subjects, [`settings of ${ref}`]);
});

t.test('a hold that one side lacks, or has alone', async (t) => {
  const bytes = (await bench.redis.hgetBuffer(holdsKey, id))!;
  const lost = await found(
    () => bench.redis.hdel(holdsKey, id),
    () => bench.redis.hset(holdsKey, id, bytes),
  );
  t.match(lost.report.problems, [
    { partition: PARTITION, subject: `reservation ${id}`, detail: /in Postgres and not in Redis/ },
  ]);
  const many = (await sql('SELECT count(*)::int8 AS count FROM holds WHERE partition = $1', PARTITION)).rows[0] as {
    count: number;
  };
  t.ok(
    lost.rows > 0 && lost.rows < many.count / 2,
    `${lost.rows} of ${many.count} holds were read, those of one bucket`,
  );

  const extra = await found(
    () => bench.redis.hset(holdsKey, 'extra', bytes),
    () => bench.redis.hdel(holdsKey, 'extra'),
  );
  t.match(extra.report.problems, [
    { partition: PARTITION, subject: 'reservation extra', detail: /in Redis and not in Postgres/ },
  ]);

  await sql('CREATE TABLE kept AS SELECT * FROM holds WHERE partition = $1 AND id = $2', PARTITION, id);
  const deleted = await found(
    () => sql('DELETE FROM holds WHERE partition = $1 AND id = $2', PARTITION, id),
    () => sql('INSERT INTO holds SELECT * FROM kept'),
  );
  t.match(deleted.report.problems, [{ subject: `reservation ${id}`, detail: /in Redis and not in Postgres/ }]);
  const added = await found(
    async () => {
      await sql(`UPDATE kept SET id = 'added'`);
      await sql('INSERT INTO holds SELECT * FROM kept');
    },
    () => sql(`DELETE FROM holds WHERE id = 'added'`),
  );
  t.match(added.report.problems, [{ subject: 'reservation added', detail: /in Postgres and not in Redis/ }]);
});

t.test('holds and claims of which any column was changed, each in a record of its own', async (t) => {
  const changes = [
    ['state', '3', '2'],
    ...['deadline', 'fingerprint', 'attempt', 'resolved_at'].map((column) => [
      column,
      `${column} + 1`,
      `${column} - 1`,
    ]),
    ['deadline', 'deadline + 4294967296', 'deadline - 4294967296'],
    ['buyer', `buyer || 'x'`, 'left(buyer, -1)'],
    ['refs', `ARRAY[refs[1] || 'x'] || refs[2:]`, `ARRAY[left(refs[1], -1)] || refs[2:]`],
    ['quantities', 'ARRAY[quantities[1] + 1] || quantities[2:]', 'ARRAY[quantities[1] - 1] || quantities[2:]'],
  ] as [string, string, string][];
  const more: [string, string, string][] = [
    ['returned', 'ARRAY[returned[1] + 1]', 'ARRAY[returned[1] - 1]'],
    ['counted', 'ARRAY[1 - counted[1]]::smallint[]', 'ARRAY[1 - counted[1]]::smallint[]'],
  ];
  for (const [table, name, columns] of [
    ['holds', 'reservation', [...changes, ...more]],
    ['claims', 'claim', changes],
  ] as const) {
    const { rows } = await sql(
      `SELECT id, partition FROM ${table} WHERE state = 2 AND (refs[2] IS NULL OR '${table}' = 'claims') ORDER BY id LIMIT $1`,
      columns.length,
    );
    const records = rows as { id: string; partition: number }[];
    t.equal(records.length, columns.length);
    const set = (which: 1 | 2) =>
      Promise.all(
        columns.map((change, n) => {
          const { id, partition } = records[n]!;
          const text = `UPDATE ${table} SET ${change[0]} = ${change[which]} WHERE partition = $1 AND id = $2`;
          return sql(text, partition, id);
        }),
      );
    const { subjects } = await found(
      () => set(1),
      () => set(2),
    );
    const missed = columns.filter((_, n) => !subjects.includes(`${name} ${records[n]!.id}`));
    t.strictSame(missed, [], `${table}: ${columns.length} changes`);
  }
  const { problems, counted } = await bench.verify(engine);
  t.strictSame(problems, []);
  t.equal(counted.rows, 0, 'everything is as it was');
});

t.test('what Redis may have forgotten is no difference, what it has all the same is compared', async (t) => {
  const { rows } = await sql(
    `SELECT id FROM holds WHERE partition = $1 AND state = 3 AND attempt = 0 ORDER BY id LIMIT 1`,
    PARTITION,
  );
  const old = (rows[0] as { id: string }).id;
  const bytes = (await bench.redis.hgetBuffer(holdsKey, old))!;
  await sql('UPDATE holds SET resolved_at = 1 WHERE partition = $1 AND id = $2', PARTITION, old);
  const differs = await bench.verify(engine, 100);
  t.match(differs.problems, [{ subject: `reservation ${old}`, detail: /^resolvedAt \d+ in Redis, 1 in Postgres$/ }]);
  await bench.redis.hdel(holdsKey, old);
  const forgotten = await bench.verify(engine);
  t.strictSame(forgotten.problems, []);
  t.equal(forgotten.counted.rows, 0);

  // As the record would be whose time came so long ago: MessagePack's 1 where the time was.
  // It stands right before the ref, which has a head of one byte or two.
  const ref = bytes.indexOf(refs[PARTITION]!);
  const time = ref - (refs[PARTITION]!.length < 32 ? 1 : 2) - 9;
  t.equal(bytes[time], 0xcf, 'an integer of eight bytes');
  const aged = Buffer.concat([bytes.subarray(0, time), Buffer.from([1]), bytes.subarray(time + 9)]);
  await bench.redis.hset(holdsKey, old, aged);
  const both = await bench.verify(engine);
  t.strictSame(both.problems, []);
  t.equal(both.counted.rows, 1, 'the sweep has not come by: it is looked up');
  await sql(`UPDATE holds SET buyer = 'another' WHERE partition = $1 AND id = $2`, PARTITION, old);
  t.match((await bench.verify(engine, 100)).problems, [{ subject: `reservation ${old}`, detail: /buyerId/ }]);
  await sql('DELETE FROM holds WHERE partition = $1 AND id = $2', PARTITION, old);
  t.match((await bench.verify(engine, 100)).problems, [{ subject: `reservation ${old}`, detail: /in Redis and not/ }]);
});
