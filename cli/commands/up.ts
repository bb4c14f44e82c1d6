import type { Command } from 'commander';
import { dataOption, integerBetween } from '../options.js';
import type { UpOptions } from '../up.js';

export function register(program: Command): void {
  program
    .command('up')
    .description('start the whole stack on this machine and keep it running')
    .addOption(dataOption())
    .option('--port <port>', 'port of the HTTP server', integerBetween(1, 65_535), 8_080)
    .option('--host <address>', 'address it listens on', '127.0.0.1')
    .option('--workers <n>', 'worker processes', integerBetween(1, 16), 2)
    .option('--servers <n>', 'server processes on the one port', integerBetween(1, 16), 1)
    .option('--demo', 'load the demo sale and let simulated buyers at it')
    .option('--buyers <n>', 'demo: simulated buyers of the hot item (default: 10000)', integerBetween(50, 200_000))
    .option('--units <n>', 'demo: units of it (default: 1000)', integerBetween(10, 20_000))
    .option('--orders <n>', 'demo: ordinary orders at the same time (default: 3000)', integerBetween(0, 100_000))
    .option('--exit', 'stop when the demo is over; exit code 0 only if everything held')
    .option('--detach', 'return when it is ready; ./holdfast down stops it')
    .addHelpText(
      'after',
      '\nWith HOLDFAST_REDIS_URL or HOLDFAST_DATABASE_URL set, those servers are used and none of that kind is started.',
    )
    .action(async (options: UpOptions) => {
      const { up } = await import('../up.js');
      process.exitCode = await up(options);
    });
}
