/** The queue outlives its master, and lets go of everything when it is closed, whatever its Redis was doing at that moment. */
import { Socket } from 'node:net';
import t from 'tap';
import { crc16, SLOTS } from '../../engine/partitions.js';
import { withAdmin } from '../../stack/redis-form.js';
import { type PartitionWorker, PartitionQueue } from '../../workers/wake/queue.js';
import { QueueServer } from '../../workers/wake/server.js';
import { startCluster } from '../harness/index.js';
import { silent, until } from './support.js';

const SLOT = crc16('hfbull') % SLOTS;
const PASSWORD = 's:ecr@t/';
const ROUNDS = 30;

const cluster = await startCluster();
const ports = cluster.nodes.map((node) => node.port);
const sockets = () =>
  (process as unknown as { _getActiveHandles(): object[] })
    ._getActiveHandles()
    .filter((handle): handle is Socket => handle instanceof Socket && ports.includes(handle.remotePort ?? 0));
/** Ports of the cluster that this process is connected to. */
const connected = () => sockets().map((socket) => socket.remotePort!);
/** The connections to one of them. */
const connectionsTo = (port: number) =>
  sockets()
    .filter((socket) => socket.remotePort === port)
    .map((socket) => socket.localPort);

async function masterOfSlot() {
  const server = await QueueServer.open(cluster.url, SLOT);
  const client = server.client();
  const info = await client.info('server');
  await server.close();
  const port = Number(/tcp_port:(\d+)/.exec(info)![1]);
  return cluster.nodes.find((node) => node.port === port)!;
}

interface Bench {
  queue: PartitionQueue;
  worker: PartitionWorker;
  done: Set<number>;
}

async function open(name: string, url = cluster.url): Promise<Bench> {
  const queue = await PartitionQueue.open(url, silent, name);
  const done = new Set<number>();
  const worker = queue.worker(4, async (name, partition) => {
    done.add(partition);
    await queue.done(name, partition);
  });
  return { queue, worker, done };
}

const close = async ({ worker, queue }: Bench) => {
  await worker.close();
  await queue.close();
};
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const jobs = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ name: 'drain' as const, partition: from + i }));

t.test('logs in as the address says', async (t) => {
  for (const port of ports)
    await withAdmin(port, (client) => client.call('ACL', 'SETUSER', 'wake', 'on', `>${PASSWORD}`, '~*', '&*', '+@all'));
  const as = (password: string) => cluster.url.replaceAll('redis://', `redis://wake:${encodeURIComponent(password)}@`);
  const bench = await open('login', as(PASSWORD));
  await bench.worker.ready();
  const users = await Promise.all(
    ports.map((port) =>
      withAdmin(port, async (client) => String(await client.client('LIST')).match(/user=wake/g) ?? []),
    ),
  );
  // The queue, the worker, and its blocking reads: all on the one master.
  t.strictSame(
    users.map((list) => list.length).filter((count) => count > 0),
    [3],
  );
  await close(bench);
  t.strictSame(connected(), []);
  await t.rejects(open('login', as('no')), /WRONGPASS/);
  t.strictSame(connected(), []);
});

t.test('closed at any moment, nothing stays open', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const bench = await open(`round-${round}`);
    if (round % 3 > 0) void bench.queue.add(jobs(20)).catch(() => undefined);
    await pause((round * 7) % 60);
    if (round % 2) await close(bench);
    else await Promise.all([bench.worker.close(), bench.queue.close()]);
    if (connected().length > 0) return t.strictSame(connected(), [], `after round ${round}`);
  }
  t.pass('no socket after any round');
});

t.test('a job that is kept out for an hour, as after a clock was set back, is let in again', async (t) => {
  const queue = await PartitionQueue.open(cluster.url, silent, 'kept-out');
  const done: number[] = [];
  const worker = queue.worker(1, async (_name, partition) => void done.push(partition));
  await queue.add(jobs(1));
  await until(async () => done.length === 1);
  const { port } = await masterOfSlot();
  const kept = await withAdmin(port, async (client) => {
    const [key] = await client.keys('*kept-out*drain-0');
    return client.pexpire(key!, 3_600_000);
  });
  t.equal(kept, 1, 'what keeps it out ends by the clock of its node');
  await queue.add(jobs(1));
  await queue.done('drain', 0);
  await queue.add(jobs(2));
  await until(async () => done.includes(1));
  t.strictSame(done, [0, 0, 1], 'the second time it was kept out');
  await worker.close();
  await queue.close();
});

t.test('a master that hangs is left for its replica', async (t) => {
  const bench = await open('frozen');
  await bench.worker.ready();
  await bench.queue.add(jobs(10));
  await until(async () => bench.done.size === 10);
  const master = await masterOfSlot();
  const before = connected().filter((port) => port === master.port);
  t.equal(before.length, 3, 'the queue, the worker, and its blocking reads');
  master.kill('SIGSTOP');
  try {
    const later = bench.queue.add(jobs(10, 10));
    await until(async () => bench.done.size === 20, 60_000);
    await later;
    t.pass('jobs that were added while it hung are done');
    await until(async () => !connected().includes(master.port), 60_000);
    await bench.queue.add(jobs(10, 20));
    await until(async () => bench.done.size === 30);
  } finally {
    master.kill('SIGCONT');
    await close(bench);
  }
  t.strictSame(connected(), []);
  await cluster.healthy();
});

t.test('a worker that waits for jobs keeps its connections', async (t) => {
  const bench = await open('idle');
  await bench.worker.ready();
  const { port } = await masterOfSlot();
  const reads = () =>
    withAdmin(port, async (client) =>
      Number(/cmdstat_bzpopmin:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0),
    );
  await until(async () => connectionsTo(port).length === 3);
  const first = connectionsTo(port);
  const from = await reads();
  // Longer in all than a node may owe an answer.
  await until(async () => (await reads()) > from + 4, 60_000);
  const last = new Set(connectionsTo(port));
  t.ok(first.every((one) => last.has(one)));
  await close(bench);
});

t.test('a failover of its master is followed; closing while the master is away ends', async (t) => {
  const bench = await open('failover');
  await bench.worker.ready();
  await bench.queue.add(jobs(10));
  await until(async () => bench.done.size === 10);
  const master = await masterOfSlot();
  master.kill('SIGKILL');
  await master.exited;
  const later = bench.queue.add(jobs(10, 10));
  const away = await open('away').catch((error: Error) => error);
  await until(async () => bench.done.size === 20, 60_000);
  await later;
  t.pass('jobs that were added while it was away are done');
  if (!(away instanceof Error)) await close(away);
  await master.restart();
  await cluster.healthy();

  // Moved while all live: the old master answers still, but no longer for the queue.
  const replica = (await masterOfSlot()).port;
  t.not(replica, master.port);
  // Redis gives a failover by hand up after five seconds, for example while the other masters will not vote again so soon.
  await until(async () => {
    await withAdmin(master.port, (client) => client.call('CLUSTER', 'FAILOVER'));
    return until(async () => (await masterOfSlot()).port === master.port, 6_000).catch(() => false);
  }, 60_000);
  await bench.queue.add(jobs(10, 20));
  await until(async () => bench.done.size === 30);
  t.pass('and after a failover by hand');

  for (const node of cluster.nodes) node.kill('SIGKILL');
  await Promise.all(cluster.nodes.map((node) => node.exited));
  void bench.queue.add(jobs(10, 30)).catch(() => undefined);
  await close(bench);
  t.strictSame(connected(), []);
});
