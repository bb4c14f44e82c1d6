/** What each role may do in Postgres: the app adds to the ledger and never changes it. (S7; docs/security.md) */
import pg from 'pg';
import t from 'tap';
import { ensurePostgresRoles, makePostgresPasswords, postgresRole, urlOfRole } from '../../stack/postgres-roles.js';
import { ensureLedgerRanges } from '../../workers/db/ledger-ranges.js';
import { migrate, MigrationRefused } from '../../workers/db/migrate.js';
import { prepareDatabase } from '../../workers/db/prepare.js';
import { grantRoles, TABLE_RIGHTS } from '../../workers/db/roles.js';
import { atEnd, startDatabase } from '../harness/index.js';

const PARTITIONS = 4;
const postgres = await startDatabase();
const passwords = makePostgresPasswords();
const names = { worker: postgresRole('worker'), server: postgresRole('server'), reader: postgresRole('reader') };
const urls = {
  super: postgres.url,
  owner: urlOfRole(postgres.url, 'owner', passwords),
  worker: urlOfRole(postgres.url, 'worker', passwords),
  server: urlOfRole(postgres.url, 'server', passwords),
  reader: urlOfRole(postgres.url, 'reader', passwords),
};

// As a data folder of an older version: the superuser has made and filled everything.
await migrate(urls.super);
const first = new pg.Pool({ connectionString: urls.super, max: 1 });
await ensureLedgerRanges(first);
await first.end();

async function setUp(): Promise<void> {
  await ensurePostgresRoles(urls.super, passwords);
  await migrate(urls.owner);
  await grantRoles(urls.owner, names);
}
await setUp();
// Every start does it again.
await setUp();

const pools = Object.fromEntries(
  Object.entries(urls).map(([role, connectionString]) => [role, new pg.Pool({ connectionString, max: 2 })]),
) as Record<keyof typeof urls, pg.Pool>;
// Postgres may end before the last connection has: that is no error of a query.
for (const pool of Object.values(pools)) pool.on('error', () => undefined);
atEnd(async () => void (await Promise.all(Object.values(pools).map((pool) => pool.end()))));

const NO = { code: '42501' };
const MOVEMENT = `INSERT INTO movements (seq, epoch, at, partition, kind, quantity, available, reserved, sold, version, deadline,
  fingerprint, attempt, ref, id, actor, detail)
  SELECT $1, 1, extract(epoch FROM now()) * 1000, 0, 5, 1, 1, 0, 0, 1, 0, 0, 1, 'berlin:mug', 'r', 'b', ''`;

t.test('a worker starts, adds to the ledger, and cannot change it', async (t) => {
  const { migrations } = await prepareDatabase(urls.worker, pools.worker, PARTITIONS);
  t.same(migrations, [], 'nothing was left to migrate');
  await pools.worker.query(MOVEMENT, [1]);
  t.equal((await pools.worker.query('SELECT 1 FROM movements')).rowCount, 1);
  const { rows } = await pools.super.query<{ name: string }>(
    `SELECT relid::text AS name FROM pg_partition_tree('movements')`,
  );
  t.ok(rows.length >= 5, 'the ledger, its rest, and months');
  for (const { name } of rows)
    for (const role of ['worker', 'server', 'reader'] as const) {
      await t.rejects(pools[role].query(`UPDATE ${name} SET quantity = 9`), NO, `${role}: UPDATE ${name}`);
      await t.rejects(pools[role].query(`DELETE FROM ${name}`), NO, `${role}: DELETE ${name}`);
      await t.rejects(pools[role].query(`TRUNCATE ${name}`), NO, `${role}: TRUNCATE ${name}`);
      await t.rejects(pools[role].query(`DROP TABLE ${name}`), NO, `${role}: DROP ${name}`);
      await t.rejects(pools[role].query(`ALTER TABLE ${name} DISABLE TRIGGER ALL`), NO, `${role}: ALTER ${name}`);
    }
  await t.rejects(pools.worker.query('ALTER TABLE movements DETACH PARTITION movements_rest'), NO);
  await t.rejects(pools.worker.query('DROP TRIGGER movements_immutable ON movements'), NO);
  await t.rejects(
    pools.worker.query('CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS $$ SELECT NULL $$'),
    NO,
  );
  await t.rejects(pools.worker.query('SET session_replication_role = replica'), NO, 'triggers cannot be switched off');
  await t.rejects(pools.worker.query('UPDATE reversals SET quantity = 0'), NO);
  await t.rejects(pools.worker.query('DELETE FROM reversals'), NO);
  for (const change of ['UPDATE ledger_chain SET first_seq = 1', 'DELETE FROM ledger_chain', 'TRUNCATE ledger_chain'])
    await t.rejects(pools.worker.query(change), NO, change);
  await t.rejects(pools.worker.query('DELETE FROM positions'), NO);
  await t.rejects(pools.worker.query('CREATE TABLE mine (x int)'), NO);
  await t.rejects(pools.worker.query('CREATE EXTENSION dblink'), NO);
  await t.rejects(pools.worker.query(`COPY stock TO PROGRAM 'true'`), NO);
  await t.rejects(pools.worker.query('SET ROLE holdfast_owner'), NO);
  const { rows: left } = await pools.super.query('SELECT quantity FROM movements');
  t.same(left, [{ quantity: '1' }]);
});

