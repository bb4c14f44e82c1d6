import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'kill-master',
  describe: 'a master dies (SIGKILL); its replica takes over; it comes back on its data',
  rows: [3, 4, 12, 15],
  loses: 'one-node',
  async inject(world, rng, log) {
    const { master } = await aPair(world, rng);
    log('killed', { node: master.name });
    master.kill('SIGKILL');
    await master.exited;
    const dead = performance.now();
    return async () => {
      // Sooner, it would come back as the master that it was, with what its file has: that is another fault (restart-master).
      const left = dead + 3 * world.nodeTimeoutMs - performance.now();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
      await master.restart();
      log('started again', { node: master.name });
    };
  },
};
