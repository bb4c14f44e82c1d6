/** Rules of what counts and configures: restock, adjust, configure, check. */
import { eventNumbers } from '../../engine/scripts/generated/events.js';
import { limits } from '../../engine/scripts/generated/limits.js';
import { type StockAdjustOp } from '../../engine/scripts/generated/stock-adjust.js';
import { type StockCheckOp } from '../../engine/scripts/generated/stock-check.js';
import { type StockConfigureOp } from '../../engine/scripts/generated/stock-configure.js';
import { type StockRestockOp } from '../../engine/scripts/generated/stock-restock.js';
import { answer, INVALID, isCount, isId, isOptionalId, isText, levelRow, marks, moved, type Rule } from './rule.js';
import { remembered, remembering } from './rules-sale.js';
import { type Item, NO_SETTINGS, type Settings } from './state.js';

const total = (item: Item): number => item.available + item.reserved + item.sold;

export const restock: Rule<StockRestockOp> = (state, op, now) => {
  const { id, fingerprint, item: ref, quantity, reason, actor } = op;
  const valid =
    isId(id) && isCount(fingerprint) && isCount(quantity, 1, limits.max_stock) && isText(reason) && isText(actor);
  if (!valid) return INVALID;
  const item = state.items.get(ref);
  if (!item) return answer('sku_not_found');
  const earlier = remembered(state, id, ref, eventNumbers.restocked, fingerprint);
  if (earlier) return earlier;
  if (total(item) + quantity > limits.max_stock) return answer('stock_limit', { available: item.available });
  return {
    row: { status: 'ok', ...levelRow(moved(item, { available: quantity }), now) },
    facts: [
      { fact: 'moved', ref, available: quantity },
      { fact: 'told', kind: 'restocked', ref, id, quantity, actor, detail: reason, fingerprint },
      ...remembering(id, ref, eventNumbers.restocked, fingerprint, now),
    ],
  };
};

export const adjust: Rule<StockAdjustOp> = (state, op, now) => {
  const { id, fingerprint, item: ref, isCount: counts, value, reason, actor } = op;
  const valid =
    isId(id) &&
    isCount(fingerprint) &&
    isCount(counts, 0, 1) &&
    isCount(counts === 1 ? value : Math.abs(value), 0, limits.max_stock) &&
    isText(reason) &&
    isText(actor);
  if (!valid) return INVALID;
  const item = state.items.get(ref);
  if (!item) return answer('sku_not_found');
  const earlier = remembered(state, id, ref, eventNumbers.adjusted, fingerprint);
  if (earlier) return earlier;
  const inHouse = counts === 1 ? value : item.available + item.reserved + value;
  const available = inHouse - item.reserved;
  if (available < 0) return answer('insufficient_stock', { available: item.available, reserved: item.reserved });
  if (inHouse + item.sold > limits.max_stock) return answer('stock_limit', { available: item.available });
  const quantity = available - item.available;
  return {
    row: { status: 'ok', ...levelRow(moved(item, { available: quantity }), now) },
    facts: [
      { fact: 'moved', ref, available: quantity },
      { fact: 'told', kind: 'adjusted', ref, id, quantity, actor, detail: reason, fingerprint },
      ...marks(ref, item, item.available, available),
      ...remembering(id, ref, eventNumbers.adjusted, fingerprint, now),
    ],
  };
};

/** Setting, its field in the operation, its largest value. */
const NUMBERS: readonly [
  Exclude<keyof Settings, 'room'>,
  'buyerLimit' | 'opens' | 'closes' | 'lowMark' | 'holdSeconds',
  number,
][] = [
  ['limit', 'buyerLimit', limits.max_quantity],
  ['opens', 'opens', Number.MAX_SAFE_INTEGER],
  ['closes', 'closes', Number.MAX_SAFE_INTEGER],
  ['lowMark', 'lowMark', limits.max_stock],
  ['holdSeconds', 'holdSeconds', limits.max_hold_seconds],
];

/** What is asked for; undefined when something is malformed. */
function wishes(op: StockConfigureOp): Partial<Settings> | undefined {
  const wanted: { -readonly [K in keyof Settings]?: Settings[K] } = {};
  for (const [setting, field, most] of NUMBERS) {
    const text = op[field];
    if (text === '') continue;
    if (text !== '-' && !(/^\d{1,16}$/.test(text) && isCount(Number(text), 1, most))) return undefined;
    wanted[setting] = text === '-' ? 0 : Number(text);
  }
  if (!isOptionalId(op.room)) return undefined;
  if (op.room !== '') wanted.room = op.room === '-' ? '' : op.room;
  return wanted;
}

export const configure: Rule<StockConfigureOp> = (state, op, now) => {
  const { item: ref, force, detail, actor } = op;
  const wanted = wishes(op);
  if (!wanted || !isCount(force, 0, 1) || !isText(detail) || !isText(actor)) return INVALID;
  const there = state.items.get(ref);
  const item = there ?? { available: 0, reserved: 0, sold: 0, version: 0, updatedAt: 0, settings: NO_SETTINGS };
  const created = there ? 0 : 1;
  const differs = Object.entries(wanted).some(([name, value]) => item.settings[name as keyof Settings] !== value);
  if (there && !differs && force === 0) return answer('exists', { ...levelRow(item, item.updatedAt), created });
  return {
    row: { status: 'ok', ...levelRow(moved(item, {}), now), created },
    facts: [
      { fact: 'moved', ref },
      { fact: 'configured', ref, settings: wanted },
      { fact: 'told', kind: 'configured', ref, actor, detail },
    ],
  };
};

export const check: Rule<StockCheckOp> = (state, { item: ref }) => {
  const item = state.items.get(ref);
  if (!item) return answer('sku_not_found');
  const { limit, opens, closes, lowMark, holdSeconds, room } = item.settings;
  return answer('ok', {
    ...levelRow(item, item.updatedAt),
    buyerLimit: limit,
    opensAt: opens,
    closesAt: closes,
    lowStock: lowMark,
    holdSeconds,
    room,
  });
};
