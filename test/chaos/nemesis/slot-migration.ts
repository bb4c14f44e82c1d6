import { Partitions } from '../../../engine/partitions.js';
import type { RedisPart, World } from '../world.js';
import { pause } from './common.js';
import type { Fault } from './types.js';

const KEYS_A_LOOK = 100;
const MOVE_MS = 5_000;

export const fault: Fault = {
  name: 'slot-migration',
  describe: 'the slot of a partition moves to another master, key by key, while it is used (ASK, MOVED, TRYAGAIN)',
  rows: [11],
  loses: 'none',
  async inject(world, rng, log) {
    const slot = rng.pick(new Partitions(world.partitions).slots);
    const seen = await world.view();
    const from = seen.find(({ slots }) => slots.some(([low, high]) => slot >= low && slot <= high))?.node;
    const to = rng.pick((await world.masters()).filter((node) => node !== from));
    if (!from || !to) throw new Error('no two masters to move a slot between');
    await world.command(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await world.command(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    log('moves', { slot, from: from.name, to: to.name });
    const moving = move(world, slot, from, to, rng.int(5, 40));
    moving.catch(() => undefined);
    return async () => {
      // Another fault may have broken it off; a slot that is half here and half there is nobody's healthy cluster.
      await moving.catch(() => world.clusterHealthy().then(() => finish(world, slot, from, to)));
      log('moved', { slot });
    };
  },
};

async function move(world: World, slot: number, from: RedisPart, to: RedisPart, pauseMs: number): Promise<void> {
  for (;;) {
    const keys = (await world.command(from, 'CLUSTER', 'GETKEYSINSLOT', slot, KEYS_A_LOOK)) as string[];
    if (keys.length === 0) break;
    for (const key of keys) {
      await world.command(from, 'MIGRATE', '127.0.0.1', to.port, key, 0, MOVE_MS);
      await pause(pauseMs);
    }
  }
  // The new owner first: else both would send callers to each other.
  for (const node of [to, from]) await world.command(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
}

/** Ends an interrupted move at whoever are the masters of the two shards now. */
async function finish(world: World, slot: number, from: RedisPart, to: RedisPart): Promise<void> {
  const seen = await world.view();
  const present = (node: RedisPart): RedisPart => seen.find((one) => one.node === node)?.master ?? node;
  const [source, target] = [present(from), present(to)];
  await world.command(target, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', source.id).catch(() => undefined);
  await world.command(source, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', target.id).catch(() => undefined);
  await move(world, slot, source, target, 0);
}
