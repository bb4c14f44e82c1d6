/**
 * Tables of script calls. A row gives a partition's content, makes one call, and says the whole answer, the whole content after it
 * and the log entry; a row that says nothing of content and log must leave every byte as it was.
 */
import t, { type Test } from 'tap';
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StatusName, statuses } from '../../engine/scripts/generated/statuses.js';
import { encodeCall, locateError, type Script, type Wire } from '../../engine/scripts/script.js';
import { KeyMonitor } from './monitor.js';
import { changedKeys, type LoggedEvent, ScriptCluster, type ScriptPartition, type World } from './scripts.js';

type AtTime<T> = T | ((now: number) => T);
const at = <T>(value: AtTime<T>, now: number): T =>
  typeof value === 'function' ? (value as (now: number) => T)(now) : value;

/** An event with the columns that are not told at their empty value. */
export type EventRow = Partial<Omit<LoggedEvent, 'seq'>> & { kind: string };

export interface Row<Args, Op, R> {
  /** The status the row is there for. */
  readonly status: StatusName;
  readonly name: string;
  /** `now` is the node's clock shortly before the call. */
  readonly given?: AtTime<Partial<World>>;
  readonly args?: Args;
  readonly ops?: AtTime<readonly Op[]>;
  /** All answers, in order. `now` is the clock inside the script, here and below. */
  readonly answers: AtTime<readonly R[]>;
  /** Makes of the content before the call the content after it; `seq` is taken care of. */
  readonly after?: (world: World, now: number) => void;
  readonly events?: AtTime<readonly EventRow[]>;
}

export interface Table<Args, Op, R> {
  readonly script: Script<Args, Op, R>;
  /** A call that succeeds, the base of the rows that every script has: fenced, counts that do not fit, keys of two slots. */
  readonly valid: Pick<Row<Args, Op, R>, 'given' | 'args' | 'ops'>;
  /** Rows by status, in the order of precedence. `fenced` is there for every script. */
  readonly rows: readonly Row<Args, Op, R>[];
  /** Two refusals at once (the lower number wins), operations beside each other, limits. */
  readonly more?: readonly Row<Args, Op, R>[];
}

const EMPTY: Omit<LoggedEvent, 'seq' | 'kind'> = {
  ref: '',
  id: '',
  quantity: 0,
  actor: '',
  detail: '',
  available: 0,
  reserved: 0,
  sold: 0,
  version: 0,
  deadline: 0,
  fingerprint: 0,
  attempt: 0,
};

const PARTITION = 5;
/** Served by another node than PARTITION: the first and the last share of the slots. */
const ELSEWHERE = 60;

/** Runs a table as the tests of this file. */
export function table<Args, Op, R extends { readonly status: StatusName }>(spec: Table<Args, Op, R>): void {
  const { script } = spec;
  void t.test(script.name, async (t) => {
    const cluster = await ScriptCluster.open();
    const partition = cluster.partition(PARTITION);
    const monitor = await KeyMonitor.start(cluster, partition.node);
    await t.test('rows stand in the order of precedence and leave no status of the header out', async (t) => {
      const order = spec.rows.map((row) => script.statuses.indexOf(row.status));
      t.strictSame(
        order,
        [...order].sort((a, b) => a - b),
        'rows in the order of the header',
      );
      t.strictSame(
        script.statuses.map((name) => statuses[name].number),
        script.statuses.map((name) => statuses[name].number).sort((a, b) => a - b),
        'the header in the order of precedence',
      );
      const missing = script.statuses.filter((name) => name !== 'fenced' && !spec.rows.some((r) => r.status === name));
      t.strictSame(missing, [], 'statuses without a row');
    });
    for (const row of [...spec.rows, ...(spec.more ?? [])])
      await t.test(`${row.status}: ${row.name}`, (t) => runRow(t, partition, script, row));
    await t.test('fenced', (t) => fencedRows(t, partition, spec));
    await t.test('counts and keys that do not fit', (t) => frameRows(t, partition, spec));
    if (script.events.length > 0) await t.test('a log that is ahead', (t) => logRow(t, partition, spec));
    await t.test('keys of two slots', (t) => slotRow(t, cluster, partition, spec));
    await t.test('touches no key that its call did not declare', async (t) => {
      const { commands, problems } = await monitor.finish();
      t.strictSame(problems, []);
      t.ok((commands.get(script.name) ?? 0) > spec.rows.length, 'commands of the script were seen');
    });
  });
}

