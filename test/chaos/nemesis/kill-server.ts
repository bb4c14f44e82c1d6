import { aRunning } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'kill-server',
  describe: 'a server dies (SIGKILL) with calls over several partitions half done',
  rows: [23],
  loses: 'none',
  async inject(world, rng, log) {
    const server = aRunning(world.servers, rng);
    server.kill('SIGKILL');
    await server.exited;
    log('killed', { server: server.name });
    return async () => {
      await server.restart();
      log('started again', { server: server.name });
    };
  },
};
