import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'power-cut',
  describe: 'every process dies at once (SIGKILL) and is started again',
  rows: [5, 12, 16],
  loses: 'cluster',
  async inject(world, _rng, log) {
    const all = [...world.redis, world.postgres, ...world.workers, ...world.servers];
    for (const part of all) part.kill('SIGKILL');
    await Promise.all(all.map((part) => part.exited));
    log('killed', { processes: all.length });
    return async () => {
      await Promise.all([...world.redis, world.postgres].map((part) => part.restart()));
      await world.clusterHealthy();
      await Promise.all([...world.workers, ...world.servers].map((part) => part.restart()));
      log('started again');
    };
  },
};
