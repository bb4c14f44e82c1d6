import type { Command } from 'commander';
import { integerBetween } from '../options.js';

interface BenchFlags {
  quick?: boolean;
  list?: boolean;
  json?: boolean;
  report?: boolean;
  rounds?: number;
  seconds?: number;
}

export function register(program: Command): void {
  program
    .command('bench')
    .description('measure this machine: Holdfast beside what one would build instead')
    .argument('[names...]', 'benchmarks to run (default: all)')
    .option('--list', 'name the benchmarks and end')
    .option('--quick', 'short and small: shows that it works, is not kept')
    .option('--json', 'results as JSON on standard output; progress goes to standard error')
    .option('--rounds <n>', 'rounds of each measurement (default: 3)', integerBetween(1, 100))
    .option('--seconds <n>', 'seconds of each measurement (default: 6)', integerBetween(1, 3_600))
    .option('--report', 'only write docs/performance.md and docs/bench.svg from the last results')
    .action(async (names: string[], flags: BenchFlags) => {
      const { runBench } = await import('../../bench/run.js');
      process.exitCode = await runBench({ names, ...flags });
    });
}
