/**
 * @alone: the master of one shard is killed while 5,000 reservations a second arrive, over all shards, whatever becomes of them.
 * Answers that were `replicated` are there afterwards; the other shards go on meanwhile, and callers of this one are told 503 until its
 * replica was opened. The worker asks the replica to take over, unless it lacks something. What was measured is printed; nothing is
 * asserted about time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openEngine } from '../../engine/index.js';
import { EngineError } from '../../engine/errors.js';
import { DEFAULT_PARTITIONS, Partitions } from '../../engine/partitions.js';
import type { Ack, Engine, ItemRef } from '../../engine/types.js';
import { withAdmin } from '../../stack/redis-form.js';
import { KIND } from '../../workers/kinds.js';
import { openPools } from '../../workers/db/pools.js';
import { verify } from '../../workers/verify/verify.js';
import { atEnd, startStack, type TestStack } from '../harness/index.js';
import { until } from '../workers/support.js';

const RATE = 5_000;
const UNITS = 1_000_000;
const PATIENCE_MS = 90_000;
const AROUND_MS = 3_000;
const partitions = new Partitions(DEFAULT_PARTITIONS);

/** One item in each partition. */
const items: ItemRef[] = Array.from({ length: DEFAULT_PARTITIONS }, (_, partition) => {
  for (let n = 0; ; n++) {
    const item = { location: 'main', sku: `p${partition}-${n}` };
    if (partitions.of(`${item.location}:${item.sku}`) === partition) return item;
  }
});

/** Arrivals by the clock, one item after the other, and what became of each. Times are those of performance.now(). */
class Arrivals {
  readonly acked: { readonly id: string; readonly ack: Ack; readonly partition: number; readonly at: number }[] = [];
  readonly failed = new Map<string, { readonly count: number; readonly partitions: Set<number> }>();
  begun = 0;
  private underWay = 0;
  private readonly timer: NodeJS.Timeout;
  private readonly startedAt = performance.now();

  constructor(private readonly engine: Engine) {
    this.timer = setInterval(() => this.arrive(), 2);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await until(async () => this.underWay === 0, PATIENCE_MS);
  }

  private arrive(): void {
    const due = ((performance.now() - this.startedAt) / 1_000) * RATE;
    for (; this.begun < due; this.begun++) void this.reserve(this.begun);
  }

  private async reserve(n: number): Promise<void> {
    const partition = n % items.length;
    this.underWay++;
    try {
      const lines = [{ ...items[partition]!, quantity: 1 }];
      const outcome = await this.engine.reservations.reserve({ buyerId: `b-${n}`, lines, holdSeconds: 3_600 });
      if (!('value' in outcome)) throw new Error(`refused: ${outcome.status}`);
      const id = outcome.value.reservationId;
      this.acked.push({ id, ack: outcome.ack, partition, at: performance.now() });
    } catch (error) {
      const code = error instanceof EngineError ? error.code : (error as Error).message;
      const { count = 0, partitions = new Set<number>() } = this.failed.get(code) ?? {};
      this.failed.set(code, { count: count + 1, partitions: partitions.add(partition) });
    } finally {
      this.underWay--;
    }
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function stockUp(engine: Engine): Promise<void> {
  await Promise.all(items.map((item) => engine.stock.configure(item, {})));
  await Promise.all(items.map((item) => engine.stock.restock(item, { quantity: UNITS, movementId: `in-${item.sku}` })));
}

async function replicaOf({ redis }: TestStack, masterPort: number) {
  for (const node of redis!.nodes) {
    const info = await withAdmin(node.port, (client) => client.info('replication'));
    if (info.includes('role:slave') && info.includes(`master_port:${masterPort}`)) return node;
  }
  throw new Error('the master has no replica');
}

/** Whether somebody has asked the node to take over: it says so in its log. */
function wasAsked({ dir }: TestStack, { port }: { readonly port: number }): boolean {
  const log = readFileSync(join(dir, 'logs', `redis-${port}.log`), 'utf8');
  return log.includes('Forced failover user request accepted');
}

/** Partitions of the node, and the node. */
async function victimOf({ redis }: TestStack, engine: Engine) {
  await redis!.refresh();
  const node = redis!.nodes.find(({ role }) => role === 'master')!;
  const served = (await engine.partitions.status()).filter((status) => status.node === node.id);
  return { node, dead: new Set(served.map(({ partition }) => partition)) };
}

interface Told {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: string | null;
}

async function overHttp(stack: TestStack, partition: number, headers: Record<string, string>): Promise<Told> {
  const response = await fetch(`${stack.url}/v1/reservations`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ buyerId: 'web', lines: [{ ...items[partition]!, quantity: 1 }] }),
  });
  const { code } = (await response.json()) as { code?: string };
  return { status: response.status, code, retryAfter: response.headers.get('retry-after') };
}

