/**
 * Every route and every error code of the contract, against real processes: two servers on one port, a worker, a Redis
 * Cluster, Postgres. Each answer is held against the document the server serves; at the end every code that the document
 * promises must have been seen.
 */
import t from 'tap';
import { conventionsPart } from './parts/conventions.js';
import { idempotencyPart } from './parts/idempotency.js';
import { operationsPart } from './parts/operations.js';
import { reservationsPart } from './parts/reservations.js';
import type { Scene } from './parts/scene.js';
import { stockPart } from './parts/stock.js';
import { unavailablePart } from './parts/unavailable.js';
import { Client, startSystem } from './support.js';

/** What cannot be brought about from outside, and why. */
const NOT_PROVOKED: readonly [pattern: RegExp, why: string][] = [
  [/ internal_error$/, 'a defect; if a test could provoke it, it would be repaired'],
  [
    /^(getStock|getStockOfMany|queryStock) (unauthenticated|forbidden|issuer_unavailable)$/,
    'only where reads are closed to the public',
  ],
  [
    /^(importStock|returnReservation) outcome_unknown$/,
    'both read first, so a store that hangs is noticed before anything is sent',
  ],
  [/^getPartitions shard_unavailable$/, 'partitions of nodes that cannot be reached are left out instead'],
];

const stack = await startSystem({ servers: 2 });
const client = await new Client(stack.url, stack.jwtSecret).load();
const scene: Scene = { stack, client };

await t.test('stock', (t) => stockPart(t, scene));
await t.test('reservations', (t) => reservationsPart(t, scene));
await t.test('conventions', (t) => conventionsPart(t, scene));
await t.test('idempotency', (t) => idempotencyPart(t, scene));
await t.test('unavailable', (t) => unavailablePart(t, scene));
await t.test('operations', (t) => operationsPart(t, scene));

await t.test('every documented code was seen', async (t) => {
  const missing: string[] = [];
  for (const { operationId, codes } of client.all) {
    for (const code of [...codes.values()].flat()) {
      const name = `${operationId} ${code}`;
      if (!client.seen.has(name) && !NOT_PROVOKED.some(([pattern]) => pattern.test(name))) missing.push(name);
    }
  }
  t.same(missing, []);
});

await t.test('both processes had their share, and both are still alive', async (t) => {
  t.equal(stack.servers.length, 2);
  for (const server of stack.servers) t.ok(server.running, server.name);
});
