/** The generated binding of a script against a real Redis: what is encoded arrives, what is answered is read. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { projectRoot } from '../../../stack/project.js';
import { pathToFileURL } from 'node:url';
import type { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import ts from 'typescript';
import {
  decodeReply,
  encodeCall,
  locateError,
  ScriptReplyError,
  type ReplyValue,
  type Script,
} from '../../../engine/scripts/script.js';
import { buildOf, findingsOf } from './fixture.js';
import { startRedis } from './redis.js';

const FILES = {
  'lua/box/move.lua': `--- Move things. (S3)
--- @key meta where totals are
--- @items stock buyers
--- @arg epoch int first argument
--- @arg shift sint second argument
--- @each id id who asks
--- @each buyer_id idopt buyer
--- @each from item where from
--- @each note text said
--- @line item item what
--- @line quantity int how many
--- @status ok total:int at:ms said:text
--- @status fenced
--- @status refused line:int
--- @event made
-- @bind keys
-- @include parse
-- @include back
-- @bind args
if epoch == 7 then
  return { STATUS.fenced }
end
local rows = { STATUS.ok, epoch, shift, 1700000000000 }
for n = 1, OPS do
  -- @bind each
  local base = 5 + (n - 1) * (WIDTH + 1)
  rows[base] = 1
  for i = 1, WIDTH do
    rows[base + i] = 0
  end
  rows[base + 1] = STATUS.ok
  if not id or not buyer_id or not note or not from then
    rows[base + 1] = STATUS.refused
  end
  for i = 1, LINES do
    -- @bind line
    if not item or not quantity then
      rows[base + 1], rows[base + 2] = STATUS.refused, i
    elseif rows[base + 1] == STATUS.ok then
      rows[base + 2] = give_back(KEYS[stock_base + item], quantity)
      redis.call('HSET', KEYS[buyers_base + from], id, buyer_id)
    end
  end
  if rows[base + 1] == STATUS.ok then
    rows[base + 3], rows[base + 4] = 1700000000000 + shift, note
    redis.call('HINCRBY', meta_key, EVENT.made, 1)
  end
end
return rows
`,
  'lua/include/back.lua': `-- Several scripts may do this.
local function give_back(stock, quantity)
  --[[ a long
       comment ]]
  return redis.call('HINCRBY', stock, 'a', quantity)
end
`,
  'lua/box/look.lua': `--- Look at things.
--- @flags no-writes
--- @key meta totals
--- @status ok total:int
-- @bind keys
redis.log(redis.LOG_DEBUG, "it's \\\\ a \\"test\\" \\1\\n \${x} \`", [[two
  
lines --[=[ ]])
return { STATUS.ok, 0, 0, 0, 1, STATUS.ok, tonumber(redis.call('HGET', meta_key, '1') or 0) }
`,
};

interface MoveOp {
  id: string;
  buyerId: string;
  from: string;
  note: string;
  lines: { item: string; quantity: number }[];
}
type MoveResult = { status: string; total?: number; at?: number; said?: string; line?: number };
type Move = Script<{ epoch: number; shift: number }, MoveOp, MoveResult>;
type Look = Script<void, never, { status: 'ok'; total: number }>;

const built = buildOf(FILES);
const folder = mkdtempSync(join(tmpdir(), 'holdfast-binding-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** The generated files and script.ts beside them, as JavaScript, whatever loader runs this test. */
async function load(): Promise<{ boxMove: Move; boxLook: Look; scripts: Move[] }> {
  const files = new Map(built.files);
  files.set('engine/scripts/script.ts', readFileSync(join(projectRoot(), 'engine/scripts/script.ts'), 'utf8'));
  files.set('engine/keys.ts', "export type FixedKind = 'meta';\nexport type ItemKind = 'stock' | 'buyers';\n");
  files.delete('docs/scripts.md');
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
  for (const [path, text] of files) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    writeFileSync(target.replace(/\.ts$/, '.js'), ts.transpileModule(text, { compilerOptions: options }).outputText);
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  return import(pathToFileURL(join(folder, 'engine/scripts/generated/index.js')).href) as ReturnType<typeof load>;
}

t.test('the build of the fixture is clean', async (t) => {
  t.strictSame(findingsOf(built), []);
});

