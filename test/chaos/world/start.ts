/** Starts the system of a run. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { freePorts } from '../../../stack/ports.js';
import { type Postgres, startPostgres } from '../../../stack/postgres.js';
import { withAdmin } from '../../../stack/redis-form.js';
import type { AppPart, PostgresPart, RedisPart, World } from '../world.js';
import { ChaosApp } from './apps.js';
import { type Link, startLink } from './link.js';
import { whilePortTaken } from './port-taken.js';
import { layProgram } from './program.js';
import { type RedisParts, startRedis } from './redis.js';

export interface WorldOptions {
  /** Everything lives under it. Users other than ours must be able to enter it (Postgres does not run as root). */
  readonly dir: string;
  readonly servers?: number;
  readonly workers?: number;
  readonly masters?: number;
  readonly replicasPerMaster?: number;
  readonly nodeTimeoutMs?: number;
  /** 8 by default: every partition is met often, and every node has some. */
  readonly partitions?: number;
  /** A folder as `layProgram` makes it; made in `dir` otherwise. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly redisConf?: Readonly<Record<string, string>>;
  readonly proxied?: boolean;
}

const READY_MS = 120_000;
const QUERY_MS = 30_000;

export async function startWorld(options: WorldOptions): Promise<World> {
  const dir = options.dir;
  mkdirSync(join(dir, 'logs'), { recursive: true });
  chmodSync(dir, 0o755);
  const program = options.program ?? (await layProgram(join(dir, 'program')));
  const nodeTimeoutMs = options.nodeTimeoutMs ?? 2_000;
  const conf = {
    'enable-debug-command': 'local',
    'repl-backlog-size': '8mb',
    'cluster-node-timeout': String(nodeTimeoutMs),
    ...options.redisConf,
  };
  const proxied = options.proxied ?? true;
  const started = await Promise.allSettled([
    startRedis({
      dir: join(dir, 'redis'),
      conf,
      proxied,
      masters: options.masters ?? 3,
      replicasPerMaster: options.replicasPerMaster ?? 1,
    }),
    // As durable as a real one: what was committed survives kill -9.
    startPostgres({ dir: join(dir, 'postgres'), logDir: join(dir, 'logs'), settings: { shared_buffers: '64MB' } }),
  ]);
  const [redis, postgres] = started.map((one) => (one.status === 'fulfilled' ? one.value : undefined)) as [
    RedisParts | undefined,
    Postgres | undefined,
  ];
  const failed = started.find((one) => one.status === 'rejected');
  if (!redis || !postgres) {
    await Promise.all([redis?.stop(), postgres?.stop()]);
    throw failed?.reason;
  }
  const world = new ChaosWorld(options, program, redis, postgres, nodeTimeoutMs, proxied);
  try {
    await world.startApps();
    return world;
  } catch (error) {
    await world.stop();
    throw error;
  }
}

class ChaosWorld implements World {
  readonly dir: string;
  readonly redis: readonly RedisPart[];
  readonly postgres: PostgresPart;
  servers: readonly ChaosApp[] = [];
  workers: readonly ChaosApp[] = [];
  readonly redisUrl: string;
  readonly directRedisUrl: string;
  readonly directDatabaseUrl: string;
  readonly prefix = 'hf';
  readonly partitions: number;
  readonly jwtSecret = randomBytes(32).toString('base64url');

  constructor(
    private readonly options: WorldOptions,
    private readonly program: string,
    private readonly redisParts: RedisParts,
    private readonly pg: Postgres,
    readonly nodeTimeoutMs: number,
    proxied: boolean,
  ) {
    this.dir = options.dir;
    this.redis = redisParts.parts;
    this.partitions = options.partitions ?? 8;
    this.directRedisUrl = redisParts.cluster.url;
    this.redisUrl = proxied
      ? this.redis.map(({ client }) => `redis://127.0.0.1:${client.port}`).join(',')
      : this.directRedisUrl;
    this.directDatabaseUrl = pg.url;
    const links = (): Link[] => [...this.workers, ...this.servers].map(({ database }) => database);
    this.postgres = {
      name: 'postgres',
      damage: (damage) => {
        const healing = links().map((link) => link.damage(damage));
        return () => healing.forEach((heal) => heal());
      },
      reset: () => links().forEach((link) => link.reset()),
      dir: pg.dir,
      get pid() {
        return pg.pid;
      },
      get running() {
        return pg.running;
      },
      get exited() {
        return pg.exited;
      },
      port: pg.port,
      kill: (signal = 'SIGKILL') => pg.kill(signal),
      restart: () =>
        whilePortTaken(
          () => pg.restart(),
          (error) => /could not bind|Address already in use/.test((error as Error).message),
        ),
    };
  }

  get parts() {
    return [...this.redis, this.postgres, ...this.workers, ...this.servers];
  }

  async startApps(): Promise<void> {
    const { servers = 2, workers = 2 } = this.options;
    const ports = await freePorts(servers + workers);
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_'));
    const env = {
      ...Object.fromEntries(clean),
      HOLDFAST_REDIS_URL: this.redisUrl,
      HOLDFAST_JWT_SECRET: this.jwtSecret,
      HOLDFAST_PARTITIONS: String(this.partitions),
      HOLDFAST_LOG_LEVEL: 'info',
      ...this.options.env,
    };
    const make = async (kind: AppPart['kind'], n: number): Promise<ChaosApp> => {
      const port = ports.pop()!;
      const database = await startLink(this.pg.port);
      const url = new URL(this.pg.url);
      url.port = String(database.port);
      const own = {
        [kind === 'server' ? 'HOLDFAST_PORT' : 'HOLDFAST_METRICS_PORT']: String(port),
        HOLDFAST_DATABASE_URL: url.href,
      };
      const { program, dir } = this;
      return new ChaosApp({ kind, name: `${kind}-${n}`, program, dir, port, database, env: { ...env, ...own } });
    };
    const all = (kind: AppPart['kind'], count: number) =>
      Promise.all(Array.from({ length: count }, (_, n) => make(kind, n + 1)));
    this.workers = await all('worker', workers);
    this.servers = await all('server', servers);
    await Promise.all([...this.workers, ...this.servers].map((app) => app.ready(READY_MS)));
  }

  view() {
    return this.redisParts.view();
  }

  async masters(): Promise<RedisPart[]> {
    const view = await this.view();
    return view
      .filter(({ node, role, failed, slots }) => node.running && role === 'master' && !failed && slots.length > 0)
      .map(({ node }) => node);
  }

  async replicasOf(node: RedisPart): Promise<RedisPart[]> {
    const view = await this.view();
    return view.filter((seen) => seen.node.running && seen.master === node).map((seen) => seen.node);
  }

  command(node: RedisPart, name: string, ...args: (string | number)[]): Promise<unknown> {
    return withAdmin(node.port, (client) => client.call(name, ...args));
  }

  async query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({
      connectionString: this.directDatabaseUrl,
      query_timeout: QUERY_MS,
      connectionTimeoutMillis: 5_000,
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text, values)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  isolate(nodes: readonly RedisPart[], { clients = false } = {}): () => void {
    const inside = new Set(nodes);
    const ids = new Set(nodes.flatMap(({ id, port }) => [id, String(port)]));
    const healing: (() => void)[] = [];
    for (const node of this.redis) {
      // Links have one end at the node they stand in front of and the other at the peer: cut where one is inside and one outside.
      const cut = (id: string | undefined) => inside.has(node) !== (id !== undefined && ids.has(id));
      const hold = { kind: 'hold' } as const;
      healing.push(node.bus.damage(hold, ({ kind, id }) => kind === 'node' && cut(id)));
      healing.push(node.client.damage(hold, ({ kind, id }) => kind === 'replica' && cut(id)));
      if (clients && inside.has(node)) healing.push(node.client.damage(hold, ({ kind }) => kind === 'client'));
    }
    return () => healing.forEach((heal) => heal());
  }

  clusterHealthy(timeoutMs = 60_000): Promise<void> {
    return this.redisParts.healthy(timeoutMs);
  }

  async heal(timeoutMs = READY_MS): Promise<void> {
    for (const { client, bus } of this.redis) {
      client.heal();
      bus.heal();
    }
    for (const { database } of [...this.workers, ...this.servers]) database.heal();
    for (const part of this.parts) part.kill('SIGCONT');
    await Promise.all([...this.redis, this.postgres].filter(({ running }) => !running).map((part) => part.restart()));
    await this.clusterHealthy(timeoutMs);
    await Promise.all([...this.workers, ...this.servers].map((app) => app.ready(timeoutMs)));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.servers, ...this.workers].map((app) => app.stop('SIGKILL')));
    await Promise.all([this.pg.stop(), this.redisParts.stop()]);
    await Promise.all([...this.workers, ...this.servers].map(({ database }) => database.close()));
  }
}
