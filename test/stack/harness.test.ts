import { Cluster } from 'ioredis';
import pg from 'pg';
import t from 'tap';
import { testCluster, testDatabase } from '../harness/index.js';

t.test('two borrowers of the shared cluster have different prefixes', async (t) => {
  const [one, two] = await Promise.all([testCluster(), testCluster()]);
  t.not(one.prefix, two.prefix);
  t.equal(one.redisNodes.length, 6);
  const redis = new Cluster(one.redisNodes);
  await redis.set(`${one.prefix}:{a}:x`, '1');
  t.equal(await redis.get(`${two.prefix}:{a}:x`), null);
  t.match(await redis.config('GET', 'maxmemory-policy'), ['maxmemory-policy', 'noeviction']);
  redis.disconnect();
});

t.test('a test database is empty, alone and gone after drop', async (t) => {
  const database = await testDatabase({ migrated: false });
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  t.strictSame((await client.query('select current_database() as name')).rows, [{ name: database.name }]);
  t.equal((await client.query(`select from information_schema.tables where table_schema = 'public'`)).rowCount, 0);
  await client.end();
  await database.drop();
  const again = new pg.Client({ connectionString: database.url });
  await t.rejects(again.connect(), { code: '3D000' });
});

t.test('a migrated test database has the tables, and what one borrower writes another does not see', async (t) => {
  const [one, two] = await Promise.all([testDatabase(), testDatabase()]);
  const tables = async (url: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const { rows } = await client.query<{ name: string }>(
        `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
      );
      return rows.map((row) => row.name);
    } finally {
      await client.end();
    }
  };
  t.ok((await tables(one.url)).includes('movements'));
  const client = new pg.Client({ connectionString: one.url });
  await client.connect();
  await client.query('create table mine ()');
  await client.end();
  t.notOk((await tables(two.url)).includes('mine'));
});
