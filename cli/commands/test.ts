import type { Command } from 'commander';
import { integerBetween } from '../options.js';

interface TestOptions {
  filter: string[];
  jobs: number;
}

export function register(program: Command): void {
  program
    .command('test')
    .description('run the tests on servers of their own')
    .argument('[filter...]', 'the same as --filter')
    .option('--filter <text...>', 'only test files whose path contains one of these', [])
    .option('--jobs <n>', 'test files at the same time', integerBetween(1, 16), 2)
    .action(async (words: string[], options: TestOptions) => {
      const { runTests } = await import('../../test/run/main.js');
      process.exitCode = await runTests({ filter: [...words, ...options.filter], jobs: options.jobs });
    });
}
