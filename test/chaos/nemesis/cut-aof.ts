import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { aMaster } from './common.js';
import type { Fault } from './types.js';

const LEAST_BYTES = 1_000;
const MOST_BYTES = 200_000;

export const fault: Fault = {
  name: 'cut-aof',
  describe: 'a master loses power: it is back at once, without the last part of its append-only file',
  rows: [5],
  loses: 'cluster',
  async inject(world, rng, log) {
    const master = await aMaster(world, rng);
    master.kill('SIGKILL');
    await master.exited;
    const folder = join(master.dir, 'appendonlydir');
    const increments = readdirSync(folder).filter((name) => name.endsWith('.incr.aof'));
    const [file, bytes] = increments
      .map((name) => [join(folder, name), statSync(join(folder, name)).size] as const)
      .sort(([a], [b]) => increment(b) - increment(a))[0]!;
    const cut = Math.min(bytes, rng.int(LEAST_BYTES, MOST_BYTES));
    truncateSync(file, bytes - cut);
    log('cut and started again', { node: master.name, cut, of: bytes });
    await master.restart();
    return () => Promise.resolve();
  },
};

/** `appendonly.aof.7.incr.aof` is the seventh. */
function increment(file: string): number {
  return Number(/\.(\d+)\.incr\.aof$/.exec(file)?.[1] ?? 0);
}
