/** Lets clients at the servers: each one call at a time, all from one seed. */
import type { Answer, Call, HistoryWriter } from '../history.js';
import type { Rng } from '../rng.js';
import type { AppPart, World } from '../world.js';
import { Buyer, type Intent } from './buyer.js';
import type { Catalogue } from './catalogue.js';
import { HttpCaller, type HttpTarget } from './http.js';
import { Market } from './market.js';
import { StreamCaller, takes } from './stream.js';

export interface Workload {
  readonly caller: HttpCaller;
  readonly stream: StreamCaller;
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
        const call = history.begin({ client: 'start', via: server!.name, over: 'http', request, wanted: 'durable' });
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

/** Of the clients, so many speak the stream. */
const STREAM_SHARE = 1 / 3;
/** What a client of the stream waits for an answer, ms: some give up before the client's own repeating has had its time. */
const PATIENCE_MS = [800, 5_000] as const;
/** So often a client loses its connection in the middle of a call by itself, after 0 to so many ms. */
const HANGS_UP = 0.004;
const HANGS_UP_MS = 30;
/** What a client is called that asks for something at the same moment as the one of this name. */
const BESIDE = '-beside';

export async function startWorkload(
  world: World,
  catalogue: Catalogue,
  history: HistoryWriter,
  rng: Rng,
  options: WorkloadOptions,
): Promise<Workload> {
  const caller = await HttpCaller.open(world.jwtSecret);
  const stream = await StreamCaller.open(world.jwtSecret, world.servers);
  const counts = { ok: 0, failed: 0, unknown: 0 };
  let over = false;
  const ask = async (target: HttpTarget, intent: Intent, over: Call['over'], patienceMs: number, rng: Rng) => {
    const { request, wanted, key } = intent;
    const hangUpMs = rng.chance(HANGS_UP) ? rng.int(1, HANGS_UP_MS) : undefined;
    if (over === 'http') return caller.call(target, request, wanted, key, hangUpMs);
    if (hangUpMs !== undefined) setTimeout(() => stream.reset(target), hangUpMs);
    return stream.call(target, request, wanted, patienceMs);
  };
  const one = async (client: string, target: AppPart, intent: Intent, speaks: Call['over'], ms: number, own: Rng) => {
    const how = speaks === 'stream' && takes(intent.request) ? 'stream' : 'http';
    const { request, wanted, key, because } = intent;
    const call = history.begin({ client, via: target.name, over: how, request, wanted, key, because });
    const answer = await ask(target, intent, how, ms, own);
    history.end(call, answer);
    counts[answer.outcome]++;
    return answer;
  };
  const work = async (buyer: Buyer, own: Rng): Promise<void> => {
    const patienceMs = own.pick(PATIENCE_MS);
    const { name, speaks } = buyer;
    while (!over) {
      const intent = buyer.next();
      const target = own.pick(world.servers);
      const asked = [one(name, target, intent, speaks, patienceMs, own)];
      if (intent.beside) {
        const elsewhere = world.servers.find((server) => server !== target) ?? target;
        const { key, wanted } = intent;
        const same = intent.beside === intent.request;
        const besides = { request: intent.beside, wanted, ...(same && key !== undefined ? { key } : {}) };
        asked.push(one(`${name}${BESIDE}`, elsewhere, besides, speaks, patienceMs, own));
      }
      const [answer] = (await Promise.all(asked)) as [Answer, ...Answer[]];
      const wait = buyer.learn(intent, answer) + own.int(0, options.pauseMs);
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  const names = Array.from({ length: options.clients }, (_, n) => `c${n}`);
  const speakers = new Set(
    rng
      .fork('stream')
      .shuffle(names)
      .slice(0, Math.ceil(names.length * STREAM_SHARE)),
  );
  const market = new Market();
  const clients = names.map((name) => {
    const own = rng.fork(name);
    const speaks = speakers.has(name) ? 'stream' : 'http';
    return work(new Buyer(name, own.fork('deeds'), catalogue, speaks, market), own.fork('servers'));
  });
  // A bug in a client must not pass for a quiet run.
  const all = Promise.all(clients);
  all.catch(() => (over = true));
  return {
    caller,
    stream,
    counts,
    async stop() {
      over = true;
      await all;
      stream.close();
      await caller.close();
    },
  };
}
