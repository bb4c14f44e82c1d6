/**
 * Applying over real HTTP: a small server that keeps counts and fails as told. What the true server does with these calls
 * is the contract test's matter; here it is the client's retries, batches, decisions and reports.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { Api, ApiError, retryAfter, type ImportBatch } from '../../../cli/catalogue/api.js';
import { applyRows } from '../../../cli/catalogue/apply.js';
import { importCatalogue } from '../../../cli/catalogue/import.js';
import { exportCatalogue } from '../../../cli/catalogue/export.js';
import { plan } from '../../../cli/catalogue/plan.js';
import type { AcceptedRow, RejectedRow } from '../../../cli/catalogue/reasons.js';
import { scratch, TinyStock } from './tiny-stock.js';

const HEADER = 'Handle,Title,SKU,Location,Bin name,On hand (current),On hand (new)';
const older = (rows: string[]): string => ['Handle,Title,SKU,Location,On hand', ...rows].join('\n');

t.test('what to do with a row, by what is there', async (t) => {
  const row = (more: Partial<AcceptedRow>): AcceptedRow => ({
    kind: 'accepted',
    line: 2,
    location: 'M',
    locationName: 'M',
    sku: 'A',
    count: 10,
    counts: 'onHand',
    overwrite: true,
    attributes: {},
    fields: [],
    ...more,
  });
  const live = (available: number, reserved: number) => ({ available, reserved });
  t.same(plan(row({}), undefined), { do: 'create', countedTo: 10 });
  t.same(plan(row({ overwrite: false }), undefined), { do: 'create', countedTo: 10 });
  t.same(plan(row({}), live(7, 3)), { do: 'unchanged', why: 'same' });
  t.same(plan(row({}), live(7, 0)), { do: 'adjust', countedTo: 10, was: 7 });
  t.same(plan(row({ overwrite: false }), live(7, 0)), { do: 'unchanged', why: 'kept' });
  t.same(plan(row({ overwrite: false }), live(7, 0), true), { do: 'adjust', countedTo: 10, was: 7 }, 'forced');
  t.match(plan(row({ expectedOnHand: 8 }), live(7, 0)), { do: 'reject', reason: 'changed_since_export' });
  t.match(plan(row({ expectedOnHand: 8 }), live(7, 0), true), { do: 'adjust' }, 'forced');
  t.match(plan(row({ expectedOnHand: 7 }), live(7, 0)), { do: 'adjust' });
  t.match(plan(row({ expectedOnHand: 8 }), live(10, 0)), { do: 'unchanged' }, 'imported already');
  t.same(plan(row({}), live(7, 3), true), { do: 'adjust', countedTo: 10, was: 10 }, 'forced: for the descriptions');
  t.match(plan(row({}), live(1, 11)), { do: 'reject', reason: 'refused' }, 'below what is reserved');
  t.same(
    plan(row({ counts: 'available' }), live(4, 6)),
    { do: 'adjust', countedTo: 16, was: 10 },
    'available leaves out the reserved',
  );
  t.same(plan(row({ counts: 'available' }), live(10, 6)), { do: 'unchanged', why: 'same' });
});

t.test('Retry-After in seconds and as a date', async (t) => {
  t.equal(retryAfter('3'), 3000);
  t.equal(retryAfter(null), undefined);
  t.equal(retryAfter('soon'), undefined);
  t.equal(retryAfter('Fri, 20 Nov 2026 10:00:05 GMT', Date.parse('2026-11-20T10:00:00Z')), 5000);
  t.equal(retryAfter('Fri, 20 Nov 2026 09:00:00 GMT', Date.parse('2026-11-20T10:00:00Z')), 0);
});

t.test('import, again, and an export that changes nothing', async (t) => {
  const stock = await new TinyStock().start(t);
  const path = scratch(t);
  const target = { url: stock.url, token: 'right' };
  const rows = Array.from({ length: 1203 }, (_, i) => `h${i},"T, ${i}",S${i},Zürich Nord,,${i},`);
  const file = path('in.csv', [HEADER, ...rows].join('\r\n'));

  const dry = await importCatalogue({ file, target, dryRun: true });
  t.match(dry.counts, { created: 1203, adjusted: 0 });
  t.equal(stock.items.size, 0, 'a dry run changes nothing');

  const first = await importCatalogue({ file, target });
  t.match(first.counts, { rows: 1203, accepted: 1203, created: 1203, adjusted: 0, rejected: 0 });
  t.same(stock.items.get('Z~C3~BCrich_Nord:S7'), {
    available: 7,
    reserved: 0,
    attributes: { Handle: 'h7', Title: 'T, 7' },
  });
  t.same(stock.imports.map((batch) => batch.rows.length).sort(), [203, 500, 500]);
  t.equal(new Set(stock.imports.map((batch) => batch.importId)).size, 1);
  t.equal(stock.imports[0]?.reason, 'import in.csv');
  t.equal(new Set(stock.keys).size, 3, 'a key of its own for each batch');
  t.ok(stock.mostAtOnce <= 4, `${stock.mostAtOnce} requests at once`);

  const again = await importCatalogue({ file, target });
  t.match(again.counts, { created: 0, adjusted: 0, same: 1203 });
  t.equal(stock.imports.length, 3, 'nothing was sent');

  stock.items.set('Z~C3~BCrich_Nord:S7', { ...stock.items.get('Z~C3~BCrich_Nord:S7')!, available: 4, reserved: 1 });
  const out = path('out.csv');
  t.equal(await exportCatalogue({ target, out }), 1203);
  t.equal(readFileSync(out, 'utf8').split('\n')[1], 'h0,"T, 0",,,,,,,S0,,,Zürich Nord,,,,0,0,0,');
  const back = await importCatalogue({ file: out, target });
  t.match(back.counts, { created: 0, adjusted: 0, same: 1203, kept: 0, rejected: 0 });
  t.match((await importCatalogue({ file, target })).counts, { kept: 1, same: 1202 }, 'a sale since then is not undone');
  t.equal(await exportCatalogue({ target, out, location: 'Zürich Nord' }), 1203);
  t.equal(await exportCatalogue({ target, out, location: 'Zürich' }), 0);
});

t.test('edited counts, and items that moved on since the export', async (t) => {
  const stock = await new TinyStock().start(t);
  const path = scratch(t);
  const target = { url: stock.url, token: 'right' };
  stock.items.set('M:A', { available: 5, reserved: 0 }).set('M:B', { available: 3, reserved: 1 });
  const file = path('in.csv', [HEADER, 'h,T,A,M,,5,9', 'h,T,B,M,,5,9', 'h,T,REFUSE,M,,,1'].join('\n'));
  const rejected: RejectedRow[] = [];
  const { counts } = await importCatalogue({
    file,
    target,
    rejects: path('rej.csv'),
    onRejected: (row) => rejected.push(row),
  });
  t.match(counts, { adjusted: 1, created: 0, rejected: 2, rejectedBy: { changed_since_export: 1, refused: 1 } });
  t.match(rejected, [
    { line: 3, detail: /was 5 at the export and is 4 now/ },
    { line: 4, detail: /stock_limit: too many/ },
  ]);
  t.match(readFileSync(path('rej.csv'), 'utf8').split('\r\n')[1], /^h,T,B,M,,5,9,3,/);
  t.equal(stock.items.get('M:B')?.available, 3);
  const forced = await importCatalogue({ file: path('rej.csv'), target, force: true });
  t.match(forced.counts, { adjusted: 1, rejectedBy: { refused: 1 } }, 'the rejects file can be imported');
  t.equal(stock.items.get('M:B')?.available, 8);
  const described = path('titles.csv', [HEADER, 'h,New title,A,M,,9,'].join('\n'));
  t.match((await importCatalogue({ file: described, target })).counts, { same: 1 });
  t.notOk(stock.items.get('M:A')?.attributes?.['Title'] === 'New title', 'a right count is not sent');
  t.match((await importCatalogue({ file: described, target, force: true })).counts, { same: 1, adjusted: 0 });
  t.match(stock.items.get('M:A'), { available: 9, attributes: { Title: 'New title' } }, 'forced: descriptions too');
});

t.test('--strict imports nothing where a row is rejected', async (t) => {
  const stock = await new TinyStock().start(t);
  const path = scratch(t);
  const target = { url: stock.url, token: 'right' };
  const bad = path('bad.csv', older(['h,T,A,M,1', 'h,T,B,M,-1']));
  const { counts, changedNothing } = await importCatalogue({ file: bad, target, strict: true });
  t.match({ counts, changedNothing }, { counts: { accepted: 1, rejected: 1 }, changedNothing: true });
  t.equal(stock.calls, 0);
  const good = await importCatalogue({ file: path('good.csv', older(['h,T,A,M,1'])), target, strict: true });
  t.match(good, { counts: { created: 1 }, changedNothing: false });
  await t.rejects(importCatalogue({ file: '-', target, strict: true }), /standard input/);
});

t.test('overload, limits and lost answers are ridden out; a row counts once', async (t) => {
  const stock = await new TinyStock().start(t);
  const file = scratch(t)('in.csv', older(['h,T,A,M,1', 'h,T,B,M,2']));
  stock.faults.push(
    { path: '/v1/stock/query', status: 503, headers: { 'retry-after': '0' }, body: { code: 'overloaded' } },
    { path: '/v1/stock/query', status: 429, headers: { 'retry-after': '0' } },
    { path: '/v1/stock/import', status: 0, drop: true },
    { path: '/v1/stock/import', status: 0, afterWork: true },
    { path: '/v1/stock/import', status: 409, headers: { 'retry-after': '0' }, body: { code: 'idempotency_in_flight' } },
  );
  const why: string[] = [];
  const waits: number[] = [];
  const { counts } = await importCatalogue({
    file,
    target: { url: stock.url, token: 'right' },
    onRetry: (text, wait) => {
      why.push(text);
      waits.push(wait);
    },
  });
  t.match(counts, { created: 2, rejected: 0 });
  t.equal(why.length, 5);
  t.same([waits[0], waits[1], waits[4]], [0, 0, 0], 'as long as Retry-After says');
  t.ok(waits[2]! > 0 && waits[3]! > waits[2]!, 'longer each time where it says nothing');
  t.match(why[0], /503 – overloaded/);
  t.equal(stock.imports.length, 2, 'sent again after the lost answer');
  t.equal(new Set(stock.keys).size, 1, 'under the same idempotency key');
  t.same(stock.imports[0], stock.imports[1], 'with the same content');
});

t.test('the same batch of the same import has the same key, of another import another', async (t) => {
  const stock = await new TinyStock().start(t);
  const file = scratch(t)('in.csv', older(['h,T,A,M,1']));
  for (const importId of ['count-1', 'count-1', 'count-2']) {
    stock.items.clear();
    await importCatalogue({ file, target: { url: stock.url, token: 'right' }, importId });
  }
  t.equal(stock.keys[0], stock.keys[1]);
  t.not(stock.keys[0], stock.keys[2]);
});

t.test('what no retry mends stops the import with a message', async (t) => {
  const stock = await new TinyStock().start(t);
  const file = scratch(t)('in.csv', older(['h,T,A,M,1']));
  await t.rejects(importCatalogue({ file, target: { url: stock.url, token: 'wrong' } }), {
    name: 'ApiError',
    status: 401,
    message: /admin token/,
  });
  stock.faults.push({ path: '/v1/stock/query', status: 400, body: { code: 'invalid_request', detail: 'no' } });
  await t.rejects(importCatalogue({ file, target: { url: stock.url, token: 'right' } }), /400 – invalid_request – no/);
  t.equal(stock.items.size, 0);
  const api = new Api({ url: stock.url, token: 'right' }, { attempts: 3, backoffMs: 1 });
  for (let i = 0; i < 3; i++) stock.faults.push({ path: '/v1/stock/query', status: 503 });
  await t.rejects(api.query([['M', 'A']]), ApiError);
  t.equal(stock.faults.length, 0, 'as many attempts as allowed');
  const gone = new Api({ url: 'http://127.0.0.1:1', token: 'right' }, { attempts: 2, backoffMs: 1 });
  await t.rejects(gone.query([['M', 'A']]), /127\.0\.0\.1:1/);
});

t.test('an interrupted import ends its batches, and goes on under the same id', async (t) => {
  const stock = await new TinyStock().start(t);
  const target = { url: stock.url, token: 'right' };
  const file = scratch(t)('in.csv', older(Array.from({ length: 3000 }, (_, i) => `h,T,S${i},M,${i}`)));
  const stop = new AbortController();
  const first = await importCatalogue({
    file,
    target,
    importId: 'count-1',
    signal: stop.signal,
    onProgress: () => stop.abort(),
  });
  t.equal(first.counts.interrupted, true);
  t.ok(stock.items.size > 0 && stock.items.size < 3000, `${stock.items.size} of 3000`);
  t.equal(stock.items.size, first.counts.created, 'what was sent was answered');
  const second = await importCatalogue({ file, target, importId: 'count-1' });
  t.equal(second.counts.created + second.counts.same, 3000);
  t.equal(stock.items.size, 3000);
  t.ok(stock.imports.every((batch) => batch.importId === 'count-1'));
  await t.rejects(importCatalogue({ file, target, importId: 'a b' }), /import id/);
});

t.test('rows with long descriptions make smaller batches', async (t) => {
  const sizes: number[] = [];
  const api = {
    query: async (items: unknown[]) => items.map(() => undefined),
    import: async (batch: ImportBatch) => {
      sizes.push(Buffer.byteLength(JSON.stringify(batch)));
      return batch.rows.map(() => ({ status: 'created' as const }));
    },
  };
  async function* rows(): AsyncGenerator<AcceptedRow> {
    for (let i = 0; i < 1000; i++) {
      yield {
        kind: 'accepted',
        line: i,
        location: 'M',
        locationName: 'M',
        sku: `S${i}`,
        count: 1,
        counts: 'onHand',
        overwrite: true,
        attributes: { Title: '€'.repeat(1300) },
        fields: [],
      };
    }
  }
  const counts = await applyRows(rows(), api, { importId: 'i', reason: 'r' });
  t.equal(counts.created, 1000);
  t.ok(Math.max(...sizes) <= 600_000, `largest request ${Math.max(...sizes)} bytes`);
});

t.test('files that cannot be used', async (t) => {
  const path = scratch(t);
  await t.rejects(importCatalogue({ file: path('none.csv') }), /No such file/);
  await t.rejects(importCatalogue({ file: path('.') }), /folder/);
  const file = path('in.csv', older(['h,T,A,M,1']));
  await t.rejects(importCatalogue({ file, rejects: path('no/such/dir.csv') }), /Cannot write/);
  const checked = await importCatalogue({ file });
  t.match(checked, { changedNothing: true, counts: { accepted: 1, created: 0 } });
  await t.rejects(
    exportCatalogue({ target: { url: 'http://127.0.0.1:1', token: 'x' }, out: path('no/such.csv') }),
    /Cannot write/,
  );
});
