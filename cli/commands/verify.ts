import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { dataOption, integerBetween } from '../options.js';

interface VerifyFlags {
  data: string;
  json?: boolean;
  earlier?: string;
  wait: number;
}

export function register(program: Command): void {
  program
    .command('verify')
    .description('compare Redis with Postgres, item by item; exit code 1 where they disagree')
    .addOption(dataOption())
    .option('--json', 'as one JSON object')
    .option(
      '--earlier <file>',
      "an earlier report of --json, kept elsewhere: the ledger's chain must still go on from there",
    )
    .option(
      '--wait <seconds>',
      'how long what differs may take to agree while sales go on',
      integerBetween(0, 3_600),
      30,
    )
    .action(async ({ data, json, earlier, wait }: VerifyFlags) => {
      const { findInstallation } = await import('../installation.js');
      const { connect } = await import('../../workers/verify/connect.js');
      const { printReport } = await import('../../workers/verify/print.js');
      const { verify } = await import('../../workers/verify/verify.js');
      const { chainHeads } = await import('../../workers/verify/chain.js');
      const heads = earlier === undefined ? undefined : chainHeads(await readFile(earlier, 'utf8'));
      const connection = await connect(findInstallation(data, process.env, true));
      try {
        const report = await verify({
          partitions: connection.engine.partitions,
          pool: connection.pools.general,
          waitMs: wait * 1_000,
          ...(heads ? { heads } : {}),
        });
        if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
        else printReport(report, process.stdout);
        if (!report.ok) process.exitCode = 1;
      } finally {
        await connection.close();
      }
    });
}
