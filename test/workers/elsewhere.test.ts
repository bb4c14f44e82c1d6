/** A process that recovers a partition for too long is told of by those who wait for it. */
import t from 'tap';
import { openPools } from '../../workers/db/pools.js';
import { type Elsewhere, RecoveredElsewhere } from '../../workers/recovery/elsewhere.js';
import { PostgresSource } from '../../workers/recovery/source.js';
import { testDatabase } from '../harness/index.js';

t.test('who has had a partition for long', async (t) => {
  const pools = openPools((await testDatabase()).url);
  t.teardown(() => pools.end());
  let now = 1_000_000;
  const told: Elsewhere[] = [];
  const other = new PostgresSource(pools.general);
  const source = new PostgresSource(
    pools.general,
    new RecoveredElsewhere(
      (who) => told.push(who),
      10_000,
      () => now,
    ),
  );
  const attempt = (partition = 1) => source.exclusively(partition, () => Promise.resolve('in'));
  const attempts = async (ms: number) => {
    for (const end = now + ms; now < end; now += 1_000) t.equal(await attempt(), false);
  };
  const client = await pools.general.connect();
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  client.release();

  await other.exclusively(1, async () => {
    await attempts(10_000);
    t.same(told, [], 'not at once');
    await attempts(9_000);
    t.equal(told.length, 1, 'and not at every attempt');
    t.match(told[0], { partition: 1, seconds: 10, pid: rows[0]!.pid });
    await attempts(3_000);
    t.equal(told.length, 2, 'but again');
    t.equal(await attempt(2), 'in', 'the others are had');
  });
  t.equal(await attempt(), 'in');
  now += 60_000;
  await other.exclusively(1, () => attempts(10_000));
  t.equal(told.length, 2, 'the next time it is a new one');
});
