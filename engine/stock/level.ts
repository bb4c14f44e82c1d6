/** Answers of the scripts that change counts of one item, as outcomes. */
import type { CallResult } from '../caller.js';
import { done, refusal } from '../outcome.js';
import type { StatusName } from '../scripts/generated/statuses.js';
import type { ItemRef, Outcome, StockLevel } from '../types.js';

interface Counts {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
  readonly updatedAt: number;
}

type LevelResult =
  | ({ readonly status: 'ok' | 'exists' } & Counts)
  | { readonly status: Exclude<StatusName, 'ok' | 'exists'>; readonly available?: number };

export function levelOf(item: ItemRef, counts: Counts): StockLevel {
  return {
    location: item.location,
    sku: item.sku,
    available: counts.available,
    reserved: counts.reserved,
    sold: counts.sold,
    version: counts.version,
    updatedAt: counts.updatedAt,
  };
}

export function levelOutcome(item: ItemRef, answer: CallResult<LevelResult>): Outcome<StockLevel> {
  const { result } = answer;
  if (result.status === 'ok' || result.status === 'exists')
    return done(result.status, levelOf(item, result), answer.ack);
  return refusal(result.status, item, result.available);
}
