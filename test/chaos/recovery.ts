/** Point 11: how long until everything sells again after a fault. */
import { partitionOf } from './final/redis.js';
import type { HistoryWriter } from './history.js';
import type { HttpCaller } from './workload/http.js';
import type { World } from './world.js';

export interface Recovery {
  /** From when the fault was healed until every partition took a change by every server. */
  readonly tookMs: number;
  /** What did not come back in time. */
  readonly problem?: string;
}

const PATIENCE_MS = 60_000;
let serial = 0;

export async function afterwards(
  world: World,
  caller: HttpCaller,
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
  const results = await Promise.all(
    probes.map(async ({ partition, ref, server }) => {
      for (;;) {
        const request = { op: 'restock', id: `probe-${serial++}`, ref, quantity: 1 } as const;
        const call = history.begin({ client: 'probe', via: server.name, request, wanted: 'executed' });
        const answer = await caller.call(server, request, 'executed');
        history.end(call, answer);
        if (answer.outcome === 'ok') return undefined;
        if (took() > patienceMs) return `partition ${partition} does not sell again by ${server.name}: ${answer.code}`;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }),
  );
  return { tookMs: took(), problem: results.find((one) => one !== undefined) };
}
