/** Point 11: how long until everything sells again after a fault. */
import { partitionOf } from './final/redis.js';
import type { Call, HistoryWriter, Request } from './history.js';
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
let serial = 0;

export async function afterwards(
  world: World,
  { caller, stream }: Workload,
  history: HistoryWriter,
  refs: readonly string[],
  patienceMs = PATIENCE_MS,
): Promise<Recovery> {
  const began = performance.now();
  const took = (): number => Math.round(performance.now() - began);
  try {
    await world.heal(patienceMs);
  } catch (error) {
    return { tookMs: took(), problem: (error as Error).message };
  }
  const byPartition = new Map(refs.map((ref) => [partitionOf(ref, world.partitions), ref]));
  const probes = [...byPartition].flatMap(([partition, ref]) =>
    world.servers.map((server) => ({ partition, ref, server })),
  );
  const probe = async (server: AppPart, over: Call['over'], make: () => Request) => {
    for (;;) {
      const request = make();
      const call = history.begin({ client: 'probe', via: server.name, over, request, wanted: 'executed' });
      const asked =
        over === 'http'
          ? caller.call(server, request, 'executed')
          : stream.call(server, request, 'executed', ANSWER_MS);
      const answer = await asked;
      history.end(call, answer);
      if (answer.outcome === 'ok') return undefined;
      if (took() > patienceMs) return answer.code ?? 'no answer';
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const results = await Promise.all(
    probes.map(async ({ partition, ref, server }) => {
      const id = (): string => `probe-${serial++}`;
      const refused = await probe(server, 'http', () => ({ op: 'restock', id: id(), ref, quantity: 1 }));
      if (refused !== undefined) return `partition ${partition} does not sell again by ${server.name}: ${refused}`;
      const silent = await probe(server, 'stream', () => ({ op: 'read', refs: [ref], fresh: true }));
      if (silent !== undefined) return `partition ${partition} is not read by the stream of ${server.name}: ${silent}`;
      return undefined;
    }),
  );
  return { tookMs: took(), problem: results.find((one) => one !== undefined) };
}
