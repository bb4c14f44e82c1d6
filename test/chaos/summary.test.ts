/** What several runs came to together: nothing counted twice, nothing left out, nothing read that is something else. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { tempDir } from '../harness/index.js';
import type { RunSummary } from './run.js';
import { readSummaries, summaryText } from './summary.js';

const fault = (name: string, recoveredMs: number, more: object = {}): RunSummary['faults'][number] => ({
  name,
  atMs: 0,
  injected: true,
  recoveredMs,
  seen: { calls: 10, unavailable: 1, unknown: 2, weaker: 3, slowestMs: recoveredMs / 2 },
  ...more,
});

const run = (seed: number, faults: RunSummary['faults'], more: Partial<RunSummary> = {}): RunSummary => ({
  seed,
  durationMs: 90_000,
  calls: 1_000,
  streamCalls: 300,
  operations: {},
  codes: {},
  events: 2_000,
  faults,
  skipped: [],
  unknown: 5,
  acks: { reversed: 1, unrecorded: 2, unkept: 0, excused: 4 },
  reversalRows: 3,
  drainedMs: 100,
  violations: [],
  violationCounts: {},
  explanation: '',
  ...more,
});

/** Cells of the row that begins with this text. */
const rowOf = (text: string, first: string): string[] =>
  (text.split('\n').find((line) => line.startsWith(`| ${first}`)) ?? '')
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

t.test('files of --json and folders of --keep, each run once', (t) => {
  const dir = tempDir();
  const [one, two, three] = [
    run(7, [fault('kill-server', 400), fault('kill-server', 800)]),
    run(3, [fault('kill-server', 2_000), fault('full-disk', 9_000, { injected: false, reason: 'no room' })]),
    run(9, [fault('cut-aof', 100)], { violations: [{ point: 4, what: 'half of it is there' }], skipped: ['x: no cc'] }),
  ];
  writeFileSync(join(dir, 'a.json'), JSON.stringify([one, two]));
  for (const summary of [two, three]) {
    mkdirSync(join(dir, 'kept', `seed-${summary.seed}`), { recursive: true });
    writeFileSync(join(dir, 'kept', `seed-${summary.seed}`, 'summary.json'), JSON.stringify(summary, null, 2));
  }
  const all = readSummaries([join(dir, 'a.json'), join(dir, 'kept'), join(dir, 'kept', 'seed-9')]);
  t.strictSame(
    all.map(({ seed }) => seed),
    [3, 7, 9],
  );
  const text = summaryText(all);
  t.strictSame(rowOf(text, '3 '), ['3', '1.5', '1,000', '300', '2,000', '1 of 2', '1', '5', '1', '3', '2', '4', '0']);
  t.strictSame(rowOf(text, 'together'), [
    'together',
    '4.5',
    '3,000',
    '900',
    '6,000',
    '4 of 5',
    '2',
    '15',
    '3',
    '9',
    '6',
    '12',
    '1',
  ]);
  t.strictSame(rowOf(text, '`kill-server`'), ['`kill-server`', '3', '0.8 s', '2.0 s', '30', '3', '6', '9', '1.0 s']);
  t.strictSame(rowOf(text, '`full-disk`'), [], 'what was never injected has no recovery');
  t.match(text, '- seed 9, point 4: half of it is there');
  t.match(text, '- seed 3: full-disk was not injected: no room');
  t.match(text, '- skipped: x: no cc');
  t.end();
});

t.test('what cannot be read is named', (t) => {
  const dir = tempDir();
  t.throws(() => readSummaries([join(dir, 'none.json')]), { message: /There is no .*none\.json/ });
  t.throws(() => readSummaries([dir]), { message: /no summary\.json in/ });
  const file = join(dir, 'other.json');
  for (const content of ['{', '{"seed": 1}', '[null]', '7']) {
    writeFileSync(file, content);
    t.throws(() => readSummaries([file]), { message: /other\.json/ }, content);
  }
  t.end();
});
