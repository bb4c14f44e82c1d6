import { Cluster } from 'ioredis';
import pg from 'pg';
import t from 'tap';
import { endProcess, identify, isRunning } from '../../stack/identity.js';
import { readState, runningState } from '../../stack/state.js';
import { supervise, supervisorOf } from '../../stack/supervisor.js';
import { atEnd, tempDir } from '../harness/index.js';

/** Polls a condition for up to a minute: what is awaited here happens by itself, in its own time. */
async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`did not happen: ${what}`);
}

t.test('a part that dies is started again on its data, and the state file says so', async (t) => {
  const dir = tempDir();
  const events: string[] = [];
  const supervised = await supervise({
    dir,
    servers: 0,
    workers: 0,
    redis: { masters: 1, replicasPerMaster: 0 },
    onEvent: (line) => events.push(line),
  });
  atEnd(() => supervised.stop());
  const { stack } = supervised;
  const redis = new Cluster(stack.redis!.startupNodes);
  await redis.set('kept', 'yes');
  redis.disconnect();
  const query = async (sql: string) => {
    const client = new pg.Client({ connectionString: stack.databaseUrl });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  await query('create table kept as select 1 as one');

  const before = runningState(dir)!;
  t.equal(before.phase, 'ready');
  const [node] = before.redis.nodes;
  await endProcess(identify(node!.pid)!, 'SIGKILL');
  await endProcess(identify(before.postgres.pid!)!, 'SIGKILL');
  await eventually('both run again under new numbers', () => {
    const now = runningState(dir)!;
    return now.redis.nodes[0]!.pid !== node!.pid && now.postgres.pid !== before.postgres.pid;
  });
  await stack.redis!.healthy();
  const again = new Cluster(stack.redis!.startupNodes);
  t.equal(await again.get('kept'), 'yes');
  again.disconnect();
  // Its process is there before it has recovered.
  await eventually('Postgres accepts connections', () => query('select 1').then(Boolean, () => false));
  t.strictSame(await query('select one from kept'), [{ one: 1 }]);
  t.match(events.sort(), [/^postgres ended by SIGKILL; starting/, /^redis-\d+ ended by SIGKILL; starting/]);
});

t.test('a folder has one supervisor, and stopping leaves neither processes nor a state', async (t) => {
  const dir = tempDir();
  const options = { dir, servers: 0, workers: 0, redis: { masters: 1, replicasPerMaster: 0 } };
  const supervised = await supervise(options);
  atEnd(() => supervised.stop());
  t.equal(supervisorOf(dir)?.pid, process.pid);
  const { redis, postgres } = runningState(dir)!;
  const all = [redis.nodes[0]!.pid, postgres.pid!].map((pid) => identify(pid)!);
  t.ok(all.every(isRunning));
  await supervised.stop();
  t.notOk(all.some(isRunning));
  t.equal(readState(dir), undefined);
  t.equal(supervisorOf(dir), undefined);
});

t.test('servers of someone else are used as they are and none is started', async (t) => {
  const dir = tempDir();
  const redisUrl = 'redis://127.0.0.1:1';
  const databaseUrl = 'postgres://nobody@127.0.0.1:1/none';
  const supervised = await supervise({ dir, servers: 0, workers: 0, redisUrl, databaseUrl });
  atEnd(() => supervised.stop());
  const state = runningState(dir)!;
  t.match(state, { redis: { url: redisUrl, own: false, nodes: [] }, postgres: { url: databaseUrl, own: false } });
  t.match(state.env, { HOLDFAST_REDIS_URL: redisUrl, HOLDFAST_DATABASE_URL: databaseUrl });
});

t.test('a number of processes that makes no sense is refused', async (t) => {
  for (const wrong of [{ servers: -1 }, { workers: 17 }, { servers: 1.5 }])
    await t.rejects(supervise({ dir: tempDir(), servers: 0, workers: 0, ...wrong }), /must be 0 to 16/);
});
