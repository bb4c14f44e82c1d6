/** Waiting until all that was begun is done: nothing due, nothing half done, and Postgres has every event. */
import { readPostgres } from './final/postgres.js';
import { readRedis } from './final/redis.js';
import { partitionOf } from './final/redis.js';
import type { FinalHold, FinalRedis, FinalState } from './final/types.js';
import { keyOf } from './final/types.js';
import { STATE } from './checker/kinds.js';
import type { World } from './world.js';

export interface Drained {
  readonly final: FinalState;
  /** What is still not done when the patience was over. */
  readonly left: readonly string[];
  readonly tookMs: number;
}

const PAUSE_MS = 500;
/** A machine that stands still for a moment makes nodes take each other for dead; that passes. */
const UNREADABLE_MS = 30_000;

/** @throws Error when the stores cannot even be read. */
export async function drained(world: World, patienceMs: number): Promise<Drained> {
  const began = performance.now();
  for (;;) {
    const tookMs = Math.round(performance.now() - began);
    const late = tookMs > patienceMs;
    try {
      const final = { redis: await readRedis(world), postgres: await readPostgres(world) };
      const left = [...lagOf(final.redis, final.postgres.positions), ...halfDone(final.redis, world.partitions)];
      // Twice the same: what was read first is what was there when the other was read.
      const redis = left.length === 0 || late ? await readRedis(world) : undefined;
      const still =
        redis && [...redis.meta].every(([partition, { seq }]) => final.redis.meta.get(partition)?.seq === seq);
      if (redis && (still || late)) return { final: { ...final, redis }, left, tookMs };
    } catch (error) {
      if (tookMs > patienceMs + UNREADABLE_MS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function lagOf(redis: FinalRedis, positions: Map<number, { seq: number; logEpoch: number }>): string[] {
  const left: string[] = [];
  for (const [partition, { seq, epoch }] of redis.meta) {
    const position = positions.get(partition);
    if (position?.seq !== seq || position.logEpoch !== epoch)
      left.push(
        `partition ${partition}: Redis is at ${epoch}-${seq}, Postgres at ${position?.logEpoch}-${position?.seq}`,
      );
  }
  return left;
}

/** Claims that are pending, parts that have not followed their claim, holds past their deadline. */
function halfDone(redis: FinalRedis, partitions: number): string[] {
  const left: string[] = [];
  const overdue = ({ state, deadline }: FinalHold) => state === STATE.held && deadline <= redis.now;
  for (const [key, claim] of redis.claims) {
    if (claim.state === STATE.pending) left.push(`claim ${key} is pending`);
    if (overdue(claim)) left.push(`claim ${key} is past its deadline`);
  }
  for (const [key, hold] of redis.holds) {
    const id = key.slice(key.indexOf('/') + 1);
    const claim = hold.attempt === 0 ? undefined : redis.claims.get(keyOf(partitionOf(id, partitions), id));
    const decided = claim?.attempt === hold.attempt ? claim.state : undefined;
    // A whole return is decided at the home, and a home may have lost what it had decided; the sweep comes to the parts.
    if (hold.state === STATE.confirmed && hold.attempt > 0 && decided !== STATE.confirmed)
      left.push(`hold ${key} is sold, and its claim is not`);
    if (hold.state !== STATE.held) continue;
    if (overdue(hold)) left.push(`hold ${key} is past its deadline`);
    if (hold.attempt === 0) continue;
    if (decided !== STATE.held) left.push(`hold ${key} has not followed its claim`);
  }
  return left;
}
