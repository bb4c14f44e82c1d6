/** One Redis server of a cluster on this machine: its configuration, its start, its end. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ManagedProcess, spawnManaged } from './processes.js';
import { projectRoot } from './project.js';
import { knowsWaitaof, type RedisBinary } from './redis-binary.js';
import { type AdminAccess, until, withAdmin } from './redis-form.js';
import { aclLines, type RedisPasswords, redisUser } from './redis-users.js';

/** Who may log in, and as whom. */
export interface RedisUsers {
  readonly passwords: RedisPasswords;
  /** Of the installation: keys and channels begin with it. */
  readonly prefix: string;
}

/** Files (PEM) of a certificate and of who signed it; the nodes use it towards clients and among themselves. */
export interface RedisTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface RedisNodeOptions {
  /** Holds one folder a node, logs and pid files. */
  dir: string;
  /** Settings that differ from redis.conf, e.g. `{'enable-debug-command': 'local'}`. */
  conf?: Record<string, string>;
  logDir?: string;
  /** Throw-away clusters die by SIGKILL and do not wait for the disk. */
  disposable?: boolean;
  /** Only these may log in; without it everybody may do everything. */
  users?: RedisUsers;
  /** Only TLS, on the same ports. */
  tls?: RedisTls;
}

export interface RedisNode {
  readonly port: number;
  readonly dir: string;
  readonly pid: number;
  readonly running: boolean;
  /** As of the last look at the cluster (start, restart, `refresh()`): a failover changes it. */
  readonly role: 'master' | 'replica';
  readonly id: string;
  /** Sends a signal and does not wait; after SIGKILL or SIGTERM `exited` settles. */
  kill(sig?: NodeJS.Signals): void;
  readonly exited: Promise<unknown>;
  /**
   * Starts the node again on its folder (ends it first when it runs) and waits until it answers.
   * Refuses when the folder lost its append-only file: an empty master would wipe its replicas (`allowEmpty` overrides).
   */
  restart(options?: RestartOptions): Promise<void>;
}

export interface RestartOptions {
  allowEmpty?: boolean;
  /** Environment of the new process, for this start only; default: ours. */
  env?: NodeJS.ProcessEnv;
}

export class PortTaken extends Error {}

export class Node implements RedisNode {
  readonly dir: string;
  role: 'master' | 'replica' = 'master';
  id = '';
  private process: ManagedProcess | undefined;

  constructor(
    private readonly options: RedisNodeOptions,
    private readonly binary: RedisBinary,
    readonly port: number,
    private readonly busPort: number,
    private readonly access: AdminAccess,
  ) {
    this.dir = join(options.dir, `node-${port}`);
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

  kill(sig: NodeJS.Signals = 'SIGKILL'): void {
    this.process?.kill(sig);
  }

  async stop(): Promise<void> {
    // A node that a test has frozen would not see SIGTERM.
    this.process?.kill('SIGCONT');
    await this.process?.stop({ signal: this.options.disposable ? 'SIGKILL' : 'SIGTERM' });
  }

  async restart({ allowEmpty = false, env }: RestartOptions = {}): Promise<void> {
    await this.stop();
    await this.start(allowEmpty, env);
  }

  async start(allowEmpty = false, env?: NodeJS.ProcessEnv): Promise<void> {
    if (!allowEmpty && !existsSync(join(this.dir, 'appendonlydir')))
      throw new Error(
        `The Redis node on port ${this.port} lost its append-only file (${this.dir}/appendonlydir is missing). ` +
          'Started empty it would wipe its replicas; it is not started.',
      );
    mkdirSync(this.dir, { recursive: true });
    const confFile = join(this.dir, 'redis.conf');
    // Both may hold passwords: the one of the replicas, and hashes of all.
    const aclFile = this.writeUsers();
    writeSecret(confFile, this.conf(aclFile));
    const logFile = join(this.options.logDir ?? join(this.options.dir, 'logs'), `redis-${this.port}.log`);
    this.process = await spawnManaged({
      name: `redis-${this.port}`,
      command: this.binary.command,
      args: [confFile],
      runDir: join(this.options.dir, 'run'),
      logFile,
      env,
      stopSignal: 'SIGTERM',
      orphanSignal: this.options.disposable ? 'SIGKILL' : 'SIGTERM',
    });
    await this.answering(logFile);
  }

  private writeUsers(): string | undefined {
    const { users } = this.options;
    if (!users) return undefined;
    const file = join(this.dir, 'users.acl');
    writeSecret(file, `${aclLines(users.prefix, users.passwords, knowsWaitaof(this.binary)).join('\n')}\n`);
    return file;
  }

  private conf(aclFile: string | undefined): string {
    const { users, tls } = this.options;
    const quoted = (value: string) => (/[\s"']/.test(value) ? JSON.stringify(value) : value);
    const settings: Record<string, string> = {
      ...(tls ? { port: '0', 'tls-port': String(this.port), ...tlsSettings(tls) } : { port: String(this.port) }),
      ...(aclFile ? { aclfile: aclFile } : {}),
      ...(users ? { masteruser: redisUser('replica'), masterauth: users.passwords.replica } : {}),
      'cluster-port': String(this.busPort),
      // A node that has met no other does not know its own address.
      'cluster-announce-ip': '127.0.0.1',
      dir: this.dir,
      ...this.options.conf,
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key} ${quoted(value)}`);
    return `# Written at every start; the settings themselves are in the included file.\ninclude ${quoted(
      join(projectRoot(), 'redis.conf'),
    )}\n${lines.join('\n')}\n`;
  }

  /** Waits until the node answers; it may be loading a large file, but it must not have ended. */
  private async answering(logFile: string): Promise<void> {
    const process = this.process!;
    let ended = false;
    void process.exited.then(() => (ended = true));
    await until(`The Redis node on port ${this.port} does not answer`, 60_000, async () => {
      if (ended) return undefined;
      const answer = await withAdmin(this.port, (client) => client.ping(), this.access);
      return answer === 'PONG' ? undefined : 'no PONG';
    });
    if (!ended) return;
    const tail = lastLines(logFile, 6);
    if (/Address already in use|Could not create server TCP listening/i.test(tail))
      throw new PortTaken(`Port ${this.port} or ${this.busPort} was taken while Redis started.`);
    throw new Error(`The Redis node on port ${this.port} ended while starting. Last lines of ${logFile}:\n${tail}`);
  }
}

function tlsSettings({ ca, cert, key }: RedisTls): Record<string, string> {
  return {
    'tls-ca-cert-file': ca,
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-cluster': 'yes',
    'tls-replication': 'yes',
    // Clients show who they are by user and password; one that has a certificate as well is checked.
    'tls-auth-clients': 'optional',
  };
}

/** A file of an older start keeps its mode when it is written: so it is made anew. */
function writeSecret(file: string, text: string): void {
  rmSync(file, { force: true });
  writeFileSync(file, text, { mode: 0o600 });
}

function lastLines(file: string, count: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '(no log)';
  }
}
