import type { Command } from 'commander';
import { ApiError } from '../catalogue/api.js';
import { exportCatalogue } from '../catalogue/export.js';
import { CatalogueError } from '../catalogue/reasons.js';
import { coloursFor } from '../catalogue/report.js';
import { resolveTarget, type TargetOptions } from '../catalogue/target.js';

interface Flags extends TargetOptions {
  out?: string;
  location?: string;
  excel?: boolean;
  decodeSkus?: boolean;
}

/** `./holdfast export` (S12): every item in the layout that `import` reads. Exit codes: 0 done, 2 nothing written. */
export function register(program: Command): void {
  program
    .command('export')
    .description("write stock levels as a CSV in the layout of Shopify's inventory export")
    .option('--out <file>', 'file to write (default: standard output)')
    .option('--location <name>', 'only this location')
    .option('--excel', 'byte order mark and CRLF, so that Excel shows accents')
    .option('--decode-skus', 'give SKUs back as they were before import --encode-skus')
    .option('--url <url>', 'address of a running stack (or HOLDFAST_URL)')
    .option('--token <jwt>', 'admin token for it (or HOLDFAST_TOKEN)')
    .option('--data <dir>', 'data folder of a local stack')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { stderr } = process;
  const live = stderr.isTTY && flags.out !== undefined;
  try {
    const target = await resolveTarget(flags);
    const items = await exportCatalogue({
      ...flags,
      target,
      onProgress: (count) => live && stderr.write(`\r${count} items`),
    });
    if (live) stderr.write('\r\u001b[K');
    stderr.write(`${items} items written${flags.out === undefined || flags.out === '-' ? '' : ` to ${flags.out}`}\n`);
  } catch (error) {
    process.exitCode = 2;
    const known = error instanceof CatalogueError || error instanceof ApiError;
    const text = known ? error.message : ((error as Error).stack ?? String(error));
    stderr.write(`${coloursFor(stderr).red('error')} ${text}\n`);
  }
}
