/**
 * Hostile arguments in every place of every script. What the type of a place does not admit is refused by name and changes nothing;
 * what it admits is answered by a status, never by an error of the script.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { scripts } from '../../engine/scripts/generated/index.js';
import * as bindings from '../../engine/scripts/generated/index.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { statuses } from '../../engine/scripts/generated/statuses.js';
import { encodeCall, REPLY_HEADER, type Script, type ScriptInfo, type Wire } from '../../engine/scripts/script.js';
import { projectRoot } from '../../stack/project.js';
import { changedKeys, ScriptCluster, type ScriptPartition, type Snapshot, type World } from '../support/scripts.js';
import { A, B, claim, CONFIRMED, FAR, hold, PENDING, stock } from './fixtures.js';

type Hostile = string | Buffer;
const MEGABYTE = 1 << 20;

const HOSTILE: readonly Hostile[] = [
  ...['-5', '-0', '-', '--5', '+5', ' 5', '5 ', '05', '5.5', '5.0', '5e0', '1e308', '1e3', '0x10', '0b1', '1_000', '५'],
  ...[
    'nan',
    'NaN',
    '-nan',
    'inf',
    '-inf',
    'Infinity',
    'nil',
    'null',
    'true',
    '',
    '0',
    '5',
    '\t5',
    '5\n',
    '\n',
    '5\0',
    '\0',
  ],
  ...[
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '18446744073709551617',
    '9'.repeat(400),
  ],
  ...[
    '{',
    '}',
    '{x}',
    '{}',
    '..',
    '../..',
    '/',
    'a:b',
    ':',
    'a b',
    'a|b',
    'a\0b',
    '*',
    '?',
    '[a]',
    '%d',
    '%',
    '$1',
    '\\',
    '"',
    "'",
  ],
  ...['ünïcode', '日本', '\u202e', '😀', 'é'.normalize('NFD'), 'a'.repeat(129), 'a'.repeat(limits.detail_bytes + 1)],
  ...['redis.call("FLUSHALL")', "']; return 1 --"],
  Buffer.from([0xff, 0xfe, 0x00]),
  Buffer.from([0xc3, 0x28]),
];
/** Once for each type of place. */
const HUGE = ['x'.repeat(MEGABYTE), Buffer.alloc(10 * MEGABYTE, '7')];

type PlaceType = 'int' | 'sint' | 'hash' | 'id' | 'idopt' | 'text' | 'item' | 'count' | 'shape';
interface Place {
  readonly name: string;
  readonly type: PlaceType;
}

const asInt = (text: string): number | undefined =>
  /^\d{1,16}$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER && BigInt(text) <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(text)
    : undefined;

/** What the header promises of a type (docs/scripts.md), said once more in other words. */
function admits(type: PlaceType, value: Hostile, items: number, was: Wire): boolean {
  const bytes = Buffer.from(value as string);
  const text = bytes.toString('latin1');
  const number = asInt(text);
  switch (type) {
    case 'int':
      return number !== undefined;
    case 'sint':
      return number !== undefined || (text.startsWith('-') && asInt(text.slice(1)) !== undefined);
    case 'hash':
      return bytes.length === 6;
    case 'id':
      return /^[A-Za-z0-9._~-]{1,128}$/.test(text);
    case 'idopt':
      return /^[A-Za-z0-9._~-]{0,128}$/.test(text);
    case 'text':
      return bytes.length <= limits.detail_bytes && !bytes.includes(0);
    case 'item':
      return number !== undefined && number >= 1 && number <= items;
    case 'count':
      return number === Number(was);
    case 'shape':
      return text === was;
  }
}

/** The places of a call with one operation, read from the header as it stands in the source. */
function placesOf(script: ScriptInfo, argv: readonly Wire[]): Place[] {
  const source = readFileSync(join(projectRoot(), 'lua', `${script.name}.lua`), 'utf8');
  const fields = (tag: string): Place[] =>
    [...source.matchAll(new RegExp(`^--- @${tag} (\\w+) (\\w+)`, 'gm'))].map(([, name, type]) => ({
      name: name!,
      type: type as PlaceType,
    }));
  const [args, each, line] = [fields('arg'), fields('each'), fields('line')];
  const places = [...args];
  if (each.length) places.push({ name: 'operations', type: 'count' }, { name: 'shape', type: 'shape' }, ...each);
  if (line.length) {
    places.push({ name: 'lines', type: 'count' });
    const lines = (argv.length - places.length) / line.length;
    for (const field of line) for (let n = 0; n < lines; n++) places.push(field);
  }
  return places;
}

