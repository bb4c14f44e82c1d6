/** Time to write an empty Redis anew from Postgres, with a million live holds in it. */
import { Writable } from 'node:stream';
import type { Engine, ItemRef } from '../../engine/types.js';
import { withAdmin } from '../../stack/redis-form.js';
import { rebuild } from '../../workers/recovery/rebuild-command.js';
import { connect, type Target } from '../../workers/verify/connect.js';
import { verify } from '../../workers/verify/verify.js';
import { type BenchStack, masterPort, stackPids } from '../lib/bed.js';
import { accounting } from '../lib/cpu.js';
import { errorsOf, stockUp } from '../lib/engine-load.js';
import { drained } from '../lib/persisted.js';
import { engineOf } from '../lib/server.js';
import { metric } from '../lib/stats.js';
import type { Benchmark, Run } from '../lib/types.js';

const ITEMS = 1_000;
const CALLERS = 2_048;
const HOLD_SECONDS = 86_400;
const DRAIN_MS = 600_000;
const REBUILD_MS = 1_800_000;

export const rebuildCluster: Benchmark = {
  name: 'rebuild',
  title: 'Redis rebuilt from Postgres',
  async run(run) {
    const { bed, report, settings, say } = run;
    const holds = settings.quick ? 20_000 : 1_000_000;
    const stack = await bed.stack({ servers: 0, workers: 1 });
    const engine = await engineOf(stack);
    const items = await prepare(engine);
    const made = performance.now();
    await hold(engine, items, holds, run);
    const late = await drained(engine, DRAIN_MS);
    if (late !== undefined) report.voids.push(late);
    say(`${holds} holds made and persisted in ${seconds(made).toFixed(0)} s`);
    await engine.close();
    await Promise.all(stack.workers.map((worker) => worker.stop()));
    const before = await usedMemory(stack);
    await empty(stack);

    const target = { redisUrl: stack.redisUrl, databaseUrl: stack.databaseUrl, keyPrefix: 'hf', partitions: 64 };
    const account = accounting(stackPids(stack));
    const started = performance.now();
    await rebuild(target, { replace: false, discardUnpersisted: false, timeoutMs: REBUILD_MS, out: lines(say) });
    const took = seconds(started);
    report.costs.push(account('a hold rebuilt', holds));
    metric(report, 'seconds', `${holds.toLocaleString('en-US')} live holds, until every partition is open`, 's', [
      took,
    ]);
    metric(report, 'rate', 'Holds written a second', '/s', [holds / took]);
    metric(report, 'memory', 'Memory of Redis afterwards, as a share of what it was', '×', [
      (await usedMemory(stack)) / before,
    ]);
    await stack.startApps();
    const checked = performance.now();
    report.voids.push(...(await audit(target, items, holds)));
    metric(report, 'verify', '`verify` of all of it afterwards', 's', [seconds(checked)]);
    Object.assign(report, {
      what:
        `${holds.toLocaleString('en-US')} reservations of one line each, over ${ITEMS.toLocaleString('en-US')} items and 64 partitions, are made through the engine and persisted. ` +
        'Then the workers are stopped, Redis (one master, one replica) is emptied and its scripts are flushed, and `./holdfast rebuild` is run in this process. ' +
        'Afterwards everything is compared (`verify`), the holds are counted, and one is confirmed.',
    });
  },
};

const seconds = (since: number): number => (performance.now() - since) / 1_000;

async function prepare(engine: Engine): Promise<ItemRef[]> {
  const items = Array.from({ length: ITEMS }, (_, n) => ({ location: 'main', sku: `item-${n}` }));
  await Promise.all(items.map((item) => stockUp(engine, item, 1_000_000)));
  return items;
}

async function hold(engine: Engine, items: readonly ItemRef[], count: number, { report }: Run): Promise<void> {
  const errors: Record<string, number> = {};
  let made = 0;
  const caller = async (): Promise<void> => {
    while (made < count) {
      const n = made++;
      const lines = [{ ...items[n % ITEMS]!, quantity: 1 }];
      const request = { buyerId: `buyer-${String(n).padStart(7, '0')}`, lines, holdSeconds: HOLD_SECONDS };
      try {
        const outcome = await engine.reservations.reserve(request, { ack: 'executed' });
        if (!('value' in outcome)) errors[outcome.status] = (errors[outcome.status] ?? 0) + 1;
      } catch (error) {
        const { name } = error as Error;
        errors[name] = (errors[name] ?? 0) + 1;
      }
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  report.voids.push(...errorsOf({ ok: 0, refused: 0, errors }));
}

/** As after the loss of all data: no keys, no scripts. */
async function empty(stack: BenchStack): Promise<void> {
  await withAdmin(masterPort(stack.redis!), async (client) => {
    await client.flushall('SYNC');
    await client.script('FLUSH');
  });
}

async function usedMemory(stack: BenchStack): Promise<number> {
  return withAdmin(masterPort(stack.redis!), async (client) => {
    const info = await client.info('memory');
    return Number(/used_memory_dataset:(\d+)/.exec(info)?.[1]) + Number(/used_memory_overhead:(\d+)/.exec(info)?.[1]);
  });
}

function lines(say: (line: string) => void): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().split('\n')) if (line) say(line);
      done();
    },
  });
}

async function audit(target: Target, items: readonly ItemRef[], holds: number): Promise<string[]> {
  const connection = await connect(target);
  const { engine, pools } = connection;
  try {
    await engine.ready(60_000);
    const faults: string[] = [];
    const report = await verify({ partitions: engine.partitions, pool: pools.general });
    if (!report.ok) faults.push(`verify found ${report.problems.length + report.more} problems after the rebuild`);
    if (report.counted.holds !== holds)
      faults.push(`${holds} holds were made, ${report.counted.holds} are there: loss`);
    let reserved = 0;
    for (let at = 0; at < items.length; at += 500)
      for (const level of await engine.stock.check(items.slice(at, at + 500))) reserved += level!.reserved;
    if (reserved !== holds) faults.push(`${reserved} units are reserved, not ${holds}`);
    const { rows } = await pools.general.query<{ id: string }>('SELECT id FROM holds LIMIT 1');
    const sold = await engine.reservations.confirm(rows[0]!.id, { ack: 'durable', timeoutMs: 30_000 });
    if (!('ack' in sold) || sold.ack !== 'durable') faults.push('a hold from before cannot be sold');
    return faults;
  } finally {
    await connection.close();
  }
}
