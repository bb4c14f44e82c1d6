/** What runs came to, for people. */
import type { RunSummary } from './run.js';
import { type Seen, together } from './seen.js';

export function table(rows: readonly (readonly (string | number)[])[]): string {
  const texts = rows.map((row) => row.map(String));
  const widths = texts[0]!.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!))).join('  ');
  return texts.map((row) => `  ${line(row)}`.trimEnd()).join('\n');
}

export function runTable(summary: RunSummary): string {
  const { seed, operations, faults, acks, violations, reversalRows } = summary;
  const rows = Object.entries(operations).map(([op, { ok, failed, unknown }]) => [op, ok, failed, unknown]);
  const injected = faults.filter((fault) => fault.injected).length;
  const slowest = Math.max(0, ...faults.map(({ recoveredMs }) => recoveredMs));
  const gone = `${acks.reversed} executed answers reversed (${reversalRows ?? 'no'} records), ${acks.unrecorded + acks.unkept} gone without a record, ${acks.excused} replicated ones lost with a whole shard`;
  return [
    `seed ${seed}: ${violations.length === 0 ? 'no violation' : `${violations.length} VIOLATIONS`}`,
    table([['', 'ok', 'refused', 'unknown'], ...rows]),
    `  ${summary.calls} calls (${summary.streamCalls} by the stream), ${summary.events} events, ${summary.unknown} unknown; ${injected} faults of ${faults.length}, slowest recovery ${slowest} ms, drained in ${summary.drainedMs} ms`,
    `  ${gone}`,
    ...violations.slice(0, 10).map(({ point, what }) => `  point ${point}: ${what}`),
  ].join('\n');
}

export interface FaultFigures {
  readonly name: string;
  readonly injected: number;
  readonly notInjected: number;
  /** From when it was healed until everything sold again. */
  readonly medianMs: number;
  readonly worstMs: number;
  readonly seen: Seen;
}

/** Of those that were injected: how long until everything sold again, and what callers saw until then. */
export function byFault(summaries: readonly RunSummary[]): FaultFigures[] {
  const byName = new Map<string, RunSummary['faults'][number][]>();
  for (const { faults } of summaries)
    for (const fault of faults) byName.set(fault.name, [...(byName.get(fault.name) ?? []), fault]);
  return [...byName].map(([name, all]) => {
    const injected = all.filter((fault) => fault.injected);
    const times = injected.map(({ recoveredMs }) => recoveredMs).sort((a, b) => a - b);
    const seen = together(injected.map((fault) => fault.seen));
    const medianMs = times[Math.floor(times.length / 2)] ?? 0;
    const notInjected = all.length - injected.length;
    return { name, injected: injected.length, notInjected, medianMs, worstMs: times.at(-1) ?? 0, seen };
  });
}

export function faultTable(summaries: readonly RunSummary[]): string {
  const rows = byFault(summaries).map(({ name, injected, notInjected, medianMs, worstMs, seen }) => {
    const { calls, unavailable, unknown, weaker, slowestMs } = seen;
    return [name, injected, notInjected, medianMs, worstMs, calls, unavailable, unknown, weaker, slowestMs];
  });
  const recovery = ['recovery ms, median', 'worst'];
  const callers = ['calls', 'unavailable', 'unknown', 'weaker ack', 'slowest ms'];
  return table([['fault', 'injected', 'not', ...recovery, ...callers], ...rows]);
}

export function totals(summaries: readonly RunSummary[]): string {
  const sum = (of: (summary: RunSummary) => number) => summaries.reduce((total, one) => total + of(one), 0);
  const skipped = [...new Set(summaries.flatMap(({ skipped }) => skipped))];
  return [
    `${summaries.length} runs, ${(sum(({ durationMs }) => durationMs) / 60_000).toFixed(1)} minutes: ${sum(({ calls }) => calls)} calls, ` +
      `${sum(({ events }) => events)} events, ${sum(({ faults }) => faults.filter(({ injected }) => injected).length)} faults, ` +
      `${sum(({ unknown }) => unknown)} unknown, ${sum(({ acks }) => acks.reversed)} reversed, ${sum(({ violations }) => violations.length)} violations`,
    ...skipped.map((one) => `skipped: ${one}`),
  ].join('\n');
}
