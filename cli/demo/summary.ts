/** The table at the end. */
import pc from 'picocolors';
import { KINDS, percentilesOf, type Kind, type Percentiles } from './figures.js';
import { SOCKETS } from './options.js';
import type { Check, Rest, Sale } from './settle.js';
import { int, millis } from './text.js';

const TITLES: Record<Kind, string> = {
  look: 'look at stock',
  reserve: 'reserve',
  confirm: 'confirm',
  release: 'release',
  extend: 'extend',
  return: 'return',
};

const LABEL = 17;
const row = (label: string, text: string): string => `  ${label.padEnd(LABEL)} ${text}`;

export function summaryLines(sale: Sale, rest: Rest): string[] {
  const { figures, hot, options, watch } = sale;
  const refused = hot.fates.of('refused');
  const rate = figures.requests / figures.seconds;
  return [
    '',
    pc.bold('The sale'),
    row('DROP-001', `${int(watch.sold)} of ${int(options.units)} sold`),
    row('buyers', `${int(hot.known)}: ${int(hot.fates.of('bought'))} bought, ${int(refused)} refused, ${letGo(sale)}`),
    row('refusals', refusals(sale)),
    ...tailLines(sale),
    '',
    pc.bold('The traffic'),
    row('requests', `${int(figures.requests)} in ${figures.seconds.toFixed(1)} s, ${int(rate)} a second`),
    row('made again', again(sale)),
    row(
      'persist lag',
      `at most ${int(watch.mostLag)} events; Postgres had everything ${rest.persistedAfter.toFixed(2)} s after the end`,
    ),
    '',
    ...latencyLines(sale),
  ];
}

function letGo({ hot }: Sale): string {
  return `${int(hot.fates.of('released'))} gave theirs back, ${int(hot.fates.of('expired'))} let it lapse`;
}

/** Answers, not people: who tries again may be refused again. */
function refusals({ hot }: Sale): string {
  const parts = hot.refusals.entries().map(([code, count]) => `${int(count)} × ${code}`);
  return parts.join(', ') || 'none';
}

function tailLines({ tail }: Sale): string[] {
  if (tail.done === 0) return [];
  const { outcomes } = tail;
  const list = (['confirmed', 'released', 'expired', 'refused', 'returned', 'partly returned'] as const)
    .map((name) => `${int(outcomes.of(name))} ${name}`)
    .join(', ');
  return [
    row('ordinary orders', `${int(tail.done)}: ${list}`),
    row('', `${int(tail.several)} of several lines, ${int(tail.locations)} over several locations`),
  ];
}

function again({ figures }: Sale): string {
  const parts = figures.repeated.entries().map(([what, count]) => `${int(count)} after ${what}`);
  return parts.join(', ') || 'none';
}

function latencyLines({ figures }: Sale): string[] {
  const cells = (values: readonly string[]): string => values.map((value) => value.padStart(9)).join('');
  const line = (label: string, { count, p50, p95, p99, max }: Percentiles): string =>
    row(label, cells([int(count), millis(p50), millis(p95), millis(p99), millis(max)]));
  return [
    pc.bold('Latency, ms'.padEnd(LABEL + 3)) + pc.dim(cells(['count', 'p50', 'p95', 'p99', 'max'])),
    ...KINDS.filter((kind) => figures.byKind[kind].totalCount > 0).map((kind) =>
      line(TITLES[kind], percentilesOf(figures.byKind[kind])),
    ),
    line('"buy" to answer', percentilesOf(figures.untilKnown)),
    pc.dim('  From writing a request to the last byte of its answer, seen by the buyers. The last line also has the'),
    pc.dim(`  time a buyer waits for one of the ${SOCKETS.crowd} connections that the crowd shares.`),
  ];
}

export function checkLines(checks: readonly Check[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return [
    '',
    pc.bold('The proof'),
    ...checks.map(({ name, ok, detail }) => {
      const mark = ok ? pc.green('✔') : pc.red('✖');
      return `  ${mark} ${name.padEnd(width)}  ${ok ? pc.dim(detail) : pc.red(detail)}`;
    }),
  ];
}
