import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../stack/project.js';
import { aPair, info, pause, until } from './common.js';
import type { Fault } from './types.js';

const TAKE_OVER_MS = 20_000;
const COMPILE_MS = 20_000;
/** As the shim maps it. */
const OFFSET_BYTES = 16;
/** Jumps, s: within a hold's life, past most deadlines, and back before the start of everything. */
const JUMPS = [-3_600, -30, -3, 3, 30, 3_600];

export const fault: Fault = {
  name: 'clock-jump',
  describe: 'the clock of a master jumps forward and back, by seconds or an hour',
  rows: [13],
  loses: 'one-node',
  clocks: true,
  dwellMs: [3_000, 6_000],
  needs: () =>
    process.platform === 'linux' && spawnSync('cc', ['--version'], { timeout: COMPILE_MS }).status === 0
      ? undefined
      : 'a clock is shifted by a small C library, and there is no C compiler (cc)',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    const shim = compileShim(world.dir);
    const offset = join(replica.dir, 'clock-offset');
    setOffset(offset, 0);
    // A node gets the shim only when it starts, so the replica does, and becomes the master.
    await replica.restart({ env: { ...process.env, LD_PRELOAD: shim, CLOCK_OFFSET_FILE: offset } });
    await world.clusterHealthy();
    await world.command(replica, 'CLUSTER', 'FAILOVER');
    await until(
      'the replica took over',
      TAKE_OVER_MS,
      async () => (await info(world, replica, 'replication', 'role')) === 'master',
    );
    const seconds = rng.pick(JUMPS);
    // Said before it is so: whatever comes of it, times of that node may be off by this much.
    log('jumps', { node: replica.name, from: master.name, seconds, shiftMs: seconds * 1_000 });
    setOffset(offset, seconds);
    try {
      await pause(50);
      const [now] = (await world.command(replica, 'TIME')) as string[];
      const off = Number(now) - Date.now() / 1000;
      if (Math.abs(off - seconds) > 2) throw new Error(`the clock did not jump: it is off by ${off.toFixed(1)} s`);
    } catch (error) {
      setOffset(offset, 0);
      throw error;
    }
    return async () => {
      setOffset(offset, 0);
      log('jumped back', { node: replica.name });
      await Promise.resolve();
    };
  },
};

/** Written over in place: the node has the file mapped, and an empty one would end it. */
function setOffset(file: string, seconds: number): void {
  writeFileSync(file, String(seconds).padEnd(OFFSET_BYTES), { flag: existsSync(file) ? 'r+' : 'w' });
}

function compileShim(dir: string): string {
  const source = join(projectRoot(), 'test/chaos/nemesis/clock-shim.c');
  const shim = join(dir, 'clock-shim.so');
  const made = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', shim, source], { timeout: COMPILE_MS });
  if (made.status !== 0) throw new Error(`the clock's library does not compile: ${made.stderr.toString()}`);
  return shim;
}
