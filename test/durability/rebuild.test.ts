/**
 * @alone: all data of Redis is deleted while everything is stopped, twice: once the workers write it anew from Postgres by themselves, once
 * `./holdfast rebuild` does. What was acknowledged `durable` is there, verify is clean, and the sale goes on.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import t from 'tap';
import { startStack, type TestStack } from '../harness/index.js';
import { rebuild } from '../../workers/recovery/rebuild-command.js';
import { verify } from '../../workers/verify/verify.js';
import { confirmable, killEverything, openShop, present, sellDurably, stockItems } from './durability-support.js';

const DURABLE = 500;
const PATIENCE_MS = 120_000;

/** Redis, Postgres and nobody else, on the folder of one that was stopped. */
function withoutApps({ dir, jwtSecret }: TestStack): Promise<TestStack> {
  return startStack({ dir, jwtSecret, workers: 2, servers: 1, withoutApps: true });
}

/** What the command says. */
async function rebuilt({ redisUrl, databaseUrl }: TestStack): Promise<string> {
  let said = '';
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      said += chunk.toString();
      done();
    },
  });
  const target = { redisUrl, databaseUrl, keyPrefix: 'hf', partitions: 64 };
  await rebuild(target, { replace: false, discardUnpersisted: false, timeoutMs: PATIENCE_MS, out });
  return said;
}

for (const by of ['the workers', 'the command'])
  t.test(`all Redis data is deleted while stopped; ${by} write it anew`, async (t) => {
    const before = await openShop();
    const items = await stockItems(before);
    const { durable, stopped } = await sellDurably(before, items, DURABLE);
    await killEverything(before);
    await stopped;
    rmSync(join(before.stack.dir, 'redis'), { recursive: true });

    if (by === 'the command') {
      const stack = await withoutApps(before.stack);
      const said = await rebuilt(stack);
      t.match(said, /^64 of 64 partitions have data in Postgres\n/);
      t.match(said, /All 64 partitions are open after \d+\.\d s, \d+ records written\n$/);
      await stack.stop();
    }
    const after = await openShop(before.stack);
    await present(t, after, [...durable.keys()]);
    await confirmable(t, after, items, durable);
    const outcome = await after.engine.reservations.reserve(
      { lines: [{ ...items[0]!, quantity: 1 }] },
      { ack: 'durable' },
    );
    t.match(outcome, { status: 'ok', ack: 'durable' }, 'the sale goes on');
    const report = await verify({ partitions: after.engine.partitions, pool: after.pools.general, waitMs: 60_000 });
    t.same(report.problems, [], 'verify is clean');
    await after.engine.close();
    await after.stack.stop();
  });
