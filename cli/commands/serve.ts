import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('serve')
    .description('one front-end process, configured by HOLDFAST_* in the environment')
    .action(async () => {
      // The module is the process: it reads the environment, listens and ends on SIGTERM.
      await import('../../server/main.js');
    });
}
