import { aRunning } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'freeze-server',
  describe: 'a server hangs (SIGSTOP) in the middle of its calls and carries on later, perhaps past their deadlines',
  rows: [2, 23],
  loses: 'none',
  async inject(world, rng, log) {
    const server = aRunning(world.servers, rng);
    server.kill('SIGSTOP');
    log('frozen', { server: server.name });
    return async () => {
      server.kill('SIGCONT');
      log('goes on', { server: server.name });
      await Promise.resolve();
    };
  },
};
