import { aMaster } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'cut-clients',
  describe: 'servers and workers lose their way to a master: silence or resets, in turns; the cluster itself is well',
  rows: [2, 12],
  loses: 'none',
  async inject(world, rng, log) {
    const master = await aMaster(world, rng);
    const kind = rng.pick(['hold', 'refuse'] as const);
    const heal = master.client.damage({ kind }, (peer) => peer.kind === 'client');
    log('cut', { node: master.name, kind });
    return async () => {
      heal();
      log('mended', { node: master.name });
      await Promise.resolve();
    };
  },
};
