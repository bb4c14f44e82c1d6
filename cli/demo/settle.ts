/** After the last order: everything has to come to rest, and then every sum has to come out. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { VerifyReport } from '../../workers/verify/problems.js';
import type { Desk } from './desk.js';
import type { Figures } from './figures.js';
import type { HotSale } from './hot.js';
import type { DemoOptions } from './options.js';
import { type Item, nothingReserved } from './prepare.js';
import { type Level, nameOf } from './shapes.js';
import type { LongTail } from './tail.js';
import { int } from './text.js';
import type { Watch } from './watch.js';

export interface Check {
  name: string;
  ok: boolean;
  /** The numbers behind it. */
  detail: string;
}

export interface Sale {
  options: DemoOptions;
  desk: Desk;
  figures: Figures;
  hot: HotSale;
  tail: LongTail;
  watch: Watch;
  hotItem: Item;
  /** Levels when the sale began: of the hot item, and of all others by name. */
  hotBefore: Level;
  before: ReadonlyMap<string, Level>;
}

export interface Rest {
  checks: Check[];
  /** Seconds from the end of the last buyer's story until Postgres had everything. */
  persistedAfter: number;
}

const PERSIST_MS = 60_000;
const POLL_MS = 20;

/** Waits until nothing is held any more and Postgres has everything, then compares. */
export async function settle(sale: Sale): Promise<Rest> {
  const { desk, hotItem, tail } = sale;
  const ended = performance.now();
  const touched = [...tail.touched.values()];
  await nothingReserved(desk, [hotItem, ...touched]);
  await persisted(desk);
  const persistedAfter = (performance.now() - ended) / 1_000;
  const checks = [await soldOut(sale), everybodyKnows(sale), neverOversold(sale), await lapsedAll(sale)];
  checks.push(await trail(sale));
  if (touched.length > 0) checks.push(await tailAddsUp(sale, touched));
  const { errors } = sale.figures;
  const which = errors.entries().map(([what, count]) => `${int(count)} × ${what}`);
  checks.push({ name: 'no errors', ok: errors.total === 0, detail: which.slice(0, 5).join('; ') || 'none' });
  return { checks, persistedAfter };
}

export function verified(report: VerifyReport): Check {
  const { items, movements } = report.counted;
  const bad = report.problems.length + report.more;
  const detail = report.ok ? `${int(items)} items, ${int(movements)} movements` : `${int(bad)} problems, listed above`;
  return { name: 'Redis and Postgres agree', ok: report.ok, detail };
}

async function persisted(desk: Desk): Promise<void> {
  const until = Date.now() + PERSIST_MS;
  while ((await desk.lag()) !== 0) {
    if (Date.now() > until) throw new Error(`Postgres does not have everything after ${PERSIST_MS / 1_000} s.`);
    await sleep(POLL_MS, undefined, desk.signal ? { signal: desk.signal } : {});
  }
}

/** The heart of it: as many units were sold as there were, each to one buyer. */
async function soldOut({ desk, options, hot, hotItem, hotBefore }: Sale): Promise<Check> {
  const [level] = await desk.levels([hotItem]);
  const sold = level!.sold - hotBefore.sold;
  const bought = hot.fates.of('bought');
  return {
    name: `exactly ${int(options.units)} sold`,
    ok: sold === options.units && bought === options.units && level!.available === 0 && level!.reserved === 0,
    detail: `${int(sold)} sold, ${int(bought)} buyers have one, ${level!.available} left, ${level!.reserved} held`,
  };
}

function everybodyKnows({ options, hot, tail }: Sale): Check {
  return {
    name: 'everybody has a definite answer',
    ok: hot.known === options.buyers && tail.done === options.orders,
    detail: `${int(hot.known)} of ${int(options.buyers)} buyers, ${int(tail.done)} of ${int(options.orders)} orders`,
  };
}

function neverOversold({ watch }: Sale): Check {
  return {
    name: 'never oversold',
    ok: watch.wrong === 0 && watch.looks > 0,
    detail: `looked ${int(watch.looks)} times during the sale, ${int(watch.wrong)} times the counts did not add up`,
  };
}

async function lapsedAll({ desk, hot, tail }: Sale): Promise<Check> {
  const ids = [...hot.lapsed, ...tail.lapsed];
  const found = await Promise.all(ids.map((id) => desk.statusOf(id)));
  const expired = found.filter((status) => status === 'expired').length;
  const detail = `${int(expired)} of ${int(ids.length)} abandoned holds lapsed and went back on sale`;
  return { name: 'abandoned holds came back', ok: expired === ids.length, detail };
}

/** What Postgres says happened to the hot item against what buyers were told. (S7) */
async function trail({ desk, hot, hotItem, hotBefore }: Sale): Promise<Check> {
  const units: Record<string, number> = {};
  for await (const { kind, quantity, version } of desk.movements(hotItem))
    if (version > hotBefore.version) units[kind] = (units[kind] ?? 0) + quantity;
  const { held = 0, confirmed = 0, released = 0, expired = 0 } = units;
  const told = (fate: 'bought' | 'released' | 'expired'): number => hot.fates.of(fate);
  return {
    name: 'the audit trail agrees',
    ok:
      confirmed === told('bought') &&
      released === told('released') &&
      expired === told('expired') &&
      held === confirmed + released + expired,
    detail: `${int(held)} held = ${int(confirmed)} sold + ${int(released)} released + ${int(expired)} lapsed`,
  };
}

/** Every item that an ordinary order named: what is there now must be what was there, less what the answers say was sold. */
async function tailAddsUp({ desk, tail, before }: Sale, touched: readonly Item[]): Promise<Check> {
  const wrong: string[] = [];
  let units = 0;
  for (const now of await desk.levels(touched)) {
    const was = before.get(nameOf(now))!;
    const sold = tail.sold.get(nameOf(now)) ?? 0;
    units += sold;
    if (now.sold !== was.sold + sold || now.available !== was.available - sold) wrong.push(nameOf(now));
  }
  const detail = `${int(units)} units sold over ${int(touched.length)} items`;
  return {
    name: 'ordinary orders add up',
    ok: wrong.length === 0,
    detail: wrong.length === 0 ? detail : `${detail}; ${wrong.length} differ, e.g. ${wrong.slice(0, 3).join(', ')}`,
  };
}
