import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pc from 'picocolors';
import { identify } from '../../stack/identity.js';
import { type Postgres, startPostgres } from '../../stack/postgres.js';
import { onShutdown, runCleanups } from '../../stack/processes.js';
import { type RedisCluster, startRedisCluster } from '../../stack/redis-cluster.js';
import { claimTempDir, sweepTempDirs } from '../../stack/temp.js';
import { TEST_REDIS_CONF } from '../harness/settings.js';
import { type FileReport, runFile } from './file.js';
import { findTestFiles, type TestFile } from './files.js';
import { printFile, printSummary } from './report.js';

export interface RunOptions {
  /** Only files whose name contains one of these; all when empty. */
  filter: string[];
  /** Files at the same time. */
  jobs: number;
}

/** Runs the tests on one Redis Cluster and one Postgres for the whole run; resolves with the exit code. */
export async function runTests(options: RunOptions): Promise<number> {
  const files = findTestFiles(options.filter);
  if (files.length === 0) {
    console.error(`No test file's name contains ${options.filter.map((word) => `"${word}"`).join(' or ')}.`);
    return 1;
  }
  await sweepTempDirs();
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  // Postgres runs as a user of its own when we are root, and must be able to pass.
  chmodSync(dir, 0o755);
  claimTempDir(dir, identify(process.pid)!);
  onShutdown(async () => rmSync(dir, { recursive: true, force: true }));
  const startedAt = Date.now();
  try {
    // What test files leave behind when they are killed goes with this folder.
    const tmp = join(dir, 'tmp');
    mkdirSync(tmp);
    const env = { ...(await startServers(dir)), TMPDIR: tmp };
    const reports = await runAll(files, options.jobs, env, join(dir, 'output'));
    printSummary(reports, (Date.now() - startedAt) / 1000);
    return reports.some((report) => report.failed > 0) ? 1 : 0;
  } finally {
    await runCleanups();
  }
}

/** The shared servers, or the caller's own (HOLDFAST_REDIS_URL, HOLDFAST_DATABASE_URL); returns the environment for the files. */
async function startServers(dir: string): Promise<NodeJS.ProcessEnv> {
  const { HOLDFAST_REDIS_URL, HOLDFAST_DATABASE_URL, ...rest } = process.env;
  // What a developer has set for a stack of their own must not change how tests behave.
  const env = Object.fromEntries(Object.entries(rest).filter(([key]) => !isStackSetting(key)));
  const running: { redis?: RedisCluster; postgres?: Postgres } = {};
  onShutdown(async () => void (await Promise.all([running.redis?.stop(), running.postgres?.stop()])));
  console.log(pc.dim('starting a Redis Cluster (3 masters, 3 replicas) and Postgres for this run'));
  const [redisUrl, databaseUrl] = await Promise.all([
    HOLDFAST_REDIS_URL ||
      startRedisCluster({ dir: join(dir, 'redis'), conf: TEST_REDIS_CONF, disposable: true }).then((cluster) => {
        running.redis = cluster;
        return cluster.url;
      }),
    HOLDFAST_DATABASE_URL ||
      startPostgres({ dir: join(dir, 'postgres'), database: 'maintenance', disposable: true }).then((server) => {
        running.postgres = server;
        return server.url;
      }),
  ]);
  return { ...env, HOLDFAST_TEST_REDIS_URL: redisUrl, HOLDFAST_TEST_DATABASE_URL: databaseUrl };
}

function isStackSetting(key: string): boolean {
  return key.startsWith('HOLDFAST_') && key !== 'HOLDFAST_REDIS_SERVER' && !key.startsWith('HOLDFAST_TEST_');
}

/** When the run is interrupted, a test file has this long to end what it started. */
const INTERRUPT_MS = 15_000;

/** Runs the files, `jobs` at a time, those that want the machine for themselves last and one by one. */
async function runAll(files: TestFile[], jobs: number, env: NodeJS.ProcessEnv, logDir: string): Promise<FileReport[]> {
  mkdirSync(logDir, { recursive: true });
  const reports: FileReport[] = [];
  const running = new Map<Promise<FileReport>, (sig: NodeJS.Signals) => void>();
  let interrupted = false;
  onShutdown(async () => {
    interrupted = true;
    for (const kill of running.values()) kill('SIGTERM');
    const timer = setTimeout(() => {
      for (const kill of running.values()) kill('SIGKILL');
    }, INTERRUPT_MS);
    await Promise.allSettled(running.keys());
    clearTimeout(timer);
  });
  const drain = async (queue: TestFile[]) => {
    for (let file = queue.shift(); file && !interrupted; file = queue.shift()) {
      let kill: (sig: NodeJS.Signals) => void = () => undefined;
      const run = runFile(file, { env, logDir, onStart: (killFile) => (kill = killFile) });
      running.set(run, (sig) => kill(sig));
      const report = await run;
      running.delete(run);
      if (interrupted) return;
      reports.push(report);
      printFile(report);
    }
  };
  const together = files.filter((file) => !file.alone);
  await Promise.all(Array.from({ length: jobs }, () => drain(together)));
  await drain(files.filter((file) => file.alone));
  // No closing line for half a run: the process ends when the cleanups are done.
  if (interrupted) await new Promise(() => undefined);
  return reports;
}
