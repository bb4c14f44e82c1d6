/**
 * The Redis commands a script may call, and where their keys stand. What is not here fails the build: a new command is
 * added on purpose, with its keys known, and nothing random, blocking or clock-driven slips in.
 */
export interface Command {
  /** `first`: the first argument is a key; `all`: every argument is; `none`: it touches no key. */
  readonly keys: 'first' | 'all' | 'none';
  readonly write: boolean;
  /** The only first arguments allowed. */
  readonly subcommands?: readonly string[];
}

const READS =
  'HGET HMGET HGETALL HLEN HEXISTS HKEYS HVALS HSTRLEN HSCAN GET GETRANGE STRLEN GETBIT BITCOUNT BITPOS BITFIELD_RO ' +
  'ZRANGE ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZCARD ZSCORE ZMSCORE ZCOUNT ZRANK ZREVRANK ' +
  'XLEN XRANGE XREVRANGE LLEN LINDEX LRANGE SISMEMBER SMISMEMBER SCARD SMEMBERS TYPE';
// SPUBLISH counts as a write: Redis refuses it in read-only scripts. Its channel must be a declared key of the slot.
const WRITES =
  'HSET HSETNX HDEL HINCRBY SET SETRANGE SETBIT BITFIELD INCR INCRBY DECR DECRBY APPEND GETDEL ' +
  'ZADD ZREM ZINCRBY ZPOPMIN ZPOPMAX ZREMRANGEBYSCORE ZREMRANGEBYRANK XADD XDEL XTRIM XSETID ' +
  'LPUSH RPUSH LPOP RPOP LREM LSET LTRIM SADD SREM SPUBLISH';

export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ...READS.split(' ').map((name): [string, Command] => [name, { keys: 'first', write: false }]),
  ...WRITES.split(' ').map((name): [string, Command] => [name, { keys: 'first', write: true }]),
  ['EXISTS', { keys: 'all', write: false }],
  ['MGET', { keys: 'all', write: false }],
  ['DEL', { keys: 'all', write: true }],
  ['UNLINK', { keys: 'all', write: true }],
  ['TIME', { keys: 'none', write: false }],
  ['CLUSTER', { keys: 'none', write: false, subcommands: ['MYID'] }],
]);

/** Why well-known commands are not in the list. */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ...['EVAL', 'EVALSHA', 'EVAL_RO', 'EVALSHA_RO', 'FCALL', 'FCALL_RO', 'SCRIPT'].map((c): [string, string] => [
    c,
    'a script may not run scripts',
  ]),
  ...['SPOP', 'SRANDMEMBER', 'HRANDFIELD', 'ZRANDMEMBER', 'RANDOMKEY'].map((c): [string, string] => [
    c,
    'scripts use nothing random',
  ]),
  ...['EXPIRE', 'PEXPIRE', 'EXPIREAT', 'PEXPIREAT', 'SETEX', 'PSETEX'].map((c): [string, string] => [
    c,
    'a key that expires by itself leaves without an event',
  ]),
  ...['KEYS', 'SCAN', 'FLUSHALL', 'FLUSHDB', 'PUBLISH'].map((c): [string, string] => [
    c,
    'it reaches beyond the partition',
  ]),
]);
