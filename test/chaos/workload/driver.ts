/** Lets clients at the servers: each one call at a time, all from one seed. */
import type { Call, HistoryWriter } from '../history.js';
import type { Rng } from '../rng.js';
import type { World } from '../world.js';
import { Buyer } from './buyer.js';
import type { Catalogue } from './catalogue.js';
import { HttpCaller } from './http.js';

export interface Workload {
  readonly caller: HttpCaller;
  /** Calls that ended so far, by outcome. */
  readonly counts: Readonly<Record<'ok' | 'failed' | 'unknown', number>>;
  /** Lets the calls under way end; no new ones are made. */
  stop(): Promise<void>;
}

export interface WorkloadOptions {
  readonly clients: number;
  /** Pause of a client between two calls: 0 to so many ms. */
  readonly pauseMs: number;
}

/** Stock and settings, everything `durable`, before the first client comes. */
export async function stockUp(world: World, catalogue: Catalogue, history: HistoryWriter): Promise<void> {
  const caller = await HttpCaller.open(world.jwtSecret);
  const [server] = world.servers;
  try {
    for (const { ref, stock, buyerLimit } of catalogue.items) {
      const settings = buyerLimit === undefined ? {} : { buyerLimit };
      for (let answer; answer?.outcome !== 'ok';) answer = await caller.configure(server!, ref, settings);
      const request = { op: 'restock', id: `start-${ref.replace(':', '.')}`, ref, quantity: stock } as const;
      for (let tries = 0; ; tries++) {
        const call = history.begin({ client: 'start', via: server!.name, request, wanted: 'durable' });
        const answer = await caller.call(server!, request, 'durable');
        history.end(call, answer);
        if (answer.outcome === 'ok') break;
        if (tries > 20) throw new Error(`${ref} cannot be stocked: ${answer.code}`);
      }
    }
  } finally {
    await caller.close();
  }
}

export async function startWorkload(
  world: World,
  catalogue: Catalogue,
  history: HistoryWriter,
  rng: Rng,
  options: WorkloadOptions,
): Promise<Workload> {
  const caller = await HttpCaller.open(world.jwtSecret);
  const counts = { ok: 0, failed: 0, unknown: 0 };
  let over = false;
  const work = async (buyer: Buyer, own: Rng): Promise<void> => {
    while (!over) {
      const intent = buyer.next();
      const target = own.pick(world.servers);
      const { request, wanted, key, because } = intent;
      const call: Call = history.begin({ client: buyer.name, via: target.name, request, wanted, key, because });
      const answer = await caller.call(target, request, wanted, key);
      history.end(call, answer);
      counts[answer.outcome]++;
      const wait = buyer.learn(intent, answer) + own.int(0, options.pauseMs);
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  const clients = Array.from({ length: options.clients }, (_, n) => {
    const name = `c${n}`;
    const own = rng.fork(name);
    return work(new Buyer(name, own.fork('deeds'), catalogue), own.fork('servers'));
  });
  // A bug in a client must not pass for a quiet run.
  const all = Promise.all(clients);
  all.catch(() => (over = true));
  return {
    caller,
    counts,
    async stop() {
      over = true;
      await all;
      await caller.close();
    },
  };
}
