/** Bringing new units on sale. (S4) */
import { checkId, checkText, checkWhole, fingerprint, refOf } from '../content.js';
import { ackOf, change, timeoutOf, type Context } from '../context.js';
import { randomId } from '../ids.js';
import { limits } from '../scripts/generated/limits.js';
import { stockRestock } from '../scripts/generated/stock-restock.js';
import type { CallOptions, ItemRef, Outcome, StockLevel } from '../types.js';
import { levelOutcome } from './level.js';

export async function restock(
  context: Context,
  item: ItemRef,
  request: { quantity: number; reason?: string; movementId?: string },
  options?: CallOptions,
): Promise<Outcome<StockLevel>> {
  const ref = refOf(item);
  const id = request.movementId ?? randomId();
  checkId(id, 'movementId');
  checkWhole(request.quantity, 1, limits.max_stock, 'quantity');
  const reason = checkText(request.reason, 'reason');
  const answer = await change(
    context,
    stockRestock,
    context.partitions.of(ref),
    {
      id,
      fingerprint: fingerprint(`${request.quantity}|${reason}`),
      item: ref,
      quantity: request.quantity,
      reason,
      actor: checkText(options?.actor, 'actor'),
    },
    { ack: ackOf(context, options), timeoutMs: timeoutOf(context, options), id },
  );
  return levelOutcome(item, answer);
}
