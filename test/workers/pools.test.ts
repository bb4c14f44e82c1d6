/** Sessions that persist: what is trimmed from the log must not be lost by Postgres. */
import t from 'tap';
import { openPools } from '../../workers/db/pools.js';
import { testDatabase } from '../harness/index.js';

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
    const { rows } = await pools.drain.query<{ synchronous_commit: string }>('SHOW synchronous_commit');
    t.equal(rows[0]!.synchronous_commit, used);
    t.same(errors, []);
  });
