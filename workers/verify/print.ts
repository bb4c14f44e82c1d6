import pc from 'picocolors';
import type { VerifyReport } from './problems.js';

const number = new Intl.NumberFormat('en-US');

/** One line per problem and a summary, for people. */
export function printReport(report: VerifyReport, out: NodeJS.WritableStream): void {
  for (const { partition, subject, detail } of report.problems) {
    out.write(`${pc.red('✗')} partition ${partition}: ${subject}: ${detail}\n`);
  }
  if (report.more > 0) out.write(`${pc.red('✗')} and ${number.format(report.more)} more\n`);
  const { partitions, items, holds, claims, movements, reversals } = report.counted;
  const looked =
    `${number.format(partitions)} partitions, ${number.format(items)} items, ${number.format(holds)} holds, ` +
    `${number.format(claims)} claims, ${number.format(movements)} movements in ${report.seconds.toFixed(1)} s`;
  if (reversals > 0)
    out.write(`  ${number.format(reversals)} answers were taken back by failovers or restarts (table reversals)\n`);
  const count = report.problems.length + report.more;
  const verdict = report.ok ? pc.green('Redis and Postgres agree') : pc.red(`${number.format(count)} problems`);
  out.write(`${report.ok ? pc.green('✓') : pc.red('✗')} ${verdict}: ${looked}\n`);
}
