import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ensureLedgerRanges } from '../../workers/db/ledger-ranges.js';
import { DatabaseTooNew, migrate, migrationsFolder } from '../../workers/db/migrate.js';
import { prepareDatabase } from '../../workers/db/prepare.js';
import { openDatabase, type TestDatabase } from './database.js';

let database: TestDatabase;
let folder: string;

t.before(async () => {
  database = await openDatabase(4, { migrated: false });
  folder = mkdtempSync(join(tmpdir(), 'hf-sql-'));
  cpSync(migrationsFolder(), folder, { recursive: true });
});

t.teardown(async () => {
  rmSync(folder, { recursive: true, force: true });
  await database.close();
});

t.test('files are numbered without gaps and hold one statement each', async (t) => {
  const files = readdirSync(migrationsFolder()).sort();
  files.forEach((file, n) => t.match(file, new RegExp(`^${String(n + 1).padStart(4, '0')}\\.do\\.[a-z_]+\\.sql$`)));
  for (const file of files) {
    const text = readFileSync(join(migrationsFolder(), file), 'utf8')
      .replace(/\$\$[\s\S]*\$\$/, '')
      .replace(/^--.*$/gm, '');
    t.notMatch(text.trim(), /;/, `${file} is one statement, without a semicolon`);
  }
});

t.test('several workers starting at once migrate once', async (t) => {
  const count = readdirSync(migrationsFolder()).length;
  const applied = await Promise.all([1, 2, 3, 4].map(() => migrate(database.url)));
  t.equal(applied.flat().length, count);
  t.same(await migrate(database.url), [], 'and a later start finds nothing to do');
  const results = await Promise.all([1, 2, 3].map(() => prepareDatabase(database.url, database.pools.general, 4)));
  t.equal(results.length, 3);
  const { rows } = await database.pools.general.query('SELECT count(*) FROM positions');
  t.equal(rows[0].count, 4);
});

t.test('a migration that fails leaves nothing behind', async (t) => {
  const next = String(readdirSync(folder).length + 1).padStart(4, '0');
  writeFileSync(join(folder, `${next}.do.first.sql`), 'CREATE TABLE leftover (a int)');
  const bad = join(folder, `${String(Number(next) + 1).padStart(4, '0')}.do.second.sql`);
  writeFileSync(bad, 'CREATE TABLE nonsense (a nonsense)');
  await t.rejects(migrate(database.url, folder), { code: '42704' });
  const { rows } = await database.pools.general.query("SELECT to_regclass('leftover') AS there");
  t.equal(rows[0].there, null);
  rmSync(bad);
  t.same(await migrate(database.url, folder), [Number(next)]);
});

t.test('a database newer than the code is refused', async (t) => {
  const refusal = await migrate(database.url).catch((error: unknown) => error);
  t.ok(refusal instanceof DatabaseTooNew);
  t.match((refusal as Error).message, /run the newer version/);
});

t.test('a migration changed after it was applied is refused', async (t) => {
  const first = join(folder, readdirSync(folder).sort()[0]!);
  writeFileSync(first, `${readFileSync(first, 'utf8')}\n-- changed`);
  await t.rejects(migrate(database.url, folder), /checksum/i);
});

t.test('another number of partitions is refused', async (t) => {
  await database.pools.general.query("DELETE FROM schemaversion WHERE name = 'first'");
  await t.rejects(prepareDatabase(database.url, database.pools.general, 2), /chosen once per installation/);
});

t.test('the ledger has a table for the months to come', async (t) => {
  const december = Date.UTC(2027, 11, 15);
  const { created } = await ensureLedgerRanges(database.pools.general, december);
  t.same(created, ['movements_2027_12', 'movements_2028_01', 'movements_2028_02']);
  t.same((await ensureLedgerRanges(database.pools.general, december)).created, []);
  await database.pools.general.query(
    `INSERT INTO movements SELECT 1, 1, $1, 0, 2, 1, 1, 0, 0, 1, 0, 0, 0, 'a:b', 'x', '', ''`,
    [Date.UTC(2031, 0, 2)],
  );
  const later = await ensureLedgerRanges(database.pools.general, Date.UTC(2031, 0, 1));
  t.same(later.blocked, ['movements_2031_01'], 'what lies in the rest table stays there');
  t.same(later.created, ['movements_2031_02', 'movements_2031_03']);
});
