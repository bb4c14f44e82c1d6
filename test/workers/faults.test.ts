import { pack } from 'msgpackr';
import t from 'tap';
import type { Engine, ItemRef } from '../../engine/types.js';
import type { RunningWorker } from '../../workers/worker.js';
import { type Bench, openBench, stockEachPartition, trade, until } from './support.js';

let bench: Bench;
let engine: Engine;
let items: ItemRef[];

async function row(partition: number) {
  const { rows } = await bench.pools.general.query('SELECT seq FROM positions WHERE partition = $1', [partition]);
  return rows[0] as { seq: number };
}

const metaOf = (partition: number) => bench.keys.fixed('meta', partition);
const logOf = (partition: number) => bench.keys.fixed('log', partition);
const quarantine = async () => (await bench.pools.general.query('SELECT * FROM quarantine ORDER BY partition')).rows;

async function drained(partition: number): Promise<void> {
  await until(async () => (await row(partition)).seq === Number(await bench.redis.hget(metaOf(partition), 'seq')));
}

/** A stream takes ids in order only: to change an entry it is written anew. */
async function rewrite(entries: readonly (readonly [id: string, value: Buffer])[]): Promise<void> {
  await bench.redis.del(logOf(1));
  for (const [id, value] of entries) await bench.redis.xadd(logOf(1), id, 'e', value);
}

t.before(async () => {
  bench = await openBench();
});

t.test('entries that cannot be read and gaps halt their partitions; the others go on', async (t) => {
  let worker: RunningWorker = await bench.worker();
  engine = await bench.engine();
  await engine.ready(20_000);
  items = await stockEachPartition(engine);
  for (let partition = 0; partition < items.length; partition++) await drained(partition);
  await worker.stop();

  // While no worker runs: partition 1 gets a malformed entry between good ones, partition 2 loses its oldest entry, partition 3 all.
  const before = new Map<number, number>();
  for (const partition of [1, 2, 3]) before.set(partition, (await row(partition)).seq);
  for (const n of [1, 2, 3]) await trade(engine, items.slice(1, 4), 30, `halt-${n}`);
  const entries = (await bench.redis.xrangeBuffer(logOf(1), '-', '+')).map(
    ([id, fields]) => [id.toString(), fields[1]!] as const,
  );
  const [spoilt, content] = entries[Math.floor(entries.length / 2)]!;
  const [epoch, seq] = spoilt.split('-').map(Number) as [number, number];
  await rewrite(entries.map(([id, value]) => [id, id === spoilt ? pack([1, 'nonsense', epoch, seq]) : value]));
  const [oldest] = await bench.redis.xrange(logOf(2), '-', '+', 'COUNT', 1);
  await bench.redis.xdel(logOf(2), oldest![0]);
  await bench.redis.xtrim(logOf(3), 'MAXLEN', 0);

  worker = await bench.worker();
  const halted = await until(async () => {
    const rows = await quarantine();
    return rows.length === 3 ? rows : undefined;
  });
  t.same(
    halted.map((one) => one.partition),
    [1, 2, 3],
  );
  t.match(halted[1].reason, /events are missing/);
  t.match(halted[2].reason, /missing from the log/);
  t.ok((await row(1)).seq > before.get(1)!, 'what lies before the spoilt entry is persisted');
  t.ok((await row(1)).seq < seq, 'nothing from the spoilt entry on');
  t.equal((await row(2)).seq, before.get(2), 'nothing after a gap');
  t.equal((await row(3)).seq, before.get(3));

  await trade(engine, [items[0]!, items[4]!, items[5]!, items[6]!], 120, 'others');
  for (const partition of [0, 4, 5, 6]) await drained(partition);
  t.equal((await quarantine()).length, 3);
  const text = await worker.metrics.registry.metrics();
  for (const partition of [1, 2, 3]) t.match(text, `holdfast_partition_halted{partition="${partition}"} 1`);
  t.notMatch(text, 'holdfast_partition_halted{partition="0"}');

  const report = await bench.verify(engine, 0);
  t.notOk(report.ok, 'verify says so too');
  t.match(
    report.problems.filter((problem) => problem.subject === 'halted').map((problem) => problem.partition),
    [1, 2, 3],
  );

  // Repaired: the spoilt entry gets its content back.
  await worker.stop();
  const rest = (await bench.redis.xrangeBuffer(logOf(1), '-', '+')).map(
    ([id, fields]) => [id.toString(), fields[1]!] as const,
  );
  await rewrite(rest.map(([id, value]) => [id, id === spoilt ? content : value]));
  await bench.worker();
  await drained(1);
  await until(async () => (await quarantine()).every((one) => one.partition !== 1));
  t.pass('a repaired partition goes on by itself');
});

t.test('verify finds what differs, and says where', async (t) => {
  const item = items[5]!;
  // Short holds must be back first: an expiry would carry the wrong count on into the log.
  await until(async () => {
    const text = 'SELECT 1 FROM holds WHERE state = 1 AND deadline < $1 AND partition NOT IN (2, 3) LIMIT 1';
    return (await bench.pools.general.query(text, [Date.now() + 60_000])).rows.length === 0;
  });
  const key = bench.keys.item('stock', 5, `${item.location}:${item.sku}`);
  t.same(
    (await bench.verify(engine)).problems.filter((problem) => problem.partition === 5),
    [],
  );
  await bench.redis.hincrby(key, 'a', 1);
  await bench.pools.general.query(
    'UPDATE holds SET deadline = deadline + 1 WHERE partition = 6 AND state = 2 AND id = (SELECT min(id) FROM holds WHERE partition = 6 AND state = 2)',
  );
  await bench.pools.general.query('UPDATE stock SET sold = sold + 1 WHERE partition = 4');
  const { problems } = await bench.verify(engine, 500);
  const of = (partition: number) =>
    problems.filter((problem) => problem.partition === partition).map((problem) => problem.detail);
  t.match(of(5), [/available \d+ in Redis, \d+ in Postgres/]);
  t.match(of(6), [/deadline \d+ in Redis, \d+ in Postgres/]);
  t.match(of(4).join('\n'), /sold: movements make \d+, stock says \d+/);
  t.equal(of(0).length + of(7).length, 0);
  await bench.redis.hincrby(key, 'a', -1);
});
