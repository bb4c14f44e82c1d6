import { aPair } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'kill-replica',
  describe: 'a replica dies (SIGKILL): nothing can be acknowledged as replicated until it is back',
  rows: [3],
  loses: 'none',
  async inject(world, rng, log) {
    const { replica } = await aPair(world, rng);
    log('killed', { node: replica.name });
    replica.kill('SIGKILL');
    await replica.exited;
    return async () => {
      await replica.restart();
      log('started again', { node: replica.name });
    };
  },
};
