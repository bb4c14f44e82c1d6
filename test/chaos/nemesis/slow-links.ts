import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'slow-links',
  describe: 'every way to Redis and between its nodes takes longer',
  rows: [2],
  loses: 'none',
  async inject(world, rng, log) {
    const ms = rng.int(5, 60);
    const healing = world.redis.flatMap(({ client, bus }) => [
      client.damage({ kind: 'delay', ms }),
      bus.damage({ kind: 'delay', ms: Math.ceil(ms / 2) }),
    ]);
    log('slow', { ms });
    return async () => {
      for (const heal of healing) heal();
      log('fast again');
      await Promise.resolve();
    };
  },
};
