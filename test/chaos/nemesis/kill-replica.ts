import { aPair, partitionsAt } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'kill-replica',
  describe: 'a replica dies (SIGKILL): nothing can be acknowledged as replicated until it is back',
  rows: [3],
  loses: 'none',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    const partitions = await partitionsAt(world, master);
    replica.kill('SIGKILL');
    await replica.exited;
    log('killed', { node: replica.name, lacks: 'replicated', partitions });
    return async () => {
      log('is started again', { regains: 'replicated' });
      await replica.restart();
      log('started again', { node: replica.name });
    };
  },
};
