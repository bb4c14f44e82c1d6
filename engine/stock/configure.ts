/** Creating an item and changing its settings. (S3, S8) */
import { checkId, checkText, checkWhole, refOf } from '../content.js';
import { ackOf, change, timeoutOf, type Context } from '../context.js';
import { InvalidArgument } from '../errors.js';
import { done, refusal } from '../outcome.js';
import { limits } from '../scripts/generated/limits.js';
import { stockConfigure } from '../scripts/generated/stock-configure.js';
import type { CallOptions, ItemRef, Outcome, StockLevel, StockSettings } from '../types.js';
import { levelOf } from './level.js';

export interface Configured extends StockLevel {
  /** Whether the call made the item. */
  readonly created: boolean;
}

/** Largest time a setting may name: the last one JavaScript can. */
const LAST_TIME = 8_640_000_000_000_000;

export async function configure(
  context: Context,
  item: ItemRef,
  settings: StockSettings,
  options?: CallOptions,
): Promise<Outcome<Configured>> {
  const ref = refOf(item);
  const { attributes, ...rest } = settings;
  if (typeof rest.room === 'string') checkId(rest.room, 'room');
  if (rest.opensAt && rest.closesAt && rest.opensAt >= rest.closesAt)
    throw new InvalidArgument('closesAt must be later than opensAt');
  const detail = JSON.stringify(attributes ? { ...rest, attributes } : rest);
  if (Buffer.byteLength(detail) > limits.detail_bytes)
    throw new InvalidArgument(`settings and attributes take more than ${limits.detail_bytes} bytes`);
  const answer = await change(
    context,
    stockConfigure,
    context.partitions.of(ref),
    {
      item: ref,
      buyerLimit: numeric(rest.buyerLimit, limits.max_quantity, 'buyerLimit'),
      opens: numeric(rest.opensAt, LAST_TIME, 'opensAt'),
      closes: numeric(rest.closesAt, LAST_TIME, 'closesAt'),
      lowMark: numeric(rest.lowStock, limits.max_stock, 'lowStock'),
      holdSeconds: numeric(rest.holdSeconds, limits.max_hold_seconds, 'holdSeconds'),
      room: rest.room === null ? '-' : (rest.room ?? ''),
      force: attributes ? 1 : 0,
      detail,
      actor: checkText(options?.actor, 'actor'),
    },
    { ack: ackOf(context, options), timeoutMs: timeoutOf(context, options), id: ref },
  );
  const { result } = answer;
  if (result.status === 'ok' || result.status === 'exists')
    return done(result.status, { ...levelOf(item, result), created: result.created === 1 }, answer.ack);
  return refusal(result.status, item);
}

/** '' leaves the setting, '-' removes it. */
function numeric(value: number | null | undefined, most: number, what: string): string {
  if (value === undefined) return '';
  if (value === null) return '-';
  checkWhole(value, 1, most, what);
  return String(value);
}
