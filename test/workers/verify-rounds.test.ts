/** Which partitions are verified, one after the other. */
import type pg from 'pg';
import { pino } from 'pino';
import t from 'tap';
import type { PartitionsApi } from '../../engine/types.js';
import { WorkerMetrics } from '../../workers/metrics.js';
import { readLive } from '../../workers/verify/look.js';
import { VerifyRounds } from '../../workers/verify/rounds.js';

const COUNT = 4;
const PATIENCE_MS = 30_000;

t.test('a partition that cannot be read keeps no other from being verified', async (t) => {
  const asked: number[] = [];
  const client = { query: async () => ({ rows: [{ got: true }] }), release: () => undefined };
  const rounds = new VerifyRounds({
    partitions: {
      count: COUNT,
      status: async ([partition]: number[]) => {
        asked.push(partition!);
        if (partition === 2) throw new Error('a record that nobody understands');
        return [];
      },
    } as unknown as PartitionsApi,
    pool: { connect: async () => client } as unknown as pg.Pool,
    metrics: new WorkerMetrics(),
    log: pino({ level: 'silent' }),
    pauseMs: 1,
  });
  rounds.start();
  const end = Date.now() + PATIENCE_MS;
  while (asked.length < 3 * COUNT && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 2));
  await rounds.stop();
  for (let partition = 0; partition < COUNT; partition++)
    t.ok(asked.filter((one) => one === partition).length >= 2, `partition ${partition}, again and again`);
});

t.test('a partition that is too large for the memory is refused, and not read to its end', async (t) => {
  let pages = 0;
  const partitions = {
    status: async () => [],
    dump: async function* () {
      for (;;) yield { items: [{ location: 'main', sku: `sku-${pages++}` }] };
    },
  } as unknown as PartitionsApi;
  await t.rejects(readLive(partitions, 2, 1_000), { name: 'TooLargeToVerify', message: /Partition 2 .* 1000 records/ });
  t.equal(pages, 1_001);
});
