import t from 'tap';
import { EngineClosed, InvalidArgument, OutcomeUnknown, Overloaded, ShardUnavailable } from '../../engine/errors.js';
import { stockDue } from '../../engine/scripts/generated/stock-due.js';
import { stockReserve } from '../../engine/scripts/generated/stock-reserve.js';
import { withAdmin } from '../../stack/redis-form.js';
import { startCluster, testCluster } from '../harness/index.js';
import { availableOf, itemIn, reserve, stockUp, testCore } from '../support/core.js';

t.test('calls of one turn share script calls; each gets its own answer', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  await core.ready();
  const items = Array.from({ length: 20 }, (_, n) => `t:item-${n}`);
  await Promise.all(items.map((item) => stockUp(core, item, 200)));
  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, n) => reserve(core, items[n % 20]!, `r${n}`, 1 + (n % 3))),
  );
  t.ok(answers.every(({ result }) => result.status === 'ok'));
  t.ok(
    answers.every(({ ack }) => ack === 'replicated'),
    'the shared cluster has replicas',
  );
  for (const [n, item] of items.entries()) {
    let units = 200;
    for (let r = n; r < 1000; r += 20) units -= 1 + (r % 3);
    t.equal(await availableOf(core, item), units);
  }
  const status = await core.partitions.status();
  const entries = status.reduce((sum, { logLength }) => sum + logLength, 0);
  const events = status.reduce((sum, { seq }) => sum + seq, 0);
  t.equal(events, 64 + 20 * 2 + 1000, 'an event for each change');
  t.ok(entries < events / 2, `${entries} log entries for ${events} events`);
});

t.test('an operation fails alone: malformed ones do not spoil their batch', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  const item = 't:one';
  await stockUp(core, item, 10);
  const partition = core.keys.partitions.of(item);
  const broken = (over: object) =>
    core.caller.call(stockReserve, partition, {
      ...{
        id: 'x',
        fingerprint: 1,
        attempt: 0,
        buyer: '',
        hold: 0,
        room: '',
        actor: '',
        lines: [{ item, quantity: 1 }],
      },
      ...over,
    });
  const answers = await Promise.allSettled([
    reserve(core, item, 'good-1'),
    broken({ lines: undefined }),
    broken({ id: 'bad id' }),
    broken({ id: null }),
    broken({ lines: [{ item, quantity: NaN }] }),
    broken({ lines: [{ item, quantity: 1e308 }] }),
    broken({ lines: [] }),
    reserve(core, item, 'good-2'),
    reserve(core, item, 'good-1'),
    reserve(core, item, 'good-1', 2),
    reserve(core, 't:none', 'no-item'),
    reserve(core, item, 'too-many', 9),
  ]);
  const outcome = answers.map((answer) =>
    answer.status === 'fulfilled' ? answer.value.result.status : (answer.reason as Error).constructor,
  );
  t.strictSame(outcome, [
    'ok',
    InvalidArgument,
    'invalid_argument',
    InvalidArgument,
    'invalid_argument',
    'invalid_argument',
    'invalid_argument',
    'ok',
    'exists',
    'id_conflict',
    'sku_not_found',
    'insufficient_stock',
  ]);
  t.equal(await availableOf(core, item), 8);
  await t.rejects(core.caller.call(stockReserve, 64, {} as never), InvalidArgument);
  await t.rejects(core.caller.callOnce(stockReserve, 0, undefined, new Array(129).fill({})), InvalidArgument);
});

t.test(
  'calls of one id queued at once keep their order; a call begun after another ended has a higher number',
  async (t) => {
    const { url, prefix } = await testCluster();
    const core = await testCore({ redis: url, prefix });
    const item = 't:order';
    await stockUp(core, item, 1_000);
    for (let round = 0; round < 50; round++) {
      const [first, second, third] = await Promise.all(
        [1, 2, 1].map((units) => reserve(core, item, `id-${round}`, units)),
      );
      t.strictSame(
        [first!, second!, third!].map(({ result }) => result.status),
        ['ok', 'id_conflict', 'exists'],
      );
      const later = await reserve(core, item, `later-${round}`);
      if (!(later.seq > first!.seq && later.epoch === first!.epoch)) t.fail(`${first!.seq} then ${later.seq}`);
    }
  },
);

