/** `npm run chaos`: runs with faults, repeatable by their seed; or every mutant against the checker. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { identify, isRunning } from '../../stack/identity.js';
import { onShutdown, runCleanups } from '../../stack/processes.js';
import { claimTempDir, keepTempDir, ownerOf, sweepTempDirs } from '../../stack/temp.js';
import { FAULTS } from './nemesis/index.js';
import type { Fault } from './nemesis/types.js';
import { runOnce, type RunOptions, type RunSummary } from './run.js';
import { readSummaries, summaryText } from './summary.js';
import { faultTable, runTable, totals } from './table.js';
import { layProgram } from './world/program.js';

interface Options {
  seed?: number;
  seeds?: [number, number];
  minutes?: number;
  duration?: number;
  faults?: Fault[];
  without?: string[];
  clients: number;
  pause: number;
  replicas?: number;
  keep?: string;
  json?: string;
  summary?: string[];
  list?: boolean;
  mutants?: boolean | string[];
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };

function whole(low: number, high: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high)
      throw new InvalidArgumentError(`Must be a whole number from ${low} to ${high}.`);
    return value;
  };
}

function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text);
  const seconds = match ? Number(match[1]) * SECONDS[match[2] || 's']! : 0;
  if (!(seconds >= 1 && seconds <= 86_400)) throw new InvalidArgumentError('Must be like 90s, 10m or 2h, at most 24h.');
  return seconds * 1000;
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1_440)) throw new InvalidArgumentError('Must be a number of minutes, at most 1440.');
  return value;
}

function seedRange(text: string): [number, number] {
  const match = /^(\d{1,9})\.\.(\d{1,9})$/.exec(text);
  if (!match || Number(match[1]) > Number(match[2])) throw new InvalidArgumentError('Must be like 1..30.');
  return [Number(match[1]), Number(match[2])];
}

function faultNames(text: string): Fault[] {
  return text.split(',').map((name) => {
    const fault = FAULTS.find((one) => one.name === name.trim());
    if (!fault)
      throw new InvalidArgumentError(
        `There is no fault ${name}. There are: ${FAULTS.map((one) => one.name).join(', ')}.`,
      );
    return fault;
  });
}

const program = new Command('chaos')
  .description(
    'Breaks a whole system of its own while it sells, then checks that nothing was sold twice and nothing acknowledged was lost.',
  )
  .option('--seed <n>', 'repeats the workload and the faults of a run', whole(0, 999_999_999))
  .addOption(new Option('--seeds <a..b>', 'one run a seed, one after the other').argParser(seedRange).conflicts('seed'))
  .option('--minutes <n>', 'how long each run injects faults (default 1)', minutes)
  .addOption(new Option('--duration <time>', 'the same, as 90s, 10m or 2h').argParser(duration).conflicts('minutes'))
  .option('--faults <a,b>', 'only these faults (default: all; --list names them)', faultNames)
  .option('--without <a,b>', 'all but these', (text) => text.split(','))
  .option('--clients <n>', 'clients at the same time', whole(1, 500), 16)
  .option('--pause <ms>', 'longest pause of a client between calls', whole(0, 60_000), 40)
  .option('--replicas <n>', 'replicas a master (default 1, and 2 for seeds that 3 divides)', whole(1, 3))
  .option(
    '--keep <dir>',
    'keep history, logs and data of every run there (default: those of failed runs, in the temp folder)',
  )
  .option('--json <file>', 'write the summaries of all runs there')
  .option(
    '--summary <files...>',
    'run nothing: what the runs in these files (of --json) or folders (of --keep) came to together',
  )
  .option('--list', 'name the faults and end')
  .option(
    '--mutants [names]',
    'break the system on purpose, one way after the other: the checker must notice each',
    (text: string) => text.split(','),
  );

async function main(): Promise<number> {
  const options = program.parse().opts<Options>();
  if (options.list) {
    for (const { name, describe } of FAULTS) console.log(`${name.padEnd(20)} ${describe}`);
    return 0;
  }
  if (options.summary) {
    console.log(summaryText(readSummaries(options.summary.map((path) => resolve(path)))));
    return 0;
  }
  await sweepTempDirs();
  const base = options.keep ? resolve(options.keep) : mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  mkdirSync(base, { recursive: true, mode: 0o755 });
  if (!options.keep) claimTempDir(base, identify(process.pid)!);
  if (options.mutants) {
    const { runMutants } = await import('./mutants/run.js');
    return runMutants({ dir: base, names: options.mutants === true ? undefined : options.mutants, json: options.json });
  }
  return runSeeds(options, base);
}

async function runSeeds(options: Options, base: string): Promise<number> {
  const faults = (options.faults ?? FAULTS).filter(({ name }) => !options.without?.includes(name));
  const first = options.seed ?? options.seeds?.[0] ?? Math.floor(Math.random() * 1_000_000);
  const last = options.seeds?.[1] ?? first;
  const durationMs = options.duration ?? (options.minutes ?? 1) * 60_000;
  for (let seed = first; seed <= last; seed++) freeDir(base, seed);
  // Several may keep what they make in one folder.
  const compiled = await layProgram(mkdtempSync(join(base, 'program-')));
  const summaries: RunSummary[] = [];
  let ended = 0;
  for (let seed = first; seed <= last; seed++) {
    const dir = freshDir(base, seed);
    const { clients, pause: pauseMs } = options;
    const own = { dir, seed, durationMs, faults, clients, pauseMs, onProgress: progress(seed) };
    try {
      const replicasPerMaster = options.replicas ?? replicasFor(seed);
      const summary = await runOnce({ ...own, world: { program: compiled, replicasPerMaster } });
      summaries.push(summary);
      // After each, so that what was found is there when a later one is ended from outside.
      if (options.json) writeFileSync(resolve(options.json), JSON.stringify(summaries, null, 2));
      tell(summary, own);
      if (summary.violations.length === 0 && !options.keep) rmSync(dir, { recursive: true, force: true });
    } catch (error) {
      // The others are still worth doing.
      ended++;
      console.error(`seed ${seed}: THE RUN ITSELF FAILED, see ${dir}\n${(error as Error).stack}`);
    }
  }
  rmSync(compiled, { recursive: true, force: true });
  console.log(faultTable(summaries));
  console.log(totals(summaries));
  if (ended > 0) console.log(`${ended} runs failed themselves`);
  const violated = summaries.some(({ violations }) => violations.length > 0);
  if (violated || ended > 0) keepTempDir(base);
  else if (!options.keep) rmSync(base, { recursive: true, force: true });
  return violated ? 1 : ended > 0 ? 2 : 0;
}

/** Now and then more than one, so that "all replicas" is more than "any". */
const replicasFor = (seed: number): number => (seed % 3 === 0 ? 2 : 1);

