/** Configuration of a worker process: environment only, checked at start, every mistake named. */
export interface WorkerConfig {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Redis of BullMQ; the cluster itself unless configured. */
  readonly queueUrl: string;
  readonly keyPrefix: string;
  readonly partitions: number;
  /** `replicated` means on disk: the same in servers and workers. */
  readonly replicatedOnDisk: boolean;
  /** Port of /metrics, /livez and /readyz; 0: any free one, undefined: none. */
  readonly metricsPort: number | undefined;
  readonly metricsHost: string;
  readonly logLevel: string;
  /** Jobs at a time. */
  readonly concurrency: number;
  /** Persist transactions at a time. */
  readonly drainConnections: number;
  /** Seconds in which every partition is verified once; 0: never. */
  readonly verifySeconds: number;
  /** Replicas of masters that are gone are asked to take over. */
  readonly takeover: boolean;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** @throws ConfigError naming every variable that is missing or wrong */
export function readConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  const problems: string[] = [];
  const required = (name: string): string => {
    const value = env[name];
    if (!value) problems.push(`${name} is not set`);
    return value ?? '';
  };
  const integer = (name: string, fallback: number, least: number, most: number): number => {
    const text = env[name];
    if (text === undefined || text === '') return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(value >= least && value <= most)) problems.push(`${name} must be a whole number from ${least} to ${most}`);
    return value;
  };
  const flag = (name: string, fallback: boolean): boolean => {
    const text = env[name] || String(fallback);
    if (text !== 'true' && text !== 'false') problems.push(`${name} must be true or false`);
    return text === 'true';
  };
  const redisUrl = required('HOLDFAST_REDIS_URL');
  const partitions = integer('HOLDFAST_PARTITIONS', 64, 1, 16_384);
  if (Number.isInteger(Math.log2(partitions)) === false) problems.push('HOLDFAST_PARTITIONS must be a power of two');
  const logLevel = env['HOLDFAST_LOG_LEVEL'] || 'info';
  if (!LEVELS.includes(logLevel)) problems.push(`HOLDFAST_LOG_LEVEL must be one of ${LEVELS.join(', ')}`);
  const config: WorkerConfig = {
    redisUrl,
    databaseUrl: required('HOLDFAST_DATABASE_URL'),
    queueUrl: env['HOLDFAST_QUEUE_URL'] || redisUrl,
    keyPrefix: env['HOLDFAST_KEY_PREFIX'] || 'hf',
    partitions,
    replicatedOnDisk: flag('HOLDFAST_REPLICATED_ON_DISK', false),
    metricsPort: env['HOLDFAST_METRICS_PORT'] ? integer('HOLDFAST_METRICS_PORT', 0, 0, 65_535) : undefined,
    metricsHost: env['HOLDFAST_METRICS_HOST'] || '127.0.0.1',
    logLevel,
    concurrency: integer('HOLDFAST_WORKER_CONCURRENCY', 80, 1, 1_000),
    drainConnections: integer('HOLDFAST_WORKER_CONNECTIONS', 1, 1, 100),
    verifySeconds: integer('HOLDFAST_VERIFY_SECONDS', 3_600, 0, 2_000_000),
    takeover: flag('HOLDFAST_TAKEOVER', true),
  };
  if (problems.length > 0) throw new ConfigError(problems.join('; '));
  return config;
}
