import { aMaster } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'script-flush',
  describe: 'somebody empties the script cache of a master: its partitions answer NOSCRIPT until recovery opens them',
  rows: [12],
  loses: 'none',
  async inject(world, rng, log) {
    const master = await aMaster(world, rng);
    await world.command(master, 'SCRIPT', 'FLUSH');
    log('flushed', { node: master.name });
    return () => Promise.resolve();
  },
};
