import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RedisPart, World } from '../world.js';
import { aPair, info, until } from './common.js';
import type { Fault } from './types.js';

const run = promisify(execFile);
/** Besides the node's own files. */
const DISK_BYTES = 64 * 1024 * 1024;
/** Left free: the append-only file meets the end within moments of selling. */
const LEFT_BYTES = 32 * 1024;
const CHANGE_MS = 20_000;

export const fault: Fault = {
  name: 'full-disk',
  describe: 'the disk under the append-only file of a master is full: it refuses writes until there is room again',
  rows: [14],
  loses: 'one-node',
  dwellMs: [2_000, 5_000],
  needs: () =>
    process.platform === 'linux' && process.getuid?.() === 0 ? undefined : 'a small disk is mounted by root only',
  async inject(world, rng, log) {
    const { master, replica } = await aPair(world, rng);
    await world.clusterHealthy();
    await onSmallDisk(replica);
    try {
      await world.clusterHealthy();
      await takeOver(world, replica);
      const { bavail, bsize } = statfsSync(replica.dir);
      writeFileSync(join(replica.dir, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - LEFT_BYTES)));
    } catch (error) {
      await back(world, replica);
      throw error;
    }
    log('full', { node: replica.name, from: master.name });
    return async () => {
      await back(world, replica);
      log('has room again', { node: replica.name });
    };
  },
};

/** Starts the node again with its files on a disk of its own. */
async function onSmallDisk(node: RedisPart): Promise<void> {
  node.kill('SIGKILL');
  await node.exited;
  const aside = `${node.dir}.aside`;
  mkdirSync(aside);
  cpSync(node.dir, aside, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', node.dir]);
  cpSync(aside, node.dir, { recursive: true });
  rmSync(aside, { recursive: true });
  await node.restart();
}

/** Makes room, lets somebody else be the master, and moves the files to where they were. */
async function back(world: World, node: RedisPart): Promise<void> {
  rmSync(join(node.dir, 'ballast'), { force: true });
  if (node.running)
    await until(
      'the append-only file is written again',
      CHANGE_MS,
      async () => (await info(world, node, 'persistence', 'aof_last_write_status')) === 'ok',
    );
  await rewrite(world, node);
  const [next] = await world.replicasOf(node);
  if (next) {
    await world.clusterHealthy();
    await takeOver(world, next);
  }
  node.kill('SIGKILL');
  await node.exited;
  const aside = `${node.dir}.aside`;
  cpSync(node.dir, aside, { recursive: true });
  await run('umount', [node.dir]);
  for (const name of readdirSync(node.dir)) rmSync(join(node.dir, name), { recursive: true });
  cpSync(aside, node.dir, { recursive: true });
  rmSync(aside, { recursive: true });
  await node.restart();
}

/**
 * What somebody has to do when a disk was full: Redis 7.0 cuts a half-written command off at the wrong place once the file has been
 * rewritten before, and a node does not start on such a file again. A new one is written from memory.
 */
async function rewrite(world: World, node: RedisPart): Promise<void> {
  if (!node.running) return;
  await world.command(node, 'BGREWRITEAOF');
  await until('the append-only file was written anew', CHANGE_MS, async () => {
    const [running, scheduled, last] = await Promise.all(
      ['aof_rewrite_in_progress', 'aof_rewrite_scheduled', 'aof_last_bgrewrite_status'].map((field) =>
        info(world, node, 'persistence', field),
      ),
    );
    return running === '0' && scheduled === '0' && last === 'ok';
  });
}

async function takeOver(world: World, replica: RedisPart): Promise<void> {
  await world.command(replica, 'CLUSTER', 'FAILOVER');
  await until(
    `${replica.name} took over`,
    CHANGE_MS,
    async () => (await info(world, replica, 'replication', 'role')) === 'master',
  );
}
