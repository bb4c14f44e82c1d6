/**
 * What goes wrong in the inventory files of real shops: typed counts, spreadsheet damage, rows pasted twice, bytes of an
 * old code page. `AWKWARD` says how many of each the example catalogue has; the golden test holds the importer to it.
 */
import type { RejectReason } from '../../cli/catalogue/reasons.js';
import { csvText } from '../../cli/catalogue/write.js';

type Cells = string[];
/** Turns a sound row into a damaged one. `n` counts within the kind. */
type Damage = (cells: Cells, n: number) => Buffer;

const SKU = 8;
const LOCATION = 11;
const NEW = 18;
const CURRENT = 17;
const EOL = '\r\n';

function change(cells: Cells, at: number, value: string): Buffer {
  const copy = [...cells];
  copy[at] = value;
  return Buffer.from(csvText([copy], true));
}

function pick(values: string[], n: number): string {
  return values[n % values.length] as string;
}

export const AWKWARD: { reason: RejectReason; count: number; damage: Damage }[] = [
  { reason: 'sku_missing', count: 14, damage: (cells, n) => change(cells, SKU, pick(['', ' '], n)) },
  {
    reason: 'sku_invalid',
    count: 16,
    damage: (cells, n) => {
      const sku = cells[SKU] as string;
      return change(
        cells,
        SKU,
        pick([`${sku}/2`, `${sku} `, sku.replace(/-/g, ' '), '8.71E+12', `#${sku}`, `'${sku}`, `${sku}®`], n),
      );
    },
  },
  { reason: 'location_missing', count: 4, damage: (cells) => change(cells, LOCATION, '') },
  { reason: 'location_invalid', count: 1, damage: (cells) => change(cells, LOCATION, 'Overflow storage '.repeat(9)) },
  { reason: 'count_missing', count: 6, damage: (cells) => change(cells, CURRENT, '') },
  { reason: 'count_negative', count: 11, damage: (cells, n) => change(cells, NEW, pick(['-1', '-12', '-3'], n)) },
  {
    reason: 'count_decimal',
    count: 7,
    damage: (cells, n) => change(cells, NEW, pick(['12.5', '1,000', '3.0', '0,5'], n)),
  },
  {
    reason: 'count_not_numeric',
    count: 12,
    damage: (cells, n) => change(cells, NEW, pick(['n/a', 'ten', '1e3', '0x10', '12 pcs', '?', '#REF!', 'NaN'], n)),
  },
  {
    reason: 'count_too_large',
    count: 2,
    damage: (cells, n) => change(cells, NEW, pick(['8719123456789', '99999999999999999999'], n)),
  },
  {
    reason: 'attributes_too_large',
    count: 1,
    damage: (cells) => change(cells, 1, `${cells[1] as string} `.repeat(300)),
  },
  {
    reason: 'columns',
    count: 7,
    damage: (cells, n) => Buffer.from(csvText([n % 2 === 0 ? cells.slice(0, 12) : [...cells, 'checked by JV']], true)),
  },
  {
    reason: 'quotes',
    count: 4,
    damage: (cells, n) => {
      const title = n % 2 === 0 ? '"Box of 7 inch singles' : '7" box of singles';
      return Buffer.from(
        csvText([[...cells]], true)
          .replace(/^[^,]*,/, `box,${title},`)
          .split(/\r?\n/)[0] + EOL,
      );
    },
  },
  {
    reason: 'encoding',
    count: 3,
    damage: (cells) => Buffer.concat([Buffer.from('caf'), Buffer.from([0xe9]), change(cells, 0, '-tour')]),
  },
];

/** Rows that ask for nothing: a line of commas or no line at all. */
export const BLANKS = [EOL, ',,,,,,,,,,,,,,,,,,' + EOL, EOL, '   ' + EOL, ',,,,,,,,,,,,,,,,,,' + EOL, EOL];
