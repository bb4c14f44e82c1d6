/** An engine without its domains, and the few operations that tests of the core need. */
import { openCore, type Core } from '../../engine/core.js';
import type { CallerOptions } from '../../engine/caller.js';
import { DEFAULT_TUNING, type Tuning } from '../../engine/batch/tuning.js';
import { stockCheck } from '../../engine/scripts/generated/stock-check.js';
import { stockConfigure } from '../../engine/scripts/generated/stock-configure.js';
import { stockReserve } from '../../engine/scripts/generated/stock-reserve.js';
import { stockRestock } from '../../engine/scripts/generated/stock-restock.js';
import type { EngineOptions } from '../../engine/types.js';
import { atEnd } from '../harness/index.js';

export interface TestCore extends Core {
  readonly notices: { level: string; message: string; [field: string]: unknown }[];
}

/** Opens a core that is closed at the end of the file, if not before. */
export async function testCore(options: EngineOptions, tuning: Partial<Tuning> = {}): Promise<TestCore> {
  const notices: TestCore['notices'] = [];
  const core = await openCore(
    { onNotice: (notice) => notices.push(notice), ...options },
    { ...DEFAULT_TUNING, ...tuning },
  );
  atEnd(() => core.close());
  return { ...core, notices };
}

/** Creates the item with this many units. */
export async function stockUp(core: Core, item: string, units: number, options: CallerOptions = {}): Promise<void> {
  const partition = core.keys.partitions.of(item);
  const settings = { buyerLimit: '', opens: '', closes: '', lowMark: '', holdSeconds: '', room: '', detail: '{}' };
  const made = await core.caller.call(stockConfigure, partition, { item, ...settings, force: 0, actor: '' }, options);
  if (made.result.status !== 'ok') throw new Error(`configure answered ${made.result.status}`);
  const op = {
    item,
    quantity: units,
    id: `stock-${item.replace(':', '-')}`,
    fingerprint: units,
    reason: '',
    actor: '',
  };
  const filled = await core.caller.call(stockRestock, partition, op, options);
  if (filled.result.status !== 'ok') throw new Error(`restock answered ${filled.result.status}`);
}

/** Holds units of one item under an id. */
export function reserve(core: Core, item: string, id: string, quantity = 1, options: CallerOptions = {}) {
  const op = {
    id,
    fingerprint: quantity,
    attempt: 0,
    buyer: '',
    hold: 600,
    room: '',
    actor: '',
    lines: [{ item, quantity }],
  };
  return core.caller.call(stockReserve, core.keys.partitions.of(item), op, { id, ...options });
}

export async function availableOf(core: Core, item: string, options: CallerOptions = {}): Promise<number | undefined> {
  const { result } = await core.caller.call(stockCheck, core.keys.partitions.of(item), { item }, options);
  return result.status === 'ok' ? result.available : undefined;
}

/** A ref that lies in the partition. */
export function itemIn(core: Core, partition: number, name = 'item'): string {
  for (let n = 0; ; n++) if (core.keys.partitions.of(`t:${name}-${n}`) === partition) return `t:${name}-${n}`;
}

/** Asks until it is so; the limit only ends a test that will never pass. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false>, limitMs = 30_000): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
