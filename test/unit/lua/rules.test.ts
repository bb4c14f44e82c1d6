import t from 'tap';
import { errorsIn, errorsOf, withBody } from './fixture.js';

/** The body stands from line 5 on; a sound write to the key follows it, so that only what is tried is wrong. */
const tried = (body: string): string[] => {
  const script = withBody(`-- @bind keys\n${body}\nreturn { STATUS.ok, redis.call('HSET', meta_key, 'a', 1) }\n`);
  return errorsIn(script).map((e) => e.replace(/^lua\/box\/op\.lua:/, ''));
};

const RULES: [group: string, cases: [body: string, errors: string[]][]][] = [
  [
    'vocabulary',
    [
      ['local _ = LIMIT.text_bytes', []],
      ['local _ = LIMIT.text_byte', ['6:11: LIMIT.text_byte is not in lua/registry/limits.json']],
      ['local _ = STATUS.okay', ['6:11: STATUS.okay is not in lua/registry/statuses.json']],
      [
        'local _ = STATUS.refused',
        ['6:11: STATUS.refused is used, but the header of lua/box/op.lua has no @status refused'],
      ],
      ['local _ = EVENT.made', ['6:11: EVENT.made is used, but the header of lua/box/op.lua has no @event made']],
      ['local _ = EVENT.maid', ['6:11: EVENT.maid is not in lua/registry/events.json']],
      ["local _ = STATUS['ok']", ['6:11: STATUS must be written STATUS.name']],
      ["local _ = 'STATUS.okay' -- STATUS.okay", []],
      [
        'local STATUS = {}',
        ['3:13: @status ok is declared, but the body never uses STATUS.ok', "6:7: 'STATUS' must not be redefined"],
      ],
    ],
  ],
  [
    'globals',
    [
      ['total = 1', ["6:1: assignment to the global 'total'; declare it local"]],
      ['function total() end', ["6:10: assignment to the global 'total'; declare it local"]],
      ['local _ = totl', ["6:11: unknown global 'totl'"]],
      ['local _ = math.random()', ["6:11: 'math.random': scripts use nothing random"]],
      ['math.randomseed(1)', ["6:1: 'math.randomseed': scripts use nothing random"]],
      ["local _ = loadstring('x')", ["6:11: 'loadstring' is not allowed: code must not be made at run time"]],
      ['local _ = os.time()', ["6:11: 'os' is not allowed: the only clock is redis.call('TIME')"]],
      ["local _ = string.fromat('x')", ["6:11: 'string.fromat': unknown or not allowed"]],
      ['local m = math\nlocal _ = m.random()', ["6:11: 'math' must be used with a member, as in math.abs"]],
      ['redis.replicate_commands()', ["6:1: 'redis.replicate_commands': unknown or not allowed"]],
      ['KEYS[1] = meta_key', ["6:1: assignment into the global 'KEYS'"]],
      ['string.len = nil', ["6:1: assignment into the global 'string'"]],
      ['local t = {}\nt.x = 1\nt[2] = t.x', []],
    ],
  ],
  [
    'keys',
    [
      ["redis.call('GET', KEYS[2])", []],
      ["redis.call('GET', 'a')", ['6:19: key of GET is a literal; keys come from KEYS only']],
      ["redis.call('GET', meta_key .. ':x')", ['6:19: key of GET is put together with ..; keys come from KEYS only']],
      ["redis.call('GET', ARGV[1])", ['6:19: key of GET is not one of KEYS']],
      [
        "local name = 'x' .. ARGV[1]\nredis.call('GET', name)",
        ["7:19: key of GET 'name' is put together with ..; keys come from KEYS only"],
      ],
      [
        "local x_key = meta_key .. 'x'\nredis.call('GET', x_key)",
        ["7:19: key of GET 'x_key' is put together with ..; keys come from KEYS only"],
      ],
      ["local name = meta_key\nredis.call('GET', name)", []],
      [
        "local name\nif ARGV[1] then name = KEYS[3] else name = 'x' end\nredis.call('GET', name)",
        ["8:19: key of GET 'name' is a literal; keys come from KEYS only"],
      ],
      ["local function get(stock)\n  return redis.call('GET', stock)\nend\nget(KEYS[2])\nget(meta_key)", []],
      [
        "local function get(stock)\n  return redis.call('GET', stock)\nend\nget('x')",
        ["7:28: key of GET 'stock' is a literal; keys come from KEYS only"],
      ],
      [
        "local function get(stock)\n  return redis.call('GET', stock)\nend\nlocal _ = { get }",
        ["7:28: key of GET 'stock' is not one of KEYS"],
      ],
      ["local function get(stock_key)\n  return redis.call('GET', stock_key)\nend\nlocal _ = { get }", []],
      ["redis.call('DEL', meta_key, ARGV[1])", ['6:29: key of DEL is not one of KEYS']],
      ["redis.call('DEL', unpack(KEYS))", []],
      ["redis.call('GET')", ['6:12: GET needs a key']],
      ["redis.pcall('GET', ARGV[1])", ['6:20: key of GET is not one of KEYS']],
      ["local call = redis.call\ncall('GET', ARGV[1])", ['7:13: key of GET is not one of KEYS']],
      [
        'local call = redis.call\nlocal _ = { call }',
        ['6:14: redis.call must be called, not passed on: its keys cannot be checked otherwise'],
      ],
      [
        "pcall(redis.call, 'GET', 'x')",
        ['6:7: redis.call must be called, not passed on: its keys cannot be checked otherwise'],
      ],
      ['redis.call(ARGV[1], meta_key)', ['6:12: the command must be a string, so that its keys can be checked']],
    ],
  ],
  [
    'commands',
    [
      ["redis.call('TIME')\nredis.call('CLUSTER', 'MYID')", []],
      ["redis.call('CLUSTER', 'RESET')", ['6:12: CLUSTER may only be used as CLUSTER MYID']],
      ["redis.call('EVAL', 'return 1', 0)", ['6:12: EVAL is not allowed: a script may not run scripts']],
      ["redis.call('srandmember', meta_key)", ['6:12: SRANDMEMBER is not allowed: scripts use nothing random']],
      [
        "redis.call('EXPIRE', meta_key, 1)",
        ['6:12: EXPIRE is not allowed: a key that expires by itself leaves without an event'],
      ],
      ["redis.call('HGTE', meta_key, 'x')", ['6:12: HGTE is not in tools/lua/commands.ts']],
    ],
  ],
  [
    'unused',
    [
      ['local spare = 1', ["6:7: local 'spare' is never used"]],
      ['local spare\nspare = 2', ["6:7: local 'spare' is never used"]],
      ['local function spare() end', ["6:16: function 'spare' is never used"]],
      ['local function f(a, b) return b end\nf(1, 2)', ["6:18: parameter 'a' is never used; name it _"]],
      ['local function f(_, b) return b end\nf(1, 2)', []],
      ['for i = 1, 2 do end', []],
      ['for k, v in pairs({}) do redis.log(k) end', ["6:8: local 'v' is never used; name it _"]],
      ['local a = 1\ndo local a = a; redis.log(a) end', []],
      ['repeat local done = true until done', []],
    ],
  ],
];

