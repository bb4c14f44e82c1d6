import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('serve')
    .description('one front-end process, configured by HOLDFAST_* in the environment')
    .action(async () => {
      await import(new URL('../../server/main.js', import.meta.url).href);
    });
}
