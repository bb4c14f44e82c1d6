/** What several faults do: choosing nodes, waiting, and going on in the background until they are healed. */
import { partitionsIn } from '../final/redis.js';
import type { RedisPart, World } from '../world.js';
import type { Rng } from '../rng.js';

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A master that serves slots. @throws Error when none does. */
export async function aMaster(world: World, rng: Rng): Promise<RedisPart> {
  const masters = await world.masters();
  if (masters.length === 0) throw new Error('no master serves slots');
  return rng.pick(masters);
}

/** A master and a running replica of it. @throws Error when no master has one. */
export async function aPair(world: World, rng: Rng): Promise<{ master: RedisPart; replica: RedisPart }> {
  for (const master of rng.shuffle(await world.masters())) {
    const replicas = await world.replicasOf(master);
    if (replicas.length > 0) return { master, replica: rng.pick(replicas) };
  }
  throw new Error('no master has a running replica');
}

/** A server or worker that runs. @throws Error when none does. */
export function aRunning<P extends { readonly running: boolean }>(parts: readonly P[], rng: Rng): P {
  const running = parts.filter((part) => part.running);
  if (running.length === 0) throw new Error('no such process runs');
  return rng.pick(running);
}

/** Repeats `step` in the background until the returned function is called, which waits for the step under way; its failures end it. */
export function repeating(step: () => Promise<void>): () => Promise<void> {
  let ended = false;
  const loop = (async () => {
    while (!ended) await step();
  })();
  // Whoever heals sees it.
  loop.catch(() => undefined);
  return async () => {
    ended = true;
    await loop;
  };
}

/** Waits until the answer is true. @throws Error after `timeoutMs`. */
export async function until(what: string, timeoutMs: number, answer: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await answer())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await pause(50);
  }
}

/** The partitions that a master has. */
export async function partitionsAt(world: World, master: RedisPart): Promise<number[]> {
  const seen = (await world.view()).find(({ node }) => node === master);
  return partitionsIn(seen?.slots ?? [], world.partitions);
}

/** One field of INFO of a node. */
export async function info(world: World, node: RedisPart, section: string, field: string): Promise<string | undefined> {
  const text = String(await world.command(node, 'INFO', section));
  return new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(text)?.[1];
}

/** A replica hears nothing more from its master; nobody is told. @returns what ends that */
export function holdReplication(master: RedisPart, replica: RedisPart): () => void {
  const follows = String(replica.port);
  return master.client.damage({ kind: 'hold' }, ({ kind, id }) => kind === 'replica' && id === follows);
}
