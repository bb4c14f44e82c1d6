/** Looking for work, while a node of Redis or the queue hangs. */
import { pino } from 'pino';
import t from 'tap';
import type { PartitionsApi, PartitionStatus } from '../../engine/types.js';
import type { Drainer } from '../../workers/drain/drain.js';
import type { Halts } from '../../workers/drain/halts.js';
import { WorkerMetrics } from '../../workers/metrics.js';
import { Wake, type WakeOptions } from '../../workers/wake/wake.js';

type Jobs = readonly { readonly name: string; readonly partition: number }[];

const COUNT = 4;
const PATIENCE_MS = 30_000;

/** Every partition has something to drain. */
const behind = (partition: number): PartitionStatus => ({
  partition,
  node: 'n',
  epoch: 1,
  seq: 2,
  open: true,
  persisted: { epoch: 1, seq: 1 },
  logLength: 1,
  nextDue: undefined,
});

function startWake(
  status: PartitionsApi['status'],
  add: (jobs: Jobs) => Promise<void>,
  rests: (partition: number) => boolean = () => false,
  stuck: Partial<Pick<WakeOptions, 'stuckMs' | 'handle'>> & { readonly done?: (job: Jobs[number]) => void } = {},
) {
  const here: Jobs[number][] = [];
  const metrics = new WorkerMetrics();
  const wake = new Wake({
    partitions: { count: COUNT, status } as unknown as PartitionsApi,
    queue: { add, done: async (name, partition) => stuck.done?.({ name, partition }) },
    drainer: { isActive: () => false, rests } as unknown as Drainer,
    halts: { rests: () => false } as unknown as Halts,
    metrics,
    log: pino({ level: 'silent' }),
    handle: async (name, partition) => {
      here.push({ name, partition });
      await stuck.handle?.(name, partition);
    },
    intervalMs: 1,
    stuckMs: stuck.stuckMs ?? PATIENCE_MS * 10,
  } satisfies WakeOptions);
  wake.start();
  return { wake, here, metrics };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('it never came to that');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

t.test('a node that hangs is waited for once: the other partitions are looked at meanwhile', async (t) => {
  const slow = 2;
  let hangs = true;
  let asked = 0;
  let answer = (): void => undefined;
  const found = new Map<number, number>();
  const { wake, metrics } = startWake(
    async (partitions = [0, 1, 2, 3]) => {
      const statuses = partitions.map(behind);
      if (!hangs || !partitions.includes(slow)) return statuses;
      asked++;
      // The first time it takes as long as the node is given; then it is not answered before the test says so.
      if (asked > 1) await new Promise<void>((resolve) => (answer = resolve));
      return statuses.filter(({ partition }) => partition !== slow);
    },
    async (jobs) => {
      for (const { partition } of jobs) found.set(partition, (found.get(partition) ?? 0) + 1);
    },
  );
  await until(() => asked === 2 && (found.get(0) ?? 0) > 20);
  t.equal(asked, 2, 'it is asked once at a time');
  t.notOk(found.has(slow));
  t.match(await metrics.unreachable.get(), { values: [{ value: 1 }] });
  hangs = false;
  answer();
  await until(() => (found.get(slow) ?? 0) > 3);
  t.match(await metrics.unreachable.get(), { values: [{ value: 0 }] });
  await wake.stop();
});

t.test('a queue that hangs is given no more until it has taken what it was given; the work is done here', async (t) => {
  let added = 0;
  let hangs = true;
  let take = (): void => undefined;
  const { wake, here } = startWake(
    async (partitions = [0, 1, 2, 3]) => partitions.map(behind),
    async () => {
      added++;
      if (hangs) await new Promise<void>((resolve) => (take = resolve));
    },
  );
  await until(() => here.length > 50);
  t.equal(added, 1);
  t.strictSame([...new Set(here.map(({ partition }) => partition))].sort(), [0, 1, 2, 3]);
  hangs = false;
  take();
  await until(() => added > 3);
  await wake.stop();
});

t.test('while Postgres is away nothing is drained in vain, and what is due is swept', async (t) => {
  const added = new Set<string>();
  const due = (partition: number): PartitionStatus => ({ ...behind(partition), nextDue: 1 });
  const { wake } = startWake(
    async (partitions = [0, 1, 2, 3]) => partitions.map(due),
    async (jobs) => {
      for (const { name, partition } of jobs) added.add(`${name} ${partition}`);
    },
    (partition) => partition !== 3,
  );
  await until(() => added.has('drain 3'));
  t.strictSame([...added].sort(), ['drain 3', 'sweep 0', 'sweep 1', 'sweep 2', 'sweep 3']);
  await wake.stop();
});

t.test(
  'what the queue takes and does not have done is done here, and its job is let in again; the rest is left to it',
  async (t) => {
    const due = new Map([0, 1, 2, 3].map((partition) => [partition, 1]));
    const drained = new Map([0, 1, 2, 3].map((partition) => [partition, 1]));
    // Somebody sweeps and drains 0 and 1; for 2 and 3 the queue takes jobs of which nothing becomes.
    const goesOn = (partition: number): boolean => partition < 2;
    let looks = 0;
    const status = (partition: number): PartitionStatus => {
      looks++;
      if (goesOn(partition)) for (const done of [due, drained]) done.set(partition, looks);
      const seq = drained.get(partition)!;
      return { ...behind(partition), seq: seq + 1, persisted: { epoch: 1, seq }, nextDue: due.get(partition)! };
    };
    const letIn = new Set<string>();
    const { wake, here } = startWake(
      async (partitions = [0, 1, 2, 3]) => partitions.map(status),
      async () => undefined,
      undefined,
      {
        stuckMs: 20,
        done: ({ name, partition }) => letIn.add(`${name} ${partition}`),
        handle: async (name, partition) => {
          if (name === 'sweep') due.set(partition, looks);
          else drained.set(partition, looks);
        },
      },
    );
    await until(() => here.length > 12);
    await wake.stop();
    const stuck = ['drain 2', 'drain 3', 'sweep 2', 'sweep 3'];
    t.strictSame([...new Set(here.map(({ name, partition }) => `${name} ${partition}`))].sort(), stuck);
    t.strictSame([...letIn].sort(), stuck);
  },
);
