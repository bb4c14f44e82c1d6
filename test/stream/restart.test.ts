/** Servers that end, in order and not: calls come through by their ids, subscriptions come back, nothing is done twice. */
import t from 'tap';
import { WebSocket } from 'undici';
import { connect } from '../../client/index.js';
import type { ConnectOptions } from '../../client/types.js';
import { openEngine } from '../../engine/index.js';
import { startStack } from '../harness/index.js';
import { beforeReserve, codeOf, LOCATION, startScene, until } from './support.js';

/** What is sent from `withhold` on stays on the way. */
class Slow extends WebSocket {
  static withhold = false;
  /** How connections ended. */
  static readonly ends: string[] = [];
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    this.addEventListener('close', ({ code, reason }) => Slow.ends.push(`${code} ${reason}`));
    this.addEventListener('error', ({ error }) => Slow.ends.push(String(error)));
  }
  static readonly withheld: (() => void)[] = [];
  override send(data: Parameters<WebSocket['send']>[0]): void {
    if (Slow.withhold) Slow.withheld.push(() => super.send(data));
    else super.send(data);
  }
}
const slowly = { WebSocket: Slow as unknown as ConnectOptions['WebSocket'], maxBackoffMs: 100 };

await t.test('shutdown: a goodbye, what was taken is answered, closed with 1001', async (t) => {
  const scene = await startScene({}, { HOLDFAST_DRAIN_MS: '10000' });
  const sku = await scene.item(2_000);
  const lines = [{ location: LOCATION, sku, quantity: 1 }];
  const client = await scene.client(slowly);
  const states: string[] = [];
  const watcher = await scene.client({ maxBackoffMs: 100, onState: (state) => states.push(state) });
  await watcher.subscribe(lines);
  const calls = Array.from({ length: 500 }, () => codeOf(client.reserve({ lines }, { timeoutMs: 8_000 })));
  await new Promise((resolve) => setImmediate(resolve));
  await scene.server.stop();
  const codes = await Promise.all(calls);
  // What came behind the goodbye was not carried out, and there is no other server to go to.
  t.same(
    [...new Set(codes)].filter((code) => code !== 'done' && code !== 'not_connected' && code !== 'shard_unavailable'),
    [],
    `connections ended: ${Slow.ends.join(', ')}`,
  );
  await until(() => states.includes('waiting'), 'the client knows that it is alone');
  t.ok(watcher.replica.get(LOCATION, sku), 'what was known stays known');
  t.equal(await codeOf(client.reserve({ lines }, { timeoutMs: 100 })), 'not_connected', 'nothing was changed, it says');
});

await t.test(
  'what was still on its way when all that was taken had been answered was not done, and it says so',
  async (t) => {
    let reserved = 0;
    const counted = beforeReserve(() => void reserved++);
    const scene = await startScene({}, { HOLDFAST_DRAIN_MS: '10000' }, counted);
    const lines = [{ location: LOCATION, sku: await scene.item(10), quantity: 1 }];
    const client = await scene.client(slowly);
    t.teardown(() => (Slow.withhold = false));
    t.equal(await codeOf(client.reserve({ lines })), 'done');
    Slow.withhold = true;
    const call = codeOf(client.reserve({ lines }, { timeoutMs: 3_000 }));
    await new Promise((resolve) => setImmediate(resolve));
    await scene.server.stop();
    t.equal(await call, 'not_connected');
    t.equal(reserved, 1, 'the second one never came');
  },
);