t.test('generated code passes the type check, and its types refuse what is wrong', { timeout: 60_000 }, async (t) => {
  await load();
  const consumer = join(folder, 'engine/consumer.ts');
  writeFileSync(consumer, CONSUMER);
  const program = ts.createProgram([consumer, join(folder, 'engine/scripts/generated/index.ts')], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts'],
    types: ['node'],
    typeRoots: [join(projectRoot(), 'node_modules/@types')],
    strict: true,
    noEmit: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
  });
  const messages = ts
    .getPreEmitDiagnostics(program)
    .map((d) => `${d.file?.fileName}:${d.start}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`);
  t.strictSame(messages, []);
});

t.test('a round trip through Redis', { timeout: 60_000 }, async (t) => {
  const { boxMove, boxLook, scripts } = await load();
  const redis = await startRedis(folder);
  t.strictSame(scripts.map((s) => s.name).sort(), ['box/look', 'box/move']);
  for (const script of scripts) {
    t.equal(script.sha1, createHash('sha1').update(script.source).digest('hex'));
    t.equal(script.sha1, built.scripts.find((s) => s.name === script.name)!.sha1);
    t.equal(await redis.script('LOAD', script.source), script.sha1, 'Redis agrees about the hash');
  }
  const ops: MoveOp[] = [
    {
      id: 'a-1',
      buyerId: '',
      from: 'x:1',
      note: 'ü "quoted" \n',
      lines: [
        { item: 'y:2', quantity: 3 },
        { item: 'x:1', quantity: 4 },
      ],
    },
    { id: 'no good', buyerId: 'b', from: 'x:1', note: '', lines: [] },
    { id: 'a-3', buyerId: 'bob', from: 'z:3', note: '', lines: [{ item: 'y:2', quantity: 5 }] },
    { id: 'a-4', buyerId: 'bob', from: 'z:3', note: '', lines: [{ item: 'y:2', quantity: -5 }] },
  ];
  const run = async (args: { epoch: number; shift: number }): Promise<ReplyValue[]> => {
    const { items, argv } = encodeCall(boxMove, args, ops);
    t.strictSame(items, ['x:1', 'y:2', 'z:3'], 'each item once, in the order of first use');
    t.strictSame(argv.slice(2, 4), [4, '+++++++'], 'number and shape: no column is the same for all');
    t.equal(
      argv.length,
      2 + 2 + 4 * (4 + 1) + 2 * 4,
      'two arguments, the frame, five columns of operations, two of lines',
    );
    const keys = ['meta', ...boxMove.itemKeys.flatMap((kind) => items.map((item) => `${kind}:${item}`))];
    return (await redis.evalsha(boxMove.sha1, keys.length, ...keys, ...argv)) as ReplyValue[];
  };
  t.strictSame(decodeReply(boxMove, await run({ epoch: 9, shift: -12 }), ops.length), {
    callStatus: 0,
    epoch: 9,
    seq: -12,
    now: 1700000000000,
    rows: [
      { status: 'ok', total: 4, at: 1699999999988, said: 'ü "quoted" \n' },
      { status: 'refused', line: 0 },
      { status: 'ok', total: 8, at: 1699999999988, said: '' },
      { status: 'refused', line: 1 },
    ],
  });
  t.strictSame(await redis.hgetall('buyers:x:1'), { 'a-1': '' });
  t.strictSame(await redis.hgetall('buyers:z:3'), { 'a-3': 'bob' });
  t.strictSame(decodeReply(boxMove, await run({ epoch: 7, shift: 0 }), ops.length), {
    callStatus: 10,
    epoch: 0,
    seq: 0,
    now: 0,
    rows: [],
  });
  const look = encodeCall(boxLook, undefined);
  t.strictSame(look, { items: [], argv: [] });
  const reply = (await redis.evalsha(boxLook.sha1, 1, 'meta')) as ReplyValue[];
  t.strictSame(decodeReply(boxLook, reply, 0).rows, [{ status: 'ok', total: 2 }]);
  t.equal(boxLook.readonly, true);
  await findError(t, redis, boxMove);
});

/** A script error of Redis names a line of the expanded script; it is led back to the source. */
async function findError(t: Test, redis: Redis, script: Move): Promise<void> {
  await redis.set('stock:x', 'not a hash');
  const { argv } = encodeCall(script, { epoch: 1, shift: 0 }, [
    { id: 'i', buyerId: '', from: 'x', note: '', lines: [{ item: 'x', quantity: 1 }] },
  ]);
  const failure = await redis
    .evalsha(script.sha1, 3, 'meta', 'stock:x', 'buyers:x', ...argv)
    .catch((e: Error) => e.message);
  t.match(failure, /WRONGTYPE.*user_script:\d+/);
  t.match(locateError(script, failure as string), /lua\/include\/back\.lua:5\b/);
}