/** One operation for each script that succeeds on the content below. */
const lines = [{ item: A }, { item: B }];
const CALLS: Readonly<Record<string, { args?: object; op?: object }>> = {
  'claims/abort': { op: { id: 'p', attempt: 5 } },
  'claims/confirm': { op: { id: 'c', actor: 'who', sold: 0 } },
  'claims/expire': { op: { id: 'e' } },
  'claims/extend': { op: { id: 'c', hold: 86_400, actor: 'who' } },
  'claims/open': {
    op: {
      id: 'n',
      fingerprint: 7,
      buyer: 'bo',
      lines: [
        { ref: A, quantity: 1 },
        { ref: B, quantity: 2 },
      ],
    },
  },
  'claims/release': { op: { id: 'c', actor: 'who' } },
  'claims/return': { op: { id: 'd', actor: 'who' } },
  'claims/seal': { op: { id: 'p', attempt: 5, deadline: FAR } },
  'stock/abort': { op: { id: 'q', attempt: 5, actor: 'who', lines } },
  'stock/adjust': { op: { id: 'm', fingerprint: 7, item: A, isCount: 0, value: -1, reason: 'why', actor: 'who' } },
  'stock/check': { op: { item: A } },
  'stock/configure': {
    op: {
      item: A,
      buyerLimit: '3',
      opens: '1',
      closes: '4000000000000',
      lowMark: '2',
      holdSeconds: '60',
      room: 'gate',
      force: 0,
      detail: '{}',
      actor: 'who',
    },
  },
  'stock/confirm': { op: { id: 'h', attempt: 0, actor: 'who', lines } },
  'stock/deduct': { op: { id: 'm', fingerprint: 7, item: A, quantity: 1, buyer: 'bo', room: '', actor: 'who' } },
  'stock/due': { args: { page: 5 } },
  'stock/expire': { op: { id: 'x', attempt: 0, actor: 'who', lines } },
  'stock/extend': { op: { id: 'h', attempt: 0, hold: 86_400, untilMs: 0, actor: 'who' } },
  'stock/find': { op: { id: 'h' } },
  'stock/release': { op: { id: 'h', attempt: 0, actor: 'who', lines } },
  'stock/reserve': {
    op: {
      id: 'n',
      fingerprint: 7,
      attempt: 0,
      buyer: 'bo',
      hold: 60,
      room: '',
      actor: 'who',
      lines: [
        { item: A, quantity: 1 },
        { item: B, quantity: 2 },
      ],
    },
  },
  'stock/restock': { op: { id: 'm', fingerprint: 7, item: A, quantity: 1, reason: 'why', actor: 'who' } },
  'stock/return': {
    op: {
      id: 'b',
      attempt: 0,
      actor: 'who',
      lines: [
        { item: A, total: 1 },
        { item: B, total: 1 },
      ],
    },
  },
  'stock/settle': { op: { member: 'x', later: 0 } },
  'stock/touch': { op: { id: 'h' } },
};

const content = (now: number): Partial<World> => ({
  stock: { [A]: stock(50, 9, 9, 3, { l: 40 }), [B]: stock(50, 9, 9, 3) },
  buyers: { [A]: { bo: 9 } },
  holds: {
    h: hold({ deadline: now + 60_000 }),
    x: hold({ deadline: 1_000 }),
    q: hold({ deadline: 1_000, attempt: 5 }),
    b: hold({ state: CONFIRMED, deadline: FAR, resolved: now }),
  },
  claims: {
    c: claim({ deadline: now + 60_000 }),
    p: claim({ state: PENDING, deadline: FAR }),
    e: claim({ deadline: 1_000 }),
    d: claim({ state: CONFIRMED, deadline: FAR, resolved: now }),
  },
  due: { h: now + 60_000, x: 1_000 },
});

interface Target {
  readonly script: ScriptInfo;
  readonly partition: ScriptPartition;
  readonly keys: readonly string[];
  readonly argv: readonly Wire[];
  readonly items: number;
  readonly places: readonly Place[];
  /** The content, which every attempt finds and leaves. */
  before: Snapshot;
}

async function refill(target: Target): Promise<void> {
  const { partition } = target;
  await partition.fill(content(Number((await partition.node.client.time())[0]) * 1_000));
  target.before = await partition.snapshot();
}

/** Sends one call; answers the status of its row, or the error it was refused by. */
async function send(target: Target, argv: readonly Hostile[]): Promise<string | number> {
  try {
    const reply = await target.partition.raw(target.script, target.keys, argv);
    return reply[REPLY_HEADER + 1] ?? reply[0]!;
  } catch (error) {
    return (error as Error).message;
  }
}

