import { aRunning } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'freeze-worker',
  describe: 'a worker hangs (SIGSTOP) with its locks and jobs, then goes on as if nothing had happened',
  rows: [17, 20],
  loses: 'none',
  async inject(world, rng, log) {
    const worker = aRunning(world.workers, rng);
    worker.kill('SIGSTOP');
    log('frozen', { worker: worker.name });
    return async () => {
      worker.kill('SIGCONT');
      log('goes on', { worker: worker.name });
      await Promise.resolve();
    };
  },
};
