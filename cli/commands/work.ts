import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('work')
    .description('one worker process, configured by HOLDFAST_* in the environment')
    .action(async () => {
      await import(new URL('../../workers/main.js', import.meta.url).href);
    });
}
