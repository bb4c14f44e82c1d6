/**
 * What a recovery has under way to Redis when it loses its lock in Postgres arrives after the next one has the lock. The recoveries
 * here are the engine's, on connections that remember what was sent: late arrivals are those commands once more.
 */
import t, { type Test } from 'tap';
import { DirectCalls } from '../../engine/recovery/direct.js';
import { openPartition } from '../../engine/recovery/open.js';
import { Connection } from '../../engine/redis/connection.js';
import { ScriptSet } from '../../engine/scripts/loading.js';
import { partitionTake } from '../../engine/scripts/generated/partition-take.js';
import { stockReserve } from '../../engine/scripts/generated/stock-reserve.js';
import type { PersistedSource } from '../../engine/types.js';
import { atEnd } from '../harness/index.js';
import { changedKeys, ScriptCluster, type ScriptPartition, type World } from '../support/scripts.js';
import { MemorySource } from '../support/source.js';
import { FAR, hold, stock } from '../scripts/fixtures.js';

const KNOWN = 't:known';
const PHANTOM = 't:phantom';
const ACCESS = { username: undefined, password: undefined, tls: undefined };
/** Before what an engine would open under now. */
const EPOCH = 1_000;

type Command = (string | number | Buffer)[];

/** What Redis has and Postgres does not, beside what both have. */
const before: Partial<World> = {
  meta: { owner: '', epoch: EPOCH, seq: 9 },
  stock: { [KNOWN]: stock(90, 5), [PHANTOM]: stock(3, 2) },
  buyers: { [KNOWN]: { bo: 5 }, [PHANTOM]: { bo: 2 } },
  holds: { both: hold({ deadline: FAR, lines: [[KNOWN, 5, 0, 1]] }), lost: hold({ deadline: FAR }) },
  due: { both: FAR, lost: FAR },
};

/** What Postgres has: a sale of one page each. */
function persisted(): MemorySource {
  const source = new MemorySource();
  const item = { location: 't', sku: 'known', available: 85, reserved: 0, sold: 15, version: 8, updatedAt: 1 };
  const line = { location: 't', sku: 'known', returned: 0, counted: true };
  const order = (id: string, quantity: number) => ({
    ...{ id, state: 'confirmed' as const, deadline: FAR, fingerprint: 77, attempt: 0, buyerId: 'bo', resolvedAt: FAR },
    lines: [{ ...line, quantity }],
  });
  source.states.set(PARTITION, [
    { items: [{ ...item, settings: {} }] },
    { holds: [order('both', 5)] },
    { holds: [order('later', 10)] },
    { buyers: [{ ref: KNOWN, buyerId: 'bo', units: 15 }] },
  ]);
  source.positions.set(PARTITION, { epoch: EPOCH + 5, seq: 20, announced: EPOCH + 5 });
  return source;
}

const PARTITION = 7;

/** A process of its own: it looks at the same Postgres, and its lock is not in the way of others, as if it had lost it. */
const withoutLock = (source: PersistedSource): PersistedSource => ({
  exclusively: (_, work) => work(),
  position: (partition) => source.position(partition),
  raiseEpoch: (partition, epoch, seq) => source.raiseEpoch(partition, epoch, seq),
  changedSince: (partition, seq) => source.changedSince(partition, seq),
});

class Process {
  readonly sent: Command[] = [];
  /** After the replies to some commands have come. */
  after: (commands: readonly Command[]) => Promise<void> = () => Promise.resolve();

  private constructor(
    private readonly connection: Connection,
    private readonly partition: ScriptPartition,
  ) {}

  static async start(partition: ScriptPartition): Promise<Process> {
    const endpoint = { host: '127.0.0.1', port: partition.node.port };
    const connection = await Connection.open(endpoint, { access: ACCESS, connectTimeoutMs: 5_000 });
    atEnd(async () => connection.close());
    return new Process(connection, partition);
  }

  async recover(source: PersistedSource | undefined) {
    const all = async (commands: readonly Command[], timeoutMs: number) => {
      this.sent.push(...commands);
      const replies = await this.connection.all(commands, timeoutMs);
      await this.after(commands);
      return replies;
    };
    const run = async (command: Command, timeoutMs: number) => {
      const [reply] = await all([command], timeoutMs);
      if (reply instanceof Error) throw reply;
      return reply;
    };
    const { keys, node, number } = this.partition;
    const scripts = new ScriptSet(keys.prefix);
    const calls = new DirectCalls({ all, run } as unknown as Connection, keys, scripts);
    await calls.load(scripts.ofRecovery);
    this.sent.length = 0;
    return openPartition(calls, number, { node: node.id, run: 'life-1' }, source);
  }

  /** What it has sent arrives now. */
  async arrive(): Promise<void> {
    for (const command of this.sent) await this.connection.all([command], 10_000);
  }
}

async function prepare(world: Partial<World> = before) {
  const cluster = await ScriptCluster.open();
  const partition = cluster.partition(PARTITION);
  await partition.fill(world);
  return {
    partition,
    source: persisted(),
    first: await Process.start(partition),
    second: await Process.start(partition),
  };
}

