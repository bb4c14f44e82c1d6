import { aRunning } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'cut-postgres',
  describe: 'Postgres hears nothing from one worker, which holds its locks, or from everybody',
  rows: [17, 19],
  loses: 'none',
  async inject(world, rng, log) {
    const worker = aRunning(world.workers, rng);
    const everybody = rng.chance(0.4);
    const kind = rng.pick(['hold', 'refuse', 'swallow-replies'] as const);
    const heal = everybody ? world.postgres.damage({ kind }) : worker.database.damage({ kind });
    log('cut', { from: everybody ? 'everybody' : worker.name, kind });
    return async () => {
      heal();
      log('mended');
      await Promise.resolve();
    };
  },
};