t.test('not even the owner changes the ledger by mistake', async (t) => {
  for (const change of ['UPDATE movements SET quantity = 9', 'DELETE FROM movements', 'TRUNCATE movements'])
    await t.rejects(pools.owner.query(change), { code: 'HF010' }, change);
});

t.test('workers have the months of the ledger made, as the owner', async (t) => {
  const { created } = await ensureLedgerRanges(pools.worker, Date.UTC(2041, 4, 1));
  t.same(created, ['movements_2041_05', 'movements_2041_06', 'movements_2041_07']);
  const { rows } = await pools.super.query<{ owner: string }>(
    `SELECT DISTINCT relowner::regrole::text AS owner FROM pg_class WHERE relname LIKE 'movements%' AND relkind IN ('r', 'p')`,
  );
  t.same(rows, [{ owner: postgresRole('owner') }]);
  for (const role of ['server', 'reader'] as const)
    await t.rejects(pools[role].query('SELECT make_ledger_range(2042, 1)'), NO, role);
  for (const month of [0, 13, -1]) await t.rejects(pools.worker.query('SELECT make_ledger_range(2042, $1)', [month]));

  const client = await pools.worker.connect();
  try {
    await client.query('BEGIN');
    await t.rejects(client.query('CREATE TEMP TABLE movements (at bigint) PARTITION BY RANGE (at)'), NO);
    await client.query('ROLLBACK');
    await client.query('SET search_path = pg_temp, public');
    await client.query('SELECT make_ledger_range(2043, 1)');
  } finally {
    client.release(true);
  }
  const { rowCount } = await pools.super.query(
    `SELECT 1 FROM pg_partition_tree('movements') WHERE relid = 'movements_2043_01'::regclass`,
  );
  t.equal(rowCount, 1, 'whatever search path the caller has');
});

t.test('front ends read what they answer from, readers everything, both change nothing', async (t) => {
  const expected = Object.entries(TABLE_RIGHTS).filter(([, { server }]) => server);
  t.ok(expected.length > 0);
  for (const [table, { server }] of Object.entries(TABLE_RIGHTS)) {
    await t.resolves(pools.reader.query(`SELECT * FROM ${table} LIMIT 1`), `reader: ${table}`);
    if (server) await t.resolves(pools.server.query(`SELECT * FROM ${table} LIMIT 1`), `server: ${table}`);
    else await t.rejects(pools.server.query(`SELECT * FROM ${table} LIMIT 1`), NO, `server: ${table}`);
    if (table === 'movement_trail') continue;
    for (const role of ['server', 'reader'] as const) {
      await t.rejects(pools[role].query(`DELETE FROM ${table}`), NO, `${role}: DELETE FROM ${table}`);
      await t.rejects(pools[role].query(`INSERT INTO ${table} DEFAULT VALUES`), NO, `${role}: INSERT INTO ${table}`);
    }
  }
  for (const role of ['server', 'reader'] as const)
    await t.rejects(
      pools[role].query("SELECT advance_positions('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')"),
      NO,
      role,
    );
});

t.test('every table of the schema is in the table of rights', async (t) => {
  const { rows } = await pools.super.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition ORDER BY 1`,
  );
  t.same(
    rows.map(({ name }) => name),
    Object.keys(TABLE_RIGHTS).sort(),
  );
});

t.test('a worker that finds migrations missing says who has to run them', async (t) => {
  const client = await pools.super.connect();
  try {
    // As a database that the version before has left.
    await client.query('DELETE FROM schemaversion WHERE version = (SELECT max(version) FROM schemaversion)');
    const error = await migrate(urls.worker).catch((caught: unknown) => caught);
    t.type(error, MigrationRefused);
    t.match((error as Error).message, /role "holdfast_worker" may not change the schema.*\.\/holdfast migrate/);
    await client.query('CREATE DATABASE empty');
    const empty = urls.worker.replace(/\/holdfast$/, '/empty');
    await t.rejects(migrate(empty), { name: 'MigrationRefused' }, 'nor in a database without anything');
  } finally {
    client.release();
  }
});