t.test('what all operations have in common is one cell', { timeout: 60_000 }, async (t) => {
  const { boxMove } = await load();
  const op = (id: string, item: string): MoveOp => ({
    id,
    buyerId: 'ann',
    from: 'x:1',
    note: '',
    lines: [{ item, quantity: 1 }],
  });
  const shapes = (ops: MoveOp[]) => encodeCall(boxMove, { epoch: 1, shift: 0 }, ops).argv.slice(2);
  t.strictSame(shapes([op('a', 'x:1'), op('b', 'x:1')]), [2, '+======', 'a', 'b', 'ann', 1, '', 1, 1, 1]);
  t.strictSame(shapes([op('a', 'x:1'), op('a', 'y:1')]), [2, '+====+=', 'a', 'a', 'ann', 1, '', 1, 1, 2, 1]);
  const none = { ...op('c', ''), lines: [] };
  t.strictSame(shapes([none, none]), [2, '+====++', 'c', 'c', 'ann', 1, '', 0]);
  t.strictSame(shapes([op('a', 'x:1')]), [1, '+++++++', 'a', 'ann', 1, '', 1, 1, 1], 'nothing in common with nobody');
});

t.test('replies that make no sense are refused', async (t) => {
  const { boxMove } = await load();
  const refuse = (reply: ReplyValue[], message: RegExp): void => {
    // The loaded binding has its own copy of script.ts, so the class is told by name.
    t.throws(() => decodeReply(boxMove, reply, 1), { name: ScriptReplyError.name, message });
  };
  refuse([], /without a call status/);
  refuse([0, 1, 2, 3], /4 cells are 0 rows, not 1/);
  refuse([0, 1, 2, 3, 2, 20, 1, 0, 0], /not the rows that were asked for/);
  refuse([0, 1, 2, 3, 0, 20, 1, 0, 0], /not the rows that were asked for/);
  refuse([0, 1, 2, 3, 1, 20, 1, 0], /not the rows that were asked for/);
  refuse([0, 1, 2, 3, 1, 99, 0, 0, 0], /box\/move: undeclared status 99/);
  t.strictSame(decodeReply(boxMove, [0, 1, 2, 3, 2, 20, 1, 0, 0], 2).rows, [
    { status: 'refused', line: 1 },
    { status: 'refused', line: 1 },
  ]);
});

const CONSUMER = `
import { boxLook, boxMove, eventNumbers, limits, statuses, statusByNumber, type BoxMoveOp, type BoxMoveResult, type StatusName } from './scripts/generated/index.js';
import type { Cells, Script } from './scripts/script.js';

const op: BoxMoveOp = { id: 'a', buyerId: '', from: 'x:1', note: '', lines: [{ item: 'x:1', quantity: 1 }] };
declare const out: Cells;
boxMove.encodeArgs({ epoch: 1, shift: -1 }, out);
boxMove.encodeOps([op], () => 1, out);
boxLook.encodeArgs(undefined, out);
export const once: Script<void, never, { readonly status: 'ok'; readonly total: number }> = boxLook;
// @ts-expect-error a field is missing
export const short: BoxMoveOp = { id: 'a', buyerId: '', from: 'x:1', note: '' };
// @ts-expect-error quantities are numbers
boxMove.encodeOps([{ ...op, lines: [{ item: 'x:1', quantity: '1' }] }], () => 1, out);
// @ts-expect-error this script has no operations
boxLook.encodeOps([{}], () => 1, out);

export function read(result: BoxMoveResult): number | string {
  switch (result.status) {
    case 'ok':
      return result.total + result.at + result.said.length;
    case 'fenced':
      // @ts-expect-error this answer has no columns
      return result.line;
    case 'refused':
      return result.line;
    // @ts-expect-error not an answer of this script
    case 'made':
      return 0;
  }
}
export const name: StatusName | undefined = statusByNumber[20];
export const numbers: [1, 200, number] = [eventNumbers.made, limits.text_bytes, statuses.refused.number];
`;