for (const [group, cases] of RULES)
  t.test(group, async (t) => {
    for (const [body, errors] of cases) t.strictSame(tried(body), errors, body);
  });

t.test('what the header declares is used, and the other way round', async (t) => {
  const script = `--- Try.
--- @key meta a
--- @key log b
--- @items stock buyers
--- @arg limit int c
--- @each id id d
--- @each note text e
--- @line item item f
--- @line quantity int g
--- @status ok
--- @status fenced
--- @event made
-- @bind keys
-- @include parse
-- @bind args
for n = 1, OPS do
  -- @bind each
  for _ = 1, LINES do
    -- @bind line
    redis.call('HSET', KEYS[stock_base + item], id, n)
  end
end
return { STATUS.ok, redis.call('GET', meta_key), STATUS.refused }
`;
  t.strictSame(errorsIn(script), [
    'lua/box/op.lua:3:10: @key log is never used (log_key in the body)',
    'lua/box/op.lua:4:18: @items buyers is never used (buyers_base in the body)',
    'lua/box/op.lua:5:10: @arg limit is never used (limit in the body)',
    'lua/box/op.lua:7:11: @each note is never used (note in the body)',
    'lua/box/op.lua:9:11: @line quantity is never used (quantity in the body)',
    'lua/box/op.lua:11:13: @status fenced is declared, but the body never uses STATUS.fenced',
    'lua/box/op.lua:12:12: @event made is declared, but the body never uses EVENT.made',
    'lua/box/op.lua:23:50: STATUS.refused is used, but the header of lua/box/op.lua has no @status refused',
  ]);
});

t.test('flags agree with what the script does', async (t) => {
  const write = "-- @bind keys\nreturn { STATUS.ok, redis.call('HSET', meta_key, 'a', 1) }\n";
  const read = "-- @bind keys\nreturn { STATUS.ok, redis.call('HGET', meta_key, 'a') }\n";
  t.strictSame(errorsIn(withBody(write, 'no-writes')), [
    'lua/box/op.lua:6:32: HSET writes, but the script is flagged no-writes',
  ]);
  t.strictSame(errorsIn(withBody(read)), ['lua/box/op.lua:1:1: the script writes nothing: declare @flags no-writes']);
  t.strictSame(errorsIn(withBody(read, 'no-writes')), []);
  t.strictSame(errorsIn(withBody(write, 'allow-oom')), []);
});

t.test('the limits of Lua itself are kept', async (t) => {
  const many = Array.from({ length: 201 }, (_, i) => `local v${i} = ${i}`).join('\n');
  const uses = Array.from({ length: 201 }, (_, i) => `redis.log(v${i})`).join('\n');
  t.strictSame(tried(`${many}\n${uses}`), ['5:1: 202 locals at once; Lua allows 200']);
  const some = Array.from({ length: 61 }, (_, i) => `local v${i} = ${i}`).join('\n');
  const within = Array.from({ length: 61 }, (_, i) => `redis.log(v${i})`).join('\n');
  t.strictSame(tried(`${some}\nlocal function f()\n${within}\nend\nf()`), ['67:1: 61 upvalues; Lua allows 60']);
});

t.test('an error inside an include is reported once, there', async (t) => {
  const script = withBody(
    "-- @bind keys\n-- @include inc\nreturn { STATUS.ok, redis.call('HSET', meta_key, now(), 1) }\n",
  );
  t.strictSame(
    errorsOf({
      'lua/include/inc.lua': '-- time\nlocal function now()\n  return os.time()\nend\n',
      'lua/box/a.lua': script,
      'lua/box/b.lua': script,
    }),
    ["lua/include/inc.lua:3:10: 'os' is not allowed: the only clock is redis.call('TIME')"],
  );
});
