import { Agent, request } from 'undici';
import { adminToken } from '../workload/http.js';
import { repeating } from './common.js';
import type { Fault } from './types.js';

/** Calls under way at once at every server, far more than the workload's. */
const AT_ONCE = 400;
/** An item that nobody has: refused by the script, after admission and the way to Redis. */
const NOBODYS = { buyerId: 'flood', holdSeconds: 5, lines: [{ location: 'flood', sku: 'none', quantity: 1 }] };

export const fault: Fault = {
  name: 'overload',
  describe: 'every server is asked for far more than it can do, by callers that nobody will serve',
  rows: [25],
  loses: 'none',
  async inject(world, rng, log) {
    const agent = new Agent({ connections: AT_ONCE, pipelining: 1, headersTimeout: 10_000 });
    const answers = new Map<number, number>();
    const token = await adminToken(world.jwtSecret);
    const ask = async (port: number): Promise<void> => {
      const id = `flood-${rng.int(0, 2 ** 31)}`;
      const { statusCode, body } = await request(`http://127.0.0.1:${port}/v1/reservations`, {
        method: 'POST',
        dispatcher: agent,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ ...NOBODYS, reservationId: id }),
      });
      await body.dump();
      answers.set(statusCode, (answers.get(statusCode) ?? 0) + 1);
    };
    const ends = world.servers.flatMap(({ port }) =>
      // A server that another fault has killed refuses: that is no reason to end.
      Array.from({ length: AT_ONCE / 2 }, () => repeating(() => ask(port).catch(() => undefined))),
    );
    log('floods', { atOnce: ends.length });
    return async () => {
      await Promise.all(ends.map((end) => end()));
      await agent.destroy();
      log('ends', { answers: Object.fromEntries(answers) });
    };
  },
};
