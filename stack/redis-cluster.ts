import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, portIsFree } from './ports.js';
import { sweep } from './processes.js';
import { findRedis, type RedisBinary } from './redis-binary.js';
import {
  type AdminAccess,
  formCluster,
  type NodePorts,
  type NodeView,
  until,
  viewFrom,
  waitHealthy,
} from './redis-form.js';
import { Node, PortTaken, type RedisNode, type RedisNodeOptions } from './redis-node.js';
import { type RedisRole, redisUser } from './redis-users.js';

export type { RedisNode, RestartOptions, RedisTls, RedisUsers } from './redis-node.js';

export interface RedisClusterOptions extends RedisNodeOptions {
  masters?: number;
  replicasPerMaster?: number;
  /** Server program; else HOLDFAST_REDIS_SERVER, redis-server, valkey-server. */
  binary?: RedisBinary;
}

export interface RedisCluster {
  readonly nodes: readonly RedisNode[];
  readonly startupNodes: { host: string; port: number }[];
  /** Comma-separated `redis://host:port`, the form of HOLDFAST_REDIS_URL. With users it logs in as the one of `admin`. */
  readonly url: string;
  /** The same for another role; without users there is only one URL. */
  urlFor(role: RedisRole): string;
  /** How to log in as `admin`, for `withAdmin`. */
  readonly access: AdminAccess;
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
  const access = accessOf(options);
  const nodes = saved.nodes.map((ports) => new Node(options, binary, ports.port, ports.busPort, access));
  const ports = nodes.map((node) => node.port);
  const urlFor = (role: RedisRole) => ports.map((port) => addressOf(options, role, port)).join(',');
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  const refresh = async () => {
    for (const node of nodes) if (node.running) return applyView(nodes, await viewFrom(node.port, access));
  };
  try {
    await Promise.all(nodes.map((node) => node.start(fresh)));
    if (fresh) await formCluster(saved.nodes, saved.masters, access);
    await waitHealthy(ports, undefined, access);
    await refresh();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    startupNodes: ports.map((port) => ({ host: '127.0.0.1', port })),
    url: urlFor('admin'),
    urlFor,
    access,
    refresh,
    mayReturn: (node, timeoutMs = TAKE_OVER_MS) => mayReturn(nodes, access, node, timeoutMs),
    healthy: async (timeoutMs) => {
      await waitHealthy(ports, timeoutMs, access);
      await refresh();
    },
    stop,
  };
}

function accessOf({ users, tls }: RedisClusterOptions): AdminAccess {
  return {
    ...(users ? { username: redisUser('admin'), password: users.passwords.admin } : {}),
    ...(tls ? { tls: { ca: readFileSync(tls.ca) } } : {}),
  };
}

function addressOf({ users, tls }: RedisClusterOptions, role: RedisRole, port: number): string {
  const login = users ? `${redisUser(role)}:${users.passwords[role]}@` : '';
  const trust = tls ? `?sslrootcert=${encodeURIComponent(tls.ca)}` : '';
  return `${tls ? 'rediss' : 'redis'}://${login}127.0.0.1:${port}${trust}`;
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

async function mayReturn(
  nodes: readonly Node[],
  access: AdminAccess,
  dead: RedisNode,
  timeoutMs: number,
): Promise<void> {
  await until('no replica took over', timeoutMs, async () => {
    for (const { running, port } of nodes) {
      if (!running) continue;
      const view = await viewFrom(port, access).catch(() => []);
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
