import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../../stack/project.js';
import type { VerifyReport } from '../../workers/verify/problems.js';
import { openBench, PARTITIONS, stockEachPartition, trade, until } from './support.js';

const bench = await openBench();

/** A command of the command line against the bench's servers. */
function holdfast(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const entry = ['--import', import.meta.resolve('tsx'), join(projectRoot(), 'cli/main.ts'), ...args];
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...bench.env, NO_COLOR: '1' }, timeout: 60_000 };
    execFile(process.execPath, entry, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
  });
}

t.test('verify and rebuild as commands', async (t) => {
  const worker = await bench.worker();
  const engine = await bench.engine();
  await engine.ready(20_000);
  const items = await stockEachPartition(engine);
  await trade(engine, items, 300, 'a');

  const clean = await holdfast('verify', '--wait', '20');
  t.equal(clean.code, 0, clean.stderr);
  t.match(
    clean.stdout,
    /^✓ Redis and Postgres agree: 8 partitions, 8 items, \d+ holds, \d+ claims, [\d,]+ movements in \d+\.\d s\n$/,
  );

  await worker.stop();
  await until(async () => (await engine.partitions.status()).every((status) => status.open));
  await bench.pools.general.query('UPDATE stock SET available = available + 1 WHERE partition = 3');
  const dirty = await holdfast('verify', '--json', '--wait', '0');
  t.equal(dirty.code, 1);
  const report = JSON.parse(dirty.stdout) as VerifyReport;
  t.notOk(report.ok);
  t.ok(report.problems.some((problem) => problem.partition === 3 && problem.detail.startsWith('total: ')));
  const text = await holdfast('verify', '--wait', '0');
  t.equal(text.code, 1);
  t.match(text.stdout, /✗ partition 3: main:sku-3-\d+: total: movements make 100000, stock says 100001/);
  t.match(text.stdout, /✗ \d+ problems: 8 partitions/);
  await bench.pools.general.query('UPDATE stock SET available = available - 1 WHERE partition = 3');

  const refused = await holdfast('rebuild');
  t.equal(refused.code, 1);
  t.match(refused.stderr, /Redis holds 8 partitions with data.*--replace/);
  const drained = await bench.worker();
  await until(async () => (await engine.partitions.status()).every((status) => status.seq === status.persisted.seq));
  await drained.stop();
  const rebuilt = await holdfast('rebuild', '--replace', '--discard-unpersisted');
  t.equal(rebuilt.code, 0, rebuilt.stderr);
  t.match(rebuilt.stdout, `${PARTITIONS} of ${PARTITIONS} partitions have data in Postgres`);
  const written = Number(
    /All 8 partitions are open after \d+\.\d s, (\d+) records written\n$/.exec(rebuilt.stdout)?.[1],
  );
  t.ok(written > 300, 'it tells what it has done');
  await bench.worker();
  const after = await holdfast('verify', '--wait', '20');
  t.equal(after.code, 0, after.stdout + after.stderr);

  const noted = JSON.parse((await holdfast('verify', '--json', '--wait', '20')).stdout) as VerifyReport;
  t.same(
    noted.chain.map(({ partition }) => partition),
    Array.from({ length: PARTITIONS }, (_, partition) => partition),
  );
  const file = join(t.testdir({}), 'earlier.json');
  writeFileSync(file, JSON.stringify(noted));
  const still = await holdfast('verify', '--earlier', file, '--wait', '20');
  t.equal(still.code, 0, still.stdout + still.stderr);
  const chain = noted.chain.map((end) => (end.partition === 2 ? { ...end, hash: 'ab'.repeat(32) } : end));
  writeFileSync(file, JSON.stringify({ ...noted, chain }));
  const anew = await holdfast('verify', '--earlier', file, '--wait', '20');
  t.equal(anew.code, 1);
  t.match(
    anew.stdout,
    `✗ partition 2: ledger chain: the link that ends at movement ${chain[2]!.seq} is not the one it was when it was last looked at`,
  );
});
