/** The audit trail: who changed what, why, before and after. (S7) */
import { eventByNumber } from '../../engine/scripts/generated/events.js';
import { invalidField, problem } from '../http/problems.js';
import { route, type Route } from '../http/route.js';
import { Movements, PageQuery } from '../schemas/stock.js';
import type { MovementCursor, MovementRow } from '../sql/movements.js';
import { time } from './acting.js';
import { unknownItem } from './stock.js';
import type { Services } from './services.js';

/** What an event of one unit does to available, reserved, sold; kinds that are not here move nothing. */
const EFFECTS: Readonly<Record<string, readonly [number, number, number]>> = {
  restocked: [1, 0, 0],
  adjusted: [1, 0, 0],
  deducted: [-1, 0, 1],
  held: [-1, 1, 0],
  confirmed: [0, -1, 1],
  released: [1, -1, 0],
  expired: [1, -1, 0],
  aborted: [1, -1, 0],
  returned: [1, 0, -1],
};
const NONE = [0, 0, 0] as const;

export function movementRoutes({ engine, database }: Services): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/stock/{location}/{sku}/movements',
      operationId: 'getMovements',
      tag: 'Stock',
      summary: 'The audit trail of an item, oldest first.',
      description: 'From Postgres: a change appears when it is durable.',
      access: ['admin'],
      query: PageQuery,
      answers: { 200: { description: 'A page of movements.', schema: Movements } },
      problems: ['sku_not_found', 'database_unavailable', 'shard_unavailable', 'overloaded'],
      handle: async (x, { query: { after, limit = 100 } }) => {
        if (database === undefined) throw problem('database_unavailable', 'No database is configured.');
        const item = { location: x.param(0), sku: x.param(1) };
        const rows = await database.movements(item, after === undefined ? undefined : parseCursor(after), limit + 1);
        if (rows.length === 0 && after === undefined) {
          // Nothing persisted yet is not the same as no such item.
          const [known] = await engine.stock.check([item]);
          if (known === undefined) throw unknownItem(item);
        }
        const items = rows.slice(0, limit);
        const last = items.at(-1);
        const next = rows.length > limit && last !== undefined ? `${last.seq}-${last.epoch}` : null;
        return { status: 200, body: { items: items.map(movementBody), next } };
      },
    }),
  ];
}

function parseCursor(after: string): MovementCursor {
  const found = /^(\d{1,15})(?:-(\d{1,16}))?$/.exec(after);
  if (found === null) throw invalidField('after', 'must be `next` of the page before');
  return { seq: Number(found[1]), epoch: Number(found[2] ?? 0) };
}

function movementBody(row: MovementRow) {
  const kind = eventByNumber[row.kind] ?? String(row.kind);
  const { available, reserved, sold, quantity } = row;
  const [a, r, s] = EFFECTS[kind] ?? NONE;
  return {
    seq: row.seq,
    epoch: row.epoch,
    at: time(row.at),
    kind,
    id: row.id,
    quantity,
    actor: row.actor,
    ...(kind === 'configured' ? { reason: '', settings: settingsOf(row.detail) } : { reason: row.detail }),
    before: { available: available - a * quantity, reserved: reserved - r * quantity, sold: sold - s * quantity },
    after: { available, reserved, sold },
    version: row.version,
  };
}

/** Settings are logged as JSON. */
function settingsOf(detail: string): unknown {
  try {
    return JSON.parse(detail);
  } catch {
    return {};
  }
}