t.test('scripts with arguments of their own, and reads, which report the ack executed', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix });
  const due = await core.caller.callOnce(stockDue, 7, { page: 5 });
  t.match(due, { result: [{ status: 'ok', members: '' }], partition: 7, epoch: Number, ack: 'executed' });
  t.match(await core.caller.callOnce(stockDue, 7, { page: 5000 }), { result: [{ status: 'invalid_argument' }] });
});

t.test('refused at once: full queue, closed engine', async (t) => {
  const { url, prefix } = await testCluster();
  const core = await testCore({ redis: url, prefix }, { queuedPerNode: 50 });
  const item = itemIn(core, 3);
  await stockUp(core, item, 1_000);
  const answers = await Promise.allSettled(Array.from({ length: 80 }, (_, n) => reserve(core, item, `r${n}`)));
  const refused = answers.filter((answer) => answer.status === 'rejected');
  t.equal(refused.length, 30);
  for (const { reason } of refused) {
    if (!(reason instanceof Overloaded)) t.fail(String(reason));
    t.ok(reason.retryAfterMs > 0);
  }
  t.equal(await availableOf(core, item), 950, 'what was refused was not executed');
  await reserve(core, item, 'again');
  const last = t.rejects(reserve(core, item, 'last'), EngineClosed);
  await core.close();
  await last;
  await t.rejects(reserve(core, item, 'after'), EngineClosed);
  t.equal(core.caller.closed, true);
});

t.test('deadlines: a node that stands still', async (t) => {
  const cluster = await startCluster({ masters: 1, replicasPerMaster: 0 });
  const core = await testCore({ redis: cluster.url, prefix: 'still' }, { stallMs: 300 });
  await stockUp(core, 't:item', 100);
  cluster.nodes[0]!.kill('SIGSTOP');
  const failures = await Promise.all([
    reserve(core, 't:item', 'w', 1, { timeoutMs: 200 }).catch((error: unknown) => error),
    availableOf(core, 't:item', { timeoutMs: 200 }).catch((error: unknown) => error),
  ]);
  t.type(failures[0], OutcomeUnknown);
  t.match(failures[0], { id: 'w', partition: core.keys.partitions.of('t:item') });
  t.type(failures[1], ShardUnavailable);
  // By now the lanes are given up and cannot be opened again: what comes is not sent.
  await new Promise((resolve) => setTimeout(resolve, 600));
  await t.rejects(reserve(core, 't:item', 'unsent', 1, { timeoutMs: 300 }), ShardUnavailable);
  cluster.nodes[0]!.kill('SIGCONT');
  t.match(await reserve(core, 't:item', 'w', 1, { timeoutMs: 10_000 }), { result: { status: /^(ok|exists)$/ } });
  t.match(await reserve(core, 't:item', 'unsent', 1, { timeoutMs: 10_000 }), { result: { status: 'ok' } });
  t.equal(await availableOf(core, 't:item'), 98);
});

t.test('out of memory is overload; nothing is changed', async (t) => {
  const cluster = await startCluster({ masters: 1, replicasPerMaster: 0 });
  const core = await testCore({ redis: cluster.url, prefix: 'oom' });
  await stockUp(core, 't:item', 100);
  const memory = (value: string) =>
    withAdmin(cluster.nodes[0]!.port, (client) => client.config('SET', 'maxmemory', value));
  await memory('1mb');
  await t.rejects(reserve(core, 't:item', 'r'), Overloaded);
  t.equal(await availableOf(core, 't:item'), 100);
  await memory('0');
  t.match(await reserve(core, 't:item', 'r'), { result: { status: 'ok' } });
});
