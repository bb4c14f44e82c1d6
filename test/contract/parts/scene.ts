/** What the parts of the contract test share: the running system and items in every state a code needs. */
import type { TestStack } from '../../harness/index.js';
import { fresh, type CallOptions, type Client, type Reply } from '../support.js';

export interface Scene {
  readonly stack: TestStack;
  readonly client: Client;
}

export const LOCATION = 'berlin';

export async function makeItem(client: Client, units: number, settings: Record<string, unknown> = {}): Promise<string> {
  const sku = fresh('sku');
  const admin = { as: 'admin' } as const;
  await must(client.call('PUT', `/v1/stock/${LOCATION}/${sku}`, { ...admin, body: settings }));
  if (units > 0) {
    await must(client.call('POST', `/v1/stock/${LOCATION}/${sku}/restock`, { ...admin, body: { quantity: units } }));
  }
  return sku;
}

export async function makeReservation(
  client: Client,
  sku: string,
  options: Partial<CallOptions> & { quantity?: number; holdSeconds?: number } = {},
): Promise<string> {
  const { quantity = 1, holdSeconds, as = 'service' } = options;
  const reply = await must(
    client.call('POST', '/v1/reservations', {
      as,
      body: { lines: [{ location: LOCATION, sku, quantity }], holdSeconds },
    }),
  );
  return reply.body.reservationId as string;
}

export async function must(call: Promise<Reply>): Promise<Reply> {
  const reply = await call;
  if (reply.status >= 300) throw new Error(`${reply.status}: ${reply.bytes.toString()}`);
  return reply;
}

export interface Sample {
  readonly path: string;
  readonly as?: CallOptions['as'];
  readonly body?: unknown;
}

/** One good request of every operation. Ids are new each time. */
export async function sampleOf(client: Client, operationId: string, on: Client = client): Promise<Sample> {
  const item = async (units = 5): Promise<string> => `/v1/stock/${LOCATION}/${await makeItem(on, units)}`;
  const held = async (): Promise<string> => makeReservation(on, await makeItem(on, 1));
  switch (operationId) {
    case 'getStock':
      return { path: await item() };
    case 'getStockOfMany':
      return { path: `/v1/stock?items=${LOCATION}:a,${LOCATION}:b` };
    case 'queryStock':
      return { path: '/v1/stock/query', body: { items: [[LOCATION, 'a']] } };
    case 'configureStock':
      return { path: `/v1/stock/${LOCATION}/${fresh('new')}`, as: 'admin', body: { lowStock: 3 } };
    case 'restock':
      return { path: `${await item(0)}/restock`, as: 'admin', body: { quantity: 2 } };
    case 'adjust':
      return { path: `${await item()}/adjust`, as: 'admin', body: { by: -1, reason: 'broken' } };
    case 'deduct':
      return { path: `${await item()}/deduct`, as: 'service', body: { quantity: 1, orderId: fresh('order') } };
    case 'getMovements':
      return { path: `${await item()}/movements`, as: 'admin' };
    case 'importStock':
      return {
        path: '/v1/stock/import',
        as: 'admin',
        body: {
          rows: [{ line: 2, location: LOCATION, sku: fresh('file'), countedTo: 4 }],
          reason: 'count',
          importId: fresh('import'),
        },
      };
    case 'exportStock':
      return { path: '/v1/stock/export', as: 'admin' };
    case 'reserve':
      return {
        path: '/v1/reservations',
        as: 'service',
        body: { lines: [{ location: LOCATION, sku: await makeItem(on, 5), quantity: 1 }] },
      };
    case 'getReservation':
      return { path: `/v1/reservations/${await held()}`, as: 'service' };
    case 'confirmReservation':
    case 'releaseReservation':
      return {
        path: `/v1/reservations/${await held()}/${operationId.replace('Reservation', '')}`,
        as: 'service',
        body: {},
      };
    case 'extendReservation':
      return { path: `/v1/reservations/${await held()}/extend`, as: 'service', body: { holdSeconds: 3600 } };
    case 'returnReservation': {
      const id = await held();
      await must(on.call('POST', `/v1/reservations/${id}/confirm`, { as: 'service' }));
      return { path: `/v1/reservations/${id}/return`, as: 'service', body: {} };
    }
    case 'getPartitions':
      return { path: '/v1/admin/partitions', as: 'admin' };
    case 'getDocsFile':
      return { path: '/docs/swagger-ui.css' };
    default: {
      const operation = client.all.find((candidate) => candidate.operationId === operationId);
      if (operation === undefined || operation.secured || operation.hasBody || operation.path.includes('{')) {
        throw new Error(`there is no sample of ${operationId}`);
      }
      return { path: operation.path };
    }
  }
}
