/**
 * Writes `examples/catalogue.csv`: the same bytes for the same seed, on every machine.
 *   npx tsx tools/catalogue/generate.ts [FILE]
 */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXPORT_COLUMNS } from '../../cli/catalogue/layout.js';
import { csvText } from '../../cli/catalogue/write.js';
import { projectRoot } from '../../stack/project.js';
import { AWKWARD, BLANKS } from './awkward.js';
import { variants, type Variant } from './merchandise.js';

export const LOCATIONS = ['Rotterdam Zuid', 'Zürich Nord', 'Łódź, Hala 2'];
/** The item that the demo sells out. */
export const HOT_ITEM = { sku: 'DROP-001', location: LOCATIONS[0] as string, onHand: 1000 };
/** Rows pasted twice; the second comes later in the file than the first. */
export const DUPLICATES = 18;
/** Every so many rows `On hand (new)` holds a recount. */
const RECOUNT_EVERY = 17;

/** mulberry32: small, seeded, the same everywhere. Numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function rowOf(
  variant: Variant,
  location: string,
  bin: string,
  onHand: number | undefined,
  committed: number,
  recount: string,
): string[] {
  const options = [0, 1, 2].flatMap((i) => variant.options[i] ?? ['', '']);
  const counts =
    onHand === undefined
      ? ['not stocked', 'not stocked', 'not stocked', 'not stocked', 'not stocked']
      : ['0', '0', String(committed), String(onHand - committed), String(onHand)];
  return [
    variant.handle,
    variant.title,
    ...options,
    variant.sku,
    variant.hsCode,
    variant.origin,
    location,
    bin,
    ...counts,
    recount,
  ];
}

function soundRows(random: () => number): string[][] {
  const hot: Variant = {
    handle: 'nocturne-velvet-the-drop',
    title: 'Nocturne Velvet "The Drop" Jacket, numbered 1–1,000',
    options: [['Title', 'Default Title']],
    sku: HOT_ITEM.sku,
    hsCode: '6201.40',
    origin: 'PT',
  };
  const rows = [rowOf(hot, HOT_ITEM.location, 'CAGE-1', HOT_ITEM.onHand, 0, '')];
  for (const variant of variants()) {
    for (const location of LOCATIONS) {
      const bin = `${'ABCDEF'.charAt(Math.floor(random() * 6))}${1 + Math.floor(random() * 40)}`;
      const stocked = random() >= 0.03;
      // Few items sell a lot: most shelves hold tens, some hundreds, some nothing.
      const onHand = random() < 0.05 ? 0 : Math.floor(20 + 400 * random() ** 3);
      const committed = Math.min(onHand, Math.floor(4 * random()));
      const recount = stocked && rows.length % RECOUNT_EVERY === 0 ? String(onHand + Math.floor(10 * random())) : '';
      rows.push(rowOf(variant, location, bin, stocked ? onHand : undefined, committed, recount));
    }
  }
  return rows;
}

/** The catalogue's bytes: byte order mark, CRLF, sound rows, and between them what real files have. */
export function generateCatalogue(seed = 20_261_127): Buffer {
  const random = seeded(seed);
  const rows = soundRows(random);
  const lines: Buffer[] = rows.map((cells) => Buffer.from(csvText([cells], true)));
  const inserts: { at: number; line: Buffer }[] = [];
  // A row to damage or to repeat: stocked, without a recount, and with a title on one line.
  const sample = (): number => {
    for (;;) {
      const i = 1 + Math.floor(random() * (rows.length - 1));
      const cells = rows[i] as string[];
      if (cells[17] !== 'not stocked' && cells[18] === '' && !/[\n"]/.test(cells.join(''))) return i;
    }
  };
  for (const { count, damage } of AWKWARD) {
    for (let n = 0; n < count; n++) inserts.push({ at: sample(), line: damage(rows[sample()] as string[], n) });
  }
  for (let n = 0; n < DUPLICATES; n++) {
    const i = sample();
    inserts.push({ at: i + Math.floor(random() * (rows.length - i)), line: lines[i] as Buffer });
  }
  for (const blank of BLANKS) inserts.push({ at: sample(), line: Buffer.from(blank) });
  inserts.sort((a, b) => b.at - a.at);
  for (const { at, line } of inserts) lines.splice(at + 1, 0, line);
  const header = Buffer.from('\uFEFF' + csvText([[...EXPORT_COLUMNS]], true));
  return Buffer.concat([header, ...lines]);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const file = process.argv[2] ?? join(projectRoot(), 'examples/catalogue.csv');
  writeFileSync(file, generateCatalogue());
  console.log(`wrote ${file}`);
}
