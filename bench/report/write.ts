/** The page and the chart, from the results: no number in them is written by hand. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../stack/project.js';
import { chartOf } from './chart.js';
import { pageOf } from './page.js';
import type { Results } from './results.js';

export function writeReports(results: Results): void {
  const docs = join(projectRoot(), 'docs');
  writeFileSync(join(docs, 'performance.md'), pageOf(results));
  writeFileSync(join(docs, 'bench.svg'), chartOf(results));
}
