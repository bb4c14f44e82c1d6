import { aPair, holdReplication, partitionsAt } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'cut-replication',
  describe: 'a replica hears nothing more from its master: answers reach `executed` only',
  rows: [3],
  loses: 'none',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    const partitions = await partitionsAt(world, master);
    const heal = holdReplication(master, replica);
    log('cut', { node: replica.name, master: master.name, lacks: 'replicated', partitions });
    return async () => {
      log('is mended', { regains: 'replicated' });
      heal();
      log('mended', { node: replica.name });
      await Promise.resolve();
    };
  },
};
