import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isRunning } from '../../stack/identity.js';
import { tempDir } from '../harness/index.js';
import { type FileReport, runFile, type RunFileOptions } from './file.js';
import { findTestFiles } from './files.js';
import { markedProcesses } from './leaks.js';

/** Runs a script as if it were a test file. */
async function run(source: string, options: Partial<RunFileOptions> = {}): Promise<FileReport> {
  const dir = tempDir();
  const path = join(dir, 'fixture.mjs');
  writeFileSync(path, source);
  const file = { path, name: 'test/fixture.test.ts', alone: false };
  return runFile(file, { env: process.env, logDir: dir, onStart: () => undefined, ...options });
}

const tap = (...lines: string[]) => `console.log(${JSON.stringify(['TAP version 14', ...lines, ''].join('\n'))});`;

t.test('assertions are counted, not the lines that close a subtest', async (t) => {
  const report = await run(
    tap(
      '# Subtest: outer',
      '    ok 1 - a',
      '    ok 2 - b # SKIP not here',
      '    1..2',
      'ok 1 - outer',
      'ok 2 - c',
      '1..2',
    ),
  );
  t.match(report, { passed: 2, failed: 0, skipped: 1, failures: [] });
});

t.test('a failed assertion is named with its tests and what tap says', async (t) => {
  const lines = ['# Subtest: outer', '    not ok 1 - a', '      ---', '      diff: "-1 +2"', '      ...', '    1..1'];
  const report = await run(`${tap(...lines, 'not ok 1 - outer', '1..1')} process.exitCode = 1;`);
  t.match(report, { passed: 0, failed: 1, failures: [{ path: 'outer › a', detail: 'diff: -1 +2' }] });
});

t.test('a file that breaks off is a failure, whatever passed before', async (t) => {
  const broken = await run(`${tap('ok 1 - a', '1..1')} console.error('the reason'); process.exit(3);`);
  t.match(broken, { passed: 1, failed: 1, failures: [{ detail: /exit code 3.*the reason/s }] });
  const early = await run(tap('ok 1 - a'));
  t.match(early, { passed: 1, failed: 1, failures: [{ detail: /before its tests were done/ }] });
  const short = await run(tap('ok 1 - a', '1..2'));
  t.ok(short.failed > 0, 'fewer tests than planned');
  t.match(await run('process.kill(process.pid, "SIGSEGV");'), { failed: 1, failures: [{ detail: /SIGSEGV/ }] });
});

t.test('a file without assertions is a failure', async (t) => {
  t.match(await run(tap('1..0')), { passed: 0, failed: 1, failures: [{ detail: /no assertions/ }] });
});

t.test('a file that does not end is ended and is a failure', async (t) => {
  const hangs = await run(`${tap('ok 1 - a', '1..1')} setInterval(() => {}, 1000);`, { lingerMs: 300 });
  t.match(hangs, { passed: 1, failed: 1, failures: [{ detail: /did not end within 0\.3 s/ }] });
  const never = await run('setInterval(() => {}, 1000);', { timeoutMs: 300 });
  t.match(never, { failed: 1, failures: [{ detail: /did not finish/ }] });
});

t.test('a process left running is ended and is a failure', { skip: process.platform !== 'linux' }, async (t) => {
  const spawned = `import { spawn } from 'node:child_process';
    const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }); child.unref();`;
  const report = await run(`${spawned} ${tap('ok 1 - a', '1..1')}`);
  t.match(report, { passed: 1, failed: 1, failures: [{ detail: /left a process running: \d+ sleep 600/ }] });
  const pid = Number(/: (\d+) sleep/.exec(report.failures[0]!.detail)![1]);
  t.notOk(isRunning({ pid, stamp: '' }));
  t.strictSame(markedProcesses('no-such-run'), []);
});

t.test('files are found by words in their names', async (t) => {
  const all = findTestFiles([]).map((file) => file.name);
  t.ok(all.includes('test/run/run.test.ts'));
  t.strictSame(
    all,
    [...all].sort((a, b) => a.localeCompare(b)),
  );
  t.strictSame(
    findTestFiles(['run/run']).map((file) => file.name),
    ['test/run/run.test.ts'],
  );
  t.strictSame(findTestFiles(['no such file']), []);
});
