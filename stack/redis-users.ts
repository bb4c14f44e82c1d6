/**
 * Who may do what in Redis: one user a role, from one table (docs/security.md). What a role's commands are is not a matter of taste:
 * test/security compares them with the commands that the scripts call, and a whole run leaves ACL LOG empty.
 *
 * Scripts run with the rights of the user that calls them, so what a script calls stands here beside what the processes send.
 */
import { createHash, randomBytes } from 'node:crypto';

/**
 * `server`: front ends. `worker`: persists, expires, recovers. `operator`: the command line (status, verify, rebuild).
 * `replica`: nodes among themselves. `admin`: makes the cluster, repairs it; no process of Holdfast uses it while selling.
 */
export type RedisRole = 'server' | 'worker' | 'operator' | 'replica' | 'admin';
export const REDIS_ROLES: readonly RedisRole[] = ['server', 'worker', 'operator', 'replica', 'admin'];

/** Passwords by role. */
export type RedisPasswords = Readonly<Record<RedisRole, string>>;

interface Rights {
  /** On keys and channels of the installation (`<prefix>:*`); names as in `ACL SETUSER`, without the `+`. */
  readonly commands: readonly string[];
  /** On the keys of BullMQ alone. */
  readonly queue?: readonly string[];
}

/** Who is it, and where is what: to connect and to find the way. */
const FIND = [
  ...['ping', 'info', 'client|setname'],
  ...['cluster|info', 'cluster|myid', 'cluster|nodes', 'cluster|shards', 'cluster|slots'],
];

/** What the scripts call that front ends call. */
const SELL = [
  ...['cluster|myid', 'time', 'hget', 'hmget', 'hset', 'hdel', 'del', 'get', 'set'],
  ...['zadd', 'zcount', 'zrange', 'zrem', 'zscore', 'xadd', 'spublish', 'exists', 'hexists'],
];

/** What front ends send beside that: the calls, WAIT, subscriptions, positions, records of idempotency keys. */
const SERVE = ['evalsha', 'wait', 'script|exists', 'ssubscribe', 'sunsubscribe', 'xlen', 'pttl'];

/**
 * Recovery and the drain: loads scripts, reads and trims the log, lists what a partition holds. With Postgres, workers do that and
 * front ends never, which is why these may not load scripts.
 */
const RECOVER = [
  ...['script|load', 'hsetnx', 'xrange', 'xrevrange', 'xtrim', 'hscan', 'scan'],
  ...['cluster|countkeysinslot', 'cluster|getkeysinslot'],
];

/**
 * BullMQ 6: what its client sends and what its scripts call. It falls back to EVAL where Redis has lost a script; so may workers, on
 * its keys. Renaming, blocking reads and the like are allowed there and nowhere else.
 */
const QUEUE = [
  ...['eval', 'evalsha', 'del', 'exists', 'get', 'incr', 'incrby', 'persist', 'pexpire', 'pexpireat', 'pttl', 'rename'],
  ...['set', 'type', 'unlink', 'hdel', 'hexists', 'hget', 'hgetall', 'hincrby', 'hlen', 'hmget', 'hmset', 'hset'],
  ...['lindex', 'llen', 'lpop', 'lpos', 'lpush', 'lrange', 'lrem', 'lset', 'ltrim', 'rpop', 'rpoplpush', 'rpush'],
  ...['sadd', 'scard', 'sismember', 'smembers', 'srem', 'xadd', 'xdel', 'xlen', 'xrange', 'xread', 'xtrim'],
  ...['bzpopmin', 'zadd', 'zcard', 'zcount', 'zlexcount', 'zpopmin', 'zrange', 'zrangebylex', 'zrangebyscore', 'zrem'],
  ...['zremrangebyrank', 'zremrangebyscore', 'zrevrange', 'zrevrangebyscore', 'zscore'],
];

const WORK = [...FIND, ...SELL, ...SERVE, ...RECOVER];

/** The table. `admin` and `replica` are not about keys and stand in {@link aclLines}. */
export const RIGHTS: Readonly<Record<'server' | 'worker' | 'operator', Rights>> = {
  server: { commands: [...FIND, ...SELL, ...SERVE] },
  // A replica of a master that is gone is asked to take over (decision 19). ACL cannot tell FORCE, which is used, from TAKEOVER.
  worker: { commands: [...WORK, 'multi', 'exec', 'cluster|failover'], queue: QUEUE },
  // READONLY is how ioredis' cluster client greets the nodes.
  operator: { commands: [...WORK, 'unlink', 'readonly'] },
};

/** Where BullMQ's keys are (workers/wake/queue.ts). */
const QUEUE_KEYS = '{hfbull}:*';

const PREFIX = /^[A-Za-z0-9._-]{1,32}$/;

export function redisUser(role: RedisRole): string {
  return `holdfast-${role}`;
}

export function makeRedisPasswords(): RedisPasswords {
  const made = REDIS_ROLES.map((role) => [role, randomBytes(24).toString('base64url')] as const);
  return Object.fromEntries(made) as Record<RedisRole, string>;
}

/**
 * The lines of an ACL file for an installation whose keys begin with `prefix:`. Passwords stand in it as hashes only.
 * `default` is off: whoever does not log in can do nothing. It keeps its rights all the same, because a node that starts replays the
 * transactions of its append-only file as that user: without them it would leave out everything that scripts have written, and
 * count as loaded (seen with Redis 7.0).
 * @param waitaof whether the nodes know WAITAOF (Redis 7.2, Valkey): older ones do not start with a file that names it
 * @throws RangeError for a prefix with characters that mean something in a pattern
 */
export function aclLines(prefix: string, passwords: RedisPasswords, waitaof = false): string[] {
  if (!PREFIX.test(prefix)) throw new RangeError('prefix must be 1 to 32 of A-Z a-z 0-9 . _ -');
  const user = (role: RedisRole, rights: string): string => {
    const hash = createHash('sha256').update(passwords[role]).digest('hex');
    return `user ${redisUser(role)} on #${hash} ${rights}`;
  };
  const allowed = (commands: readonly string[]): string =>
    [...new Set(commands)].map((command) => `+${command}`).join(' ');
  const own = `~${prefix}:* resetchannels &${prefix}:*`;
  const rights = ({ commands, queue }: Rights): string =>
    `${own} -@all ${allowed(waitaof ? [...commands, 'waitaof'] : commands)}${queue ? ` (~${QUEUE_KEYS} resetchannels -@all ${allowed(queue)})` : ''}`;
  return [
    'user default off resetpass ~* &* +@all',
    user('server', rights(RIGHTS.server)),
    user('worker', rights(RIGHTS.worker)),
    user('operator', rights(RIGHTS.operator)),
    user('replica', 'resetkeys resetchannels -@all +psync +replconf +ping'),
    user('admin', '~* &* +@all'),
  ];
}
