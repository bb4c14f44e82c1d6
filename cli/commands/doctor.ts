import type { Command } from 'commander';
import { dataOption } from '../options.js';

export function register(program: Command): void {
  program
    .command('doctor')
    .description('say what is wrong with this machine or configuration, and what to do')
    .addOption(dataOption())
    .action(async ({ data }: { data: string }) => {
      const { doctor } = await import('../doctor.js');
      process.exitCode = (await doctor(data)) ? 0 : 1;
    });
}
