/** The audit trail of an item, page by page, oldest first. (S7) */
import type { ItemRef } from '../../engine/types.js';
import type { Query } from './database.js';

/** An item lies in one partition, so the numbers of its events are in order; after a lost tail numbers come again in a later epoch. */
export interface MovementCursor {
  readonly seq: number;
  readonly epoch: number;
}

export interface MovementRow {
  readonly seq: number;
  readonly epoch: number;
  readonly at: number;
  readonly kind: number;
  readonly id: string;
  readonly quantity: number;
  readonly actor: string;
  readonly detail: string;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
}

type Raw = { [K in keyof MovementRow]: string | number };

const PAGE = `
SELECT seq, epoch, at, kind, id, quantity, actor, detail, available, reserved, sold, version
FROM movements
WHERE ref = $1 AND ref <> '' AND seq >= $2 AND (seq, epoch) > ($2, $3)
ORDER BY seq, epoch
LIMIT $4`;

export async function readMovements(
  query: Query,
  { location, sku }: ItemRef,
  after: MovementCursor | undefined,
  limit: number,
): Promise<MovementRow[]> {
  const rows = await query<Raw>(PAGE, [`${location}:${sku}`, after?.seq ?? 0, after?.epoch ?? 0, limit]);
  return rows.map((row) => ({
    seq: Number(row.seq),
    epoch: Number(row.epoch),
    at: Number(row.at),
    kind: Number(row.kind),
    id: String(row.id),
    quantity: Number(row.quantity),
    actor: String(row.actor),
    detail: String(row.detail),
    available: Number(row.available),
    reserved: Number(row.reserved),
    sold: Number(row.sold),
    version: Number(row.version),
  }));
}
