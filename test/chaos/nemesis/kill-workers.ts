import { aRunning, pause, repeating } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'kill-workers',
  describe: 'workers are killed (SIGKILL) again and again, wherever they are between reading, commit and trim',
  rows: [16, 17, 20],
  loses: 'none',
  async inject(world, rng, log) {
    return repeating(async () => {
      const worker = aRunning(world.workers, rng);
      worker.kill('SIGKILL');
      await worker.exited;
      log('killed', { worker: worker.name });
      await pause(rng.int(0, 500));
      await worker.restart();
      await pause(rng.int(50, 1_500));
    });
  },
};
