import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { stampOf } from '../../stack/identity.js';
import { startPostgres } from '../../stack/postgres.js';
import { postgresUser } from '../../stack/postgres-binaries.js';
import { spawnManaged } from '../../stack/processes.js';
import { atEnd, startDatabase, tempDir } from '../harness/index.js';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

t.test('what was committed survives SIGKILL, on the same port', async (t) => {
  const postgres = await startDatabase();
  const { url } = postgres;
  await query(url, 'create table kept (id int primary key)');
  await query(url, 'insert into kept select generate_series(1, 1000)');
  postgres.kill('SIGKILL');
  await postgres.exited;
  await postgres.restart();
  t.equal(postgres.url, url);
  t.strictSame(await query(url, 'select count(*)::int as n from kept'), [{ n: 1000 }]);
});

t.test('the server is durable, speaks UTC and sorts the same everywhere', async (t) => {
  const postgres = await startDatabase();
  t.strictSame(
    await query(
      postgres.url,
      `select name, setting from pg_settings
       where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'TimeZone', 'listen_addresses') order by name`,
    ),
    [
      { name: 'TimeZone', setting: 'UTC' },
      { name: 'fsync', setting: 'on' },
      { name: 'full_page_writes', setting: 'on' },
      { name: 'listen_addresses', setting: '127.0.0.1' },
      { name: 'synchronous_commit', setting: 'on' },
    ],
  );
  t.strictSame(await query(postgres.url, `select 'a' < 'B' as folded`), [{ folded: false }]);
});

t.test('a lock file that names some other living process does not stop the start', async (t) => {
  const dir = tempDir();
  const first = await startPostgres({ dir });
  await first.stop();
  // As after a crash in a container: the number has been given to another process of the same user.
  const other = await spawnManaged({
    name: 'other',
    command: 'sleep',
    args: ['600'],
    runDir: join(dir, 'other'),
    logFile: join(dir, 'other.log'),
    ...postgresUser([]),
  });
  atEnd(() => other.stop());
  writeFileSync(join(dir, 'data', 'postmaster.pid'), `${other.pid}\n${join(dir, 'data')}\n0\n${first.port}\n\n\n\n`);
  const second = await startPostgres({ dir });
  t.strictSame(await query(second.url, 'select 1 as one'), [{ one: 1 }]);
  const { pid } = second;
  await second.stop();
  t.equal(stampOf(pid), undefined, 'stop leaves no process');
});

t.test('the password is readable by its owner only', async (t) => {
  const dir = tempDir();
  const postgres = await startPostgres({ dir, disposable: true });
  await postgres.stop();
  t.equal(statSync(join(dir, 'postgres.json')).mode & 0o777, 0o600);
  const { password } = JSON.parse(readFileSync(join(dir, 'postgres.json'), 'utf8')) as { password: string };
  t.ok(password.length >= 32);
});
