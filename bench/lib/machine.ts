/** Where the numbers come from. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem, loadavg } from 'node:os';
import { findRedis } from '../../stack/redis-binary.js';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly redis: string;
  readonly redisPersistence: string;
  readonly postgres: string;
  readonly commit: string;
  /** Load average of the last minute before the first benchmark: what else was going on. */
  readonly loadBefore: number;
}

export function describeMachine(root: string): Machine {
  const redis = findRedis();
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    redis: `${redis.product} ${redis.version}`,
    redisPersistence: 'append-only file, appendfsync everysec',
    postgres: 'embedded, fsync and synchronous_commit on',
    commit: commit(root),
    loadBefore: loadavg()[0] ?? 0,
  };
}

function commit(root: string): string {
  try {
    return execFileSync('git', ['-C', root, 'rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch {
    return 'unknown';
  }
}
