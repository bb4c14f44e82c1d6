import type { Command } from 'commander';
import { dataOption } from '../options.js';

export function register(program: Command): void {
  program
    .command('down')
    .description('stop the stack; its data is kept')
    .addOption(dataOption())
    .action(async ({ data }: { data: string }) => {
      const { down } = await import('../down.js');
      await down(data);
    });
}
