import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('work')
    .description('one worker process, configured by HOLDFAST_* in the environment')
    .action(async () => {
      // The module is the process: it reads the environment, works and ends on SIGTERM.
      await import('../../workers/main.js');
    });
}
