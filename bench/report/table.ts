/** A report as text for the terminal. */
import type { Report } from '../lib/types.js';
import { number, reached, withUnit } from './format.js';

export function tableOf(report: Report): string {
  const lines = ['', `${report.title}  [${report.name}, ${report.seconds} s]`];
  const width = Math.max(10, ...report.metrics.map(({ label }) => label.length));
  for (const { label, value, unit, rounds } of report.metrics) {
    const spread = rounds.length > 1 ? `   rounds ${rounds.map(number).join(' · ')}` : '';
    lines.push(`  ${label.padEnd(width)}  ${withUnit(value, unit).padStart(14)}${spread}`);
  }
  for (const { what, parts, busy } of report.costs) {
    const shares = Object.entries(parts).map(([part, us]) => `${part} ${us.toFixed(1)}`);
    lines.push(`  CPU µs an operation (${what}): ${shares.join(', ')}; machine ${Math.round(busy * 100)} % busy`);
  }
  for (const goal of report.goals) lines.push(`  ${goal.met ? '✓' : '✗'} ${goal.text}: ${reached(goal)}`);
  for (const note of report.notes) lines.push(`  note: ${note}`);
  for (const skipped of report.skipped) lines.push(`  SKIPPED ${skipped}`);
  for (const fault of report.voids) lines.push(`  VOID ${fault}`);
  return lines.join('\n');
}
