import type { Command } from 'commander';
import { dataOption, integerBetween } from '../options.js';

interface RebuildFlags {
  data: string;
  replace?: boolean;
  discardUnpersisted?: boolean;
  timeout: number;
}

export function register(program: Command): void {
  program
    .command('rebuild')
    .description('write Redis anew from Postgres')
    .addOption(dataOption())
    .option('--replace', 'also where Redis holds data: it is thrown away')
    .option('--discard-unpersisted', 'with --replace: also events that Postgres does not have')
    .option('--timeout <seconds>', 'how long it may take until every partition is open', integerBetween(1, 86_400), 600)
    .action(async ({ data, replace, discardUnpersisted, timeout }: RebuildFlags) => {
      const { findInstallation } = await import('../installation.js');
      const { rebuild } = await import('../../workers/recovery/rebuild-command.js');
      await rebuild(findInstallation(data), {
        replace: replace === true,
        discardUnpersisted: discardUnpersisted === true,
        timeoutMs: timeout * 1_000,
        out: process.stdout,
      });
    });
}
