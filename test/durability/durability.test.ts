/**
 * @alone: every process of a whole stack is killed at once, twice.
 * What was acknowledged `durable` is there afterwards, in Postgres, in Redis and over HTTP; also when Redis has lost its last writes.
 */
import t, { type Test } from 'tap';
import type { ItemRef } from '../../engine/types.js';
import { verify } from '../../workers/verify/verify.js';
import { cutTails, killEverything, openShop, sellDurably, type Shop } from './durability-support.js';

const DURABLE = 1_000;
const UNITS = 1_000_000;

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

async function stockItems({ engine }: Shop): Promise<ItemRef[]> {
  const items: ItemRef[] = Array.from({ length: 40 }, (_, n) => ({ location: 'main', sku: `sku-${n}` }));
  for (const item of items) {
    await engine.stock.configure(item, {});
    await engine.stock.restock(item, { quantity: UNITS }, { ack: 'durable' });
  }
  return items;
}

/** All of them are held: says Postgres, says Redis, says the server. */
async function present(t: Test, { stack, engine, pools }: Shop, ids: readonly string[]): Promise<void> {
  const { rows } = await pools.general.query<{ id: string }>(
    `select id from claims where state = 1 and id = any($1) union select id from holds where state = 1 and attempt = 0 and id = any($1)`,
    [ids],
  );
  t.equal(rows.length, ids.length, 'in Postgres');
  const found = await Promise.all(ids.map((id) => engine.reservations.find(id)));
  t.equal(found.filter((one) => one?.status === 'held').length, ids.length, 'in Redis');
  const headers = await stack.authorization('service');
  const statuses: string[] = [];
  const queue = [...ids];
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
        const response = await fetch(`${stack.url}/v1/reservations/${id}`, { headers });
        const body = (await response.json()) as { status?: string };
        statuses.push(`${response.status} ${body.status}`);
      }
    }),
  );
  t.same(
    statuses.filter((status) => status !== '200 held'),
    [],
    'over HTTP',
  );
  t.equal(statuses.length, ids.length);
}

/** All of them can be confirmed, and nothing was counted twice or lost. */
async function confirmable(
  t: Test,
  { engine }: Shop,
  items: readonly ItemRef[],
  durable: ReadonlyMap<string, number>,
): Promise<void> {
  const outcomes = await Promise.all(
    [...durable.keys()].map((id) => engine.reservations.confirm(id, { ack: 'durable' })),
  );
  t.same(
    outcomes.filter(({ status }) => status !== 'ok'),
    [],
    'confirmed',
  );
  t.ok(outcomes.every((outcome) => 'ack' in outcome && outcome.ack === 'durable'));
  const levels = await engine.stock.check(items);
  const lines = [...durable.values()].reduce((sum, count) => sum + count, 0);
  t.equal(
    levels.reduce((sum, level) => sum + level!.sold, 0),
    lines,
  );
  for (const level of levels) t.equal(level!.available + level!.reserved + level!.sold, UNITS, level!.sku);
}
