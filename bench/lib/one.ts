/** One benchmark in a process of its own: what the one before has left in heap and compiled code does not weigh on it. */
import { benchmarks } from '../list.js';
import { Bed } from './bed.js';
import { emptyReport, type Settings } from './types.js';

const [name, text] = process.argv.slice(2) as [string, string];
const benchmark = benchmarks.find((one) => one.name === name)!;
const settings = JSON.parse(text) as Settings;
const report = emptyReport(name, benchmark.title);
const bed = new Bed();
const startedAt = performance.now();
try {
  await benchmark.run({
    settings,
    bed,
    report,
    say: (line) => void process.stderr.write(`   ${line}\n`),
  });
} finally {
  await bed.close();
}
report.seconds = Math.round((performance.now() - startedAt) / 1_000);
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
