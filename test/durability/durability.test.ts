/**
 * @alone: every process of a whole stack is killed at once, twice.
 * What was acknowledged `durable` is there afterwards, in Postgres, in Redis and over HTTP; also when Redis has lost its last writes.
 */
import t from 'tap';
import { verify } from '../../workers/verify/verify.js';
import {
  confirmable,
  cutTails,
  killEverything,
  openShop,
  present,
  sellDurably,
  stockItems,
} from './durability-support.js';

const DURABLE = 1_000;

for (const { name, lose } of [
  { name: 'everything is killed at once', lose: 0 },
  { name: 'everything is killed at once, and the masters have lost their last writes', lose: 0.4 },
])
  t.test(`${DURABLE} reservations acknowledged durable: ${name}`, async (t) => {
    const before = await openShop();
    const items = await stockItems(before);
    const { durable, others, stopped } = await sellDurably(before, items, DURABLE);
    await killEverything(before);
    await stopped;
    t.equal(durable.size, DURABLE);
    t.comment(`${others.size} more were acknowledged less widely`);
    if (lose > 0) t.comment(`${cutTails(before.stack, lose)} bytes of the append-only files are gone`);

    const after = await openShop(before.stack);
    await present(t, after, [...durable.keys()]);
    await confirmable(t, after, items, durable);
    const report = await verify({ partitions: after.engine.partitions, pool: after.pools.general, waitMs: 60_000 });
    t.same(report.problems, [], 'verify is clean');
    t.ok(report.counted.holds >= DURABLE);
    await after.engine.close();
    await after.stack.stop();
  });
