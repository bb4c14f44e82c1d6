/** Selects benchmarks, runs them one after the other, and writes what came out. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE_FLAGS } from '../stack/apps.js';
import { projectRoot } from '../stack/project.js';
import { describeMachine } from './lib/machine.js';
import type { Benchmark, Report, Settings } from './lib/types.js';
import { benchmarks } from './list.js';
import type { Results } from './report/results.js';
import { writeReports } from './report/write.js';
import { tableOf } from './report/table.js';

export interface BenchOptions {
  names: string[];
  quick?: boolean;
  list?: boolean;
  json?: boolean;
  rounds?: number;
  seconds?: number;
  /** Only write docs/performance.md and the chart from the results that are there. */
  report?: boolean;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @returns the exit code: 1 when a benchmark failed or its run does not count. */
export async function runBench(options: BenchOptions): Promise<number> {
  const out = (text: string): void => void process.stdout.write(`${text}\n`);
  if (options.list) {
    for (const { name, title } of benchmarks) out(`${name.padEnd(18)} ${title}`);
    return 0;
  }
  const chosen = choose(options.names);
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  if (options.report) {
    writeReports(latest());
    say('docs/performance.md and docs/bench.svg are written');
    return 0;
  }
  const settings = settingsOf(options);
  const machine = describeMachine(projectRoot());
  const reports: Report[] = [];
  let failed = false;
  for (const benchmark of chosen) {
    try {
      reports.push(await runOne(benchmark, settings, say));
    } catch (error) {
      failed = true;
      say(`${benchmark.name} failed: ${(error as Error).stack}`);
    }
  }
  const results = merge({ at: new Date().toISOString(), quick: settings.quick, settings, machine, reports });
  if (reports.length > 0) save(results, settings.quick);
  if (reports.length > 0 && !settings.quick) writeReports(results);
  if (options.json) out(JSON.stringify({ ...results, reports }, null, 2));
  else for (const report of reports) out(tableOf(report));
  return failed || reports.some(({ voids }) => voids.length > 0) ? 1 : 0;
}

async function runOne(benchmark: Benchmark, settings: Settings, say: (text: string) => void): Promise<Report> {
  const { name, title } = benchmark;
  say(`── ${name}: ${title}`);
  const report = await inProcess(name, settings);
  for (const skipped of report.skipped) say(`   SKIPPED: ${skipped}`);
  for (const fault of report.voids) say(`   VOID: ${fault}`);
  return report;
}

/** A benchmark's process gets what servers and workers get: the engine is its part, not theirs. */
function inProcess(name: string, settings: Settings): Promise<Report> {
  const source = import.meta.url.endsWith('.ts');
  const entry = fileURLToPath(new URL(`./lib/one.${source ? 'ts' : 'js'}`, import.meta.url));
  const flags = [...NODE_FLAGS, ...(source ? ['--import', import.meta.resolve('tsx')] : [])];
  const child = spawn(process.execPath, [...flags, entry, name, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // Its own clean-up runs on these signals; this process waits for it.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, pass);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return new Promise<Report>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      for (const one of SIGNALS) process.off(one, pass);
      if (code === 0) resolve(JSON.parse(text) as Report);
      else reject(new Error(`its process ended ${signal ? `by ${signal}` : `with exit code ${code}`}`));
    });
  });
}

function choose(names: readonly string[]): readonly Benchmark[] {
  if (names.length === 0) return benchmarks;
  return names.map((name) => {
    const found = benchmarks.find((benchmark) => benchmark.name === name);
    if (!found)
      throw new Error(`There is no benchmark ${name}. These are: ${benchmarks.map((one) => one.name).join(', ')}.`);
    return found;
  });
}

function settingsOf({ quick = false, rounds, seconds }: BenchOptions): Settings {
  return quick
    ? { quick, rounds: rounds ?? 1, seconds: seconds ?? 2, warmupSeconds: 1 }
    : { quick, rounds: rounds ?? 3, seconds: seconds ?? 6, warmupSeconds: 2 };
}

const resultsDir = (): string => join(projectRoot(), 'bench', 'results');

function latest(): Results {
  return JSON.parse(readFileSync(join(resultsDir(), 'latest.json'), 'utf8')) as Results;
}

/** Benchmarks that were not run this time keep the result of their last run on the same machine, with its own date. */
function merge(results: Results): Results {
  const stamped = results.reports.map((report) => ({ ...report, at: results.at, commit: results.machine.commit }));
  let before: Results['reports'] = [];
  try {
    if (!results.quick) before = latest().reports;
  } catch {
    // The first run.
  }
  const kept = before.filter((old) => !stamped.some(({ name }) => name === old.name));
  const rank = (name: string): number => benchmarks.findIndex((one) => one.name === name);
  const reports = [...kept, ...stamped]
    .filter(({ name }) => rank(name) >= 0)
    .sort((a, b) => rank(a.name) - rank(b.name));
  return { ...results, reports };
}

function save(results: Results, quick: boolean): void {
  mkdirSync(resultsDir(), { recursive: true });
  const file = join(resultsDir(), quick ? 'quick.json' : 'latest.json');
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}
