/** What has to be there before the doors open: the catalogue, the hot item with its units, tokens. */
import { stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../../stack/project.js';
import { importCatalogue, type ImportResult } from '../catalogue/import.js';
import { openSource, readCatalogue } from '../catalogue/read.js';
import { Progress } from '../catalogue/report.js';
import type { Desk } from './desk.js';
import { HOLD_SECONDS, HOT_SKU } from './options.js';
import { type Level, nameOf } from './shapes.js';

export const CATALOGUE = join(projectRoot(), 'examples', 'catalogue.csv');

export interface Item {
  location: string;
  sku: string;
}

export interface Catalogue {
  hot: Item;
  /** Everything else that can be bought. */
  others: Item[];
  locations: number;
}

/** Imports the catalogue as `./holdfast import` does, with its progress. */
export async function importExample(url: string, token: string, signal?: AbortSignal): Promise<ImportResult> {
  const progress = new Progress((await stat(CATALOGUE)).size);
  try {
    return await importCatalogue({
      file: CATALOGUE,
      target: { url, token },
      ...(signal ? { signal } : {}),
      onProgress: (read, counts) => progress.update(read, counts),
    });
  } finally {
    progress.stop();
  }
}

/** What the file's good rows name. */
export async function readItems(): Promise<Catalogue> {
  const { source } = await openSource(CATALOGUE);
  const items: Item[] = [];
  for await (const row of (await readCatalogue(source)).rows)
    if (row.kind === 'accepted') items.push({ location: row.location, sku: row.sku });
  const hot = items.find((item) => item.sku === HOT_SKU);
  if (!hot) throw new Error(`${relative(projectRoot(), CATALOGUE)} has no ${HOT_SKU}.`);
  const locations = new Set(items.map((item) => item.location)).size;
  return { hot, others: items.filter((item) => item !== hot), locations };
}

/** A little more than the longest hold of a demo, and the sweep after it. */
const LEFTOVER_MS = (2 * HOLD_SECONDS + 15) * 1_000;

/**
 * Puts exactly `units` of the item on sale, whatever an earlier sale left; the audit trail says why. Returns the level then.
 * @throws where units of it stay reserved: by whom, the demo cannot know, and its sums would not come out
 */
export async function putOnSale(desk: Desk, item: Item, units: number, run: string, say: (line: string) => void) {
  let level = await nothingReserved(desk, [item], () => say('waiting for holds of an earlier run to lapse'));
  if (level[0]!.available !== units) {
    const was = level[0]!.available;
    await desk.adjust(item, { countedTo: units, reason: 'demo sale', movementId: `${run}-stock` });
    say(`${item.sku}: counted to ${units} for this sale (there were ${was})`);
    level = await desk.levels([item]);
  }
  return level[0]!;
}

/** The levels of the items once nothing of them is reserved. */
export async function nothingReserved(desk: Desk, items: readonly Item[], onWait?: () => void): Promise<Level[]> {
  const until = Date.now() + LEFTOVER_MS;
  for (let first = true; ; first = false) {
    const levels = await desk.levels(items);
    const held = levels.filter((level) => level.reserved > 0);
    if (held.length === 0) return levels;
    if (Date.now() > until)
      throw new Error(
        `${held.reduce((sum, level) => sum + level.reserved, 0)} units stay reserved, e.g. of ${nameOf(held[0]!)}.`,
      );
    if (first) onWait?.();
    await sleep(250, undefined, desk.signal ? { signal: desk.signal } : {});
  }
}
