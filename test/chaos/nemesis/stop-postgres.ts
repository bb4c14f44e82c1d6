import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'stop-postgres',
  describe: 'Postgres dies (SIGKILL): selling goes on, `durable` waits; it comes back on its data',
  rows: [19, 16],
  loses: 'none',
  async inject(world, _rng, log) {
    world.postgres.kill('SIGKILL');
    await world.postgres.exited;
    log('killed', { lacks: 'durable' });
    return async () => {
      log('is started again', { regains: 'durable' });
      await world.postgres.restart();
      log('started again');
    };
  },
};
