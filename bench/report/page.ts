/** docs/performance.md */
import { number, withUnit } from './format.js';
import type { Results, StoredReport } from './results.js';

export function pageOf(results: Results): string {
  const { machine, settings } = results;
  const lines = [
    '# Performance',
    '',
    'Written by `./holdfast bench`; every number comes from `bench/results/latest.json`. How it is measured, and how to repeat it:',
    '[bench/README.md](../bench/README.md). Why goals are missed that are: [what limits it](performance-limits.md).',
    '',
    `Machine: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Linux ${machine.kernel}, Node ${machine.node}, ` +
      `${machine.redis} (${machine.redisPersistence}), Postgres ${machine.postgres}. Everything runs on these cores: servers, ` +
      `databases, replicas, peers and load generators. Medians of ${settings.rounds} rounds of ${settings.seconds} s after ` +
      `${settings.warmupSeconds} s of warm-up; variants take turns. Load average before the run: ${machine.loadBefore.toFixed(1)}.`,
    '',
    '![Reservations a second on one hot item, beside what one would build instead](bench.svg)',
    '',
    '## Goals',
    '',
    '| benchmark | goal | measured | |',
    '|---|---|---|---|',
    ...results.reports.flatMap(({ name, goals, voids }) =>
      goals.map(
        ({ text, value, unit, met }) =>
          `| ${name} | ${text} | ${withUnit(value, unit)} | ${voids.length > 0 ? '**void**' : met ? 'met' : '**missed**'} |`,
      ),
    ),
    '',
    ...results.reports.flatMap(section),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function section(report: StoredReport): string[] {
  const lines = [`## ${report.title}`, ''];
  if (report.what !== '') lines.push(report.what, '');
  if (report.voids.length > 0) lines.push(`**This run does not count:** ${report.voids.join('; ')}.`, '');
  lines.push('| | median | rounds |', '|---|---|---|');
  for (const { label, value, unit, rounds } of report.metrics)
    lines.push(`| ${label} | ${withUnit(value, unit)} | ${rounds.map(number).join(' · ')} |`);
  lines.push('');
  lines.push(...costs(report));
  for (const note of report.notes) lines.push(`- ${note}`);
  for (const skipped of report.skipped) lines.push(`- Not measured: ${skipped}.`);
  if (report.notes.length + report.skipped.length > 0) lines.push('');
  if (report.at)
    lines.push(
      `Run ${report.at.slice(0, 16).replace('T', ' ')} UTC at commit ${report.commit}, ${report.seconds} s.`,
      '',
    );
  return lines;
}

function costs({ costs: all }: StoredReport): string[] {
  if (all.length === 0) return [];
  const parts = [...new Set(all.flatMap((cost) => Object.keys(cost.parts)))];
  return [
    'CPU microseconds an operation, by part:',
    '',
    `| | ${parts.join(' | ')} | machine busy |`,
    `|---|${parts.map(() => '---').join('|')}|---|`,
    ...all.map(({ what, parts: spent, busy }) => {
      const cells = parts.map((part) => (spent[part] === undefined ? '' : spent[part].toFixed(1)));
      return `| ${what} | ${cells.join(' | ')} | ${Math.round(busy * 100)} % |`;
    }),
    '',
  ];
}
