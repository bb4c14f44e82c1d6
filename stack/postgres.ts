import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { stampOf } from './identity.js';
import { freePort, portIsFree } from './ports.js';
import { hasSetpriv, type ManagedProcess, spawnManaged, sweep } from './processes.js';
import { findPostgres, type PostgresBinaries, postgresUser, type RunAs } from './postgres-binaries.js';
import { DISPOSABLE, SETTINGS } from './postgres-settings.js';
import { until } from './redis-form.js';

export interface PostgresOptions {
  /** Holds `data`, the log, the pid file and `postgres.json` (port and password). An existing one is started again. */
  dir: string;
  logDir?: string;
  /** Name of the database that `url` points to; created when missing. */
  database?: string;
  /** Throw-away server: no fsync, killed at the end. Never for tests about surviving a crash. */
  disposable?: boolean;
  /** More settings, e.g. `{'log_statement': 'all'}`. */
  settings?: Record<string, string>;
}

export interface Postgres {
  readonly port: number;
  readonly pid: number;
  readonly dir: string;
  readonly running: boolean;
  /** The form of HOLDFAST_DATABASE_URL. The user is a superuser of this server, which only this machine can reach. */
  readonly url: string;
  urlFor(database: string): string;
  kill(sig?: NodeJS.Signals): void;
  readonly exited: Promise<unknown>;
  /** Starts it again on its data (ends it first when it runs), also after SIGKILL. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface Saved {
  port: number;
  password: string;
}

const USER = 'holdfast';
const START_ATTEMPTS = 5;

/** Starts Postgres on a free port (or again on its old one with its data) and creates the database when missing. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  mkdirSync(options.dir, { recursive: true });
  await sweep(join(options.dir, 'run'));
  const server = new Server(options);
  await server.prepare();
  await server.start();
  try {
    await server.ensureDatabase(options.database ?? 'holdfast');
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class Server implements Postgres {
  readonly dir: string;
  private readonly dataDir: string;
  private readonly stateFile: string;
  private readonly logFile: string;
  private readonly binaries: PostgresBinaries;
  private readonly runAs: RunAs;
  private saved: Saved = { port: 0, password: '' };
  private process: ManagedProcess | undefined;

  constructor(private readonly options: PostgresOptions) {
    this.dir = options.dir;
    this.dataDir = join(options.dir, 'data');
    this.stateFile = join(options.dir, 'postgres.json');
    this.logFile = join(options.logDir ?? join(options.dir, 'logs'), 'postgres.log');
    this.binaries = findPostgres();
    this.runAs = postgresUser([this.binaries.postgres, this.dataDir]);
  }

  get port(): number {
    return this.saved.port;
  }

  get pid(): number {
    return this.process?.pid ?? 0;
  }

  get running(): boolean {
    return this.process?.running ?? false;
  }

  get exited(): Promise<unknown> {
    return this.process?.exited ?? Promise.resolve();
  }

  get url(): string {
    return this.urlFor(this.options.database ?? 'holdfast');
  }

  urlFor(database: string): string {
    return `postgres://${USER}:${this.saved.password}@127.0.0.1:${this.saved.port}/${database}`;
  }

  kill(sig: NodeJS.Signals = 'SIGKILL'): void {
    this.process?.kill(sig);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    this.process?.kill('SIGCONT');
    // SIGINT ends sessions and writes a checkpoint; SIGQUIT leaves at once but still frees the shared memory.
    await this.process?.stop({ signal: this.options.disposable ? 'SIGQUIT' : 'SIGINT', graceMs: 30_000 });
  }

  /** Makes the data folder on the first start, else reads port and password. */
  async prepare(): Promise<void> {
    if (existsSync(this.stateFile)) {
      this.saved = JSON.parse(readFileSync(this.stateFile, 'utf8')) as Saved;
      if (!(await portIsFree(this.saved.port)))
        throw new Error(
          `Port ${this.saved.port} belongs to this Postgres but another program is listening on it. ` +
            'Stop that program, or start with another --data folder.',
        );
      return;
    }
    this.saved = { port: await freePort(), password: randomBytes(18).toString('hex') };
    // What an interrupted first start left is not a database yet.
    const making = `${this.dataDir}.new`;
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { mode: 0o700 });
    if (this.runAs.uid !== undefined) chownSync(making, this.runAs.uid, this.runAs.gid!);
    await this.initdb(making);
    renameSync(making, this.dataDir);
    this.save();
  }

  private save(): void {
    writeFileSync(this.stateFile, JSON.stringify(this.saved, null, 2), { mode: 0o600 });
  }

  private async initdb(dataDir: string): Promise<void> {
    const passwordFile = join(dataDir, '..', 'password');
    writeFileSync(passwordFile, this.saved.password, { mode: 0o600 });
    if (this.runAs.uid !== undefined) chownSync(passwordFile, this.runAs.uid, this.runAs.gid!);
    const args = [`--pgdata=${dataDir}`, `--username=${USER}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    // The built-in locale is the same on every machine, whatever locales are installed there.
    args.push('--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C');
    if (this.options.disposable) args.push('--no-sync', '--no-data-checksums');
    const { command, args: wrapped, ...user } = asUser(this.runAs, this.binaries.initdb, args);
    try {
      await promisify(execFile)(command, wrapped, { ...user, timeout: 120_000, env: postgresEnv() });
    } catch (error) {
      const { stderr = '', message } = error as { stderr?: string; message: string };
      throw new Error(`Postgres cannot make its data folder ${dataDir}: ${stderr.trim() || message}`);
    } finally {
      rmSync(passwordFile, { force: true });
    }
  }

  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.clearStaleLock();
      const settings = { ...SETTINGS, ...(this.options.disposable ? DISPOSABLE : {}), ...this.options.settings };
      const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
      this.process = await spawnManaged({
        name: 'postgres',
        command: this.binaries.postgres,
        args: ['-D', this.dataDir, '-p', String(this.port), ...flags],
        env: postgresEnv(),
        runDir: join(this.dir, 'run'),
        logFile: this.logFile,
        stopSignal: 'SIGINT',
        orphanSignal: this.options.disposable ? 'SIGQUIT' : 'SIGINT',
        ...this.runAs,
      });
      const problem = await this.answering();
      if (problem === undefined) return;
      // On the very first start the port is ours to choose again.
      const taken = /could not bind|Address already in use/.test(problem);
      const firstStart = !existsSync(join(this.dir, 'started'));
      if (!taken || !firstStart || attempt >= START_ATTEMPTS)
        throw new Error(`Postgres ended while starting. Last lines of ${this.logFile}:\n${problem}`);
      this.saved.port = await freePort();
      this.save();
    }
  }

  /** Waits until it accepts connections (recovery after a crash included); the end of the log when it ended instead. */
  private async answering(): Promise<string | undefined> {
    let ended = false;
    void this.process!.exited.then(() => (ended = true));
    await until('Postgres does not answer', 120_000, async () => {
      if (ended) return undefined;
      const client = new pg.Client({ connectionString: this.urlFor('postgres'), connectionTimeoutMillis: 5_000 });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await client.query('select 1');
        return undefined;
      } finally {
        await client.end().catch(() => undefined);
      }
    });
    if (ended) return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
    writeFileSync(join(this.dir, 'started'), '');
    return undefined;
  }

  async ensureDatabase(name: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.urlFor('postgres') });
    await client.connect();
    try {
      const found = await client.query('select 1 from pg_database where datname = $1', [name]);
      if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
    } finally {
      await client.end();
    }
  }

  /**
   * After SIGKILL the lock file stays. Postgres itself clears it unless some process has that number by now, and containers hand
   * out the same small numbers again and again. So: if that process does not work in this data folder, the file is stale.
   * Sessions of a killed server end by themselves; they are waited for.
   */
  private async clearStaleLock(): Promise<void> {
    const lock = join(this.dataDir, 'postmaster.pid');
    if (!existsSync(lock)) return;
    const pid = Number(readFileSync(lock, 'utf8').split('\n')[0]);
    await until(`Another Postgres (process ${pid}) is using ${this.dataDir}`, 10_000, async () =>
      worksIn(pid, this.dataDir) ? 'it still runs' : undefined,
    );
    rmSync(lock, { force: true });
  }
}

function worksIn(pid: number, dir: string): boolean {
  if (stampOf(pid) === undefined) return false;
  if (process.platform !== 'linux') return true;
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === dir;
  } catch {
    return false;
  }
}

/** Settings of some other Postgres in the environment (PGDATA, PGPORT …) must not reach this one. */
function postgresEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries({ ...process.env, LC_ALL: 'C', TZ: 'UTC' }).filter(([key]) => !key.startsWith('PG')),
  );
}

function asUser(user: RunAs, command: string, args: string[]) {
  if (!user.setprivFlags) return { command, args, uid: user.uid, gid: user.gid };
  if (!hasSetpriv())
    throw new Error(
      'The user `postgres` may not enter this folder. Install setpriv (package util-linux), or move the project, e.g. to /opt.',
    );
  const flags = ['--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups', ...user.setprivFlags];
  return { command: 'setpriv', args: [...flags, '--', command, ...args], uid: undefined, gid: undefined };
}
