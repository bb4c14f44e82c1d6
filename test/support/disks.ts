/** Redis nodes whose disks are not written to on demand, and that lose what was not synced when the power goes. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../stack/project.js';
import type { RedisCluster, RedisNode } from '../../stack/redis-cluster.js';
import { withAdmin } from '../../stack/redis-form.js';

const COMPILE_MS = 20_000;

/** Why there can be no such nodes on this machine. */
export function noDisks(): string | undefined {
  const can = process.platform === 'linux' && spawnSync('cc', ['--version'], { timeout: COMPILE_MS }).status === 0;
  return can ? undefined : 'a disk is told by a small C library for Linux, and there is no C compiler (cc)';
}

/** Starts every node of the cluster again, with a disk of ours. `dir` is for the library. */
export async function withDisks(cluster: RedisCluster, dir: string): Promise<void> {
  const shim = join(dir, 'sync-shim.so');
  const source = join(projectRoot(), 'test/support/sync-shim.c');
  const made = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', shim, source, '-ldl'], { timeout: COMPILE_MS });
  if (made.status !== 0) throw new Error(`the disk's library does not compile: ${made.stderr.toString()}`);
  for (const node of cluster.nodes) node.kill('SIGKILL');
  await Promise.all(cluster.nodes.map(({ exited }) => exited));
  for (const node of cluster.nodes) await node.restart({ env: { ...process.env, LD_PRELOAD: shim } });
  await cluster.healthy();
}

/** From now on the node syncs nothing by itself. (One fsync may be under way.) */
export function stopSyncing(node: RedisNode): Promise<unknown> {
  return withAdmin(node.port, (client) => client.config('SET', 'appendfsync', 'no'));
}

export function syncAgain(node: RedisNode): Promise<unknown> {
  return withAdmin(node.port, (client) => client.config('SET', 'appendfsync', 'everysec'));
}

/** The power fails: all processes end at once, and files end where their disks had them. Returns how many bytes are gone. */
export async function losePower(nodes: readonly RedisNode[]): Promise<number> {
  for (const node of nodes) node.kill('SIGKILL');
  await Promise.all(nodes.map(({ exited }) => exited));
  let lost = 0;
  for (const node of nodes) {
    const dir = join(node.dir, 'appendonlydir');
    for (const name of readdirSync(dir).filter((file) => file.endsWith('.incr.aof'))) {
      const file = join(dir, name);
      const has = existsSync(`${file}.synced`) ? Number(readFileSync(`${file}.synced`, 'utf8')) : 0;
      lost += statSync(file).size - has;
      truncateSync(file, has);
    }
  }
  return lost;
}
