import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import pc from 'picocolors';
import { portIsFree } from '../stack/ports.js';
import { findPostgres } from '../stack/postgres-binaries.js';
import { hasSetpriv } from '../stack/processes.js';
import { findRedis } from '../stack/redis-binary.js';
import { runningState } from '../stack/state.js';

/** What one look found. `problem` stops Holdfast from working, `advice` makes it work worse than it could. */
interface Finding {
  what: string;
  problem?: string;
  advice?: string;
  detail?: string;
}

type Check = () => Finding | Promise<Finding>;

const GIGABYTE = 2 ** 30;
const LEAST_DISK = 2 * GIGABYTE;
const LEAST_FILES = 4_096;
const DEFAULT_PORT = 8_080;
const REACH_MS = 5_000;

/** Looks at machine and configuration, prints each finding with what to do; resolves with whether nothing is broken. */
export async function doctor(dataDir: string): Promise<boolean> {
  const checks: [string, Check][] = [
    ['Node.js', checkNode],
    ['Redis', checkRedis],
    ['Postgres', checkPostgres],
    ['uWebSockets.js', checkUws],
    ['memory overcommit', checkOvercommit],
    ['open files', checkFiles],
    ['disk space', () => checkDisk(dataDir)],
    ['port', () => checkPort(dataDir)],
    ['child processes', checkSetpriv],
    ['HOLDFAST_REDIS_URL', checkRedisUrl],
    ['HOLDFAST_DATABASE_URL', checkDatabaseUrl],
  ];
  let well = true;
  for (const [what, check] of checks) {
    let finding: Finding;
    try {
      finding = await check();
    } catch (error) {
      finding = { what, problem: (error as Error).message };
    }
    well &&= finding.problem === undefined;
    print(finding);
  }
  return well;
}

function print({ what, problem, advice, detail }: Finding): void {
  const mark = problem ? pc.red('✖') : advice ? pc.yellow('!') : pc.green('✔');
  process.stdout.write(`${mark} ${what.padEnd(22)} ${detail ?? ''}\n`);
  if (problem ?? advice) process.stdout.write(`    ${problem ?? advice}\n`);
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const what = 'Node.js';
  const detail = process.version;
  if (major < 20 || (major === 20 && minor < 11)) return { what, detail, problem: 'Install Node.js 20.11 or newer.' };
  return { what, detail };
}

function checkRedis(): Finding {
  const { product, version, command } = findRedis();
  return { what: 'Redis', detail: `${product} ${version} (${command})` };
}

function checkPostgres(): Finding {
  const { postgres } = findPostgres();
  const version = execFileSync(postgres, ['--version'], { encoding: 'utf8', timeout: 10_000 }).trim();
  return { what: 'Postgres', detail: `${version}, from npm` };
}

