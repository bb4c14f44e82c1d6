/** Point 11: how long until everything sells again after a fault. */
import { partitionOf } from './final/redis.js';
import type { Ack, Answer, Call, HistoryWriter, Request } from './history.js';
import { isHot } from './workload/catalogue.js';
import type { Workload } from './workload/driver.js';
import type { AppPart, World } from './world.js';

export interface Recovery {
  /** From when the fault was healed until every partition took a change by every server, and every stream answered. */
  readonly tookMs: number;
  /** What did not come back in time. */
  readonly problem?: string;
}

const PATIENCE_MS = 60_000;
/** One probe by the stream. */
const ANSWER_MS = 2_000;
const PAUSE_MS = 100;
/** A reservation of a probe is confirmed at once, unless something is still broken. */
const HOLD_SECONDS = 120;
let serial = 0;
const nextId = (): string => `probe-${serial++}`;

export async function afterwards(
  world: World,
  workload: Workload,
  history: HistoryWriter,
  refs: readonly string[],
  patienceMs = PATIENCE_MS,
): Promise<Recovery> {
  const probing = new Probing(workload, history, patienceMs);
  try {
    await world.heal(patienceMs);
  } catch (error) {
    return { tookMs: probing.took(), problem: (error as Error).message };
  }
  const byPartition = new Map(refs.map((ref) => [partitionOf(ref, world.partitions), ref]));
  const places = [...byPartition].flatMap(([partition, ref]) =>
    world.servers.map((server) => ({ partition, ref, server })),
  );
  const results = await Promise.all(places.map(({ partition, ref, server }) => probing.sells(server, partition, ref)));
  const tookMs = probing.took();
  const problem = results.find((one) => one !== undefined);
  if (problem !== undefined) return { tookMs, problem };
  // What sells is whole again: over partitions, and as safe as before.
  const more = await Promise.all([
    ...[...byPartition].map(([partition, ref], n) =>
      probing.reaches(world.servers[n % world.servers.length]!, partition, ref),
    ),
    ...world.servers.map((server) => probing.sellsOver(server, pairsOf(refs, world.partitions))),
  ]);
  return { tookMs, problem: more.find((one) => one !== undefined) };
}

/** Items in two partitions, of which nobody buys much. */
function pairsOf(refs: readonly string[], partitions: number): (readonly [string, string])[] {
  const quiet = refs.filter((ref) => !isHot(ref));
  return quiet.flatMap((one, n) => {
    const other = quiet.slice(n + 1).find((ref) => partitionOf(ref, partitions) !== partitionOf(one, partitions));
    return other === undefined ? [] : [[one, other] as const];
  });
}

/** Asks until it is answered as it should be; each gives what is wrong when the patience is over. */
class Probing {
  private readonly began = performance.now();

  constructor(
    private readonly workload: Workload,
    private readonly history: HistoryWriter,
    private readonly patienceMs: number,
  ) {}

  took(): number {
    return Math.round(performance.now() - this.began);
  }

  async sells(server: AppPart, partition: number, ref: string): Promise<string | undefined> {
    const refused = await this.until(server, () => ({ op: 'restock', id: nextId(), ref, quantity: 1 }));
    if (refused !== undefined) return `partition ${partition} does not sell again by ${server.name}: ${refused}`;
    const read = (): Request => ({ op: 'read', refs: [ref], fresh: true });
    const silent = await this.until(server, read, { over: 'stream' });
    if (silent !== undefined) return `partition ${partition} is not read by the stream of ${server.name}: ${silent}`;
    return undefined;
  }

  /** `replicated` and `durable` are reached again. */
  async reaches(server: AppPart, partition: number, ref: string): Promise<string | undefined> {
    for (const wanted of ['replicated', 'durable'] as const) {
      const make = (): Request => ({ op: 'restock', id: nextId(), ref, quantity: 1 });
      const good = ({ ack }: Answer): boolean => ack === wanted;
      const short = await this.until(server, make, { wanted, good });
      if (short !== undefined) return `partition ${partition} does not reach ${wanted} by ${server.name}: ${short}`;
    }
    return undefined;
  }

  /** A reservation over two partitions is held and confirmed; items that are sold out are passed over. */
  async sellsOver(server: AppPart, pairs: readonly (readonly [string, string])[]): Promise<string | undefined> {
    let id = '';
    let n = 0;
    if (pairs.length === 0) return undefined;
    const reserve = (): Request => {
      id = nextId();
      const lines = pairs[n++ % pairs.length]!.map((ref) => ({ ref, quantity: 1 }));
      return { op: 'reserve', id, buyer: id, lines, holdSeconds: HOLD_SECONDS };
    };
    const refused = await this.until(server, reserve);
    if (refused !== undefined) return `nothing over two partitions is held by ${server.name}: ${refused}`;
    const unsold = await this.until(server, () => ({ op: 'confirm', id }));
    if (unsold !== undefined) return `nothing over two partitions is sold by ${server.name}: ${unsold}`;
    return undefined;
  }

  private async until(
    server: AppPart,
    make: () => Request,
    more: { readonly over?: Call['over']; readonly wanted?: Ack; readonly good?: (answer: Answer) => boolean } = {},
  ): Promise<string | undefined> {
    const { over = 'http', wanted = 'executed', good = () => true } = more;
    const { caller, stream } = this.workload;
    for (;;) {
      const request = make();
      const call = this.history.begin({ client: 'probe', via: server.name, over, request, wanted });
      const asked =
        over === 'http' ? caller.call(server, request, wanted) : stream.call(server, request, wanted, ANSWER_MS);
      const answer = await asked;
      this.history.end(call, answer);
      if (answer.outcome === 'ok' && good(answer)) return undefined;
      if (this.took() > this.patienceMs) return answer.code ?? answer.ack ?? 'no answer';
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
