import t from 'tap';
import { buildOf, errorsIn, findingsOf, GOOD, withBody } from './fixture.js';

const SOUND = "redis.call('HSET', KEYS[1], 'a', meta_key, STATUS.ok)\n";

t.test('a missing include is reported where it is asked for', async (t) => {
  t.strictSame(errorsIn(GOOD.replace('parse', 'prase')).slice(0, 2), [
    "lua/box/op.lua:7:1: include 'prase' not found (lua/include/prase.lua)",
    "lua/box/op.lua:8:1: unknown global 'to_int'",
  ]);
});

t.test('an include in an include is missing: the include is named, with its own line and column', async (t) => {
  const files = { 'lua/include/one.lua': '-- one\n\n  -- @include two\n' };
  t.strictSame(errorsIn(withBody(`-- @bind keys\n-- @include one\n${SOUND}`), files), [
    "lua/include/one.lua:3:3: include 'two' not found (lua/include/two.lua)",
  ]);
});

t.test('a cycle is reported at the line that closes it', async (t) => {
  const files = {
    'lua/include/one.lua': '-- @include two\n',
    'lua/include/two.lua': 'local _ = 1\n-- @include three\n',
    'lua/include/three.lua': '\n\n -- @include one\n',
  };
  t.strictSame(errorsIn(withBody(`-- @bind keys\n-- @include one\n${SOUND}`), files), [
    'lua/include/three.lua:3:2: include cycle: one -> two -> three -> one',
  ]);
});

t.test('twice in one file is an error, over two ways it is put in once', async (t) => {
  const body = `-- @bind keys\n-- @include one\n-- @include one\n${SOUND}`;
  const one = { 'lua/include/one.lua': 'local _ = 1\n' };
  t.strictSame(errorsIn(withBody(body), one), ["lua/box/op.lua:7:1: 'one' is included twice"]);

  const diamond = {
    'lua/include/one.lua': '-- @include base\nlocal first = base\n',
    'lua/include/two.lua': '-- @include base\nlocal second = base\n',
    'lua/include/base.lua': 'local base = tonumber(ARGV[1])\n',
    'lua/box/op.lua': withBody(
      "-- @bind keys\n-- @include one\n-- @include two\nredis.call('SET', meta_key, first + second)\nreturn STATUS.ok\n",
    ),
  };
  const built = buildOf(diamond);
  t.strictSame(findingsOf(built), []);
  const { scripts } = built;
  t.strictSame(scripts[0]!.includes, ['one', 'base', 'two']);
  t.equal(scripts[0]!.source.split('local base =').length, 2);
});

t.test('names of includes cannot leave the folder', async (t) => {
  t.strictSame(errorsIn(withBody(`-- @bind keys\n-- @include ../box/op\n${SOUND}`)), [
    "lua/box/op.lua:6:1: @include needs the name of a file in lua/include, not '../box/op'",
  ]);
});

t.test('directives that would silently do nothing are errors', async (t) => {
  const body = `-- @bind keys\n  -- @inlcude parse\nlocal _ = 1 -- @include parse\n${SOUND}`;
  t.strictSame(errorsIn(withBody(body)), [
    'lua/box/op.lua:6:6: unknown directive @inlcude; in the body there are @include and @bind, the header ends at the first line without ---',
    'lua/box/op.lua:7:13: @include must stand alone on its line, as -- @include name',
  ]);
});

t.test('a syntax error is reported where the parser stumbles, also in an include', async (t) => {
  const files = { 'lua/include/one.lua': '-- fine\nlocal x =\n' };
  t.strictSame(errorsIn(withBody(`-- @bind keys\n-- @include one\nreturn STATUS.ok\n`), files), [
    "lua/box/op.lua:7:1: <expression> expected near 'return'",
  ]);
  const broken = { 'lua/include/one.lua': '-- fine\nlocal = 3\n' };
  t.strictSame(errorsIn(withBody(`-- @bind keys\n-- @include one\nreturn STATUS.ok\n`), broken), [
    "lua/include/one.lua:2:7: <name> expected near '='",
  ]);
});

t.test('what a script does not reach of an include is left out, and only then', async (t) => {
  const include = [
    'local function used() return STATUS.refused end',
    'local function helper() return STATUS.fenced end',
    'local function unused()',
    '  return helper()',
    'end',
    "local SPARE = 'spare'",
    "local kept = redis.call('TIME')",
  ].join('\n');
  const built = buildOf({
    'lua/include/tools.lua': include,
    'lua/box/op.lua':
      '--- Try.\n--- @flags no-writes\n--- @status ok\n--- @status refused\n-- @include tools\nreturn { STATUS.ok, used(), kept }\n',
  });
  t.strictSame(findingsOf(built), [
    "lua/include/tools.lua:2:16: warning: 'helper' is used by no script",
    "lua/include/tools.lua:3:16: warning: 'unused' is used by no script",
    "lua/include/tools.lua:6:7: warning: 'SPARE' is used by no script",
  ]);
  const { scripts } = built;
  t.strictSame(scripts[0]!.source.split('\n'), [
    '#!lua flags=no-writes',
    'local function used() return 20 end',
    "local kept = redis.call('TIME')",
    'return { 0, used(), kept }',
    '',
  ]);
  t.strictSame(scripts[0]!.origins, [
    [2, 'lua/include/tools.lua', 1],
    [3, 'lua/include/tools.lua', 7],
    [4, 'lua/box/op.lua', 6],
  ]);
});

t.test('a name that is only written to keeps its declaration', async (t) => {
  const { scripts } = buildOf({
    'lua/include/memo.lua': 'local memo\nlocal function note(x)\n  memo = x\nend\n',
    'lua/box/op.lua':
      '--- Try.\n--- @flags no-writes\n--- @status ok\n-- @include memo\nnote(1)\nreturn { STATUS.ok }\n',
  });
  t.match(scripts[0]!.source, /^local memo$/m);
});
