import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Parser, type Result } from 'tap-parser';
import { projectRoot } from '../../stack/project.js';
import type { TestFile } from './files.js';
import { collectLeaks, MARKER } from './leaks.js';

export interface Failure {
  /** Names of the tests from outermost to the assertion. */
  path: string;
  /** What tap says about it, or the runner's own words. */
  detail: string;
}

export interface FileReport {
  file: TestFile;
  passed: number;
  failed: number;
  skipped: number;
  failures: Failure[];
  seconds: number;
  /** Everything the file wrote. */
  logFile: string;
}

/** A file that is not done by then hangs. */
const FILE_TIMEOUT_MS = 10 * 60_000;
/** After the last line of its report a file closes what it opened and ends. */
const LINGER_MS = 30_000;
const STDERR_TAIL = 4_000;

export interface RunFileOptions {
  env: NodeJS.ProcessEnv;
  logDir: string;
  /** Told how to end the file when the run is interrupted. */
  onStart: (kill: (sig: NodeJS.Signals) => void) => void;
  /** Default FILE_TIMEOUT_MS. */
  timeoutMs?: number;
  /** Default LINGER_MS. */
  lingerMs?: number;
}

/** Runs one test file in a process of its own, counts its assertions, and makes sure that it leaves nothing behind. */
export async function runFile(file: TestFile, options: RunFileOptions): Promise<FileReport> {
  const { timeoutMs = FILE_TIMEOUT_MS, lingerMs = LINGER_MS } = options;
  const id = randomBytes(8).toString('hex');
  const logFile = join(options.logDir, `${file.name.replace(/[^A-Za-z0-9.-]+/g, '_')}.tap`);
  const report: FileReport = { file, passed: 0, failed: 0, skipped: 0, failures: [], seconds: 0, logFile };
  const fail = (detail: string) => {
    report.failed++;
    report.failures.push({ path: '(file)', detail });
  };
  const loader = file.path.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  const startedAt = process.hrtime.bigint();
  const child = spawn(process.execPath, ['--enable-source-maps', ...loader, file.path], {
    cwd: projectRoot(),
    env: { ...options.env, [MARKER]: id, TAP_TIMEOUT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  options.onStart((sig) => child.kill(sig));

  const log = createWriteStream(logFile);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log.write(chunk);
    stderr = (stderr + chunk.toString()).slice(-STDERR_TAIL);
  });

  let done = false;
  let linger: NodeJS.Timeout | undefined;
  const parser = new Parser();
  countInto(report, parser, []);
  parser.on('plan', () => {
    // tap writes the plan of the file last.
    done = true;
    linger = setTimeout(() => {
      fail(`The file was done but did not end within ${lingerMs / 1000} s: something is still open (see stderr).`);
      child.kill('SIGKILL');
    }, lingerMs);
  });
  child.stdout.on('data', (chunk: Buffer) => {
    log.write(chunk);
    parser.write(chunk);
  });

  const timeout = setTimeout(() => {
    fail(`The file did not finish within ${timeoutMs / 60_000} minutes.`);
    child.kill('SIGKILL');
  }, timeoutMs);
  const { code, signal } = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
    child.once('error', (error) => {
      stderr += error.message;
      resolve({ code: 127, signal: null });
    });
  });
  parser.end();
  log.end();
  clearTimeout(timeout);
  // After the parser's end, which may be where it sees the plan.
  clearTimeout(linger);

  for (const leak of await collectLeaks(id))
    fail(`It left a process running: ${leak.pid} ${leak.command.slice(0, 200)}`);
  report.seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  if (report.failed === 0 && (code !== 0 || !done || !parser.ok)) {
    const end = signal ? `ended by ${signal}` : `ended with exit code ${code}`;
    fail(`The file ${end}${done ? '' : ' before its tests were done'}.\n${stderr.trimEnd()}`);
  } else if (report.failed === 0 && report.passed + report.skipped === 0) {
    fail('The file has no assertions.');
  } else if (report.failures.some((failure) => failure.path === '(file)') && stderr) {
    report.failures.push({ path: '(stderr)', detail: stderr.trimEnd() });
  }
  return report;
}

function countInto(report: FileReport, parser: Parser, above: string[]): void {
  parser.on('child', (child: Parser) => countInto(report, child, [...above, child.name]));
  parser.on('assert', (result: Result) => {
    // The line that closes a subtest repeats what its assertions said.
    if (result.closingTestPoint) return;
    if (result.skip || result.todo) report.skipped++;
    else if (result.ok) report.passed++;
    else {
      report.failed++;
      report.failures.push({ path: [...above, result.name].filter(Boolean).join(' › '), detail: describe(result) });
    }
  });
}

function describe(result: Result): string {
  const diag = result.diag as Record<string, unknown> | null;
  if (!diag) return '';
  const at = diag.at as { fileName?: string; lineNumber?: number } | undefined;
  const lines: string[] = [];
  if (at?.fileName) lines.push(`at ${at.fileName}:${at.lineNumber}`);
  for (const [key, value] of Object.entries(diag)) {
    if (key === 'at' || key === 'source') continue;
    const text = typeof value === 'string' ? value.trimEnd() : JSON.stringify(value);
    lines.push(text.includes('\n') ? `${key}:\n${text.replace(/^/gm, '  ')}` : `${key}: ${text}`);
  }
  return lines.join('\n');
}
