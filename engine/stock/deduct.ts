/** Selling in one step, without a hold. (S4) */
import { checkId, checkText, checkWhole, fingerprint, refOf } from '../content.js';
import { ackOf, afterSweep, change, timeoutOf, type Context } from '../context.js';
import { Deadline } from '../outcome.js';
import { limits } from '../scripts/generated/limits.js';
import { stockDeduct, type StockDeductOp } from '../scripts/generated/stock-deduct.js';
import type { CallOptions, ItemRef, Outcome, StockLevel } from '../types.js';
import { levelOutcome } from './level.js';

export interface DeductRequest {
  readonly quantity: number;
  readonly orderId: string;
  readonly buyerId?: string;
  readonly room?: string;
}

export async function deduct(
  context: Context,
  item: ItemRef,
  request: DeductRequest,
  options?: CallOptions,
): Promise<Outcome<StockLevel>> {
  const op = deductOp(item, request, options);
  const partition = context.partitions.of(op.item);
  const deadline = new Deadline(timeoutOf(context, options));
  const attempt = () =>
    change(context, stockDeduct, partition, op, {
      ack: ackOf(context, options),
      timeoutMs: deadline.left(),
      id: op.id,
    });
  let answer = await attempt();
  // Units that only wait for the sweep are on sale again. (S9)
  if (answer.result.status === 'insufficient_stock' && answer.result.overdue > 0) {
    answer = await afterSweep(context, partition, deadline, attempt);
  }
  return levelOutcome(item, answer);
}

function deductOp(item: ItemRef, request: DeductRequest, options: CallOptions | undefined): StockDeductOp {
  const ref = refOf(item);
  const buyer = request.buyerId ?? '';
  const room = request.room ?? '';
  checkId(request.orderId, 'orderId');
  checkWhole(request.quantity, 1, limits.max_quantity, 'quantity');
  if (buyer !== '') checkId(buyer, 'buyerId');
  if (room !== '') checkId(room, 'room');
  return {
    id: request.orderId,
    fingerprint: fingerprint(`${request.quantity}|${buyer}`),
    item: ref,
    quantity: request.quantity,
    buyer,
    room,
    actor: checkText(options?.actor ?? buyer, 'actor'),
  };
}
