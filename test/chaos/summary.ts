/** `npm run chaos -- --summary FILES…`: what several runs, also of several processes, came to together, as Markdown. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSummary } from './run.js';
import { byFault } from './table.js';

/**
 * Reads what `--json` wrote and folders as `--keep` makes them: the summary of the folder itself, or those of the folders in it.
 * A run that is met twice (in a file and in its folder) counts once.
 *
 * @throws Error that names the file which cannot be read, or holds something else
 */
export function readSummaries(paths: readonly string[]): RunSummary[] {
  const found = new Map<string, RunSummary>();
  for (const file of paths.flatMap(filesOf))
    for (const summary of summariesIn(file)) found.set(JSON.stringify(summary), summary);
  return [...found.values()].sort((a, b) => a.seed - b.seed);
}

function filesOf(path: string): string[] {
  if (!existsSync(path)) throw new Error(`There is no ${path}.`);
  if (!statSync(path).isDirectory()) return [path];
  const files = [path, ...readdirSync(path).map((name) => join(path, name))].map((dir) => join(dir, 'summary.json'));
  const there = files.filter((file) => existsSync(file));
  if (there.length === 0) throw new Error(`There is no summary.json in ${path}, nor in the folders in it.`);
  return there;
}

function summariesIn(file: string): RunSummary[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const all = (Array.isArray(content) ? content : [content]) as Partial<RunSummary>[];
  for (const one of all)
    if (one?.seed === undefined || !Array.isArray(one.faults) || !Array.isArray(one.violations))
      throw new Error(`${file} is not what --json writes.`);
  return all as RunSummary[];
}

export function summaryText(summaries: readonly RunSummary[]): string {
  const parts = [
    markdown([RUN_COLUMNS, ...summaries.map((one) => runRow(one)), runRow(...summaries)]),
    markdown(faultRows(summaries)),
  ];
  const failed = summaries.flatMap(({ seed, faults }) =>
    faults
      .filter(({ injected }) => !injected)
      .map(({ name, reason }) => `- seed ${seed}: ${name} was not injected: ${reason}`),
  );
  const violations = summaries.flatMap(({ seed, violations }) =>
    violations.map(({ point, what }) => `- seed ${seed}, point ${point}: ${what}`),
  );
  const skipped = [...new Set(summaries.flatMap(({ skipped }) => skipped))].map((one) => `- skipped: ${one}`);
  for (const lines of [violations, failed, skipped]) if (lines.length > 0) parts.push(lines.join('\n'));
  return parts.join('\n\n');
}

const RUN_COLUMNS = [
  'seed',
  'minutes',
  'calls',
  'by stream',
  'events',
  'faults',
  'kinds',
  'unknown',
  'reversed',
  'records',
  'gone with the server',
  '`replicated`, lost with a shard',
  'violations',
];

/** One run, or several in sum. */
function runRow(...summaries: readonly RunSummary[]): string[] {
  const sum = (of: (summary: RunSummary) => number): number => summaries.reduce((total, one) => total + of(one), 0);
  const injected = summaries.flatMap(({ faults }) => faults).filter((fault) => fault.injected);
  const tried = sum(({ faults }) => faults.length);
  return [
    summaries.length === 1 ? String(summaries[0]!.seed) : 'together',
    (sum(({ durationMs }) => durationMs) / 60_000).toFixed(1),
    count(sum(({ calls }) => calls)),
    count(sum(({ streamCalls = 0 }) => streamCalls)),
    count(sum(({ events }) => events)),
    injected.length === tried ? count(tried) : `${count(injected.length)} of ${count(tried)}`,
    count(new Set(injected.map(({ name }) => name)).size),
    count(sum(({ unknown }) => unknown)),
    count(sum(({ acks }) => acks.reversed)),
    count(sum(({ reversalRows = 0 }) => reversalRows)),
    count(sum(({ acks }) => acks.unrecorded + acks.unkept)),
    count(sum(({ acks }) => acks.excused)),
    count(sum(({ violations }) => violations.length)),
  ];
}

function faultRows(summaries: readonly RunSummary[]): string[][] {
  const heads = ['times', 'recovery, median', 'worst', 'calls', 'unavailable', 'unknown', 'weaker', 'slowest answer'];
  const rows = byFault(summaries)
    .filter(({ injected }) => injected > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, injected, medianMs, worstMs, seen }) => [
      `\`${name}\``,
      count(injected),
      seconds(medianMs),
      seconds(worstMs),
      count(seen.calls),
      count(seen.unavailable),
      count(seen.unknown),
      count(seen.weaker),
      seconds(seen.slowestMs),
    ]);
  return [['fault', ...heads], ...rows];
}

const count = (n: number): string => n.toLocaleString('en-US');
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** The first row is the head; the first column stands left, the others right. */
function markdown(rows: readonly (readonly string[])[]): string {
  const [head, ...others] = rows as [readonly string[], ...(readonly string[])[]];
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!))).join(' | ')} |`;
  const rule = widths.map((width, n) => (n === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...others.map(line)].join('\n');
}
