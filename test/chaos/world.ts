/**
 * A whole system for the nemesis to break: a Redis Cluster (3 masters, 3 replicas), Postgres, workers and HTTP servers, each a
 * process of its own in one folder. Everything that they say to each other passes proxies that live in this process: clients and
 * replicas reach a Redis node by its `client` link, other nodes by its `bus` link; each server and worker reaches Postgres by a link of its own.
 */
import type { RedisNode, RestartOptions } from '../../stack/redis-cluster.js';
import type { Damage, Link } from './world/link.js';

export type { Damage, Link, Peer } from './world/link.js';
export { type Rng } from './rng.js';
export { startWorld, type WorldOptions } from './world/start.js';

/** A process that can be killed, frozen and started again. */
export interface Part {
  /** `redis-1` … `redis-6`, `postgres`, `worker-1`, `server-1` … */
  readonly name: string;
  readonly pid: number;
  readonly running: boolean;
  /** Where it really listens: for the nemesis and the checker, which no proxy stands in front of. */
  readonly port: number;
  /** Its data (Redis, Postgres) or the folder of the system. */
  readonly dir: string;
  readonly exited: Promise<unknown>;
  /** Sends a signal and does not wait; SIGKILL by default. */
  kill(signal?: NodeJS.Signals): void;
  /** Starts it on its data, after ending it where it runs (SIGCONT and its ending signal first), until it answers. Harmless to repeat. */
  restart(options?: { allowEmpty?: boolean }): Promise<void>;
}

export interface RedisPart extends Part {
  /** Cluster node id; stays through restarts as long as nodes.conf does. */
  readonly id: string;
  readonly node: RedisNode;
  /** What clients and replicas pass; `link.port` is what the node announces as its own. */
  readonly client: Link;
  /** What the other nodes pass to reach this one. */
  readonly bus: Link;
  restart(options?: RestartOptions): Promise<void>;
}

export interface PostgresPart extends Part {
  /** The ways of all servers and workers, damaged together; each has its own in `AppPart.database`. */
  damage(damage: Damage): () => void;
  reset(): void;
}

export interface AppPart extends Part {
  readonly kind: 'server' | 'worker';
  /** This process's own way to Postgres. */
  readonly database: Link;
  readonly logFile: string;
  /** How often it ended although it had been ready and nobody had asked it to. */
  readonly aloneEnds: number;
}

/** A node as the others see it at this moment. */
export interface SeenNode {
  readonly node: RedisPart;
  readonly role: 'master' | 'replica';
  /** For a replica. */
  readonly master?: RedisPart;
  readonly failed: boolean;
  /** Ranges of slots, both ends inclusive. */
  readonly slots: readonly (readonly [number, number])[];
}

export interface World {
  readonly dir: string;
  readonly redis: readonly RedisPart[];
  readonly postgres: PostgresPart;
  readonly servers: readonly AppPart[];
  readonly workers: readonly AppPart[];
  /** Processes of all kinds. */
  readonly parts: readonly Part[];
  /** Through the proxies: HOLDFAST_REDIS_URL of the servers and workers. */
  readonly redisUrl: string;
  /** Past the proxies. */
  readonly directRedisUrl: string;
  readonly directDatabaseUrl: string;
  readonly prefix: string;
  readonly partitions: number;
  readonly jwtSecret: string;
  /** `cluster-node-timeout` of the cluster, ms. */
  readonly nodeTimeoutMs: number;

  /** The cluster as most running nodes see it (asked directly, each bounded). */
  view(): Promise<SeenNode[]>;
  /** Masters that serve slots and run, by that view; in the order of `redis`. */
  masters(): Promise<RedisPart[]>;
  /** Replicas of a node that run, by that view. */
  replicasOf(node: RedisPart): Promise<RedisPart[]>;
  /** Runs commands on a node directly; every command is bounded (5 s). E.g. `command(node, 'CONFIG', 'SET', 'maxmemory', '20mb')`. */
  command(node: RedisPart, name: string, ...args: (string | number)[]): Promise<unknown>;
  /** One query on Postgres, directly. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /**
   * Cuts nodes off from all other nodes (bus and replication, both ways), silently as a pulled cable does. Their clients still
   * reach them unless `clients` says so. Returns what ends it.
   */
  isolate(nodes: readonly RedisPart[], options?: { clients?: boolean }): () => void;
  /** Resolves when all nodes run, agree, all slots are served and every replica follows. */
  clusterHealthy(timeoutMs?: number): Promise<void>;
  /** Heals every link, continues frozen processes, starts what does not run, waits until all are ready. Called after the faults. */
  heal(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}
