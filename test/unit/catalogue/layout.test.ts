/** Which layout a header has, and what is said where it has none. */
import t from 'tap';
import { EXPORT_COLUMNS, REJECT_COLUMNS } from '../../../cli/catalogue/layout.js';
import { CatalogueError } from '../../../cli/catalogue/reasons.js';
import { brief, readAll } from './helpers.js';

const OPTIONS = 'Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value';

t.test('the layouts that Shopify has written', async (t) => {
  const layouts: [string, string, string, string[]][] = [
    ['today', EXPORT_COLUMNS.join(','), 'current', []],
    [
      'without bins',
      `${OPTIONS},SKU,HS Code,COO,Location,Incoming,Unavailable,Committed,Available,On hand (current),On hand (new)`,
      'current',
      [],
    ],
    ['with barcodes', `${OPTIONS},SKU,Barcode,HS Code,COO,Location,Bin name,On hand (new)`, 'current', []],
    [
      'all quantities',
      `${OPTIONS},SKU,HS Code,COO,Location,Incoming,Unavailable,Committed,Available,On hand`,
      'on-hand',
      [],
    ],
    [
      'one column a location',
      `${OPTIONS},SKU,HS Code,COO,Berlin Mitte,"Łódź, 2"`,
      'by-location',
      ['Berlin Mitte', 'Łódź, 2'],
    ],
    ['all names in quotes', '"Handle","SKU","Location","On hand"', 'on-hand', []],
    ['another case and spacing', ' handle , sku,LOCATION,on  hand ', 'on-hand', []],
    ['a rejects file', [...EXPORT_COLUMNS, ...REJECT_COLUMNS].join(','), 'current', []],
  ];
  for (const [name, header, expected, locations] of layouts) {
    const { layout } = await readAll(`\uFEFF${header}\r\n`);
    t.equal(layout.name, expected, name);
    t.same(
      layout.locations.map((location) => location.name),
      locations,
      name,
    );
    t.same(layout.ignored, [], name);
  }
});

t.test('unknown columns are left out by name', async (t) => {
  const { layout, outcomes } = await readAll('SKU,Location,On hand,Colour of the box\nA,M,1,red\n');
  t.same(layout.ignored, ['Colour of the box']);
  t.match(outcomes[0], { attributes: {} });
});

t.test('delimiters of other spreadsheets', async (t) => {
  for (const text of [
    'Handle;SKU;Location;On hand\nh;A;"M; 2";1',
    'Handle\tSKU\tLocation\tOn hand\nh\tA\t"M; 2"\t1',
    'sep=;\r\nHandle;SKU;Location;On hand\r\nh;A;"M; 2";1',
  ]) {
    const { outcomes } = await readAll(text);
    t.match(brief(outcomes[0]!), /A@M~3B_2 =1$/);
  }
  const mac = await readAll('Handle,SKU,Location,On hand\rh,A,M,1\rh,B,M,2\r');
  t.same(mac.outcomes.map(brief), ['2 A@M =1', '3 B@M =2'], 'line breaks of the old Mac');
});

t.test('what is no catalogue is refused with the reason', async (t) => {
  const refused: [string, Buffer | string, RegExp][] = [
    ['nothing', '', /empty/],
    ['blank lines only', '\n \r\n', /empty/],
    ['byte order mark only', '\uFEFF', /empty/],
    ['a column missing', 'Handle,SKU,Location,Available\n', /missing On hand/],
    ['two columns missing', 'Handle,Title,On hand\n', /missing SKU, Location\. Found Handle, Title/],
    ['a list of products', 'Handle,Title,Variant SKU,Variant Inventory Qty\n', /export of products/],
    ['products with a SKU column', 'Handle,SKU,Variant Price\n', /export of products/],
    ['the same column twice', 'SKU,Location,On hand,SKU\n', /"SKU" twice/],
    ['too many columns', `SKU,Location,On hand${',x'.repeat(600)}\n`, /columns; the limit/],
    ['an open quote', 'SKU,"Location,On hand\nA,M,1\n', /header \(line 1\)/],
    ['UTF-16', Buffer.from('\uFEFFSKU,Location,On hand\n', 'utf16le'), /UTF-16/],
    ['UTF-16 without a mark', Buffer.from('SKU,Location,On hand\n', 'utf16le'), /NUL bytes/],
    ['a spreadsheet', Buffer.from([0x50, 0x4b, 3, 4, 0, 0]), /spreadsheet/],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), /gzip/],
    ['JSON', '{"items":[]}', /header \(line 1\) cannot be read/],
    ['one endless line', 'x'.repeat(300_000), /header \(line 1\) cannot be read/],
  ];
  for (const [name, bytes, message] of refused) {
    const error = await readAll(bytes).then(
      () => undefined,
      (e: unknown) => e,
    );
    t.ok(error instanceof CatalogueError, `${name}: ${String(error)}`);
    t.match((error as Error).message, message, name);
  }
});
