import { aMaster } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'lost-replies',
  describe: 'requests reach a master and are carried out, their answers vanish and the connections end',
  rows: [1],
  loses: 'none',
  async inject(world, rng, log) {
    const master = await aMaster(world, rng);
    const heal = master.client.damage({ kind: 'swallow-replies' }, ({ kind }) => kind === 'client');
    log('swallows replies', { node: master.name });
    return async () => {
      heal();
      log('answers again', { node: master.name, swallowed: master.client.swallowed });
      await Promise.resolve();
    };
  },
};