await t.test('what comes behind the goodbye is refused, and nothing is unknown', async (t) => {
  let go = (): void => undefined;
  let taken = (): void => undefined;
  const reached = new Promise<void>((resolve) => (taken = resolve));
  const letGo = new Promise<void>((resolve) => (go = resolve));
  // The server cannot end before this one is answered.
  const holdBack = beforeReserve(async ({ reservationId }) => {
    if (reservationId !== 'long') return;
    taken();
    await letGo;
  });
  const scene = await startScene({}, { HOLDFAST_DRAIN_MS: '20000' }, holdBack);
  const lines = [{ location: LOCATION, sku: await scene.item(10), quantity: 1 }];
  const other = await scene.client({ maxBackoffMs: 100 });
  const long = codeOf(other.reserve({ reservationId: 'long', lines }, { timeoutMs: 20_000 }));
  await reached;
  const states: string[] = [];
  const client = await scene.client({ ...slowly, onState: (state) => states.push(state) });
  t.teardown(() => (Slow.withhold = false));
  Slow.withhold = true;
  const call = codeOf(client.reserve({ lines }, { timeoutMs: 2_000 }));
  await until(() => Slow.withheld.length > 0, 'it is on its way');
  const stopped = scene.server.stop();
  await until(() => states.includes('waiting'), 'the goodbye has come');
  Slow.withhold = false;
  for (const send of Slow.withheld.splice(0)) send();
  t.match(await call, /^(shard_unavailable|not_connected)$/);
  go();
  t.equal(await long, 'done');
  await stopped;
});

await t.test('what was taken and not answered in the time for shutting down may have been done', async (t) => {
  let taken = (): void => undefined;
  let go = (): void => undefined;
  const reached = new Promise<void>((resolve) => (taken = resolve));
  const letGo = new Promise<void>((resolve) => (go = resolve));
  const holdBack = beforeReserve(async () => {
    taken();
    await letGo;
  });
  const scene = await startScene({}, { HOLDFAST_DRAIN_MS: '100' }, holdBack);
  const lines = [{ location: LOCATION, sku: await scene.item(10), quantity: 1 }];
  const client = await scene.client({ maxBackoffMs: 100 });
  const call = codeOf(client.reserve({ lines }, { timeoutMs: 3_000 }));
  await reached;
  await scene.server.stop();
  go();
  t.equal(await call, 'outcome_unknown');
});

await t.test('kill -9 of the server in the middle of a sale', async (t) => {
  const stack = await startStack({ servers: 1 });
  const engine = await openEngine({ redis: stack.redisUrl, recovery: 'external' });
  t.teardown(() => engine.close());
  const item = { location: LOCATION, sku: 'hot' };
  await engine.stock.configure(item, {});
  await engine.stock.restock(item, { quantity: 3_000 });
  const { authorization } = await stack.authorization('service');
  const client = await connect({ url: stack.url, token: authorization.slice(7), maxBackoffMs: 200 });
  t.teardown(() => client.close());
  await client.subscribe([item]);
  const results: Promise<string>[] = [];
  const options = { timeoutMs: 60_000 };
  const sale = async () => {
    for (let round = 0; round < 40; round++) {
      const some = Array.from({ length: 100 }, () =>
        codeOf(client.reserve({ lines: [{ ...item, quantity: 1 }] }, options)),
      );
      results.push(...some);
      await Promise.all(some);
    }
  };
  const sold = sale();
  for (let kills = 0; kills < 2; kills++) {
    const before = results.length;
    await until(() => results.length > before + 500, 'the sale goes on');
    const [server] = stack.servers;
    server!.kill('SIGKILL');
    await until(() => !server!.running, 'it is dead');
    await server!.start();
  }
  await sold;
  const codes = await Promise.all(results);
  const count = (code: string) => codes.filter((one) => one === code).length;
  t.equal(count('done'), 3_000, 'every unit was sold, each to one caller, through two deaths');
  t.equal(count('insufficient_stock'), 1_000);
  const [level] = await engine.stock.check([item]);
  t.match(level, { available: 0, reserved: 3_000 });
  await until(() => client.replica.get(LOCATION, 'hot')?.reserved === 3_000, 'the replica has caught up');
  const { reservationId } = await client
    .reserve({ lines: [{ ...item, quantity: 1 }] })
    .catch(() => ({ reservationId: '' }));
  t.equal(reservationId, '');
});