const plain = (value: Wire): Hostile => (typeof value === 'number' ? String(value) : value);

const shown = (value: Hostile): string => {
  const text = typeof value === 'string' ? JSON.stringify(value) : value.subarray(0, 20).toString('hex');
  return text.length > 60 ? `${text.slice(0, 60)}… (${value.length})` : text;
};

/** Arguments with some places replaced; what may come of it. */
interface Attempt {
  readonly argv: readonly Hostile[];
  readonly admitted: boolean;
  readonly name: string;
}

function replaced(target: Target, changes: ReadonlyMap<number, Hostile>): Attempt {
  const argv: Hostile[] = target.argv.map(plain);
  let admitted = true;
  for (const [at, value] of changes) {
    argv[at] = value;
    admitted &&= admits(target.places[at]!.type, value, target.items, target.argv[at]!);
  }
  const name = [...changes].map(([at, value]) => `${target.places[at]!.name} = ${shown(value)}`).join(', ');
  return { argv, admitted, name };
}

/** Problems of one attempt, one sentence each. Leaves the content as it was. */
async function judge(target: Target, attempt: Attempt): Promise<string[]> {
  const answer = await send(target, attempt.argv);
  const changed = changedKeys(target.before, await target.partition.snapshot());
  const problems: string[] = [];
  const told = `${attempt.name} was answered ${answer}`;
  if (typeof answer === 'string') {
    if (!answer.startsWith('HOLDFASTARG ')) problems.push(`${told}: not a refusal by name`);
    if (attempt.admitted) problems.push(`${told}, though the header admits it`);
  } else if (!attempt.admitted && answer !== statuses.invalid_argument.number) {
    problems.push(`${told}, not invalid_argument`);
  }
  const done = answer === statuses.ok.number || answer === statuses.exists.number;
  if (changed.length) {
    if (!done) problems.push(`${told} and changed ${changed.join(', ')}`);
    // Reading it back decodes every key: nothing half-written, no number but plain ones.
    await target.partition.world().catch((error: Error) => problems.push(`${told} and left ${error.message}`));
    await refill(target);
  }
  return problems;
}

async function fuzz(t: Test, target: Target): Promise<void> {
  t.equal(target.places.length, target.argv.length, 'a type for every place');
  await refill(target);
  t.equal(await send(target, target.argv.map(plain)), statuses.ok.number, 'the call is good as it stands');
  await refill(target);
  const huge = new Set<PlaceType>();
  const problems: string[] = [];
  for (const [at, { type }] of target.places.entries()) {
    const values = huge.has(type) ? HOSTILE : [...HOSTILE, ...HUGE];
    huge.add(type);
    for (const value of values) problems.push(...(await judge(target, replaced(target, new Map([[at, value]])))));
  }
  t.strictSame(problems, [], 'every place alone');
}

async function fuzzTogether(t: Test, target: Target): Promise<void> {
  await refill(target);
  const seed = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000_007);
  t.comment(`HOLDFAST_SEED=${seed}`);
  const change = fc.tuple(
    fc.nat(target.places.length - 1),
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...HOSTILE) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    ),
  );
  const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
    const problems = await judge(target, replaced(target, new Map(changes)));
    if (problems.length) throw new Error(problems.join('\n'));
  });
  const result = await fc.check(property, { seed, numRuns: 60, endOnFailure: false });
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? 'several places at once');
}

void t.test('hostile arguments', async (t) => {
  const cluster = await ScriptCluster.own({ replicasPerMaster: 0 });
  const all = Object.values(bindings as Record<string, unknown>);
  for (const [number, info] of scripts.entries()) {
    if (!/^(stock|claims)\//.test(info.name)) continue;
    await t.test(info.name, async (t) => {
      const call = CALLS[info.name];
      if (!t.ok(call, 'there is a call to begin with')) return;
      const script = all.find((it) => (it as ScriptInfo | undefined)?.name === info.name) as Script<
        object,
        object,
        object
      >;
      const partition = cluster.partition(number);
      const { items, argv } = encodeCall(script, call!.args ?? {}, call!.op ? [call!.op] : []);
      const keys = partition.keysOf(script, items);
      const target = {
        script,
        partition,
        keys,
        argv,
        items: items.length,
        places: placesOf(script, argv),
        before: new Map(),
      };
      await fuzz(t, target);
      await fuzzTogether(t, target);
    });
  }
});
