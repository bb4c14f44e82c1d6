import type { Command } from 'commander';
import { dataOption } from '../options.js';

export function register(program: Command): void {
  program
    .command('status')
    .description('show processes, ports, partitions and lag; exit code 1 when something is not well')
    .addOption(dataOption())
    .option('--json', 'as one JSON object')
    .action(async ({ data, json }: { data: string; json?: boolean }) => {
      const { status } = await import('../status.js');
      process.exitCode = await status(data, json === true);
    });
}
