/** The shipped catalogue: exactly what is in it, and that it is what its generator writes. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { projectRoot } from '../../../stack/project.js';
import { AWKWARD, BLANKS } from '../../../tools/catalogue/awkward.js';
import { DUPLICATES, generateCatalogue, HOT_ITEM } from '../../../tools/catalogue/generate.js';
import { readAll } from './helpers.js';

const file = readFileSync(`${projectRoot()}/examples/catalogue.csv`);

t.test('the file is what the generator writes', async (t) => {
  t.ok(file.equals(generateCatalogue()), 'run: npx tsx tools/catalogue/generate.ts');
  t.ok(file.length < 1_000_000, `${file.length} bytes`);
  t.same([...file.subarray(0, 3)], [0xef, 0xbb, 0xbf], 'byte order mark');
});

t.test('rows accepted, skipped and rejected by reason', async (t) => {
  const { layout, outcomes } = await readAll(file);
  const counts: Record<string, number> = {};
  for (const row of outcomes) {
    const key = row.kind === 'accepted' ? row.location : row.kind === 'rejected' ? row.reason : row.why;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  t.equal(layout.name, 'current');
  t.same(counts, {
    Rotterdam_Zuid: 1691,
    'Z~C3~BCrich_Nord': 1679,
    '~C5~81~C3~B3d~C5~BA~2C_Hala_2': 1690,
    not_stocked: 161,
    blank: 6,
    encoding: 3,
    quotes: 4,
    columns: 7,
    sku_missing: 14,
    sku_invalid: 16,
    location_missing: 4,
    location_invalid: 1,
    count_missing: 6,
    count_negative: 11,
    count_decimal: 7,
    count_not_numeric: 12,
    count_too_large: 2,
    attributes_too_large: 1,
    duplicate: 18,
  });
  t.equal(outcomes.filter((row) => row.kind === 'accepted').length, 5060);
  t.equal(outcomes.filter((row) => row.kind === 'rejected').length, 106);
  for (const { reason, count } of AWKWARD) t.equal(counts[reason], count, `${reason}: as many as were put in`);
  t.equal(counts['duplicate'], DUPLICATES);
  t.equal(counts['blank'], BLANKS.length);
});

t.test('the item that the demo sells out', async (t) => {
  const { outcomes } = await readAll(file);
  const hot = outcomes.filter((row) => row.kind === 'accepted' && row.sku === HOT_ITEM.sku);
  t.equal(hot.length, 1, 'at one location');
  t.match(hot[0], { location: 'Rotterdam_Zuid', locationName: HOT_ITEM.location, count: 1000 });
});

t.test('lines named in the report are those of the file', async (t) => {
  const lines = file.toString('latin1').split('\n');
  const { outcomes } = await readAll(file);
  for (const row of outcomes) {
    if (row.kind !== 'accepted') continue;
    // The SKU stands on the row's first line, or on a later one where the title before it has line breaks.
    const text = lines.slice(row.line - 1, row.line + 1).join('\n');
    if (!text.includes(row.sku)) t.fail(`line ${row.line} has no ${row.sku}`);
  }
  t.equal(outcomes.filter((row) => row.kind === 'rejected' && row.line > lines.length).length, 0);
});
