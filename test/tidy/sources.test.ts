/** Rules of the house that a test can keep: sizes, leftovers, key names, scripts, the direction of imports. */
import { dirname, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { NODE_FLAGS } from '../../stack/apps.js';
import { code, exists, files, grep, product, read, root } from './tree.js';

const MOST_LINES = 300;
const MOST_LINES_OF_A_TEST = 600;

/** Files that are longer than they should be, and why. Shorter again: off the list. */
const LONG: Readonly<Record<string, string>> = {
  'engine/batch/batcher.ts': 'one state machine; what could leave it (loading, outcomes, queues) has left',
  'engine/types.ts': 'all that callers see, in one place to read',
};

t.test(`no file is longer than ${MOST_LINES} lines (a test ${MOST_LINES_OF_A_TEST}) without a reason`, async (t) => {
  const long = code.filter((path) => {
    const lines = read(path).split('\n').length - 1;
    return lines > (path.startsWith('test/') ? MOST_LINES_OF_A_TEST : MOST_LINES);
  });
  t.same(
    long.filter((path) => !(path in LONG)),
    [],
    'split it, or give a reason in this test',
  );
  t.same(
    Object.keys(LONG).filter((path) => exists(path) && !long.includes(path)),
    [],
    'no longer long: take it off the list',
  );
});

t.test('the linter bounds functions and files', async (t) => {
  const config = (await import(pathToFileURL(join(root, 'eslint.config.js')).href)) as { default: unknown };
  const blocks = config.default as { files?: string[]; rules?: Record<string, [string, { max: number }] | string> }[];
  const all = blocks.find((block) => block.files?.includes('**/*.ts') && block.rules?.['max-lines-per-function']);
  const [level, { max }] = all!.rules!['max-lines-per-function'] as [string, { max: number }];
  t.equal(level, 'error');
  t.ok(max <= 70);
  t.ok((all!.rules!['max-lines'] as [string, { max: number }])[1].max <= MOST_LINES);
  const silenced = grep(code, /eslint-disable(?!-next-line\s+\S+\s+--\s+\S)/).filter(
    (hit) => !hit.startsWith('test/tidy/'),
  );
  t.same(silenced, [], 'what is silenced is one line, one rule, and says why: eslint-disable-next-line RULE -- reason');
  t.same(
    grep(code, /@ts-(ignore|nocheck)/).filter((hit) => !hit.startsWith('test/tidy/')),
    [],
  );
});

t.test('nothing is left for later, nothing is left out', async (t) => {
  const words = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'HA' + 'CK', 'X' + 'XX'].join('|')})\\b`);
  t.same(
    grep(
      files.filter((path) => /\.(ts|js|lua|sql|md|conf|yml)$/.test(path)),
      words,
    ),
    [],
  );
  const tests = files.filter((path) => path.endsWith('.test.ts') && !path.startsWith('test/tidy/'));
  t.ok(tests.length > 20);
  t.same(grep(tests, /\.only\(|\bonly:\s*true|\.todo\(|\btodo:\s*true/), [], 'no test that silences the others');
  t.same(
    grep(tests, /\.skip\(|\bskip:\s*(true\b|'')/),
    [],
    'a test that is left out says why and when: skip: condition && reason',
  );
});

t.test('front ends and workers run with the same flags wherever they are started', async (t) => {
  const places = { holdfast: /serve \| work\) flags\+=\((.*?)\)/g, Dockerfile: /^CMD (.*)$/gm };
  for (const [path, pattern] of Object.entries(places)) {
    const found = [...read(path).matchAll(pattern)].map(([, text]) => text ?? '');
    t.equal(found.length, 1, path);
    for (const flag of NODE_FLAGS) t.ok(found[0]?.includes(flag), `${path}: ${flag}`);
  }
  const commands = read('docker-compose.yml').match(/^.*dist\/(server|workers)\/main\.js.*$/gm) ?? [];
  t.equal(commands.length, 2);
  for (const command of commands) for (const flag of NODE_FLAGS) t.ok(command.includes(flag), command);
});

t.test('key names are made in one place', async (t) => {
  const typescript = product.filter((path) => path.endsWith('.ts') && path !== 'engine/keys.ts');
  t.ok(typescript.length > 50);
  t.same(grep(typescript, /['"`][^'"`]*:\{/), [], 'no hash tag is put into a key anywhere else');
  t.same(grep(typescript, /['"`]hf:/), [], 'nor the prefix');
  const kinds = 'meta|log|due|holds|claims|ids|stock|buyers|deltas|persisted';
  t.same(grep(typescript, new RegExp(`\\}:(${kinds})\\b`)), []);
  const lua = product.filter((path) => path.endsWith('.lua'));
  t.ok(lua.length > 30);
  t.same(grep(lua, /\.\.\s*'[^']*\}:|'[^']*:\{'|'[^']*\}:[^']*'\s*\.\./), [], 'scripts are given their keys');
  t.same(
    grep(lua, /redis\.call\('[A-Z]+',\s*['"]/).filter((hit) => !/redis\.call\('(TIME|CLUSTER)'/.test(hit)),
    [],
  );
});

t.test('scripts are loaded by recovery alone and called by hash; no hash is kept by hand', async (t) => {
  const typescript = product.filter((path) => path.endsWith('.ts'));
  // The table of users names the commands that each may send; nothing is sent from there.
  const senders = typescript.filter((path) => path !== 'stack/redis-users.ts');
  t.same(grep(senders, /\bdefineCommand\b|['"`]EVAL['"`]|\.eval\(|\.evalsha\(['"`]/i), []);
  const loaders = grep(typescript, /'SCRIPT',\s*'LOAD'|\.script\(\s*'LOAD'/i).map((hit) => hit.split(':')[0]!);
  t.same(
    loaders.filter((path) => !path.startsWith('engine/recovery/')),
    [],
  );
  t.ok(loaders.length > 0);
  t.same(grep(code, /\b[0-9a-f]{40}\b/), []);
});

/** What each room may import, beside itself (docs/architecture.md). */
const MAY: Readonly<Record<string, readonly string[]>> = {
  engine: [],
  wire: [],
  server: ['engine', 'wire'],
  workers: ['engine'],
  stack: [],
  client: ['engine', 'wire'],
  tools: ['cli', 'engine', 'stack'],
  cli: ['bench', 'engine', 'server', 'workers', 'stack', 'test'],
};

t.test('imports point one way', async (t) => {
  let seen = 0;
  const wrong: string[] = [];
  for (const path of code.filter((one) => one.endsWith('.ts'))) {
    const [room] = path.split('/') as [string];
    const allowed = MAY[room];
    for (const [, from] of read(path).matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)) {
      const target = normalize(join(dirname(path), from!));
      const [other] = target.split('/') as [string];
      seen++;
      if (allowed && other !== room && !allowed.includes(other)) wrong.push(`${path} imports ${target}`);
    }
  }
  t.ok(seen > 500, `${seen} imports`);
  t.same(wrong, []);
  t.same(
    grep(
      product.filter((path) => path.startsWith('engine/')),
      /from '(pg|uWebSockets\.js|bullmq|jose|pino)'/,
    ),
    [],
  );
  t.same(
    grep(
      product.filter((path) => path.startsWith('server/')),
      /from 'bullmq'/,
    ),
    [],
  );
});

t.test('only the runner and the tests reach into test/', async (t) => {
  const reach = grep(
    product.filter((path) => path.endsWith('.ts')),
    /from '(\.\.\/)+test\/|import\('(\.\.\/)+test\//,
  );
  t.same(
    reach.filter((hit) => !hit.startsWith('cli/commands/test.ts')),
    [],
  );
});

t.test('every script has a test of its name', async (t) => {
  const scripts = files.filter((path) => /^lua\/[^/]+\/[^/]+\.lua$/.test(path) && !path.startsWith('lua/include/'));
  t.ok(scripts.length >= 28);
  const wanted = scripts.map((path) => path.replace(/^lua\/([^/]+)\/(.+)\.lua$/, 'test/scripts/$1-$2.test.ts'));
  t.same(
    wanted.filter((path) => !exists(path)),
    [],
  );
});
