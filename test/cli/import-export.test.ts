/** The shipped catalogue into a real stack and out again. (S12) */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { exportCatalogue } from '../../cli/catalogue/export.js';
import { importCatalogue } from '../../cli/catalogue/import.js';
import { openSource, readCatalogue } from '../../cli/catalogue/read.js';
import type { AcceptedRow } from '../../cli/catalogue/reasons.js';
import { projectRoot } from '../../stack/project.js';
import { HOT_ITEM } from '../../tools/catalogue/generate.js';
import { startStack, tempDir, type TestStack } from '../harness/index.js';

const FILE = join(projectRoot(), 'examples/catalogue.csv');
const ACCEPTED = 5060;
const HOT = '/v1/stock/Rotterdam_Zuid/DROP-001';

async function acceptedRows(file: string): Promise<Map<string, AcceptedRow>> {
  const { rows } = await readCatalogue((await openSource(file)).source);
  const found = new Map<string, AcceptedRow>();
  for await (const row of rows) if (row.kind === 'accepted') found.set(`${row.location}:${row.sku}`, row);
  return found;
}

/** Exports until Postgres has caught up with what `settled` waits for; bounded, and fails by the caller's asserts after that. */
async function exportWhen(
  target: { url: string; token: string },
  out: string,
  settled: (rows: Map<string, AcceptedRow>) => boolean,
): Promise<Map<string, AcceptedRow>> {
  for (let attempt = 0; ; attempt++) {
    await exportCatalogue({ target, out });
    const rows = await acceptedRows(out);
    if (settled(rows) || attempt === 100) return rows;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function call(stack: TestStack, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(stack.url + path, {
    method,
    headers: {
      ...(await stack.authorization('admin')),
      'content-type': 'application/json',
      'idempotency-key': `${method}-${path}`,
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
  return answer;
}

t.test('catalogue → stack → file → stack', async (t) => {
  const stack = await startStack();
  const { authorization } = await stack.authorization('admin');
  const target = { url: stack.url, token: authorization.replace('Bearer ', '') };
  const out = join(tempDir(), 'out.csv');

  const dry = await importCatalogue({ file: FILE, target, dryRun: true });
  t.match(dry.counts, { accepted: ACCEPTED, created: ACCEPTED, rejected: 106 });
  const first = await importCatalogue({ file: FILE, target });
  t.match(first.counts, { accepted: ACCEPTED, created: ACCEPTED, adjusted: 0, same: 0, kept: 0, rejected: 106 });
  t.notOk(first.counts.rejectedBy.refused, 'the stack refused none');
  t.match(await call(stack, 'GET', `${HOT}?fresh=true`), { available: HOT_ITEM.onHand, reserved: 0, sold: 0 });

  const wanted = await acceptedRows(FILE);
  const exported = await exportWhen(target, out, (rows) => rows.size === ACCEPTED);
  t.equal(exported.size, ACCEPTED);
  const differing = [...wanted].filter(([ref, row]) => {
    const back = exported.get(ref);
    return back?.count !== row.count || !isDeepStrictEqual(back.attributes, row.attributes);
  });
  t.same(differing, [], 'counts, titles, handles and options are those of the file');

  const back = await importCatalogue({ file: out, target });
  t.match(back.counts, { created: 0, adjusted: 0, same: ACCEPTED, kept: 0, rejected: 0 }, 'an export changes nothing');
  const again = await importCatalogue({ file: FILE, target });
  t.match(again.counts, { created: 0, adjusted: 0, same: ACCEPTED, rejected: 106 }, 'nor does the file a second time');

  await call(stack, 'POST', '/v1/reservations', {
    reservationId: 'r-1',
    lines: [{ location: 'Rotterdam_Zuid', sku: HOT_ITEM.sku, quantity: 3 }],
    buyerId: 'b-1',
  });
  t.match(
    (await importCatalogue({ file: FILE, target })).counts,
    { same: ACCEPTED },
    'what is reserved is still on hand',
  );
  await call(stack, 'POST', '/v1/reservations/r-1/confirm');
  t.match(
    (await importCatalogue({ file: FILE, target })).counts,
    { kept: 1, same: ACCEPTED - 1 },
    'a sale is not undone',
  );
  t.match(await call(stack, 'GET', `${HOT}?fresh=true`), { available: HOT_ITEM.onHand - 3, reserved: 0, sold: 3 });

  const forced = await importCatalogue({ file: FILE, target, force: true });
  t.match(forced.counts, { created: 0, adjusted: 1, same: ACCEPTED - 1 }, 'unless it is asked for');
  t.match(await call(stack, 'GET', `${HOT}?fresh=true`), { available: HOT_ITEM.onHand, reserved: 0, sold: 3 });

  const trail = await call(stack, 'GET', `${HOT}/movements?limit=100`);
  t.match(JSON.stringify(trail), new RegExp(first.importId), 'the trail names the import');
});