async function isAsPersisted(t: Test, partition: ScriptPartition): Promise<void> {
  const { stock, buyers, holds } = await partition.world();
  t.match(stock, { [KNOWN]: { a: 85, r: 0, s: 15 } });
  t.same(Object.keys(stock), [KNOWN]);
  t.same(buyers, { [KNOWN]: { bo: 15 } });
  t.same(Object.keys(holds).sort(), ['both', 'later']);
}

t.test('what arrives while the next recovery writes does not get between', async (t) => {
  const { partition, source, first, second } = await prepare();
  t.equal(await first.recover(withoutLock(source)), 'open');
  await isAsPersisted(t, partition);
  // Of all that nothing has arrived yet; and none of it, in any part, changes what the second one does from when it has begun.
  await partition.fill(before);
  const scripts = new ScriptSet(partition.keys.prefix);
  const states: string[] = [];
  let begun = false;
  second.after = async (commands) => {
    begun ||= commands.some(([, sha1]) => sha1 === scripts.sha1(partitionTake));
    if (!begun) return;
    const there = await partition.snapshot();
    await first.arrive();
    states.push(...changedKeys(there, await partition.snapshot()));
  };
  t.equal(await second.recover(source), 'open');
  t.ok(begun);
  t.same(states, [], 'nothing of it was done at any time');
  await isAsPersisted(t, partition);
  t.notOk('recovery' in (await partition.world()).meta);
});

t.test('what arrives when the partition is open again changes nothing of what was sold since', async (t) => {
  const { partition, source, first, second } = await prepare();
  t.equal(await first.recover(withoutLock(source)), 'open');
  await partition.fill(before);
  t.equal(await second.recover(source), 'open');
  const op = { id: 'since', fingerprint: 1, attempt: 0, buyer: 'cy', hold: 60, room: '', actor: '' };
  const { rows } = await partition.call(stockReserve, undefined, [{ ...op, lines: [{ item: KNOWN, quantity: 1 }] }]);
  t.match(rows, [{ status: 'ok' }]);
  const there = await partition.snapshot();
  await first.arrive();
  t.same(changedKeys(there, await partition.snapshot()), []);
});

t.test('an opening that was announced before another is not done after it', async (t) => {
  const { partition, source, first, second } = await prepare();
  // Postgres has nothing that Redis lacks: nothing is written back.
  source.positions.set(PARTITION, { epoch: EPOCH, seq: 4, announced: EPOCH });
  const slow: PersistedSource = {
    ...withoutLock(source),
    raiseEpoch: async (number, epoch, seq) => {
      await source.raiseEpoch(number, epoch, seq);
      const dies: PersistedSource = {
        ...withoutLock(source),
        raiseEpoch: async (_, announced, after) => {
          await source.raiseEpoch(number, announced, after);
          throw new Error('the process ends');
        },
      };
      await t.rejects(second.recover(dies), { message: 'the process ends' });
    },
  };
  t.equal(await first.recover(slow), 'busy');
  t.equal((await partition.world()).meta.owner, '', 'what it wrote would be taken for that of a node that was cut off');
  t.equal(source.raised.length, 2);
  t.equal(await first.recover(source), 'open');
  const { meta, stock } = await partition.world();
  t.equal(meta.epoch, source.raised.at(-1)!.epoch, 'the next one opens above both');
  t.match(stock, { [PHANTOM]: { a: 3, r: 2 } }, 'and Redis is believed');
});

t.test('what a recovery left half written is written anew from the beginning, by whoever has Postgres', async (t) => {
  const { partition, source, first, second } = await prepare();
  // Of one epoch: what was changed since would do, if it were sure what there is.
  source.positions.set(PARTITION, { epoch: EPOCH, seq: 20, announced: EPOCH });
  const dies: PersistedSource = {
    ...withoutLock(source),
    changedSince: async function* (number, seq) {
      for await (const page of source.changedSince(number, seq)) {
        yield page;
        throw new Error('the process ends');
      }
    },
  };
  await t.rejects(first.recover(dies), { message: 'the process ends' });
  t.equal(await second.recover(undefined), 'not_ours', 'nobody believes it who has not got Postgres');
  t.equal((await partition.world()).meta.owner, '');
  t.equal(await second.recover(source), 'open');
  t.same(
    source.asked.map(({ seq }) => seq),
    [9, 0],
  );
  await isAsPersisted(t, partition);
});

t.test('a token that was left behind in an epoch before says nothing', async (t) => {
  const { partition, source, first } = await prepare();
  source.positions.set(PARTITION, { epoch: EPOCH, seq: 4, announced: EPOCH });
  await partition.node.client.hset(partition.key('meta'), 'recovery', `writes-${EPOCH - 1}-left`);
  t.equal(await first.recover(source), 'open');
  t.match((await partition.world()).stock, { [PHANTOM]: { a: 3, r: 2 } }, 'Redis is believed');
  t.same(source.asked, []);
});

t.test(
  'records without meta are of no known moment: what Postgres has stands, also where that is nothing',
  async (t) => {
    const { partition, first } = await prepare();
    await partition.node.client.del(partition.key('meta'));
    t.equal(await first.recover(new MemorySource()), 'open');
    const { stock, buyers, holds, due } = await partition.world();
    t.same([stock, buyers, holds, due], [{}, {}, {}, {}]);
  },
);
