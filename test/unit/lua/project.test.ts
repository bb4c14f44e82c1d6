/** The commands themselves, and the scripts of this project: no findings, and a reference page that is up to date. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../../../stack/project.js';
import { parseLua } from '../../../tools/lua/ast.js';
import { build } from '../../../tools/lua/pipeline.js';
import { analyse } from '../../../tools/lua/scope.js';
import { startRedis } from './redis.js';
import { GOOD, project, withBody, write } from './fixture.js';

const ROOT = projectRoot();
const GENERATED = 'engine/scripts/generated';

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(tool: 'build' | 'lint', ...args: string[]): Promise<Run> {
  const argv = ['--import', 'tsx', join(ROOT, `tools/lua/${tool}.ts`), ...args];
  const env = { PATH: process.env['PATH'] };
  return new Promise((resolve) =>
    execFile(process.execPath, argv, { cwd: ROOT, env, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    ),
  );
}

t.test('the scripts of this project have no findings and their page is up to date', async (t) => {
  t.strictSame(build(ROOT).diagnostics.list(), []);
  t.equal(
    build(ROOT).files.get('docs/scripts.md'),
    readFileSync(join(ROOT, 'docs/scripts.md'), 'utf8'),
    'docs/scripts.md',
  );
});

t.test('what is sent to Redis declares every name it uses', async (t) => {
  const given = new Set(
    'KEYS ARGV redis cmsgpack cjson string table math tonumber pairs ipairs select unpack type tostring pcall error next assert bit struct'.split(
      ' ',
    ),
  );
  const { scripts } = build(ROOT);
  t.ok(scripts.length > 0);
  for (const { name, source } of scripts) {
    const { references } = analyse(parseLua(source.replace(/^#!.*/, '')));
    const unknown = references.filter((r) => !r.variable && (r.write || !given.has(r.node.name)));
    t.strictSame(
      unknown.map((r) => r.node.name),
      [],
      name,
    );
  }
});

t.test('Redis takes every script and agrees about its hash', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-scripts-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const redis = await startRedis(folder);
  for (const { name, source, sha1 } of build(ROOT).scripts) t.equal(await redis.script('LOAD', source), sha1, name);
});

t.test('--help', async (t) => {
  t.match(await run('build', '--help'), { code: 0, stdout: /--check/, stderr: '' });
  t.match(await run('lint', '--help'), { code: 0, stdout: /--root/, stderr: '' });
  t.match(await run('build', '--nonsense'), { code: 2, stdout: '', stderr: /nonsense/ });
});

t.test('build writes, does not write again what is the same, and removes what is gone', async (t) => {
  const root = project({ 'lua/box/op.lua': GOOD, 'lua/box/old.lua': GOOD });
  const folder = join(root, GENERATED);
  t.match(await run('build', '--root', root), { code: 0, stdout: '2 scripts, 7 files written\n' });
  const times = readdirSync(folder).map((f) => statSync(join(folder, f)).mtimeMs);
  t.match(await run('build', '--root', root), { code: 0, stdout: '2 scripts, 0 files written\n' });
  t.strictSame(
    readdirSync(folder).map((f) => statSync(join(folder, f)).mtimeMs),
    times,
  );

  rmSync(join(root, 'lua/box/old.lua'));
  t.match(await run('build', '--root', root), { code: 0, stdout: '1 scripts, 3 files written\n' });
  t.notOk(existsSync(join(folder, 'box-old.ts')));
});

t.test('--check fails on a page that is out of date and writes nothing', async (t) => {
  const count = withBody("-- @bind keys\nreturn { STATUS.ok, redis.call('HINCRBY', meta_key, 'a', 1) }\n");
  const root = project({ 'lua/box/op.lua': count, 'lua/include/parse.lua': undefined });
  t.match(await run('build', '--check', '--root', root), { code: 1, stderr: /^docs\/scripts\.md:1:1: out of date/ });
  t.notOk(existsSync(join(root, 'docs/scripts.md')));
  await run('build', '--root', root);
  t.match(await run('build', '--check', '--root', root), { code: 0, stderr: '' });
  t.match(await run('lint', '--root', root), { code: 0, stdout: '1 scripts, no findings\n' });
  write(root, 'lua/box/op.lua', count.replace('Try a body', 'Try another body'));
  t.match(await run('build', '--check', '--root', root), {
    code: 1,
    stderr: /out of date; run npm run lua and commit it/,
  });
});

t.test('findings: on stderr, exit code 1, old bindings are left alone', async (t) => {
  const root = project({ 'lua/box/op.lua': GOOD });
  await run('build', '--root', root);
  const file = join(root, GENERATED, 'box-op.ts');
  const before = readFileSync(file, 'utf8');
  write(root, 'lua/box/op.lua', GOOD.replace('step)', 'stop)'));
  t.match(await run('build', '--root', root), {
    code: 1,
    stdout: '',
    stderr:
      "lua/box/op.lua:3:10: @arg step is never used (step in the body)\nlua/box/op.lua:9:59: unknown global 'stop'\n",
  });
  t.equal(readFileSync(file, 'utf8'), before);
});

t.test('warnings fail lint and --check, not the build', async (t) => {
  const root = project({ 'lua/box/op.lua': GOOD, 'lua/include/spare.lua': '' });
  const warning = 'lua/include/spare.lua:1:1: warning: no script includes this file';
  t.match(await run('build', '--root', root), { code: 0, stderr: warning });
  t.match(await run('build', '--check', '--root', root), { code: 1, stderr: warning });
  t.match(await run('lint', '--root', root), { code: 1, stderr: warning });
});
