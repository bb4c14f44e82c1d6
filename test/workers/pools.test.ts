/** Sessions that persist: what is trimmed from the log must not be lost by Postgres. */
import t from 'tap';
import { takeDrainLock } from '../../workers/db/drain-lock.js';
import { openPools } from '../../workers/db/pools.js';
import { PostgresSource } from '../../workers/recovery/source.js';
import { testDatabase } from '../harness/index.js';
import { until } from './support.js';

for (const [configured, used] of [
  ['off', 'on'],
  ['on', 'on'],
  ['local', 'local'],
] as const)
  t.test(`a database that commits with synchronous_commit = ${configured}`, async (t) => {
    const { url, name } = await testDatabase({ migrated: false });
    const errors: Error[] = [];
    const before = openPools(url);
    await before.general.query(`ALTER DATABASE ${name} SET synchronous_commit = ${configured}`);
    await before.end();
    const pools = openPools(url, { onError: (error) => errors.push(error) });
    t.teardown(() => pools.end());
    for (const pool of [pools.drain, pools.general, pools.patient]) {
      const { rows } = await pool.query<{ synchronous_commit: string }>('SHOW synchronous_commit');
      t.equal(rows[0]!.synchronous_commit, used);
    }
    t.same(errors, []);
  });

t.test('whoever is cut off is noticed by Postgres soon, whichever locks it has', async (t) => {
  const pools = openPools((await testDatabase({ migrated: false })).url);
  t.teardown(() => pools.end());
  const names = ['tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout'];
  for (const pool of [pools.drain, pools.general, pools.patient]) {
    const { rows } = await pool.query<{ name: string; setting: string }>(
      'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
      [names],
    );
    t.same(
      names.map((name) => rows.find((row) => row.name === name)?.setting),
      ['10', '5', '3', '30000'],
    );
  }
});

t.test('a connection whose settings are refused is not used', async (t) => {
  const { url } = await testDatabase({ migrated: false });
  // Refused as by a role or a server that does not let it be set.
  const refusing = openPools(url, { idleTransactionMs: -2 });
  t.teardown(() => refusing.end());
  await t.rejects(refusing.drain.query('SELECT 1'), { code: '22023' });
  t.equal(refusing.drain.totalCount, 0);
  t.same((await refusing.general.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
});

t.test('a short statement that is not answered is given up, and its locks with it', async (t) => {
  const { url } = await testDatabase({ migrated: false });
  const pools = openPools(url, { generalQueryMs: 300 });
  t.teardown(() => pools.end());
  const source = new PostgresSource(pools.general);
  const held = async () => {
    const { rows } = await pools.patient.query(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
    return rows.length;
  };
  await pools.patient.query('CREATE TABLE positions (partition integer PRIMARY KEY)');
  const blocker = await pools.patient.connect();
  const recovery = source.exclusively(7, async () => {
    t.equal(await held(), 2, 'recovery has both locks');
    // From here on nothing answers it, as beyond a link that is cut.
    await blocker.query('BEGIN; LOCK TABLE positions IN ACCESS EXCLUSIVE MODE');
    await source.position(7);
  });
  await t.rejects(recovery, /timeout/);
  t.equal(pools.general.totalCount, 0, 'nor is its connection used again');
  await blocker.query('COMMIT');
  blocker.release();
  await until(async () => (await held()) === 0);
  t.equal(await source.exclusively(7, () => Promise.resolve('in')), 'in', 'the next recovery can have the partition');
});

t.test(
  'a worker that stands still amid a persist transaction loses its connection, and keeps nobody out',
  async (t) => {
    const pools = openPools((await testDatabase({ migrated: false })).url, { idleTransactionMs: 300 });
    t.teardown(() => pools.end());
    const client = await pools.drain.connect();
    const ended = new Promise((resolve) => client.once('end', () => resolve('ended')));
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock(1212961604, 3)');
    t.equal(await ended, 'ended');
    client.release(true);
    const recovery = await pools.general.connect();
    await takeDrainLock(recovery, 3);
    t.pass('recovery has the lock');
    recovery.release(true);
  },
);
