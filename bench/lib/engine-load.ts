/** Load on the engine's API, within this process: it is a library, so its user's process pays for it. */
import type { Engine, ItemRef } from '../../engine/types.js';
import { type Histogram } from 'hdr-histogram-js';
import { histogram, record } from './histogram.js';

export interface Counts {
  ok: number;
  refused: number;
  errors: Record<string, number>;
}

export interface ClosedResult {
  readonly rate: number;
  /** From the first call, warm-up included. */
  readonly all: Counts;
  readonly latency: Histogram;
  /** Operations within the measured time. */
  readonly measured: number;
}

export interface ClosedOptions {
  readonly callers: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Called when the measured time begins and ends. */
  readonly onStart?: () => void;
  readonly onEnd?: (measured: number) => void;
  /** One operation; `true` done, `false` refused. */
  readonly call: (n: number) => Promise<boolean>;
}

/** Every caller calls again when it is answered. */
export async function closedLoop(options: ClosedOptions): Promise<ClosedResult> {
  const { callers, warmupMs, durationMs, call } = options;
  const all: Counts = { ok: 0, refused: 0, errors: {} };
  const latency = histogram();
  const startedAt = performance.now();
  const from = startedAt + warmupMs;
  const until = from + durationMs;
  let measured = 0;
  let turn = 0;
  const caller = async (): Promise<void> => {
    for (let began = performance.now(); began < until;) {
      try {
        if (await call(turn++)) all.ok++;
        else all.refused++;
      } catch (error) {
        const { name } = error as Error;
        all.errors[name] = (all.errors[name] ?? 0) + 1;
      }
      const now = performance.now();
      if (began >= from && now < until) {
        measured++;
        record(latency, now - began);
      }
      began = now;
    }
  };
  const start = setTimeout(() => options.onStart?.(), warmupMs);
  const end = setTimeout(() => options.onEnd?.(measured), warmupMs + durationMs);
  await Promise.all(Array.from({ length: callers }, caller));
  clearTimeout(start);
  await new Promise((resolve) => setTimeout(resolve, 5));
  clearTimeout(end);
  return { rate: measured / (durationMs / 1_000), all, latency, measured };
}

export interface OpenResult {
  readonly all: Counts;
  readonly latency: Histogram;
  /** Most operations under way at once. */
  readonly deepest: number;
}

export interface OpenOptions {
  readonly rate: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** One arrival; latency of what it resolves with counts from `intended`, a time of performance.now(). */
  readonly call: (n: number, intended: number, measured: boolean) => Promise<boolean>;
}

/** Arrivals at their intended times, whatever becomes of them; resolves when all are answered. */
export async function openLoop({ rate, warmupMs, durationMs, call }: OpenOptions): Promise<OpenResult> {
  const all: Counts = { ok: 0, refused: 0, errors: {} };
  const latency = histogram();
  const gap = 1_000 / rate;
  const startedAt = performance.now();
  const from = startedAt + warmupMs;
  const until = from + durationMs;
  let n = 0;
  let underWay = 0;
  let deepest = 0;
  const arrive = (at: number): void => {
    underWay++;
    if (underWay > deepest) deepest = underWay;
    const measured = at >= from;
    call(n++, at, measured).then(
      (done) => {
        underWay--;
        if (done) all.ok++;
        else all.refused++;
        if (measured) record(latency, performance.now() - at);
      },
      (error: Error) => {
        underWay--;
        all.errors[error.name] = (all.errors[error.name] ?? 0) + 1;
      },
    );
  };
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = Math.min(performance.now(), until);
      for (let at = startedAt + n * gap; at <= now; at = startedAt + n * gap) arrive(at);
      if (now < until) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return { all, latency, deepest };
}

const RESTOCK_AT_ONCE = 1_000_000;

/** Puts `quantity` units of the item on sale. */
export async function stockUp(engine: Engine, item: ItemRef, quantity: number): Promise<void> {
  await engine.stock.configure(item, {});
  for (let left = quantity; left > 0; left -= RESTOCK_AT_ONCE) {
    const outcome = await engine.stock.restock(item, { quantity: Math.min(left, RESTOCK_AT_ONCE), reason: 'bench' });
    if (!('value' in outcome)) throw new Error(`restock refused: ${outcome.status}`);
  }
}

/** What must be true of an item after a run; every sentence is a reason to void it. `sold` and `held`: answers that were given. */
export async function auditItem(
  engine: Engine,
  item: ItemRef,
  expected: { stocked: number; taken: number; sold?: number; slack?: number },
): Promise<string[]> {
  const [found] = await engine.stock.check([item]);
  const name = `${item.location}:${item.sku}`;
  if (!found) return [`${name} is gone`];
  const { available, reserved, sold } = found;
  const faults: string[] = [];
  if (available < 0 || reserved < 0 || sold < 0) faults.push(`${name}: a count is negative`);
  if (available + reserved + sold !== expected.stocked)
    faults.push(`${name}: ${available} + ${reserved} + ${sold} is not ${expected.stocked}`);
  const taken = reserved + sold;
  if (taken < expected.taken) faults.push(`${name}: ${expected.taken} were acknowledged, ${taken} are taken: loss`);
  if (taken > expected.taken + (expected.slack ?? 0))
    faults.push(`${name}: ${taken} are taken, ${expected.taken} were acknowledged: oversell`);
  if (expected.sold !== undefined && sold < expected.sold)
    faults.push(`${name}: ${expected.sold} confirms were acknowledged, ${sold} are sold: loss`);
  return faults;
}

export function errorsOf(counts: Counts): string[] {
  return Object.entries(counts.errors).map(([name, count]) => `${count} × ${name}`);
}
