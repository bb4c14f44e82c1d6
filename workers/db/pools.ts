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
  /** For everything else that is short: recovery, positions, halted partitions; one statement at a time. */
  readonly general: pg.Pool;
  /** For what takes as long as there is data: verifying, housekeeping. Nothing that others wait for. */
  readonly patient: pg.Pool;
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
  /** The same for a statement on `general`; default 120,000, 0: without end, for a command that somebody waits for. */
  generalQueryMs?: number;
  /** How long a persist transaction may stand still between two statements before Postgres ends it, ms; default 30,000. */
  idleTransactionMs?: number;
  onError?: (error: Error) => void;
}

const CONNECT_MS = 5_000;
/** A persist transaction that takes longer than this has met a dead server or a dead link, or is too large: the next one is smaller. */
const QUERY_MS = 30_000;
/** Four times what the longest of them, the wait for a lock in recovery, takes. */
const GENERAL_QUERY_MS = 120_000;
const IDLE_TRANSACTION_MS = 30_000;
/** The lock of those who verify, what they read, and housekeeping beside them. */
const PATIENT_CONNECTIONS = 4;

/**
 * A client that is cut off leaves its locks (those of a recovery, or, amid the rows of a COPY, those of all partitions of its
 * transaction) to a backend that waits for it: only the link can tell, within half a minute instead of the system's two hours.
 * What is committed is trimmed from the log in Redis, and an epoch that is announced is opened: so a commit must have reached Postgres'
 * disk, whatever its default is.
 */
const SESSION = `SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 30000;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;

/**
 * Arrays hide their length from the planner, and generic plans are made once: look rows up by key, however small the table was when
 * the plan was made. A worker that freezes between two statements of a transaction keeps the locks of all its partitions, and a link
 * that is alive.
 */
const drainSession = (idleMs: number) => `${SESSION};
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan;
SET idle_in_transaction_session_timeout = ${idleMs}`;

/** For `onConnect` of a pool: it waits for what this returns, and drops the connection where that rejects. */
function prepared(settings: string): (client: pg.ClientBase) => void {
  return (client) => {
    // The pool hears of connections that break while they are idle only; of one in use its queries tell, but without a listener
    // the event would end the process.
    client.on('error', () => undefined);
    return client.query({ text: settings, query_timeout: CONNECT_MS } as pg.QueryConfig) as unknown as void;
  };
}

/** Connects lazily; the database may be away when it is called and later. */
export function openPools(databaseUrl: string, options: PoolOptions = {}): Pools {
  const common = {
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types,
    onConnect: prepared(SESSION),
  };
  const drain = new pg.Pool({
    ...common,
    max: options.drainConnections ?? 1,
    application_name: 'holdfast-drain',
    query_timeout: options.queryMs ?? QUERY_MS,
    pipeline: true,
    onConnect: prepared(drainSession(options.idleTransactionMs ?? IDLE_TRANSACTION_MS)),
  });
  const general = new pg.Pool({
    ...common,
    max: options.generalConnections ?? 8,
    application_name: 'holdfast-worker',
    query_timeout: options.generalQueryMs ?? GENERAL_QUERY_MS,
  });
  const patient = new pg.Pool({ ...common, max: PATIENT_CONNECTIONS, application_name: 'holdfast-worker' });
  for (const pool of [drain, general, patient]) pool.on('error', (error) => options.onError?.(error));
  return {
    drain,
    general,
    patient,
    async end() {
      await Promise.all([drain.end(), general.end(), patient.end()]);
    },
  };
}
