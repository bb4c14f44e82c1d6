/** Faults that are only worth their time where a mutant waits for exactly them. */
import { pause, until } from '../nemesis/common.js';
import type { Fault } from '../nemesis/types.js';
import type { AppPart, World } from '../world.js';

const FAILOVER_MS = 30_000;

/** Epochs as announced in Postgres, by partition. */
async function epochs(world: World): Promise<Map<number, number>> {
  const rows = await world.query('select partition, epoch from positions');
  return new Map(rows.map(({ partition, epoch }) => [Number(partition), Number(epoch)]));
}

/**
 * A worker has read the log of a master and its transaction is stuck on the way to Postgres; the master is cut off, another worker
 * announces the next epoch and is stopped right there; the late transaction arrives.
 */
const lateWriter: Fault = {
  name: 'late-writer',
  describe:
    'a transaction with events of the old epoch arrives after the new one was announced, before anything else did',
  rows: [4],
  loses: 'one-node',
  dwellMs: [3_000, 4_000],
  async inject(world, rng, log) {
    const [late, quick] = rng.shuffle(world.workers) as [AppPart, AppPart];
    const before = await epochs(world);
    // Only the one that will be late drains, so that it is in the middle of it when its cable is pulled.
    quick.kill('SIGSTOP');
    await pause(1_500);
    const release = late.database.damage({ kind: 'hold', direction: 'requests' });
    await pause(500);
    const master = rng.pick(await world.masters());
    const heal = world.isolate([master]);
    log('late', { worker: late.name, node: master.name });
    quick.kill('SIGCONT');
    await until('another epoch is announced', FAILOVER_MS, async () => {
      const now = await epochs(world);
      return [...now].some(([partition, epoch]) => epoch > (before.get(partition) ?? 0));
    });
    quick.kill('SIGSTOP');
    release();
    log('released', { worker: late.name });
    await pause(1_000);
    return async () => {
      quick.kill('SIGCONT');
      heal();
      await Promise.resolve();
    };
  },
};

export const SCENARIOS: readonly Fault[] = [lateWriter];
