import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aPair, info, pause, until } from './common.js';
import type { Fault } from './types.js';

/** Where Debian's package `faketime` puts its library on the usual machines. */
const LIBRARIES = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((arch) => `/usr/lib/${arch}/faketime/libfaketime.so.1`);
const TAKE_OVER_MS = 20_000;
/** Jumps, s: within a hold's life, past most deadlines, and back before the start of everything. */
const JUMPS = [-3_600, -30, -3, 3, 30, 3_600];

export const fault: Fault = {
  name: 'clock-jump',
  describe: 'the clock of a master jumps forward and back, by seconds or an hour',
  rows: [13],
  loses: 'one-node',
  clocks: true,
  dwellMs: [3_000, 6_000],
  needs: () => (LIBRARIES.some(existsSync) ? undefined : 'no libfaketime (Debian: apt-get install faketime)'),
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    const offset = join(replica.dir, 'clock-offset');
    writeFileSync(offset, '+0\n');
    // A node gets the shim only when it starts, so the replica does, and becomes the master.
    await replica.restart({
      env: {
        ...process.env,
        LD_PRELOAD: LIBRARIES.find(existsSync)!,
        FAKETIME_TIMESTAMP_FILE: offset,
        FAKETIME_NO_CACHE: '1',
        DONT_FAKE_MONOTONIC: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      },
    });
    await world.clusterHealthy();
    await world.command(replica, 'CLUSTER', 'FAILOVER');
    await until(
      'the replica took over',
      TAKE_OVER_MS,
      async () => (await info(world, replica, 'replication', 'role')) === 'master',
    );
    const seconds = rng.pick(JUMPS);
    writeFileSync(offset, `${seconds > 0 ? '+' : ''}${seconds}\n`);
    await pause(50);
    const [now] = (await world.command(replica, 'TIME')) as string[];
    const off = Number(now) - Date.now() / 1000;
    if (Math.abs(off - seconds) > 2) throw new Error(`the clock did not jump: it is off by ${off.toFixed(1)} s`);
    log('jumped', { node: replica.name, from: master.name, seconds });
    return async () => {
      writeFileSync(offset, '+0\n');
      log('jumped back', { node: replica.name });
      await Promise.resolve();
    };
  },
};
