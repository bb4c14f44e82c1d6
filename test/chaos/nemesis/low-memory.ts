import { aMaster, info } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'low-memory',
  describe: 'a master has no memory left (maxmemory): new holds are refused whole, release and expiry go on',
  rows: [10],
  loses: 'none',
  async inject(world, rng, log) {
    const master = await aMaster(world, rng);
    const used = Number(await info(world, master, 'memory', 'used_memory'));
    const [, before = '0'] = (await world.command(master, 'CONFIG', 'GET', 'maxmemory')) as string[];
    const limit = Math.max(1, Math.floor(used * 0.9));
    await world.command(master, 'CONFIG', 'SET', 'maxmemory', limit);
    log('limited', { node: master.name, used, limit });
    return async () => {
      // A node that died meanwhile has forgotten it by itself.
      if (master.running) await world.command(master, 'CONFIG', 'SET', 'maxmemory', before);
      log('unlimited', { node: master.name });
    };
  },
};