function tell(summary: RunSummary, { dir, seed, durationMs, faults }: RunOptions): void {
  process.stdout.write(process.stdout.isTTY ? '\r\u001b[K' : '');
  console.log(runTable(summary));
  if (summary.violations.length === 0) return;
  writeFileSync(join(dir, 'explanation.txt'), `${summary.explanation}\n`);
  const names = faults.map(({ name }) => name).join(',');
  console.log(
    `${summary.explanation}\n\nHistory, logs and data: ${dir}\nAgain: npm run chaos -- --seed ${seed} --duration ${durationMs / 1000}s --faults ${names}`,
  );
}

/** @throws Error where another process is at this seed in this folder */
function freeDir(base: string, seed: number): string {
  const dir = join(base, `seed-${seed}`);
  const owner = ownerOf(dir);
  if (owner && owner.pid !== process.pid && isRunning(owner))
    throw new Error(`Seed ${seed} is being run in ${dir} by process ${owner.pid}: use another --keep, or other seeds.`);
  return dir;
}

/** An empty folder for a run; what an earlier run of this seed kept there is gone. */
function freshDir(base: string, seed: number): string {
  const dir = freeDir(base, seed);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  claimTempDir(dir, identify(process.pid)!);
  return dir;
}

/** One line that is written over on a terminal; lines of their own elsewhere. */
function progress(seed: number): (line: string) => void {
  const began = Date.now();
  return (line) => {
    const text = `seed ${seed}  ${((Date.now() - began) / 1000).toFixed(0).padStart(4)} s  ${line}`;
    process.stdout.write(process.stdout.isTTY ? `\r\u001b[K${text}` : `${text}\n`);
  };
}

onShutdown(async () => undefined);
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exitCode = 2;
}
await runCleanups();
process.exit();
