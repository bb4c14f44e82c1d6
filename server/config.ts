/**
 * The server's configuration, from `HOLDFAST_*` in the environment. Everything is checked once, at start, and every
 * mistake is reported together: nobody should have to start a server five times to find five typing errors.
 */
import { MAX_PARTITIONS } from '../engine/partitions.js';
import type { Ack } from '../engine/types.js';
import { PRESSURE_LIMITS, type PressureLimits } from './limits/pressure.js';
import { readStreamLimits, type StreamLimits } from './ws/limits.js';

export interface ServerConfig {
  readonly redisUrl: string;
  /** Without it there are no movements, no export and no memory of reservations that Redis has forgotten. */
  readonly databaseUrl: string | undefined;
  readonly host: string;
  readonly port: number;
  /** Probes and metrics of this process alone: on a shared port nobody knows which process answers. */
  readonly metricsPort: number | undefined;
  readonly jwtSecret: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly jwtIssuer: string;
  readonly jwtAudience: string;
  readonly keyPrefix: string;
  readonly partitions: number;
  readonly ack: Ack;
  /** `replicated` means on disk: the same in servers and workers. */
  readonly replicatedOnDisk: boolean;
  readonly logLevel: LogLevel;
  /** Stock reads need no token. */
  readonly publicReads: boolean;
  /** Requests carried out at the same time; one more is refused with 503 `overloaded`. */
  readonly maxInFlight: number;
  /** Milliseconds that requests may queue for each other before some are refused; 0: only their number counts. */
  readonly maxQueueMs: number;
  /** What closes admission: depth of the log, memory, wait for Postgres, delay of the event loop. */
  readonly pressure: PressureLimits;
  /** Oldest answer from memory, in ms; older ones are read from Redis. (S10) */
  readonly maxStaleMs: number;
  /** How old the knowledge may be that an item is sold out, for reservations to be refused on it; 0: Redis is always asked. */
  readonly soldOutMs: number;
  /** Items kept in memory. */
  readonly cacheItems: number;
  /** Bytes of all request bodies held at the same time. */
  readonly maxBufferedBytes: number;
  /** Milliseconds a client has to send its body. */
  readonly bodyTimeoutMs: number;
  /** Where this process recovers: replicas of masters that are gone are asked to take over. */
  readonly takeover: boolean;
  /** Milliseconds an engine call may take. */
  readonly callTimeoutMs: number;
  /** Milliseconds between readiness going off and the port being closed, for load balancers to notice. */
  readonly shutdownDelayMs: number;
  /** Milliseconds running requests get to finish after the port is closed. (G4: 30 s) */
  readonly drainMs: number;
  /** Bounds of `/v1/stream`. */
  readonly stream: StreamLimits;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
const ACKS = ['executed', 'replicated', 'durable'] as const;

/** Every problem found in the environment, one a line. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/** HS256 secrets shorter than the hash can be guessed offline (RFC 7518, 3.2). */
const MIN_SECRET_BYTES = 32;

export function readConfig(env: NodeJS.ProcessEnv = process.env): ServerConfig {
  const read = new EnvReader(env);
  const replicatedOnDisk = read.flag('HOLDFAST_REPLICATED_ON_DISK', false);
  const config: ServerConfig = {
    redisUrl: read.required('HOLDFAST_REDIS_URL', 'startup nodes, e.g. redis://127.0.0.1:7000,redis://127.0.0.1:7001'),
    databaseUrl: read.text('HOLDFAST_DATABASE_URL'),
    host: read.text('HOLDFAST_HOST') ?? '127.0.0.1',
    port: read.integer('HOLDFAST_PORT', 8080, 0, 65_535),
    metricsPort:
      read.text('HOLDFAST_METRICS_PORT') === undefined
        ? undefined
        : read.integer('HOLDFAST_METRICS_PORT', 0, 0, 65_535),
    jwtSecret: read.text('HOLDFAST_JWT_SECRET'),
    jwksUrl: read.text('HOLDFAST_JWKS_URL'),
    jwtIssuer: read.text('HOLDFAST_JWT_ISSUER') ?? 'holdfast',
    jwtAudience: read.text('HOLDFAST_JWT_AUDIENCE') ?? 'holdfast',
    keyPrefix: read.text('HOLDFAST_KEY_PREFIX') ?? 'hf',
    partitions: read.integer('HOLDFAST_PARTITIONS', 64, 1, MAX_PARTITIONS),
    ack: read.oneOf('HOLDFAST_ACK', ACKS, 'replicated'),
    replicatedOnDisk,
    logLevel: read.oneOf('HOLDFAST_LOG_LEVEL', LOG_LEVELS, 'info'),
    publicReads: read.flag('HOLDFAST_PUBLIC_READS', true),
    maxQueueMs: read.integer('HOLDFAST_MAX_QUEUE_MS', 25, 0, 60_000),
    maxInFlight: read.integer('HOLDFAST_MAX_IN_FLIGHT', 10_000, 1, 1_000_000),
    pressure: {
      logEvents: read.integer('HOLDFAST_MAX_LOG_EVENTS', PRESSURE_LIMITS.logEvents, 0, 1_000_000_000),
      memoryPercent: read.integer('HOLDFAST_MAX_MEMORY_PERCENT', PRESSURE_LIMITS.memoryPercent, 0, 100),
      persistSeconds: read.integer('HOLDFAST_MAX_PERSIST_SECONDS', PRESSURE_LIMITS.persistSeconds, 0, 1_000_000),
      loopDelayMs: read.integer('HOLDFAST_MAX_LOOP_DELAY_MS', PRESSURE_LIMITS.loopDelayMs, 0, 60_000),
    },
    maxStaleMs: read.integer('HOLDFAST_MAX_STALE_MS', 1_000, 1, 3_600_000),
    soldOutMs: read.integer('HOLDFAST_SOLD_OUT_MS', 100, 0, 1_000),
    cacheItems: read.integer('HOLDFAST_CACHE_ITEMS', 1_000_000, 1, 100_000_000),
    maxBufferedBytes: read.integer('HOLDFAST_MAX_BUFFERED_BYTES', 64 * 1024 * 1024, 1_048_576, 2 ** 40),
    bodyTimeoutMs: read.integer('HOLDFAST_BODY_TIMEOUT_MS', 10_000, 100, 600_000),
    takeover: read.flag('HOLDFAST_TAKEOVER', true),
    callTimeoutMs: read.integer('HOLDFAST_CALL_TIMEOUT_MS', replicatedOnDisk ? 10_000 : 2_000, 10, 60_000),
    shutdownDelayMs: read.integer('HOLDFAST_SHUTDOWN_DELAY_MS', 500, 0, 60_000),
    drainMs: read.integer('HOLDFAST_DRAIN_MS', 30_000, 0, 600_000),
    stream: readStreamLimits((name, fallback, min, max) => read.integer(name, fallback, min, max)),
  };
  if (config.partitions & (config.partitions - 1)) read.problem('HOLDFAST_PARTITIONS', 'must be a power of two');
  if (!/^[A-Za-z0-9._-]{1,32}$/.test(config.keyPrefix)) {
    read.problem('HOLDFAST_KEY_PREFIX', 'must be 1 to 32 of A-Z a-z 0-9 . _ -');
  }
  checkTokens(config, read);
  if (read.problems.length > 0) throw new ConfigError(read.problems);
  return config;
}

function checkTokens(config: ServerConfig, read: EnvReader): void {
  if (config.jwtSecret === undefined && config.jwksUrl === undefined) {
    read.problem('HOLDFAST_JWT_SECRET', 'is missing (or HOLDFAST_JWKS_URL): without either no token can be checked');
  }
  if (config.jwtSecret !== undefined && Buffer.byteLength(config.jwtSecret) < MIN_SECRET_BYTES) {
    read.problem('HOLDFAST_JWT_SECRET', `must have at least ${MIN_SECRET_BYTES} bytes`);
  }
  if (config.jwksUrl !== undefined && !/^https?:\/\//.test(config.jwksUrl)) {
    read.problem('HOLDFAST_JWKS_URL', 'must be an http(s) URL');
  }
}

class EnvReader {
  readonly problems: string[] = [];
  constructor(private readonly env: NodeJS.ProcessEnv) {}

  problem(name: string, text: string): void {
    this.problems.push(`${name} ${text}`);
  }

  /** An empty variable counts as absent: that is how shells and compose files unset one. */
  text(name: string): string | undefined {
    const value = this.env[name]?.trim();
    return value === undefined || value === '' ? undefined : value;
  }

  required(name: string, what: string): string {
    const value = this.text(name);
    if (value === undefined) this.problem(name, `is missing: ${what}`);
    return value ?? '';
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    this.problem(name, `must be an integer from ${min} to ${max}, not "${text}"`);
    return fallback;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const found = allowed.find((value) => value === text);
    if (found === undefined) this.problem(name, `must be one of ${allowed.join(', ')}, not "${text}"`);
    return found ?? fallback;
  }

  flag(name: string, fallback: boolean): boolean {
    return this.oneOf(name, ['true', 'false'] as const, fallback ? 'true' : 'false') === 'true';
  }
}
