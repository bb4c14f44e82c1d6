/** Sales on a whole stack of one's own, and its sudden end. */
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { openEngine } from '../../engine/index.js';
import type { Ack, Engine, ItemRef } from '../../engine/types.js';
import { openPools, type Pools } from '../../workers/db/pools.js';
import { atEnd, startStack, type TestStack } from '../harness/index.js';

export interface Shop {
  readonly stack: TestStack;
  readonly engine: Engine;
  readonly pools: Pools;
}

const PATIENCE_MS = 60_000;
const UNITS = 1_000_000;

/** A stack (a new one, or the one that lived in the folder), an engine of ours beside its server, and its database. */
export async function openShop(former?: TestStack): Promise<Shop> {
  const stack = await startStack({
    workers: 2,
    servers: 1,
    ...(former && { dir: former.dir, jwtSecret: former.jwtSecret }),
  });
  const engine = await openEngine({ redis: stack.redisUrl, recovery: 'external', timeoutMs: PATIENCE_MS });
  atEnd(() => engine.close());
  await engine.ready(PATIENCE_MS);
  const pools = openPools(stack.databaseUrl);
  atEnd(() => pools.end());
  return { stack, engine, pools };
}

export interface Sold {
  /** Reservations that were acknowledged `durable`, and their numbers of lines. */
  readonly durable: Map<string, number>;
  /** Those that were acknowledged less widely. */
  readonly others: Map<string, Ack>;
}

/**
 * Reserves one and two lines over all partitions until `count` reservations are acknowledged `durable`; others with narrower acks
 * go on all the time, and are still in flight when this resolves. `stopped` resolves when the last of them has ended, somehow.
 */
export async function sellDurably(
  { engine }: Shop,
  items: readonly ItemRef[],
  count: number,
): Promise<Sold & { stopped: Promise<unknown> }> {
  const sold: Sold = { durable: new Map(), others: new Map() };
  let next = 0;
  let over = false;
  const linesOf = (n: number) =>
    [items[n % items.length]!, items[(n * 11 + 5) % items.length]!].slice(0, n % 4 === 0 ? 2 : 1);
  const reserve = async (n: number, ack: Ack) => {
    const lines = linesOf(n).map((item) => ({ ...item, quantity: 1 }));
    // A caller's id every third time: a claim, also for a single line.
    const reservationId = n % 3 === 0 ? `own-${ack}-${n}` : undefined;
    const outcome = await engine.reservations.reserve({ reservationId, lines, holdSeconds: 3_600 }, { ack });
    if (!('value' in outcome)) throw new Error(`refused: ${outcome.status}`);
    return outcome;
  };
  const others = Array.from({ length: 24 }, async (_, lane) => {
    const ack = lane % 2 === 0 ? 'executed' : 'replicated';
    for (let n = lane; !over; n += 24) {
      const outcome = await reserve(n, ack);
      sold.others.set(outcome.value.reservationId, outcome.ack);
    }
  });
  const stopped = Promise.allSettled(others);
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      while (next < count) {
        const outcome = await reserve(next++, 'durable');
        if (outcome.ack !== 'durable') throw new Error(`only ${outcome.ack} was reached`);
        sold.durable.set(outcome.value.reservationId, outcome.value.lines.length);
      }
    }),
  );
  // They notice when their calls fail; those that would go on for ever are told.
  setTimeout(() => (over = true), 200);
  return { ...sold, stopped };
}

/** SIGKILL to every process of the stack in one turn of the event loop. */
export async function killEverything({ stack, engine }: Shop): Promise<void> {
  const apps = [...stack.servers, ...stack.workers];
  for (const one of [...stack.redis!.nodes, stack.postgres!, ...apps]) one.kill('SIGKILL');
  await Promise.all([...stack.redis!.nodes, stack.postgres!, ...apps].map((one) => one.exited));
  await engine.close();
  await stack.stop();
}

/** Cuts off this share of the append-only file of every node that was a master: the last writes are lost, mid-command. */
export function cutTails({ redis }: TestStack, share: number): number {
  let bytes = 0;
  for (const node of redis!.nodes.filter(({ role }) => role === 'master')) {
    const dir = join(node.dir, 'appendonlydir');
    const file = join(
      dir,
      readdirSync(dir).find((name) => name.endsWith('.incr.aof'))!,
    );
    const cut = Math.floor(statSync(file).size * share);
    truncateSync(file, statSync(file).size - cut);
    bytes += cut;
  }
  return bytes;
}

export async function stockItems({ engine }: Shop): Promise<ItemRef[]> {
  const items: ItemRef[] = Array.from({ length: 40 }, (_, n) => ({ location: 'main', sku: `sku-${n}` }));
  for (const item of items) {
    await engine.stock.configure(item, {});
    await engine.stock.restock(item, { quantity: UNITS }, { ack: 'durable' });
  }
  return items;
}

/** All of them are held: says Postgres, says Redis, says the server. */
export async function present(t: Test, { stack, engine, pools }: Shop, ids: readonly string[]): Promise<void> {
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
export async function confirmable(
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
