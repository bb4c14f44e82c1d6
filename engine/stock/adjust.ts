/** Correcting a count, by a difference or to a physical count. (S4) */
import { checkId, checkText, checkWhole, fingerprint, refOf } from '../content.js';
import { ackOf, change, timeoutOf, type Context } from '../context.js';
import { InvalidArgument } from '../errors.js';
import { randomId } from '../ids.js';
import { limits } from '../scripts/generated/limits.js';
import { stockAdjust } from '../scripts/generated/stock-adjust.js';
import type { AdjustRequest, CallOptions, ItemRef, Outcome, StockLevel } from '../types.js';
import { levelOutcome } from './level.js';

export async function adjust(
  context: Context,
  item: ItemRef,
  request: AdjustRequest,
  options?: CallOptions,
): Promise<Outcome<StockLevel>> {
  const ref = refOf(item);
  const id = request.movementId ?? randomId();
  checkId(id, 'movementId');
  const reason = checkText(request.reason, 'reason');
  if (reason === '') throw new InvalidArgument('reason is required: say why the count is corrected');
  const [isCount, value] = countOrDifference(request);
  const answer = await change(
    context,
    stockAdjust,
    context.partitions.of(ref),
    {
      id,
      fingerprint: fingerprint(`${isCount}|${value}|${reason}`),
      item: ref,
      isCount,
      value,
      reason,
      actor: checkText(options?.actor, 'actor'),
    },
    { ack: ackOf(context, options), timeoutMs: timeoutOf(context, options), id },
  );
  return levelOutcome(item, answer);
}

function countOrDifference({ by, countedTo }: AdjustRequest): [isCount: number, value: number] {
  if ((by === undefined) === (countedTo === undefined))
    throw new InvalidArgument('give either by (a difference) or countedTo (a physical count)');
  if (countedTo !== undefined) {
    checkWhole(countedTo, 0, limits.max_stock, 'countedTo');
    return [1, countedTo];
  }
  checkWhole(by, -limits.max_stock, limits.max_stock, 'by');
  if (by === 0) throw new InvalidArgument('by must not be 0');
  return [0, by];
}
