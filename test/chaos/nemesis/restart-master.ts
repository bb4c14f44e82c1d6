import { aMaster } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'restart-master',
  describe: 'a master dies and is back on its append-only file before anybody takes over',
  rows: [5, 12],
  // With `appendfsync everysec` the last writes may still be in the process when the disk is slow.
  loses: 'cluster',
  async inject(world, rng, log) {
    const master = await aMaster(world, rng);
    log('killed and started again', { node: master.name });
    master.kill('SIGKILL');
    await master.restart();
    return () => Promise.resolve();
  },
};
