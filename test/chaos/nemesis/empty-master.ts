import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { aMaster } from './common.js';
import type { Fault } from './types.js';

export const fault: Fault = {
  name: 'empty-master',
  describe: 'a master is back without any data and wipes its replica: its partitions are rebuilt from Postgres',
  rows: [6],
  loses: 'cluster',
  async inject(world, rng, log) {
    const master = await aMaster(world, rng);
    master.kill('SIGKILL');
    await master.exited;
    rmSync(join(master.dir, 'appendonlydir'), { recursive: true, force: true });
    log('emptied and started again', { node: master.name });
    // The stack refuses this without being told; a careless operator's tools would not.
    await master.restart({ allowEmpty: true });
    return () => Promise.resolve();
  },
};
