/** Reading counts and settings straight from Redis. (S2) */
import type { Context } from '../context.js';
import { refOf } from '../content.js';
import { timeoutOf } from '../context.js';
import { InvalidArgument } from '../errors.js';
import { stockCheck, type StockCheckResult } from '../scripts/generated/stock-check.js';
import type { CallOptions, ItemRef, StockItem } from '../types.js';

export const MAX_CHECKED = 500;

export async function check(
  context: Context,
  items: readonly ItemRef[],
  options?: CallOptions,
): Promise<(StockItem | undefined)[]> {
  if (items.length > MAX_CHECKED) throw new InvalidArgument(`at most ${MAX_CHECKED} items can be checked at once`);
  const timeoutMs = timeoutOf(context, options);
  const calls = items.map(async (item) => {
    const ref = refOf(item);
    const answer = await context.caller.call(
      stockCheck,
      context.partitions.of(ref),
      { item: ref },
      { ack: 'executed', timeoutMs },
    );
    return stockItem(item, answer.result);
  });
  return Promise.all(calls);
}

function stockItem(item: ItemRef, result: StockCheckResult): StockItem | undefined {
  if (result.status === 'sku_not_found') return undefined;
  if (result.status !== 'ok') throw new InvalidArgument(`check refused ${item.location}/${item.sku}: ${result.status}`);
  const settings: StockItem['settings'] = {
    ...(result.buyerLimit > 0 && { buyerLimit: result.buyerLimit }),
    ...(result.opensAt > 0 && { opensAt: result.opensAt }),
    ...(result.closesAt > 0 && { closesAt: result.closesAt }),
    ...(result.lowStock > 0 && { lowStock: result.lowStock }),
    ...(result.holdSeconds > 0 && { holdSeconds: result.holdSeconds }),
    ...(result.room !== '' && { room: result.room }),
  };
  return {
    location: item.location,
    sku: item.sku,
    available: result.available,
    reserved: result.reserved,
    sold: result.sold,
    version: result.version,
    updatedAt: result.updatedAt,
    settings,
  };
}
