import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'freeze-master',
  describe: 'a master hangs (SIGSTOP) while its replica takes over, then goes on and learns of it',
  rows: [2, 3],
  loses: 'one-node',
  async inject(world, rng, log) {
    const { master } = await aPair(world, rng);
    master.kill('SIGSTOP');
    log('frozen', { node: master.name });
    return async () => {
      master.kill('SIGCONT');
      log('goes on', { node: master.name });
      await Promise.resolve();
    };
  },
};
