import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'failover',
  describe: 'a replica takes over in good order (CLUSTER FAILOVER), as in a rolling upgrade',
  rows: [4, 11, 12],
  loses: 'none',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    await world.command(replica, 'CLUSTER', 'FAILOVER');
    log('asked to take over', { node: replica.name, from: master.name });
    return () => Promise.resolve();
  },
};
