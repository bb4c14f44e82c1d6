import { stat } from 'node:fs/promises';
import { InvalidArgumentError, type Command } from 'commander';
import { ApiError } from '../catalogue/api.js';
import { importCatalogue, type ImportResult } from '../catalogue/import.js';
import { CatalogueError } from '../catalogue/reasons.js';
import { coloursFor, Progress, rejectedLine, summaryLines } from '../catalogue/report.js';
import { resolveTarget, type TargetOptions } from '../catalogue/target.js';

interface Flags extends TargetOptions {
  dryRun?: boolean;
  check?: boolean;
  strict?: boolean;
  force?: boolean;
  encodeSkus?: boolean;
  importId?: string;
  rejects?: string;
  reason?: string;
  json?: boolean;
}

function reasonText(text: string): string {
  if (text.trim() === '' || text.length > 200) throw new InvalidArgumentError('A reason has 1 to 200 characters.');
  return text;
}

/** `./holdfast import FILE.csv` (S12). Exit codes: 0 done, 1 rows refused (see the docs), 2 nothing could be done. */
export function register(program: Command): void {
  program
    .command('import')
    .description("set stock levels from a CSV in the layout of Shopify's inventory export")
    .argument('<file>', 'the CSV file, - for standard input')
    .option('--dry-run', 'show what would happen, change nothing')
    .option('--check', 'only read the file; no running stack is needed')
    .option('--strict', 'import nothing, exit 1, if any row of the file is rejected')
    .option('--force', 'set every count as the file has it, also those it only reports or that changed since')
    .option('--encode-skus', 'escape characters that a SKU cannot have instead of rejecting the row')
    .option('--rejects <file>', 'write the rejected rows to a CSV that can be repaired and imported')
    .option('--reason <text>', 'reason in the audit trail (default: import and the file name)', reasonText)
    .option('--import-id <id>', 'go on with an interrupted import')
    .option('--json', 'summary as one JSON object on standard output; messages go to standard error')
    .option('--url <url>', 'address of a running stack (or HOLDFAST_URL)')
    .option('--token <jwt>', 'admin token for it (or HOLDFAST_TOKEN)')
    .option('--data <dir>', 'data folder of a local stack')
    .action(run);
}

async function run(file: string, flags: Flags): Promise<void> {
  const out = flags.json ? process.stderr : process.stdout;
  const colours = coloursFor(out);
  const say = (text: string): void => void out.write(`${text}\n`);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  // The first Ctrl-C lets what is under way be answered; with the listener gone the second ends the process.
  process.once('SIGINT', onSignal);
  const bytes =
    file === '-'
      ? undefined
      : await stat(file).then(
          (info) => info.size,
          () => undefined,
        );
  let progress: Progress | undefined;
  let importId = flags.importId;
  try {
    const target = flags.check ? undefined : await resolveTarget(flags);
    const result = await importCatalogue({
      ...flags,
      file,
      ...(target ? { target } : {}),
      signal: stop.signal,
      onLayout: (layout, id) => {
        // --strict reads the file twice.
        if (progress) return;
        importId = id;
        say(`${file}: layout "${layout.name}"${flags.check ? '' : `, import id ${id}`}`);
        if (layout.ignored.length > 0) say(colours.yellow(`columns left out: ${layout.ignored.join(', ')}`));
        progress = new Progress(bytes);
      },
      onRejected: (row) => progress?.above(() => say(rejectedLine(row, colours))),
      onProgress: (read, counts) => progress?.update(read, counts),
      onRetry: (why, wait) =>
        progress?.above(() => say(colours.yellow(`${why}; again in ${(wait / 1000).toFixed(1)} s`))),
    });
    progress?.stop();
    for (const text of summaryOf(result, flags, colours)) say(text);
    if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    process.exitCode = exitCodeOf(result, flags);
  } catch (error) {
    progress?.stop();
    process.exitCode = 2;
    process.stderr.write(`${coloursFor(process.stderr).red('error')} ${messageOf(error)}\n`);
    if (error instanceof ApiError && importId !== undefined && !flags.dryRun) {
      process.stderr.write(`Some rows may have been imported. To go on: --import-id ${importId}\n`);
    }
  } finally {
    process.removeListener('SIGINT', onSignal);
  }
}

function summaryOf(result: ImportResult, flags: Flags, colours: ReturnType<typeof coloursFor>): string[] {
  const { counts } = result;
  const lines = summaryLines(counts, flags.check ? 'check' : flags.dryRun ? 'dry-run' : 'import', colours);
  if (flags.strict && counts.rejected > 0 && result.changedNothing) {
    lines.push(colours.red('Nothing was imported: --strict, and rows were rejected.'));
  }
  if (counts.interrupted && !result.changedNothing) lines.push(`To go on: --import-id ${result.importId}`);
  return lines;
}

/** Rows that the file's author must repair are listed and are no failure, unless --strict; rows the server refused are. */
function exitCodeOf(result: ImportResult, flags: Flags): number {
  const { counts } = result;
  if (counts.interrupted) return 130;
  const refused = (counts.rejectedBy.refused ?? 0) + (counts.rejectedBy.changed_since_export ?? 0);
  return refused > 0 || (flags.strict && counts.rejected > 0) ? 1 : 0;
}

function messageOf(error: unknown): string {
  if (error instanceof CatalogueError || error instanceof ApiError) return error.message;
  const { code, message, stack } = error as NodeJS.ErrnoException;
  return code === undefined ? (stack ?? message) : message;
}
