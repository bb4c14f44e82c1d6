/** Files that nobody meant to write: nothing crashes, no row is lost without a word, memory stays bounded. */
import fc from 'fast-check';
import t from 'tap';
import { applyRows } from '../../../cli/catalogue/apply.js';
import { readCatalogue } from '../../../cli/catalogue/read.js';
import { CatalogueError } from '../../../cli/catalogue/reasons.js';
import { brief, readAll } from './helpers.js';

const SEED = 20_261_120;
const HEADER = 'Handle,Title,SKU,Location,On hand\n';

t.test('arbitrary bytes give outcomes or one clear error', async (t) => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }).map((array) => Buffer.from(array)),
    fc
      .array(
        fc.constantFrom(
          '"',
          ',',
          '\n',
          '\r',
          '\r\n',
          'SKU',
          'Location',
          'On hand',
          'x',
          '7',
          ';',
          '\t',
          '\uFEFF',
          '"\n"',
        ),
        { maxLength: 400 },
      )
      .map((parts) => Buffer.from(parts.join(''))),
  );
  let read = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(bytes, fc.boolean(), fc.integer({ min: 1, max: 500 }), async (noise, headed, chunk) => {
      const file = headed ? Buffer.concat([Buffer.from(HEADER), noise]) : noise;
      try {
        await readAll(file, { chunk });
        read++;
      } catch (error) {
        if (!(error instanceof CatalogueError)) throw error;
        refused++;
      }
    }),
    { numRuns: 1500, seed: SEED },
  );
  t.ok(read > 100 && refused > 100, `${read} read, ${refused} refused`);
});

t.test('sound rows survive any damage between them', async (t) => {
  // Quotes, bytes, lengths: whatever one line holds, the rows before and after it are read.
  const junk = fc
    .array(fc.constantFrom('"', ',', '""', 'x', ' ', ';', '\t', '"x"', '\u0000', '7'), { minLength: 1, maxLength: 20 })
    .map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(fc.array(junk, { minLength: 1, maxLength: 30 }), async (lines) => {
      const rows = lines.flatMap((line, i) => [`h,T,S${i},Main,${i}`, line]);
      const { outcomes } = await readAll(`${HEADER}${rows.join('\n')}\nh,T,LAST,Main,1\n`);
      const accepted = new Set(outcomes.filter((row) => row.kind === 'accepted').map((row) => row.sku));
      // A junk line may open a quote that a later junk line closes, and the two then hold a sound row between them as
      // text: a reader cannot know better. What is lost that way must be in a row that was reported.
      const lost = [...lines.keys()].filter((i) => !accepted.has(`S${i}`));
      for (const i of lost) {
        const holder = outcomes.find(
          (row) =>
            row.kind === 'rejected' && [...(row.fields ?? []), row.text ?? ''].some((part) => part.includes(`S${i},`)),
        );
        if (!holder) throw new Error(`S${i} is gone without a word: ${JSON.stringify(lines)}`);
      }
      if (!accepted.has('LAST')) throw new Error('the last row is gone');
    }),
    { numRuns: 500, seed: SEED },
  );
  t.pass('no row was lost silently');
});

t.test('an open quote costs one line however long the file goes on', async (t) => {
  const rows = Array.from({ length: 2000 }, (_, i) => `h,T,S${i},Main,${i}`);
  rows[3] = 'h,"open,S3,Main,3';
  const { outcomes } = await readAll(HEADER + rows.join('\n'));
  t.equal(outcomes.filter((row) => row.kind === 'accepted').length, 1999);
  t.same(outcomes.filter((row) => row.kind === 'rejected').map(brief), ['5 quotes']);
});

t.test('a file of nothing but open quotes is read in full', async (t) => {
  const lines = Array.from({ length: 3000 }, (_, i) => `h,"${'x'.repeat(1 + (i % 50))}`);
  const { outcomes } = await readAll(HEADER + lines.join('\n'));
  t.equal(outcomes.length, 3000);
  t.ok(outcomes.every((row) => row.kind === 'rejected'));
});

t.test('200,000 rows never stand in memory together', async (t) => {
  const TOTAL = 200_000;
  let produced = 0;
  async function* file(): AsyncGenerator<Buffer> {
    yield Buffer.from(HEADER);
    while (produced < TOTAL) {
      let text = '';
      for (let i = 0; i < 500; i++) text += `h,"Title, ""${++produced}""",S-${produced},Main,${produced % 50}\r\n`;
      yield Buffer.from(text);
    }
  }
  let answered = 0;
  let furthest = 0;
  let calls = 0;
  let callsAtOnce = 0;
  let most = 0;
  const api = {
    async query(items: [string, string][]) {
      callsAtOnce++;
      most = Math.max(most, callsAtOnce);
      await new Promise(setImmediate);
      return items.map(() => undefined);
    },
    async import({ rows }: { rows: unknown[] }) {
      calls++;
      t.ok(rows.length <= 500);
      await new Promise(setImmediate);
      callsAtOnce--;
      answered += rows.length;
      return rows.map(() => ({ status: 'created' as const }));
    },
  };
  const { rows } = await readCatalogue(file());
  const counts = await applyRows(rows, api, {
    importId: 'i',
    reason: 'r',
    onProgress: () => (furthest = Math.max(furthest, produced - answered)),
  });
  t.equal(counts.created, TOTAL);
  t.equal(answered, TOTAL);
  t.equal(calls, TOTAL / 500);
  t.equal(most, 4, 'four batches at once');
  t.ok(counts.mostInFlight <= 5 * 500, `${counts.mostInFlight} rows between reading and answer`);
  // In flight, one batch being filled, one parse batch and one chunk of the file.
  t.ok(furthest <= 5 * 500 + 256 + 2 * 500, `the reader was at most ${furthest} rows ahead of the answers`);
});
