import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, portIsFree } from './ports.js';
import { type ManagedProcess, spawnManaged, sweep } from './processes.js';
import { projectRoot } from './project.js';
import { findRedis, type RedisBinary } from './redis-binary.js';
import { formCluster, type NodePorts, type NodeView, until, viewFrom, waitHealthy, withAdmin } from './redis-form.js';

export interface RedisClusterOptions {
  /** Holds one folder a node, logs, pid files and `cluster.json` (the ports). An existing one is started again with its data. */
  dir: string;
  masters?: number;
  replicasPerMaster?: number;
  /** Server program; else HOLDFAST_REDIS_SERVER, redis-server, valkey-server. */
  binary?: RedisBinary;
  /** Settings that differ from redis.conf, e.g. `{'enable-debug-command': 'local'}`. */
  conf?: Record<string, string>;
  logDir?: string;
  /** Throw-away clusters die by SIGKILL and do not wait for the disk. */
  disposable?: boolean;
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

export interface RedisCluster {
  readonly nodes: readonly RedisNode[];
  readonly startupNodes: { host: string; port: number }[];
  /** Comma-separated `redis://host:port`, the form of HOLDFAST_REDIS_URL. */
  readonly url: string;
  /** Asks the cluster for the present roles. */
  refresh(): Promise<void>;
  /**
   * After the death of a node: resolves when it may come back without taking from others what they have. A master that returns
   * before its replica took over is the master again, on its append-only file, whose last moments may be missing; the replica, which
   * has them, would copy that. Resolves at once when no replica of it runs, and after `timeoutMs` in any case.
   */
  mayReturn(node: RedisNode, timeoutMs?: number): Promise<void>;
  /** Resolves when all slots are served and all replicas follow. */
  healthy(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

interface SavedCluster {
  masters: number;
  nodes: NodePorts[];
}

const START_ATTEMPTS = 5;

/** Starts a real Redis Cluster on free ports, or starts an existing one again on its ports and data. */
export async function startRedisCluster(options: RedisClusterOptions): Promise<RedisCluster> {
  const stateFile = join(options.dir, 'cluster.json');
  mkdirSync(options.dir, { recursive: true });
  await sweep(join(options.dir, 'run'));
  if (existsSync(stateFile)) {
    const saved = JSON.parse(readFileSync(stateFile, 'utf8')) as SavedCluster;
    await refuseTakenPorts(saved);
    return launch(options, saved);
  }
  const masters = options.masters ?? 3;
  const count = masters * (1 + (options.replicasPerMaster ?? 1));
  if (!Number.isInteger(masters) || masters < 1 || !Number.isInteger(count) || count > 64)
    throw new Error(`A cluster of ${masters} masters and ${count} nodes cannot be started: 1 to 64 nodes.`);
  let last: unknown;
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
    const ports = await freePorts(count * 2);
    const saved: SavedCluster = {
      masters,
      nodes: Array.from({ length: count }, (_, i) => ({ port: ports[i]!, busPort: ports[count + i]! })),
    };
    try {
      const cluster = await launch(options, saved, true);
      // Only now: a half-formed cluster must not look like one that has data.
      writeFileSync(stateFile, JSON.stringify(saved, null, 2));
      return cluster;
    } catch (error) {
      last = error;
      if (!(error instanceof PortTaken)) throw error;
    }
  }
  throw last;
}

class PortTaken extends Error {}

async function refuseTakenPorts(saved: SavedCluster): Promise<void> {
  for (const { port, busPort } of saved.nodes)
    for (const wanted of [port, busPort])
      if (!(await portIsFree(wanted)))
        throw new Error(
          `Port ${wanted} belongs to this Redis cluster but another program is listening on it. ` +
            'Stop that program, or start with another --data folder.',
        );
}

async function launch(options: RedisClusterOptions, saved: SavedCluster, fresh = false): Promise<RedisCluster> {
  const binary = options.binary ?? findRedis();
  const nodes = saved.nodes.map((ports) => new Node(options, binary, ports.port, ports.busPort));
  const ports = nodes.map((node) => node.port);
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  const refresh = async () => {
    for (const node of nodes) if (node.running) return applyView(nodes, await viewFrom(node.port));
  };
  try {
    await Promise.all(nodes.map((node) => node.start(fresh)));
    if (fresh) await formCluster(saved.nodes, saved.masters);
    await waitHealthy(ports);
    await refresh();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    startupNodes: ports.map((port) => ({ host: '127.0.0.1', port })),
    url: ports.map((port) => `redis://127.0.0.1:${port}`).join(','),
    refresh,
    mayReturn: (node, timeoutMs = TAKE_OVER_MS) => mayReturn(nodes, node, timeoutMs),
    healthy: async (timeoutMs) => {
      await waitHealthy(ports, timeoutMs);
      await refresh();
    },
    stop,
  };
}

function applyView(nodes: Node[], view: NodeView[]): void {
  for (const node of nodes) {
    const seen = view.find((other) => other.port === node.port);
    if (!seen) continue;
    node.role = seen.role;
    node.id = seen.id;
  }
}

/** A replica notices after `cluster-node-timeout` (5 s) and is elected within a second or two. */
const TAKE_OVER_MS = 15_000;

async function mayReturn(nodes: readonly Node[], dead: RedisNode, timeoutMs: number): Promise<void> {
  await until('no replica took over', timeoutMs, async () => {
    for (const { running, port } of nodes) {
      if (!running) continue;
      const view = await viewFrom(port).catch(() => []);
      const seen = view.find((other) => other.port === dead.port);
      if (!seen) continue;
      const heir = view.find(
        ({ masterId, port }) => masterId === seen.id && nodes.find((n) => n.port === port)?.running,
      );
      return seen.role === 'replica' || seen.slots === 0 || !heir ? undefined : 'it still owns its slots';
    }
    return undefined;
  }).catch(() => undefined);
}

class Node implements RedisNode {
  readonly dir: string;
  role: 'master' | 'replica' = 'master';
  id = '';
  private process: ManagedProcess | undefined;

  constructor(
    private readonly options: RedisClusterOptions,
    private readonly binary: RedisBinary,
    readonly port: number,
    private readonly busPort: number,
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
    writeFileSync(confFile, this.conf());
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

  private conf(): string {
    const quoted = (value: string) => (/[\s"']/.test(value) ? JSON.stringify(value) : value);
    const settings: Record<string, string> = {
      port: String(this.port),
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
      return withAdmin(this.port, async (client) => ((await client.ping()) === 'PONG' ? undefined : 'no PONG'));
    });
    if (!ended) return;
    const tail = lastLines(logFile, 6);
    if (/Address already in use|Could not create server TCP listening/i.test(tail))
      throw new PortTaken(`Port ${this.port} or ${this.busPort} was taken while Redis started.`);
    throw new Error(`The Redis node on port ${this.port} ended while starting. Last lines of ${logFile}:\n${tail}`);
  }
}

function lastLines(file: string, count: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '(no log)';
  }
}
