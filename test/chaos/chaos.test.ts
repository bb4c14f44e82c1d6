/**
 * The short fixed set: some faults on a whole system, checked; and a deliberate bug that the checker has to notice. The long
 * one is `npm run chaos` (docs/reliability.md).
 */
// @alone
import { join } from 'node:path';
import t from 'tap';
import { tempDir } from '../harness/index.js';
import { MUTANTS } from './mutants/list.js';
import { fits } from './mutants/patch.js';
import { tryMutant } from './mutants/run.js';
import { FAULTS } from './nemesis/index.js';
import { runOnce } from './run.js';
import { layProgram } from './world/program.js';

/** One of each family: replies lost, a process killed, a partition, a rollback, scripts gone, workers killed. */
const CHOSEN = ['lost-replies', 'partition-master', 'lag-takeover', 'script-flush', 'kill-workers'];
const SEED = 4;
const DURATION_MS = 14_000;

void t.test('faults while it sells: nothing is sold twice, nothing acknowledged is lost', async (t) => {
  const dir = tempDir();
  const program = await layProgram(join(dir, 'program'));
  await t.test('every mutant still finds what it breaks', (t) => {
    for (const { name, edits } of MUTANTS) t.doesNotThrow(() => fits(program, edits), name);
    t.ok(MUTANTS.length >= 10);
    t.end();
  });
  const faults = CHOSEN.map((name) => FAULTS.find((fault) => fault.name === name)!);
  const summary = await runOnce({
    dir: join(dir, 'run'),
    seed: SEED,
    durationMs: DURATION_MS,
    faults,
    world: { program },
    onProgress: (line) => t.comment(line),
  });
  t.same(summary.violations, [], summary.explanation);
  t.ok(summary.calls > 200, `${summary.calls} calls`);
  t.ok(summary.streamCalls! > 40, `${summary.streamCalls} of them by the stream`);
  t.ok(summary.events > 400, `${summary.events} events`);
  t.ok(summary.faults.filter(({ injected }) => injected).length >= 2, 'faults were injected');
  for (const op of ['reserve', 'confirm', 'release', 'extend', 'return', 'deduct', 'restock', 'adjust', 'read'])
    t.ok((summary.operations[op]?.ok ?? 0) > 0, `${op} was done`);

  await t.test('a bug on purpose is noticed', async (t) => {
    const mutant = MUTANTS.find(({ name }) => name === 'no-id-record')!;
    const options = { dir: join(dir, 'mutants'), program, durationMs: 4_000, patienceMs: 3_000 };
    const found = await tryMutant(mutant, options);
    t.ok(found.caught, `${mutant.name}: ${found.first}`);
    t.ok(found.points.includes(5), `points ${found.points.join(', ')}`);
  });
});
