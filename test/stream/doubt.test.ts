/** A refusal of a call whose first attempt may still be under way: that attempt may find the units that the second one lacked. */
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { WebSocket } from 'undici';
import type { HoldfastError } from '../../client/index.js';
import type { ConnectOptions } from '../../client/types.js';
import { beforeReserve, LOCATION, startScene } from './support.js';

const CALL_MS = 1_500;
const sockets: WebSocket[] = [];
class Watched extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    sockets.push(this);
  }
}
const options = { WebSocket: Watched as unknown as ConnectOptions['WebSocket'] };

/** The first call for this reservation stays in the server until it is let go. */
let slow = '';
let reached = (): void => undefined;
let letGo = Promise.resolve();
const holdBack = beforeReserve(async ({ reservationId }) => {
  if (reservationId !== slow) return;
  slow = '';
  reached();
  await letGo;
});

const scene = await startScene({}, { HOLDFAST_CALL_TIMEOUT_MS: String(CALL_MS) }, holdBack);

/** Somebody else holds the only unit; the connection ends while the first attempt is in the server; the second one is refused. */
async function doubtful(name: string, timeoutMs: number) {
  const sku = await scene.item(1);
  const line = { location: LOCATION, sku, quantity: 1 };
  const other = await scene.engine.reservations.reserve({ lines: [line] });
  const reservationId = `doubt-${name}`;
  let go = (): void => undefined;
  letGo = new Promise((resolve) => (go = resolve));
  const taken = new Promise<void>((resolve) => (reached = resolve));
  slow = reservationId;
  const client = await scene.client(options);
  const asked = client.reserve({ reservationId, lines: [line] }, { timeoutMs });
  await taken;
  sockets.at(-1)!.close();
  return { asked, reservationId, other, go };
}

t.test('the first attempt finds what the second one lacked: the answer is that it is held', async (t) => {
  const { asked, reservationId, other, go } = await doubtful('late', 20_000);
  await pause(CALL_MS / 3);
  if (!('value' in other)) throw new Error('not held');
  await scene.engine.reservations.release(other.value.reservationId);
  go();
  t.match(await asked, { reservationId, status: 'held', repeated: true });
});

t.test('the first attempt finds no more than the second: the refusal stands', async (t) => {
  const { asked, go } = await doubtful('never', 20_000);
  go();
  await t.rejects(asked, { code: 'insufficient_stock' });
});

t.test('no time is left to find out: the outcome is unknown, and the error says by which id to ask', async (t) => {
  const { asked, reservationId, go } = await doubtful('short', CALL_MS / 2);
  const error = await asked.then(
    () => undefined,
    (cause: HoldfastError) => cause,
  );
  t.match(error, { code: 'outcome_unknown', id: reservationId });
  go();
});