function longestGap(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted.reduce((longest, at, n) => (n === 0 ? 0 : Math.max(longest, at - sorted[n - 1]!)), 0);
}

/** Every answer that was `replicated` is there; of the others only those that have a reversal record may be missing. */
async function allThere(t: Test, engine: Engine, stack: TestStack, { acked }: Arrivals): Promise<void> {
  const pools = openPools(stack.databaseUrl);
  atEnd(() => pools.end());
  const report = await verify({ partitions: engine.partitions, pool: pools.general, waitMs: PATIENCE_MS });
  t.same(report.problems, [], 'verify is clean');
  const { rows } = await pools.general.query<{ id: string }>('SELECT id FROM holds');
  const there = new Set(rows.map(({ id }) => id));
  const missing = acked.filter(({ id }) => !there.has(id));
  t.same(
    missing.filter(({ ack }) => ack === 'replicated').map(({ id }) => id),
    [],
    'no replicated answer is missing',
  );
  const narrow = missing.filter(({ ack }) => ack !== 'replicated').map(({ id }) => id);
  const reversed = async () => {
    const found = await pools.general.query<{ id: string }>('SELECT id FROM reversals WHERE id = ANY($1)', [narrow]);
    return new Set(found.rows.map(({ id }) => id));
  };
  await until(async () => (await reversed()).size === narrow.length, PATIENCE_MS);
  const count = (ack: Ack) => acked.filter((one) => one.ack === ack).length;
  t.comment(`${count('replicated')} replicated, ${count('executed')} executed; ${narrow.length} of these reversed`);
  t.equal(there.size >= acked.length - narrow.length, true);
}

t.test(`a master is killed under ${RATE} reservations a second`, async (t) => {
  // Shorter than a master has to be gone before its replica is asked, else callers may not notice at all.
  const stack = await startStack({ workers: 1, servers: 1, env: { HOLDFAST_CALL_TIMEOUT_MS: '200' } });
  const engine = await openEngine({ redis: stack.redisUrl, recovery: 'external' });
  atEnd(() => engine.close());
  await engine.ready(PATIENCE_MS);
  await stockUp(engine);
  const headers = await stack.authorization('service');
  const { node, dead } = await victimOf(stack, engine);
  t.ok(dead.size >= DEFAULT_PARTITIONS / 4, 'it has its share of the partitions');
  const [onDead] = dead;
  const elsewhere = items.findIndex((_, partition) => !dead.has(partition));

  const replica = await replicaOf(stack, node.port);
  const arrivals = new Arrivals(engine);
  await sleep(AROUND_MS);
  node.kill('SIGKILL');
  const killedAt = performance.now();
  const resumed = () => arrivals.acked.find(({ partition, at }) => dead.has(partition) && at > killedAt + 1_000);
  const refused = async () => {
    for (;;) {
      const answer = await overHttp(stack, onDead!, headers);
      // Sent before the server knew.
      if (answer.code !== 'outcome_unknown') return answer;
    }
  };
  const [told, sold] = await Promise.all([refused(), overHttp(stack, elsewhere, headers)]);
  await until(async () => resumed(), PATIENCE_MS);
  const resumedAt = resumed()!.at;
  t.match(
    told,
    { status: 503, code: 'shard_unavailable', retryAfter: /^\d+$/ },
    'callers of this shard are told when to ask again',
  );
  t.match(sold, { status: 201 }, 'those of another one are served');
  t.ok(wasAsked(stack, replica), 'its replica was asked to take over');
  await sleep(AROUND_MS);
  await arrivals.stop();

  const { acked, failed } = arrivals;
  const others = acked.filter(({ partition }) => !dead.has(partition)).map(({ at }) => at);
  const meanwhile = others.filter((at) => at > killedAt && at < resumedAt).length;
  const offered = ((resumedAt - killedAt) / 1_000) * RATE * (1 - dead.size / items.length);
  t.ok(meanwhile > offered / 3, 'the others sold all the time');
  t.same(
    [...failed.keys()].sort(),
    [...failed.keys()].filter((code) => /^(shard_unavailable|outcome_unknown|overloaded)$/.test(code)).sort(),
  );
  for (const [code, { partitions }] of failed)
    t.ok(
      [...partitions].every((partition) => dead.has(partition)),
      `${code} on this shard only`,
    );
  t.comment(
    `${arrivals.begun} arrived, ${acked.length} reserved; ${[...failed].map(([code, { count }]) => `${count} ${code}`).join(', ')}`,
  );
  t.comment(`this shard sold again after ${(resumedAt - killedAt).toFixed(0)} ms (node timeout 5,000 ms)`);
  t.comment(
    `the others meanwhile: ${meanwhile} of ${offered.toFixed(0)} offered, longest pause ${longestGap(others).toFixed(0)} ms`,
  );
  await allThere(t, engine, stack, arrivals);
});

