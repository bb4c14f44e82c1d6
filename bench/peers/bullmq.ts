/** Peer (f): one BullMQ job an order; the worker, a process of its own, writes one row an order. */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { Bed } from '../lib/bed.js';
import { startChild } from '../lib/child.js';
import { withPg } from './postgres-rows.js';

const ADDERS = 64;

/** Orders a second that were written within the time. */
export async function bullmqOrders(
  bed: Bed,
  redisPort: number,
  databaseUrl: string,
  seconds: number,
): Promise<{ rate: number; faults: string[] }> {
  await withPg(databaseUrl, (client) =>
    client.query(
      `create table if not exists bullmq_orders (id text primary key, buyer text not null, quantity int not null)`,
    ),
  );
  await startChild(bed, 'peers/bullmq-worker', [`${redisPort}`, databaseUrl]);
  const connection = new Redis({ port: redisPort, host: '127.0.0.1', maxRetriesPerRequest: null });
  connection.on('error', () => undefined);
  const queue = new Queue('orders', { connection, prefix: '{bench-orders}' });
  try {
    const startedAt = performance.now();
    const until = startedAt + seconds * 1_000;
    let added = 0;
    const adder = async (): Promise<void> => {
      while (performance.now() < until) {
        const n = added++;
        const order = { id: `order-${n}`, buyer: `buyer-${n}`, quantity: 1 };
        await queue.add('order', order, { removeOnComplete: true });
      }
    };
    await Promise.all(Array.from({ length: ADDERS }, adder));
    // The rate is that of orders that are done, so the rest is waited for.
    const patience = performance.now() + 120_000;
    let written = 0;
    while (written < added && performance.now() < patience) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      written = await count(databaseUrl);
    }
    const rate = written / ((performance.now() - startedAt) / 1_000);
    return { rate, faults: written === added ? [] : [`BullMQ wrote ${written} of ${added} orders`] };
  } finally {
    await queue.close();
    connection.disconnect();
  }
}

async function count(databaseUrl: string): Promise<number> {
  const { rows } = await withPg(databaseUrl, (client) =>
    client.query<{ count: string }>('select count(*) from bullmq_orders'),
  );
  return Number(rows[0]!.count);
}
