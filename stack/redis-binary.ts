import { execFileSync } from 'node:child_process';

export interface RedisBinary {
  /** Path or name of the server program. */
  command: string;
  product: 'redis' | 'valkey';
  /** e.g. `7.0.15`. */
  version: string;
}

/** Oldest version that has what the scripts use: shebang flags, sharded pub/sub, ADDSLOTSRANGE. */
const MINIMUM: readonly [number, number] = [7, 0];

/** Asks a server program for its version; undefined when it cannot be run or is neither Redis nor Valkey. */
export function probeRedis(command: string): RedisBinary | undefined {
  try {
    const out = execFileSync(command, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5_000,
    });
    const match = /^(Redis|Valkey) server v=(\d+\.\d+\.\d+)/i.exec(out);
    if (!match) return undefined;
    return { command, product: match[1]!.toLowerCase() as RedisBinary['product'], version: match[2]! };
  } catch {
    return undefined;
  }
}

export function isNewEnough(binary: RedisBinary): boolean {
  const [major = 0, minor = 0] = binary.version.split('.').map(Number);
  return major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);
}

/** WAITAOF, for `replicated` on disk: Redis 7.2 and every Valkey. */
export function knowsWaitaof({ product, version }: RedisBinary): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return product === 'valkey' || major > 7 || (major === 7 && minor >= 2);
}

/**
 * The server program to use: `HOLDFAST_REDIS_SERVER` when set (then nothing else is tried), else redis-server, else valkey-server.
 * Throws with what to do when none is new enough.
 */
export function findRedis(wanted = process.env.HOLDFAST_REDIS_SERVER): RedisBinary {
  const tried: string[] = [];
  for (const command of wanted ? [wanted] : ['redis-server', 'valkey-server']) {
    const found = probeRedis(command);
    if (found && isNewEnough(found)) return found;
    tried.push(found ? `${command} is ${found.version}` : `${command} cannot be run`);
  }
  throw new Error(
    `No Redis 7.0 or newer and no Valkey on this machine (${tried.join('; ')}). ` +
      'Install redis-server with the package manager, or name another server program in HOLDFAST_REDIS_SERVER.',
  );
}