async function runRow<Args, Op, R extends { readonly status: StatusName }>(
  t: Test,
  partition: ScriptPartition,
  script: Script<Args, Op, R>,
  row: Row<Args, Op, R>,
): Promise<void> {
  const before = await prepare(partition, row.given);
  const snapshot = await partition.snapshot();
  const ops = at(row.ops ?? [], before.now);
  const reply = await partition.call(script, row.args as Args, ops);
  const { now } = reply;
  t.equal(reply.callStatus, 0, 'the call ran');
  t.strictSame(reply.rows, at(row.answers, now), 'answers');
  t.ok(
    reply.rows.some(({ status }) => status === row.status),
    'the status of the row is among the answers',
  );
  const events = at(row.events ?? [], now);
  const { epoch = 0, seq = 0 } = before.world.meta;
  t.strictSame([reply.epoch, reply.seq], [epoch, seq + events.length], 'epoch and last event');
  if (!row.after && events.length === 0) {
    t.strictSame(changedKeys(snapshot, await partition.snapshot()), [], 'every byte as it was');
    return;
  }
  const expected = structuredClone(before.world);
  row.after?.(expected, now);
  if (events.length) expected.meta.seq = seq + events.length;
  t.strictSame(await partition.world(), expected, 'content');
  const entry = {
    id: `${epoch}-${seq + events.length}`,
    at: now,
    epoch,
    events: events.map((event, i) => ({ ...EMPTY, ...event, seq: seq + 1 + i })),
  };
  t.strictSame(await partition.log(), events.length ? [entry] : [], 'log');
}

async function prepare(
  partition: ScriptPartition,
  given: AtTime<Partial<World>> | undefined,
): Promise<{ world: World; now: number }> {
  const [seconds, micros] = await partition.node.client.time();
  const now = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  await partition.fill(at(given ?? {}, now));
  return { world: await partition.world(), now };
}

/** A partition that is not open here is refused before anything else is looked at, with nothing but the status. */
async function fencedRows<Args, Op, R>(t: Test, partition: ScriptPartition, spec: Table<Args, Op, R>): Promise<void> {
  const { script, valid } = spec;
  const metas = {
    'no owner': { owner: '' },
    'another owner': { owner: 'f'.repeat(40) },
    'never opened': { owner: undefined, epoch: undefined, seq: undefined },
    'opened without a last event': { seq: undefined },
    'opened without an epoch': { epoch: undefined },
  };
  for (const [name, meta] of Object.entries(metas)) {
    const { now } = await prepare(partition, valid.given);
    const there = await partition.world();
    await partition.fill({ ...there, meta: { ...there.meta, ...meta } });
    const snapshot = await partition.snapshot();
    const { items, argv } = encodeCall(script, valid.args as Args, at(valid.ops ?? [], now));
    for (const [what, args] of [
      ['a good call', argv],
      ['malformed arguments', argv.map(() => '-')],
    ] as const) {
      const reply = await partition.raw(script, partition.keysOf(script, items), args);
      t.strictSame(reply, [statuses.fenced.number], `${name}: ${what} answers the status alone`);
    }
    t.strictSame(changedKeys(snapshot, await partition.snapshot()), [], `${name}: every byte as it was`);
  }
}

