import t from 'tap';
import { buildOf, errorsIn, errorsOf, GOOD, withBody } from './fixture.js';

const insert = (line: string): string => GOOD.replace('--- @event made', `--- @event made\n${line}`);

t.test('a sound script has no findings', async (t) => {
  t.strictSame(errorsIn(GOOD), []);
});

const TABLE: [name: string, script: string, errors: string[]][] = [
  [
    'no prose, no status',
    '-- @include parse\n',
    [
      'lua/box/op.lua:1:1: the header declares no @status',
      'lua/box/op.lua:1:1: the header must begin with what the script is for',
      'lua/box/op.lua:1:1: the script writes nothing: declare @flags no-writes',
    ],
  ],
  [
    'unknown tag',
    insert('---  @returns ok'),
    ['lua/box/op.lua:6:6: unknown tag @returns; there are @flags @key @items @arg @each @line @status @event'],
  ],
  ['tag without a name', insert('--- @event'), ['lua/box/op.lua:6:5: @event needs a name']],
  [
    'unknown status',
    GOOD.replace('@status ok total:int', '@status okay total:int').replace('STATUS.ok', '0'),
    [
      "lua/box/op.lua:4:13: status 'okay' is not in lua/registry/statuses.json",
      'lua/box/op.lua:4:13: @status okay is declared, but the body never uses STATUS.okay',
    ],
  ],
  ['status twice', insert('--- @status ok'), ["lua/box/op.lua:6:13: status 'ok' is declared twice"]],
  [
    'unknown event',
    insert('--- @event mode'),
    [
      "lua/box/op.lua:6:12: event 'mode' is not in lua/registry/events.json",
      'lua/box/op.lua:6:12: @event mode is declared, but the body never uses EVENT.mode',
    ],
  ],
  [
    'bad columns',
    GOOD.replace('total:int', 'total:float status:int a b:ms b:int'),
    [
      "lua/box/op.lua:4:16: column 'total:float' must be name:type, type one of int, ms, text",
      "lua/box/op.lua:4:28: column name 'status' is taken",
      "lua/box/op.lua:4:39: column 'a' must be name:type, type one of int, ms, text",
      "lua/box/op.lua:4:46: column name 'b' is taken",
    ],
  ],
  [
    'bad field names',
    insert('--- @arg Step int a\n--- @arg end int b\n--- @arg step int c\n--- @key meta d'),
    [
      "lua/box/op.lua:6:10: 'Step' is not a name (lower case, digits, underscores)",
      "lua/box/op.lua:7:10: 'end' is a reserved name",
      "lua/box/op.lua:8:10: 'step' is declared twice",
      "lua/box/op.lua:9:10: 'meta' is declared twice",
    ],
  ],
  [
    'field without a type, with a wrong one, without a description',
    insert('--- @arg more\n--- @arg less float x\n--- @arg some int'),
    [
      "lua/box/op.lua:6:10: 'more' needs a type: int, sint, hash, id, idopt, text, record, item",
      "lua/box/op.lua:7:15: 'less' needs a type: int, sint, hash, id, idopt, text, record, item",
      "lua/box/op.lua:8:10: 'some' needs a description",
      'lua/box/op.lua:8:10: @arg some is never used (some in the body)',
    ],
  ],
  [
    'key without a description',
    GOOD.replace(' what is counted', ''),
    ["lua/box/op.lua:2:10: key 'meta' needs a description"],
  ],
  [
    'flags that lead out of the house',
    withBody("-- @bind keys\nreturn { STATUS.ok, redis.call('GET', meta_key) }\n", 'no-writes,no-cluster'),
    ["lua/box/op.lua:4:12: flag 'no-cluster' is not one of no-writes, allow-oom, allow-stale"],
  ],
  [
    'an item without items, an item as @arg, lines without operations',
    insert('--- @arg which item x\n--- @line quantity int y'),
    [
      "lua/box/op.lua:6:10: 'which' is an item, but there is no @items",
      'lua/box/op.lua:6:10: @arg which is never used (which in the body)',
      "lua/box/op.lua:10:1: unknown global 'ITEMS'",
      'lua/box/op.lua:6:10: an @arg cannot be an item; items belong to operations',
      'lua/box/op.lua:7:11: @line is declared, but the body has no -- @bind line',
      'lua/box/op.lua:7:11: @line needs @each: lines belong to operations',
    ],
  ],
  [
    'text after a tag that takes none',
    insert('--- and more'),
    ['lua/box/op.lua:6:5: text after a tag that takes none; prose goes before the first tag'],
  ],
  [
    'wrong binds',
    GOOD.replace('local total', '  -- @bind ops\n-- @bind each\n-- @bind keys\n-- @bind line\nlocal total'),
    [
      "lua/box/op.lua:9:3: @bind needs one of keys, args, each, line, not 'ops'",
      'lua/box/op.lua:10:1: @bind each, but the header has no @each',
      'lua/box/op.lua:11:1: @bind keys stands twice',
      'lua/box/op.lua:12:1: @bind line, but the header has no @line',
    ],
  ],
  [
    'binds that are missing',
    '--- Try.\n--- @key meta k\n--- @each id id i\n--- @status ok\nreturn STATUS.ok\n',
    [
      'lua/box/op.lua:1:1: the script writes nothing: declare @flags no-writes',
      'lua/box/op.lua:2:10: @key is declared, but the body has no -- @bind keys',
      'lua/box/op.lua:3:11: @each is declared, but the body has no -- @bind args',
      'lua/box/op.lua:3:11: @each is declared, but the body has no -- @bind each',
    ],
  ],
];

