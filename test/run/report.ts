import pc from 'picocolors';
import type { FileReport } from './file.js';

const DETAIL_LINES = 60;

/** One line a file as it finishes, with its failures below it. */
export function printFile(report: FileReport): void {
  const mark = report.failed > 0 ? pc.red('✖') : pc.green('✔');
  const counts = [`${report.passed} passed`];
  if (report.failed > 0) counts.push(pc.red(`${report.failed} failed`));
  if (report.skipped > 0) counts.push(pc.yellow(`${report.skipped} skipped`));
  console.log(`${mark} ${report.file.name}  ${counts.join(', ')}  ${pc.dim(`${report.seconds.toFixed(1)} s`)}`);
  for (const failure of report.failures) {
    console.log(`    ${pc.red(failure.path)}`);
    const lines = failure.detail.split('\n');
    for (const line of lines.slice(0, DETAIL_LINES)) console.log(`      ${line}`);
    if (lines.length > DETAIL_LINES) console.log(`      … ${lines.length - DETAIL_LINES} more lines`);
  }
}

/** Says again which files failed, then the closing line. */
export function printSummary(reports: readonly FileReport[], seconds: number): void {
  const sum = (key: 'passed' | 'failed' | 'skipped') => reports.reduce((total, report) => total + report[key], 0);
  const bad = reports.filter((report) => report.failed > 0);
  console.log();
  if (bad.length > 0) {
    console.log(pc.red('Failed:'));
    for (const report of bad) console.log(`  ${report.file.name}  ./holdfast test ${report.file.name}`);
    console.log();
  }
  console.log(pc.dim(`${reports.length} files in ${Math.round(seconds)} s`));
  const skipped = sum('skipped');
  // Plain on purpose, colours nowhere: other programs read this line.
  console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
}