/** Counts that promise more or less than there is. */
async function frameRows<Args, Op, R>(t: Test, partition: ScriptPartition, spec: Table<Args, Op, R>): Promise<void> {
  const { script, valid } = spec;
  const { now } = await prepare(partition, valid.given);
  const { items, argv } = encodeCall(script, valid.args as Args, at(valid.ops ?? [], now));
  const snapshot = await partition.snapshot();
  if (!script.vectorised) {
    const reply = await partition.raw(script, partition.keysOf(script, items), []);
    t.equal(reply[5], statuses.invalid_argument.number, 'no arguments');
    t.strictSame(changedKeys(snapshot, await partition.snapshot()), [], 'every byte as it was');
    return;
  }
  const ops = argv[0] as number;
  const calls: Record<string, readonly Wire[]> = {
    'no arguments': [],
    'no operations': [0],
    'an argument short': argv.slice(0, -1),
    'an argument too many': [...argv, ''],
    'one operation more than there is': [ops + 1, ...argv.slice(1)],
    'one operation less than there is': [ops - 1, ...argv.slice(1)],
    'more operations than a call may have': [
      limits.max_ops + 1,
      ...Array.from({ length: limits.max_ops + 1 }, () => argv.slice(1)).flat(),
    ],
  };
  for (const count of ['', '-1', 'nan', 'inf', '1e308', '0x1', ' 1', '1.0', '9007199254740991', '9007199254740993'])
    calls[`${JSON.stringify(count)} operations`] = [count, ...argv.slice(1)];
  for (const [name, args] of Object.entries(calls))
    await refused(t, partition, spec.script, partition.keysOf(script, items), args, name);
  if (script.itemKeys.length > 0) {
    const refs = Array.from({ length: limits.max_items + 1 }, (_, i) => `many:${i}`);
    await refused(t, partition, script, partition.keysOf(script, refs), argv, 'more items than a call may have');
  }
  if (script.itemKeys.length > 1)
    await refused(
      t,
      partition,
      script,
      [...partition.keysOf(script, items), partition.key('log')],
      argv,
      'a key too many',
    );
  t.strictSame(changedKeys(snapshot, await partition.snapshot()), [], 'every byte as it was');
}

async function refused<Args, Op, R>(
  t: Test,
  partition: ScriptPartition,
  script: Script<Args, Op, R>,
  keys: readonly string[],
  argv: readonly Wire[],
  name: string,
): Promise<void> {
  const answer = await partition.raw(script, keys, argv).catch((error: Error) => locateError(script, error.message));
  t.match(answer, /^HOLDFASTARG /, name);
}

/** Redis refuses an entry that is not the newest: the one write that can fail must fail before all others. */
async function logRow<Args, Op, R>(t: Test, partition: ScriptPartition, spec: Table<Args, Op, R>): Promise<void> {
  const { script, valid } = spec;
  const { now } = await prepare(partition, valid.given);
  await partition.node.client.xadd(partition.key('log'), '1-1000000', 'e', '');
  const { items, argv } = encodeCall(script, valid.args as Args, at(valid.ops ?? [], now));
  const snapshot = await partition.snapshot();
  const call = partition.raw(script, partition.keysOf(script, items), argv);
  await t.rejects(call, { message: /XADD/ }, 'an error that says so');
  t.strictSame(changedKeys(snapshot, await partition.snapshot()), [], 'every byte as it was');
}

/** One key of the call replaced by the same kind of another partition: Redis refuses, whoever serves the slot. */
async function slotRow<Args, Op, R>(
  t: Test,
  cluster: ScriptCluster,
  partition: ScriptPartition,
  spec: Table<Args, Op, R>,
): Promise<void> {
  const { script, valid } = spec;
  const { now } = await prepare(partition, valid.given);
  const { items, argv } = encodeCall(script, valid.args as Args, at(valid.ops ?? [], now));
  const keys = partition.keysOf(script, items);
  const snapshot = await partition.snapshot();
  for (const other of [PARTITION + 1, ELSEWHERE]) {
    const foreign = cluster.partition(other).keysOf(script, items);
    for (let i = 0; i < keys.length; i++) {
      const mixed = keys.map((key, k) => (k === i ? foreign[k]! : key));
      if (mixed.length < 2) continue;
      await t.rejects(
        partition.raw(script, mixed, argv),
        { message: /^CROSSSLOT/ },
        `key ${i + 1} of partition ${other}`,
      );
    }
  }
  const moved = cluster.partition(ELSEWHERE).keysOf(script, items);
  await t.rejects(partition.raw(script, moved, argv), { message: /^MOVED/ }, 'all keys of another node');
  t.strictSame(changedKeys(snapshot, await partition.snapshot()), [], 'every byte as it was');
  t.strictSame(await cluster.partition(ELSEWHERE).keysThere(), [], 'nothing over there');
}
