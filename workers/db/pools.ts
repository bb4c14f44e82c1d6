import pg from 'pg';

/** bigint columns hold counts and milliseconds, all within 2^53: numbers, not strings. */
const types: pg.CustomTypesConfig = {
  getTypeParser(oid, format) {
    if (oid === pg.types.builtins.INT8 && format !== 'binary') return Number;
    // int8[]
    if ((oid as number) === 1016 && format !== 'binary') return parseNumbers;
    return pg.types.getTypeParser(oid, format) as (text: string) => unknown;
  },
};

function parseNumbers(text: string): number[] {
  return text === '{}' ? [] : text.slice(1, -1).split(',').map(Number);
}

export interface Pools {
  /** Pipelined connections for persist transactions: every statement goes out at once, one round trip a batch. */
  readonly drain: pg.Pool;
  /** For everything else; one statement at a time. */
  readonly general: pg.Pool;
  end(): Promise<void>;
}

export interface PoolOptions {
  /**
   * Persist transactions at a time, default 1: each carries the events of all partitions, and what waits meanwhile makes the next one
   * bigger. Measured with 3,000 orders a second over 64 partitions on two busy cores: with 2 Postgres spends 39 µs of CPU an order and
   * the worker 43, with 1 they spend 23 to 31 and 31 to 42.
   */
  drainConnections?: number;
  generalConnections?: number;
  /** How long a persist transaction is waited for before its connection is given up, ms; default 30,000. */
  queryMs?: number;
  onError?: (error: Error) => void;
}

const CONNECT_MS = 5_000;
/** A persist transaction that takes longer than this has met a dead server or a dead link, or is too large: the next one is smaller. */
const QUERY_MS = 30_000;

/** Connects lazily; the database may be away when it is called and later. */
export function openPools(databaseUrl: string, options: PoolOptions = {}): Pools {
  const common = {
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types,
  };
  const drain = new pg.Pool({
    ...common,
    max: options.drainConnections ?? 1,
    application_name: 'holdfast-drain',
    query_timeout: options.queryMs ?? QUERY_MS,
    pipeline: true,
  });
  const general = new pg.Pool({ ...common, max: options.generalConnections ?? 8, application_name: 'holdfast-worker' });
  // Arrays hide their length from the planner, and generic plans are made once: look rows up by key, however small the table
  // was when the plan was made.
  // A client that is cut off amid the rows of a COPY leaves its transaction, and with it the locks of all its partitions, to a backend
  // that waits for the rest: only the link can tell it, within half a minute instead of the system's two hours.
  // What is committed is trimmed from the log in Redis, so a commit must have reached Postgres' disk, whatever its default is.
  drain.on('connect', (client) => {
    void client
      .query(
        `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan;
         SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 30000;
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
      )
      .catch((error: Error) => options.onError?.(error));
  });
  for (const pool of [drain, general]) {
    pool.on('error', (error) => options.onError?.(error));
    // The pool hears of connections that break while they are idle only; of one in use its queries tell, but without a listener
    // the event would end the process.
    pool.on('connect', (client) => client.on('error', () => undefined));
  }
  return {
    drain,
    general,
    async end() {
      await Promise.all([drain.end(), general.end()]);
    },
  };
}
