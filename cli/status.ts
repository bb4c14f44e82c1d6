import type { Cluster } from 'ioredis';
import pc from 'picocolors';
import { stampOf } from '../stack/identity.js';
import { runningState, type StackState } from '../stack/state.js';
import { supervisorOf } from '../stack/supervisor.js';

interface ProcessRow {
  name: string;
  pid: number | undefined;
  port: number | undefined;
  running: boolean;
  note: string;
}

interface PartitionSummary {
  total: number;
  /** Those whose owner is the node that serves them now. */
  open: number;
  /** Partitions nobody has opened or that a failover closed. */
  closed: number[];
  /** Events that Postgres does not have yet: all partitions, and the worst one. */
  lag: { events: number; worst: number; worstPartition: number };
}

interface Status {
  dataDir: string;
  running: boolean;
  ready: boolean;
  url?: string;
  startedAt?: string;
  processes: ProcessRow[];
  partitions?: PartitionSummary | { error: string };
}

/** Prints what runs in a data folder; resolves with the exit code: 0 when all is well. */
export async function status(dataDir: string, json: boolean): Promise<number> {
  const found = await look(dataDir);
  if (json) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  else print(found);
  const partitionsWell = found.partitions && !('error' in found.partitions) && found.partitions.closed.length === 0;
  return found.ready && partitionsWell && found.processes.every((row) => row.running) ? 0 : 1;
}

async function look(dataDir: string): Promise<Status> {
  const state = runningState(dataDir);
  if (!state) return { dataDir, running: supervisorOf(dataDir) !== undefined, ready: false, processes: [] };
  const [ready, partitions] = await Promise.all([isReady(state.url), lookAtPartitions(state)]);
  return {
    dataDir,
    running: true,
    ready,
    url: state.url,
    startedAt: state.startedAt,
    processes: processesOf(state),
    partitions,
  };
}

function processesOf(state: StackState): ProcessRow[] {
  const row = (name: string, pid: number | undefined, port: number | undefined, note = ''): ProcessRow => ({
    name,
    pid,
    port,
    // The supervisor writes the file anew whenever a part is started again, so a number without a process is a part that is down.
    running: pid !== undefined && stampOf(pid) !== undefined,
    note,
  });
  const rows = [row('supervisor', state.supervisor.pid, undefined)];
  for (const app of state.apps)
    rows.push(row(app.name, app.pid, app.port, app.restarts ? `${app.restarts} restarts` : ''));
  for (const node of state.redis.nodes) rows.push(row(`redis-${node.port}`, node.pid, node.port, node.role));
  if (state.postgres.own) rows.push(row('postgres', state.postgres.pid, state.postgres.port));
  return rows;
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(3_000) })).status === 200;
  } catch {
    return false;
  }
}

const LOOK_MS = 5_000;

async function lookAtPartitions(state: StackState): Promise<PartitionSummary | { error: string }> {
  const { Cluster: RedisCluster } = await import('ioredis');
  const { Keys } = await import('../engine/keys.js');
  const { DEFAULT_PARTITIONS, Partitions } = await import('../engine/partitions.js');
  const partitions = new Partitions(Number(state.env.HOLDFAST_PARTITIONS || DEFAULT_PARTITIONS));
  const keys = new Keys(state.env.HOLDFAST_KEY_PREFIX || 'hf', partitions);
  const { parseAddress } = await import('../engine/redis/address.js');
  const { seeds, access } = parseAddress(state.redis.url);
  const redis = new RedisCluster([...seeds], {
    slotsRefreshTimeout: LOOK_MS,
    clusterRetryStrategy: () => null,
    redisOptions: {
      ...access,
      disableClientInfo: true,
      commandTimeout: LOOK_MS,
      connectTimeout: LOOK_MS,
      maxRetriesPerRequest: 1,
    },
  });
  redis.on('error', () => undefined);
  try {
    const owners = await ownersBySlot(redis);
    const metas = await Promise.all(keys.fixedOf('meta').map((key) => redis.hmget(key, 'owner', 'seq', 'persisted')));
    const closed: number[] = [];
    const lag = { events: 0, worst: 0, worstPartition: 0 };
    for (const [partition, [owner, seq, persisted]] of metas.entries()) {
      if (!owner || owner !== owners(partitions.slots[partition]!)) closed.push(partition);
      // Numbers go on over epochs, so the difference holds across a failover too.
      const missing = Math.max(0, Number(seq ?? 0) - Number(persisted?.split('-')[1] ?? 0));
      lag.events += missing;
      if (missing > lag.worst) Object.assign(lag, { worst: missing, worstPartition: partition });
    }
    return { total: partitions.count, open: partitions.count - closed.length, closed, lag };
  } catch (error) {
    return { error: (error as Error).message };
  } finally {
    redis.disconnect();
  }
}

/** Ids of the masters by slot, as the cluster itself says. */
async function ownersBySlot(redis: Cluster): Promise<(slot: number) => string | undefined> {
  const ranges = (await redis.cluster('SLOTS')) as unknown as [number, number, [string, number, string]][];
  return (slot) => ranges.find(([from, to]) => slot >= from && slot <= to)?.[2][2];
}

function print(found: Status): void {
  const say = (line = '') => void process.stdout.write(`${line}\n`);
  if (found.processes.length === 0) {
    say(found.running ? `A stack in ${found.dataDir} is just starting.` : `Nothing is running in ${found.dataDir}.`);
    return;
  }
  say(`${found.ready ? pc.green('✔ ready') : pc.red('✖ not ready')}  ${found.url}  since ${found.startedAt}`);
  say();
  const width = Math.max(...found.processes.map((row) => row.name.length));
  for (const row of found.processes) {
    const mark = row.running ? pc.green('✔') : pc.red('✖');
    const port = row.port === undefined ? '' : `port ${row.port}`;
    say(
      `  ${mark} ${row.name.padEnd(width)}  pid ${String(row.pid ?? '-').padEnd(8)} ${port.padEnd(10)} ${pc.dim(row.note)}`,
    );
  }
  say();
  const { partitions } = found;
  if (!partitions) return;
  if ('error' in partitions) {
    say(`  ${pc.red('✖')} partitions: ${partitions.error}`);
    return;
  }
  const mark = partitions.closed.length === 0 ? pc.green('✔') : pc.red('✖');
  const closed = partitions.closed.length === 0 ? '' : `, closed: ${ranges(partitions.closed)}`;
  say(`  ${mark} partitions  ${partitions.open} of ${partitions.total} open${closed}`);
  const { events, worst, worstPartition } = partitions.lag;
  const where = worst > 0 ? ` (at most ${worst}, in partition ${worstPartition})` : '';
  say(`  ${pc.green('✔')} lag         ${events} events not in Postgres yet${where}`);
}

/** `0-5, 9, 12-13` */
export function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; i++) {
    const from = numbers[i]!;
    while (numbers[i + 1] === numbers[i]! + 1) i++;
    parts.push(from === numbers[i] ? `${from}` : `${from}-${numbers[i]}`);
  }
  return parts.join(', ');
}
