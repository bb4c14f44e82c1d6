/** What the proofs about reservations share: an engine with keys of its own, items by partition, and the whole of what is kept. */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { crc16 } from '../../engine/partitions.js';
import { openEngine } from '../../engine/index.js';
import type {
  Engine,
  EngineOptions,
  HoldRecord,
  ItemRef,
  Outcome,
  Reservation,
  StockItem,
} from '../../engine/types.js';
import { atEnd, testCluster } from '../harness/index.js';
import type { Order, Report } from './reservations-child.js';

export const PARTITIONS = 16;

export interface Bench {
  readonly engine: Engine;
  readonly redis: string;
  readonly prefix: string;
  /** Another engine on the same keys, which remembers nothing of what the first has made. */
  another(options?: Partial<EngineOptions>): Promise<Engine>;
}

export async function openBench(): Promise<Bench> {
  const { url, prefix } = await testCluster();
  const open = async (options: Partial<EngineOptions>) => {
    const engine = await openEngine({ redis: url, prefix, partitions: PARTITIONS, timeoutMs: 20_000, ...options });
    atEnd(() => engine.close());
    await engine.ready();
    return engine;
  };
  return {
    engine: await open({}),
    redis: url,
    prefix,
    another: (options) => open({ recovery: 'external', ...options }),
  };
}

/** The item of this name that lies in the partition. */
export function itemIn(engine: Engine, partition: number, name: string): ItemRef {
  for (let n = 0; ; n++) {
    const item = { location: 'main', sku: `${name}-${n}` };
    if (engine.partitions.of(item) === partition) return item;
  }
}

/** An id as a caller might have made it, whose home is the partition. */
export function idIn(partition: number, name: string): string {
  for (;;) {
    const id = `${name}-${randomBytes(6).toString('hex')}`;
    if (crc16(id) % PARTITIONS === partition) return id;
  }
}

export async function stockUp(engine: Engine, item: ItemRef, quantity: number): Promise<void> {
  done(await engine.stock.configure(item, {}));
  if (quantity > 0) done(await engine.stock.restock(item, { quantity }));
}

/** The value of an outcome that must not be a refusal. */
export function done<T>(outcome: Outcome<T>): T {
  if (outcome.status !== 'ok' && outcome.status !== 'exists') throw new Error(`refused: ${JSON.stringify(outcome)}`);
  return outcome.value;
}

/** [available, reserved, sold] */
export type Counts = readonly [number, number, number];

export async function countsOf(engine: Engine, items: readonly ItemRef[]): Promise<Counts[]> {
  return (await engine.stock.check(items)).map((item) => [item!.available, item!.reserved, item!.sold]);
}

export interface Everything {
  readonly items: Map<string, StockItem>;
  readonly holds: HoldRecord[];
  readonly claims: HoldRecord[];
}

export async function everything(engine: Engine): Promise<Everything> {
  const found: Everything = { items: new Map(), holds: [], claims: [] };
  for (let partition = 0; partition < engine.partitions.count; partition++)
    for await (const page of engine.partitions.dump(partition)) {
      for (const item of page.items ?? []) found.items.set(`${item.location}:${item.sku}`, item);
      found.holds.push(...(page.holds ?? []));
      found.claims.push(...(page.claims ?? []));
    }
  return found;
}

/** The records kept under an id, wherever they are. */
export async function recordsOf(engine: Engine, id: string): Promise<{ holds: HoldRecord[]; claims: HoldRecord[] }> {
  const { holds, claims } = await everything(engine);
  return { holds: holds.filter((hold) => hold.id === id), claims: claims.filter((claim) => claim.id === id) };
}

export async function sweepAll(engine: Engine): Promise<void> {
  await Promise.all(
    Array.from({ length: engine.partitions.count }, (_, partition) => engine.partitions.sweep(partition)),
  );
}

/** Sweeps, as a worker would, until it is so; the limit only ends a test that will never pass. */
export async function sweepUntil(
  what: string,
  engine: Engine,
  look: () => Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  for (;;) {
    await sweepAll(engine);
    if (await look()) return;
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(200);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What of an outcome must be the same for every caller who asked under the same id. */
export function answerOf(outcome: Outcome<Reservation>): unknown {
  if (outcome.status !== 'ok' && outcome.status !== 'exists') return outcome;
  const { now: _now, ...reservation } = outcome.value;
  return reservation;
}

const CHILD = fileURLToPath(
  new URL(`reservations-child.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url),
);
const AT_A_TIME = 4;
let running = 0;
const queue: (() => void)[] = [];

export interface Child {
  /** Sends the order; resolves with the report, or `undefined` when the child died first. */
  order(order: Order): Promise<Report | undefined>;
  end(): void;
}

/** A process of its own with an engine on the same keys. Only a few run at a time. */
export async function startChild(bench: Bench): Promise<Child> {
  if (running >= AT_A_TIME) await new Promise<void>((resolve) => queue.push(resolve));
  running++;
  const loader = CHILD.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  const child = fork(CHILD, [], { execArgv: loader, serialization: 'advanced' });
  const gone = new Promise<undefined>((resolve) => child.once('exit', () => resolve(undefined)));
  void gone.then(() => {
    running--;
    queue.shift()?.();
  });
  child.send({ redis: bench.redis, prefix: bench.prefix, partitions: PARTITIONS });
  const next = () => Promise.race([new Promise<Report>((resolve) => child.once('message', resolve as never)), gone]);
  if ((await next()) === undefined) throw new Error('the child ended before it was ready');
  return {
    order: (order) => {
      const report = next();
      child.send(order);
      return report;
    },
    end: () => void child.kill('SIGKILL'),
  };
}

/** One order in a process of its own. */
export async function inChild(bench: Bench, order: Order): Promise<Report | undefined> {
  const child = await startChild(bench);
  try {
    return await child.order(order);
  } finally {
    child.end();
  }
}