async function checkUws(): Promise<Finding> {
  const what = 'uWebSockets.js';
  try {
    await import('uWebSockets.js');
    return { what, detail: 'loads' };
  } catch (error) {
    return {
      what,
      problem:
        `It has no build for Node.js ${process.versions.node} on ${process.platform}-${process.arch} ` +
        `(${(error as Error).message.split('\n')[0]}). Use Node.js 20, or see the README for newer builds.`,
    };
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function checkOvercommit(): Finding {
  const what = 'memory overcommit';
  const value = readProc('/proc/sys/vm/overcommit_memory');
  if (value === undefined) return { what, detail: 'not applicable here' };
  if (value === '1') return { what, detail: 'vm.overcommit_memory = 1' };
  return {
    what,
    detail: `vm.overcommit_memory = ${value}`,
    advice:
      'When memory is short, Redis may fail to rewrite its append-only file. Better: sysctl vm.overcommit_memory=1',
  };
}

function checkFiles(): Finding {
  const what = 'open files';
  const line = readProc('/proc/self/limits')
    ?.split('\n')
    .find((entry) => entry.startsWith('Max open files'));
  const text = line?.trim().split(/\s{2,}/)[1];
  if (text === undefined) return { what, detail: 'not applicable here' };
  const limit = text === 'unlimited' ? Infinity : Number(text);
  if (limit >= LEAST_FILES) return { what, detail: `limit ${text}` };
  return {
    what,
    detail: `limit ${text}`,
    advice: `Each connection needs one; thousands of buyers need more than ${limit}. Raise it: ulimit -n 65536`,
  };
}

function checkDisk(dataDir: string): Finding {
  const what = 'disk space';
  let dir = dataDir;
  while (!existsSync(dir)) dir = dirname(dir);
  const { bavail, bsize } = statfsSync(dir);
  const free = bavail * bsize;
  const detail = `${(free / GIGABYTE).toFixed(1)} GB free for ${dataDir}`;
  if (free < LEAST_DISK)
    return { what, detail, problem: 'At least 2 GB are needed. Free some, or choose another folder by --data.' };
  return { what, detail };
}

async function checkPort(dataDir: string): Promise<Finding> {
  const what = 'port';
  const state = runningState(dataDir);
  if (state) return { what, detail: `${state.port}, in use by the running stack` };
  if (await portIsFree(DEFAULT_PORT)) return { what, detail: `${DEFAULT_PORT} is free` };
  return {
    what,
    detail: `${DEFAULT_PORT}`,
    advice: 'Another program uses it: start with ./holdfast up --port 8081 or so.',
  };
}

function checkSetpriv(): Finding {
  const what = 'child processes';
  if (hasSetpriv()) return { what, detail: 'end with their parent, whatever happens to it' };
  return {
    what,
    detail: 'may outlive a parent that is killed',
    advice: 'They are ended at the next start or by ./holdfast down. On Linux, util-linux (setpriv) closes this gap.',
  };
}

async function checkRedisUrl(): Promise<Finding> {
  const what = 'HOLDFAST_REDIS_URL';
  const url = process.env.HOLDFAST_REDIS_URL;
  if (!url) return { what, detail: 'not set: up starts a cluster of its own' };
  const { Redis } = await import('ioredis');
  const { parseAddress } = await import('../engine/redis/address.js');
  const { seeds, access } = parseAddress(url);
  const findings: string[] = [];
  for (const { host, port } of seeds) {
    // No URL: it may have a password in it.
    const part = `${host}:${port}`;
    const client = new Redis({
      ...access,
      host,
      port,
      disableClientInfo: true,
      lazyConnect: true,
      connectTimeout: REACH_MS,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const policy = /maxmemory_policy:(\S+)/.exec(await client.info('memory'))?.[1];
      if (policy !== 'noeviction')
        findings.push(`${part}: maxmemory-policy is ${policy}; set it to noeviction, or sold stock is forgotten.`);
      const info = await client.info('cluster');
      if (!info.includes('cluster_enabled:1')) findings.push(`${part}: cluster mode is off; set cluster-enabled yes.`);
      else if (!(await client.cluster('INFO')).includes('cluster_state:ok'))
        findings.push(`${part}: the cluster's state is not ok.`);
    } catch (error) {
      findings.push(`${part}: cannot be reached (${(error as Error).message}).`);
    } finally {
      client.disconnect();
    }
  }
  return findings.length > 0
    ? { what, problem: findings.join('\n    ') }
    : { what, detail: 'reachable, a cluster, noeviction' };
}

async function checkDatabaseUrl(): Promise<Finding> {
  const what = 'HOLDFAST_DATABASE_URL';
  const url = process.env.HOLDFAST_DATABASE_URL;
  if (!url) return { what, detail: 'not set: up starts a Postgres of its own' };
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: REACH_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; commit: string; fsync: string }>(
      `select current_setting('server_version') as version, current_setting('synchronous_commit') as commit,
              current_setting('fsync') as fsync`,
    );
    const { version, commit, fsync } = rows[0]!;
    const detail = `Postgres ${version}`;
    if (commit === 'off' || fsync === 'off')
      return {
        what,
        detail,
        advice: `synchronous_commit is ${commit}, fsync is ${fsync}: what is acknowledged as durable may be lost.`,
      };
    return { what, detail };
  } catch (error) {
    return { what, problem: `It cannot be reached: ${(error as Error).message}` };
  } finally {
    await client.end().catch(() => undefined);
  }
}
