/** What the exporter writes, the importer reads back equal; names survive the way through ids. */
import fc from 'fast-check';
import t from 'tap';
import { ATTRIBUTE_COLUMNS } from '../../../cli/catalogue/layout.js';
import { decodeName, encodeName, idOfName, isId, nameOfId } from '../../../cli/catalogue/names.js';
import { LIMITS, type AcceptedRow } from '../../../cli/catalogue/reasons.js';
import { catalogueText, type ExportedItem } from '../../../cli/catalogue/write.js';
import { readAll } from './helpers.js';

const SEED = 20_261_120;
const id = fc
  .array(fc.constantFrom(...'ABCXYZabcxyz0189._-~'), { minLength: 1, maxLength: LIMITS.idLength })
  .map((chars) => chars.join(''));
/** Text that hurts: separators, quotes, line breaks, spaces at the ends, marks, formulas. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('"', ',', ';', '\t', '\r', '\n', '\r\n', ' ', '""', '\uFEFF', '=1+1', "'", 'é', '😀', '\\'),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join('').replaceAll('\0', ''))
  .filter((value) => value !== '');
const attributes = fc.dictionary(fc.constantFrom(...ATTRIBUTE_COLUMNS), text, { maxKeys: ATTRIBUTE_COLUMNS.length });
const count = fc.integer({ min: 0, max: LIMITS.count / 2 });
const items = fc.uniqueArray(fc.record({ location: id, sku: id, available: count, reserved: count, attributes }), {
  maxLength: 40,
  selector: (item) => `${item.location}:${item.sku}`,
});

async function written(list: ExportedItem[], excel: boolean, decodeSkus = false): Promise<string> {
  async function* source(): AsyncGenerator<ExportedItem> {
    yield* list;
  }
  let whole = '';
  for await (const piece of catalogueText(source(), { excel, decodeSkus })) whole += piece;
  return whole;
}

t.test('export → import gives every item back', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      items,
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 1, max: 4096 }),
      async (list, excel, encodeSkus, chunk) => {
        const csv = await written(list, excel, encodeSkus);
        const { layout, outcomes } = await readAll(csv, { chunk, encodeSkus });
        if (layout.name !== 'current') throw new Error(layout.name);
        const back = outcomes.map((row) => {
          if (row.kind !== 'accepted') throw new Error(JSON.stringify(row));
          const { location, sku, count, overwrite, attributes } = row;
          return { location, sku, count, overwrite, attributes };
        });
        const expected = list.map(({ location, sku, available, reserved, attributes }) => ({
          location,
          sku,
          count: available + reserved,
          overwrite: false,
          attributes: { ...attributes },
        }));
        if (
          !t.strictSame(
            back.map((row) => ({ ...row, attributes: { ...row.attributes } })),
            expected,
          )
        )
          throw new Error('differs');
      },
    ),
    { numRuns: 300, seed: SEED },
  );
});

t.test('import → export → import keeps counts and descriptions', async (t) => {
  await fc.assert(
    fc.asyncProperty(items, async (list) => {
      const first = (await readAll(await written(list, false))).outcomes as AcceptedRow[];
      const again = first.map((row) => ({
        location: row.location,
        sku: row.sku,
        available: row.count,
        reserved: 0,
        attributes: row.attributes,
      }));
      const second = (await readAll(await written(again, true))).outcomes as AcceptedRow[];
      const bare = (rows: AcceptedRow[]) => rows.map(({ line: _line, fields: _fields, ...row }) => row);
      if (!t.strictSame(bare(second), bare(first))) throw new Error('differs');
    }),
    { numRuns: 100, seed: SEED },
  );
});

t.test('every name has an id of its own, every id a name that leads back', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      (name) => encodeName(name) === '' || decodeName(encodeName(name)) === name,
    ),
    { seed: SEED, numRuns: 2000 },
  );
  fc.assert(
    fc.property(id, (given) => idOfName(nameOfId(given)) === given),
    { seed: SEED, numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (name) => {
      const made = idOfName(name);
      return made === undefined || isId(made);
    }),
    { seed: SEED, numRuns: 2000 },
  );
  t.equal(idOfName(' Rotterdam Zuid '), 'Rotterdam_Zuid');
  t.equal(nameOfId('Rotterdam_Zuid'), 'Rotterdam Zuid');
  t.equal(nameOfId('ams-1'), 'ams-1');
  t.equal(nameOfId('a~b'), 'id:a~b', 'an id that no name encodes to');
  t.equal(nameOfId('~61'), 'id:~61', 'an escape that was not needed');
  t.equal(nameOfId('_x'), 'id:_x', 'a name that would begin with a space');
  t.equal(idOfName('  '), undefined);
});