t.test('a replica that lacks the last answers takes over: each of them has a reversal record', async (t) => {
  const stack = await startStack({ workers: 1, servers: 0 });
  const engine = await openEngine({ redis: stack.redisUrl, recovery: 'external', timeoutMs: PATIENCE_MS });
  atEnd(() => engine.close());
  await engine.ready(PATIENCE_MS);
  await stockUp(engine);
  const { node, dead } = await victimOf(stack, engine);
  const replica = await replicaOf(stack, node.port);
  const reserve = async (n: number) => {
    const partition = [...dead][n % dead.size]!;
    const lines = [{ ...items[partition]!, quantity: 1 }];
    const outcome = await engine.reservations.reserve({ buyerId: `b-${n}`, lines }, { ack: 'executed' });
    if (!('value' in outcome)) throw new Error(`refused: ${outcome.status}`);
    return outcome.value.reservationId;
  };
  const safe = await Promise.all(Array.from({ length: 100 }, (_, n) => reserve(n)));
  await until(async () => (await engine.partitions.status()).every(({ seq, persisted }) => seq === persisted.seq));

  // Nobody persists and nobody replicates any more; what is answered now is nowhere but in this master.
  const [worker] = stack.workers;
  worker!.kill('SIGKILL');
  await worker!.exited;
  replica.kill('SIGSTOP');
  // Else it would find what the system has received for it meanwhile.
  await withAdmin(node.port, (client) => client.client('KILL', 'TYPE', 'replica'));
  const lost = await Promise.all(Array.from({ length: 200 }, (_, n) => reserve(100 + n)));
  node.kill('SIGKILL');
  await node.exited;
  replica.kill('SIGCONT');
  await stack.startApps();

  const pools = openPools(stack.databaseUrl);
  atEnd(() => pools.end());
  const reversed = async () =>
    (await pools.general.query<{ id: string }>('SELECT id FROM reversals WHERE kind = $1', [KIND.held])).rows;
  await until(async () => (await reversed()).length >= lost.length, PATIENCE_MS);
  t.same((await reversed()).map(({ id }) => id).sort(), [...lost].sort(), 'exactly those');
  const found = await Promise.all([...safe, ...lost].map((id) => engine.reservations.find(id)));
  t.same(
    found.map((one) => one?.status),
    [...safe.map(() => 'held'), ...lost.map(() => undefined)],
  );
  const report = await verify({ partitions: engine.partitions, pool: pools.general, waitMs: PATIENCE_MS });
  t.same(report.problems, [], 'verify is clean');
  t.equal(report.counted.reversals, lost.length);
  t.notOk(wasAsked(stack, replica), 'by the cluster, once it had noticed: nobody asked a replica that lacks answers');
});
