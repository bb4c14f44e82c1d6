import { pause, repeating } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'reset-clients',
  describe: 'connections to Redis and Postgres are reset again and again, with calls on them',
  rows: [1, 12],
  loses: 'none',
  async inject(world, rng, log) {
    return repeating(async () => {
      const node = rng.pick(world.redis);
      node.client.reset(({ kind }) => kind === 'client');
      if (rng.chance(0.3)) world.postgres.reset();
      log('reset', { node: node.name });
      await pause(rng.int(50, 600));
    });
  },
};