for (const [name, script, errors] of TABLE)
  t.test(name, async (t) => {
    t.strictSame(sorted(errorsIn(script)), sorted(errors));
  });

t.test('several scripts, several findings: all at once, sorted by place', async (t) => {
  const errors = errorsOf({
    'lua/box/b.lua': GOOD.replace('step)', 'stop)'),
    'lua/box/a.lua': GOOD.replace('@key meta', '@key meta_'),
  });
  t.strictSame(errors, [
    'lua/box/a.lua:2:10: @key meta_ is never used (meta__key in the body)',
    "lua/box/a.lua:9:37: key of HINCRBY 'meta_key' is not one of KEYS",
    "lua/box/a.lua:9:37: unknown global 'meta_key'",
    'lua/box/b.lua:3:10: @arg step is never used (step in the body)',
    "lua/box/b.lua:9:59: unknown global 'stop'",
  ]);
});

t.test('names of files', async (t) => {
  t.strictSame(errorsOf({ 'lua/box/Op.lua': GOOD, 'lua/box/sub-op.lua': GOOD, 'lua/box/sub_op.lua': GOOD }), [
    'lua/box/Op.lua:1:1: file and folder names are lower case, with _ or -',
    'lua/box/sub_op.lua:1:1: makes the same name, boxSubOp, as lua/box/sub-op.lua',
  ]);
  t.strictSame(errorsOf({ 'lua/box/1 x.lua': GOOD }), [
    'lua/box/1 x.lua:1:1: file and folder names are lower case, with _ or -',
  ]);
});

t.test('prose, continued descriptions and the order of statuses', async (t) => {
  const { diagnostics, scripts } = buildOf({
    'lua/box/op.lua': [
      '--- First line',
      '--- goes on.',
      '---',
      '--- Second paragraph.',
      '--- @flags no-writes',
      '--- @key meta the',
      '---   partition',
      '--- @status refused a:int b:text',
      '--- @status ok',
      '-- @bind keys',
      "return { redis.call('GET', meta_key), STATUS.ok, STATUS.refused, WIDTH }",
    ].join('\n'),
  });
  t.strictSame(
    diagnostics.list().filter((d) => d.severity === 'error'),
    [],
  );
  const { header, source } = scripts[0]!;
  t.strictSame(header.prose, ['First line goes on.', 'Second paragraph.']);
  t.equal(header.keys[0]!.description, 'the partition');
  t.strictSame(
    header.statuses.map((s) => s.name),
    ['ok', 'refused'],
    'in order of precedence',
  );
  t.match(source, "return { redis.call('GET', meta_key), 0, 20, 3 }");
});

function sorted(errors: readonly string[]): string[] {
  return [...errors].sort();
}
