/** What recovery reads of a partition is never in memory as a whole. */
import type pg from 'pg';
import t from 'tap';
import { openPools } from '../../workers/db/pools.js';
import { PostgresSource } from '../../workers/recovery/source.js';
import { testDatabase } from '../harness/index.js';

const PARTITION = 2;
const IDS = 1_500;
const BUYERS = 1_600;
const PAGE = 500;

t.test('ids and buyers come in pages, each once', async (t) => {
  const pools = openPools((await testDatabase()).url);
  t.teardown(() => pools.end());
  await pools.patient.query(
    `INSERT INTO id_records (fingerprint, available, reserved, sold, version, updated_at, partition, kind, id, ref)
     SELECT 1, 1, 0, 0, 1, extract(epoch FROM now()) * 1000, p, 2, 'in-' || n, 'main:' || r
     FROM generate_series(1, $2::int) n, (VALUES ('a'), ('b')) refs(r), (VALUES ($1::int), (3)) others(p)`,
    [PARTITION, IDS],
  );
  await pools.patient.query(
    `INSERT INTO bought_units (units, partition, ref, buyer)
     SELECT n, p, 'main:' || (n % 2), 'buyer-' || n FROM generate_series(1, $2::int) n, (VALUES ($1::int), (3)) others(p)`,
    [PARTITION, BUYERS],
  );
  let largest = 0;
  pools.general.on('connect', (client) => {
    const query = client.query.bind(client) as (asked: unknown, values?: unknown) => Promise<pg.QueryResult>;
    client.query = (async (asked: unknown, values?: unknown) => {
      const answer = await query(asked, values);
      largest = Math.max(largest, answer.rows?.length ?? 0);
      return answer;
    }) as typeof client.query;
  });
  const source = new PostgresSource(pools.general);
  const ids = new Map<string, number>();
  const buyers = new Map<string, number>();
  const read = async () => {
    for await (const page of source.changedSince(PARTITION, 0)) {
      for (const { id, ref } of page.ids ?? []) ids.set(`${id} ${ref}`, (ids.get(`${id} ${ref}`) ?? 0) + 1);
      for (const { buyerId, units } of page.buyers ?? []) buyers.set(buyerId, (buyers.get(buyerId) ?? 0) + units);
      // Its whole answer, whatever else it has in more than one item.
      const parts = new Set((page.ids ?? []).map(({ id }) => id));
      t.equal((page.ids ?? []).length, 2 * parts.size);
    }
  };
  await read();
  t.equal(ids.size, 2 * IDS);
  t.same([...new Set(ids.values())], [1]);
  t.equal(buyers.size, BUYERS);
  t.ok([...buyers].every(([buyer, units]) => buyer === `buyer-${units}`));
  t.ok(largest > 0 && largest <= 2 * PAGE, `${largest} rows in an answer`);
  // Within a recovery, on its session, and again after one that was given up.
  await t.rejects(
    source.exclusively(PARTITION, async () => {
      for await (const page of source.changedSince(PARTITION, 0)) if (page.buyers) throw new Error('given up');
    }),
    /given up/,
  );
  ids.clear();
  await source.exclusively(PARTITION, read);
  t.equal(ids.size, 2 * IDS);
});
