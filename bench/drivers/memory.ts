/** Bytes of Redis memory that a live hold costs, with its log entry and after trimming. */
import { randomBytes } from 'node:crypto';
import { openEngine } from '../../engine/index.js';
import type { Engine, ItemRef } from '../../engine/types.js';
import type { RedisCluster } from '../../stack/redis-cluster.js';
import { withAdmin } from '../../stack/redis-form.js';
import { emptyShard, masterPort } from '../lib/bed.js';
import { auditItem, stockUp } from '../lib/engine-load.js';
import { goal, metric } from '../lib/stats.js';
import type { Benchmark, Run } from '../lib/types.js';

const ITEM = { location: 'main', sku: 'hot' };

interface Bytes {
  readonly withLog: number;
  readonly trimmed: number;
}

export const memory: Benchmark = {
  name: 'memory',
  title: 'Redis memory of a live hold',
  async run(run) {
    const { bed, report, settings, say } = run;
    const cluster = await bed.redis(0);
    const many = settings.quick ? 20_000 : 1_000_000;
    const lone = settings.quick ? 5_000 : 50_000;
    // How many calls share a log entry decides what the entry costs: a sale under load, and calls that come one by one.
    const busy = await measure(run, cluster, many, 4_096);
    const quiet = await measure(run, cluster, lone, 1);
    say(`${many} holds under load: ${busy.withLog.toFixed(0)} bytes, trimmed ${busy.trimmed.toFixed(0)}`);
    metric(report, 'with-log', `A hold with its log entry, ${many.toLocaleString('en-US')} holds under load`, 'bytes', [
      busy.withLog,
    ]);
    metric(report, 'trimmed', 'The same after the log was trimmed', 'bytes', [busy.trimmed]);
    metric(
      report,
      'lone-with-log',
      `A hold with its log entry, ${lone.toLocaleString('en-US')} calls one by one`,
      'bytes',
      [quiet.withLog],
    );
    metric(report, 'lone-trimmed', 'The same after the log was trimmed', 'bytes', [quiet.trimmed]);
    goal(report, '≤ 250 bytes a live hold with its log entry', busy.withLog, '<=', 250, 'bytes');
    goal(report, '≤ 200 bytes after trimming', busy.trimmed, '<=', 200, 'bytes');
    Object.assign(report, {
      what:
        'Growth of `used_memory` of the master, divided by the holds that were made: one line each, ids made by the engine, ' +
        'buyer ids of 13 characters. Under load means 4,096 callers at a time, so that calls share log entries and due entries.',
    });
  },
};

async function measure({ report }: Run, cluster: RedisCluster, holds: number, callers: number): Promise<Bytes> {
  const prefix = `b${randomBytes(4).toString('hex')}`;
  const engine = await openEngine({ redis: cluster.url, prefix, ack: 'executed', timeoutMs: 10_000 });
  try {
    await engine.ready();
    await stockUp(engine, ITEM, holds);
    await hold(engine, ITEM, 2_000, callers);
    const before = await usedMemory(cluster);
    await hold(engine, ITEM, holds - 2_000, callers);
    const withLog = await usedMemory(cluster);
    const partition = engine.partitions.of(ITEM);
    const status = (await engine.partitions.status()).find((one) => one.partition === partition)!;
    await engine.partitions.markPersisted(partition, { epoch: status.epoch, seq: status.seq });
    const trimmed = await usedMemory(cluster);
    report.voids.push(...(await auditItem(engine, ITEM, { stocked: holds, taken: holds })));
    return { withLog: (withLog - before) / (holds - 2_000), trimmed: (trimmed - before) / (holds - 2_000) };
  } finally {
    await engine.close();
    await emptyShard(cluster);
  }
}

async function hold(engine: Engine, item: ItemRef, count: number, callers: number): Promise<void> {
  let made = 0;
  const caller = async (): Promise<void> => {
    while (made < count) {
      const buyerId = `buyer-${String(made++).padStart(7, '0')}`;
      const outcome = await engine.reservations.reserve({ buyerId, lines: [{ ...item, quantity: 1 }] });
      if (outcome.status !== 'ok') throw new Error(`refused: ${outcome.status}`);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** Once everything that is freed in the background is freed: the dictionaries may still be rehashing otherwise. */
async function usedMemory(cluster: RedisCluster): Promise<number> {
  return withAdmin(masterPort(cluster), async (client) => {
    let last = 0;
    for (let look = 0; look < 20; look++) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      const info = await client.info('memory');
      const used = Number(/used_memory:(\d+)/.exec(info)?.[1]) - Number(/mem_aof_buffer:(\d+)/.exec(info)?.[1] ?? 0);
      if (Math.abs(used - last) < 4_096) return used;
      last = used;
    }
    return last;
  });
}
