/** What the pages say is what there is: commands, statuses, events, limits, error codes, links, decisions. */
import { execFile } from 'node:child_process';
import { dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { HTTP_PROBLEMS } from '../../server/http/problems.js';
import { exists, files, read, root } from './tree.js';

interface Registered {
  readonly number: number;
  readonly name: string;
  readonly description: string;
}

const registry = (name: string) => JSON.parse(read(`lua/registry/${name}.json`)) as never;
const statuses = registry('statuses') as (Registered & { kind: string; http: number; code: string })[];

/** Rows of the table under a heading, cells without their marks. */
function table(page: string, heading: string): string[][] {
  const section = new RegExp(`^## ${heading}\\n(.*?)(?=^## |(?![\\s\\S]))`, 'ms').exec(page)![1]!;
  return rowsOf(section);
}

function rowsOf(section: string): string[][] {
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1')),
  );
}

t.test('docs/scripts.md lists the statuses, events and limits of the registry', async (t) => {
  const page = read('docs/scripts.md');
  t.same(
    table(page, 'Statuses'),
    statuses.map((one) => [String(one.number), one.name, one.kind, String(one.http), one.code, one.description]),
  );
  const events = registry('events') as Registered[];
  t.same(
    table(page, 'Events'),
    events.map((one) => [String(one.number), one.name, one.description]),
  );
  const limits = registry('limits') as Record<string, { value: number; unit: string; description: string }>;
  t.same(
    table(page, 'Limits'),
    Object.entries(limits).map(([name, one]) => [name, String(one.value), one.unit, one.description]),
  );
  for (const list of [statuses, events]) {
    t.equal(new Set(list.map(({ number }) => number)).size, list.length, 'numbers are used once');
    t.same(
      list.map(({ number }) => number),
      list.map(({ number }) => number).sort((a, b) => a - b),
    );
  }
});

t.test('docs/http.md lists the error codes of the registry and of HTTP, and no others', async (t) => {
  const expected = new Map<string, number>();
  for (const { code, http, kind } of statuses) if (kind !== 'ok') expected.set(code, http);
  for (const { code, http } of Object.values(HTTP_PROBLEMS)) {
    t.ok(!expected.has(code) || expected.get(code) === http, `${code} has one HTTP status`);
    expected.set(code, http);
  }
  const rows = rowsOf(read('docs/http.md').slice(read('docs/http.md').indexOf('\n## Errors')).split(/\n## /)[1]!);
  t.same(rows.map(([code, http]) => [code, Number(http)]).sort(), [...expected].sort());
  for (const row of rows) t.ok(row[2], `${row[0]} is explained`);
});

/** Commands that the script `holdfast` or the command line offers. */
async function help(...args: string[]): Promise<string> {
  const form = import.meta.url.endsWith('.ts')
    ? ['--import', import.meta.resolve('tsx'), join(root, 'cli/main.ts')]
    : [join(root, 'dist/cli/main.js')];
  const { stdout } = await promisify(execFile)(process.execPath, [...form, ...args, '--help'], { cwd: root });
  return stdout;
}

t.test('every command and option that the pages name is in --help', async (t) => {
  const listed = await help();
  const commands = new Set([...listed.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name!));
  t.ok(commands.size > 10, [...commands].join(' '));
  const pages = files.filter(
    (path) => path === 'README.md' || (/^docs\/.*\.md$/.test(path) && path !== 'docs/scripts.md'),
  );
  const helps = new Map<string, string>();
  for (const path of pages)
    for (const [, command, rest] of read(path).matchAll(/\.\/holdfast ([a-z]+)([^`\n|]*)/g)) {
      t.ok(commands.has(command!), `${path}: ./holdfast ${command}`);
      if (!commands.has(command!)) continue;
      for (const [option] of rest!.split(/\s#/)[0]!.matchAll(/--[a-z-]+/g)) {
        if (!helps.has(command!)) helps.set(command!, await help(command!));
        t.match(helps.get(command!), new RegExp(`${option}\\b`), `${path}: ./holdfast ${command} ${option}`);
      }
    }
  t.match(read('README.md'), './holdfast --help', 'the README says where all of them are listed');
});

t.test('npm scripts that the pages name exist', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const path of files.filter((one) => one.endsWith('.md')))
    for (const [, name] of read(path).matchAll(/npm run ([a-z:]+)/g))
      t.ok(name! in scripts, `${path}: npm run ${name}`);
  for (const name of ['lint', 'format', 'typecheck', 'test', 'build', 'bench']) t.ok(name in scripts, name);
});

t.test('links between pages lead somewhere', async (t) => {
  let seen = 0;
  const broken: string[] = [];
  for (const path of files.filter((one) => one.endsWith('.md')))
    for (const [, link] of read(path).matchAll(/\]\(((?!https?:|#|mailto:)[^)\s]+)\)/g)) {
      seen++;
      const target = normalize(join(dirname(path), link!.split('#')[0]!));
      const folder = target.endsWith('/') && files.some((one) => one.startsWith(target));
      if (!exists(target) && !folder) broken.push(`${path}: ${link}`);
    }
  t.ok(seen > 20);
  t.same(broken, []);
});

t.test('decisions are numbered without gaps and say what, when and why', async (t) => {
  const records = files.filter((path) => path.startsWith('docs/decisions/') && path !== 'docs/decisions/README.md');
  t.ok(records.length >= 3);
  for (const [n, path] of records.entries()) {
    t.match(path, new RegExp(`^docs/decisions/${String(n + 1).padStart(4, '0')}-[a-z0-9-]+\\.md$`));
    const page = read(path);
    t.match(page, new RegExp(`^# ${n + 1}\\. \\S`), `${path}: its title begins with its number`);
    t.match(page, /^Date: \d{4}-\d{2}-\d{2} · Status: /m, `${path}: date and status`);
    t.ok(page.split('\n').length > 10, `${path}: what was decided and why`);
  }
});

t.test('the change log has a place for what comes next', async (t) => {
  t.match(read('CHANGELOG.md'), /^## \[?Unreleased\]?$/m);
});
