/** What may be committed: clean text, append-only migrations, no addresses of package registries. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { exists, files, grep, read, root } from './tree.js';

/** Kept to the byte, whatever is in them. */
const BYTES = /^examples\/|\.(png|ico|woff2)$/;
/** Blanks at the end of a line are part of what is tested there. */
const MEANT = ['test/unit/lua/binding.test.ts'];
const text = files.filter((path) => !BYTES.test(path));

t.test('text files are clean', async (t) => {
  t.ok(text.length > 200);
  for (const [what, pattern] of [
    ['blanks at the end of a line', /[ \t]+$/],
    ['a carriage return', /\r/],
    ['a conflict that was not resolved', /^(<{7}|>{7}|\|{7}) /],
    // eslint-disable-next-line no-control-regex -- these are what is looked for
    ['a control character', /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufeff]/],
  ] as const)
    t.same(
      grep(
        text.filter((path) => !MEANT.includes(path)),
        pattern,
      ),
      [],
      `no line has ${what}`,
    );
  const endings = text.filter((path) => statSync(join(root, path)).size > 0 && !/[^\n]\n$/.test(read(path)));
  t.same(endings, [], 'they end in one line break');
});

t.test('nothing is committed that tools leave behind', async (t) => {
  t.same(
    files.filter((path) =>
      /(~|\.(orig|rej|swp|log|tmp|bak|aof|rdb|pid))$|(^|\/)(\.DS_Store|Thumbs\.db|nodes\.conf|\.env)$/.test(path),
    ),
    [],
  );
  t.same(
    files.filter((path) => statSync(join(root, path)).size > 3_000_000),
    [],
    'no file of megabytes',
  );
  for (const path of ['holdfast', '.ci/run']) t.ok(statSync(join(root, path)).mode & 0o100, `${path} can be executed`);
});

t.test('no address of a package registry is written down', async (t) => {
  const hosts = [
    'npm' + 'js\\.(org|com)',
    'yarn' + 'pkg\\.com',
    'registry' + '\\.[a-z0-9.-]+\\.(org|com|net|io|dev|cloud)\\b',
    '://[^/\\s]*reg' + 'istry',
  ];
  t.same(grep(text, new RegExp(hosts.join('|'), 'i')), []);
  t.same(
    grep(['package-lock.json'], /"resolved"/),
    [],
    'nor in the lockfile: packages come from where the machine is told',
  );
  t.same(
    files.filter((path) => /(^|\/)\.(npmrc|yarnrc)/.test(path)),
    [],
  );
});

const MIGRATION = /^workers\/sql\/(\d{4})\.do\.[a-z0-9_]+\.sql$/;
const migrations = files.filter((path) => path.startsWith('workers/sql/'));

t.test('migrations are numbered without gaps, one statement a file', async (t) => {
  t.ok(migrations.length >= 16);
  t.same(
    migrations.filter((path) => !MIGRATION.test(path)),
    [],
    'NNNN.do.name.sql',
  );
  t.same(
    migrations.map((path) => Number(MIGRATION.exec(path)![1])),
    migrations.map((_, n) => n + 1),
  );
  for (const path of migrations) t.equal(statements(read(path)), 1, path);
});

t.test('migrations are append-only', async (t) => {
  const known = new Map(
    read('test/tidy/migrations.sha256')
      .trim()
      .split('\n')
      .map((line) => line.split('  ') as [string, string])
      .map(([hash, path]) => [path, hash]),
  );
  for (const [path, hash] of known) {
    if (!t.ok(exists(path), `${path} is still there`)) continue;
    t.equal(sha256(path), hash, `${path} is as it was: databases have run it, change things by a new one`);
  }
  t.same(
    migrations.filter((path) => !known.has(path)).map((path) => `${sha256(path)}  ${path}`),
    [],
    'a new migration is entered in test/tidy/migrations.sha256',
  );
});

function sha256(path: string): string {
  return createHash('sha256')
    .update(readFileSync(join(root, path)))
    .digest('hex');
}

/** Statements in a text of SQL: what stands between semicolons outside of comments, strings and bodies of functions. */
function statements(sql: string): number {
  return sql
    .replace(/^\s*--.*$/gm, '') // first: an apostrophe in a comment is no quote
    .replace(/\$([a-z_]*)\$.*?\$\1\$/gis, "''")
    .replace(/'(?:[^']|'')*'/g, "''")
    .replace(/--.*$/gm, '')
    .replace(/\/\*.*?\*\//gs, '')
    .split(';')
    .filter((part) => part.trim() !== '').length;
}
