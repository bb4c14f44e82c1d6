/** The worker of peer (f). Arguments: port of Redis, URL of Postgres. */
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';

const CONCURRENCY = 50;

const [port, databaseUrl] = process.argv.slice(2) as [string, string];
const connection = new Redis({ port: Number(port), host: '127.0.0.1', maxRetriesPerRequest: null });
const pool = new pg.Pool({ connectionString: databaseUrl, max: 8 });
const worker = new Worker<{ id: string; buyer: string; quantity: number }>(
  'orders',
  async ({ data: { id, buyer, quantity } }) => {
    await pool.query({
      name: 'order',
      text: 'insert into bullmq_orders (id, buyer, quantity) values ($1, $2, $3) on conflict do nothing',
      values: [id, buyer, quantity],
    });
  },
  { connection, concurrency: CONCURRENCY, prefix: '{bench-orders}' },
);
worker.on('error', () => undefined);
await worker.waitUntilReady();
process.stdout.write('ready\n');
