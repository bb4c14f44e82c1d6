/** What a person sees of an import: rejected rows, progress, summary; and the file of rejected rows. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { SingleBar } from 'cli-progress';
import pc from 'picocolors';
import type { ApplyCounts } from './apply.js';
import { REJECT_COLUMNS, type Layout } from './layout.js';
import { CatalogueError, REJECT_REASONS, type RejectedRow, type RejectReason } from './reasons.js';
import { csvText } from './write.js';

type Colours = ReturnType<typeof pc.createColors>;

/** Colours for a stream: none unless it is a terminal. */
export function coloursFor(stream: { isTTY?: boolean }): Colours {
  return pc.createColors(stream.isTTY === true && process.env['NO_COLOR'] === undefined);
}

/** One rejected row on one line. */
export function rejectedLine(row: RejectedRow, colours: Colours): string {
  return `${colours.red('rejected')} line ${row.line}: ${colours.bold(row.reason)} – ${row.detail.replace(/[\r\n]+/g, ' ')}`;
}

export type Mode = 'import' | 'dry-run' | 'check';

/** The figures of an import, one a line. */
export function summaryLines(counts: ApplyCounts, mode: Mode, colours: Colours): string[] {
  const line = (label: string, value: number, note = ''): string =>
    `  ${label.padEnd(28)}${String(value).padStart(9)}${note === '' ? '' : `  ${colours.dim(note)}`}`;
  const title = {
    import: 'Import finished.',
    'dry-run': 'Dry run: nothing was changed.',
    check: 'Checked the file; no stack was asked.',
  }[mode];
  const would = mode === 'dry-run' ? 'would be ' : '';
  const applied =
    mode === 'check'
      ? [line('sound', counts.accepted)]
      : [
          line(`${would}created`, counts.created),
          line(`${would}adjusted`, counts.adjusted),
          line('right already', counts.same),
          line('left as they are', counts.kept, counts.kept > 0 ? 'the file asks for no new count' : ''),
        ];
  const lines = [
    colours.bold(counts.interrupted ? 'Interrupted.' : title),
    line('rows', counts.rows, counts.blank > 0 ? `and ${counts.blank} blank lines` : ''),
    ...applied,
    line('not stocked', counts.notStocked),
    line('rejected', counts.rejected),
  ];
  for (const reason of Object.keys(REJECT_REASONS) as RejectReason[]) {
    const count = counts.rejectedBy[reason];
    if (count !== undefined) lines.push(line(`  ${reason}`, count, REJECT_REASONS[reason]));
  }
  return lines;
}

/** Progress: a bar on a terminal, a line every so many rows elsewhere. Written to stderr, so that stdout can be kept. */
export class Progress {
  private readonly bar: SingleBar | undefined;
  private reported = 0;

  constructor(
    private readonly totalBytes: number | undefined,
    private readonly stream: NodeJS.WriteStream = process.stderr,
    private readonly every = 5_000,
  ) {
    if (stream.isTTY && totalBytes !== undefined) {
      const format = '  {bar} {percentage}%  {rows} rows, {rejected} rejected';
      this.bar = new SingleBar({ format, stream, hideCursor: true, clearOnComplete: true, barsize: 30 });
      this.bar.start(totalBytes, 0, { rows: 0, rejected: 0 });
    }
  }

  update(bytesRead: number, counts: Readonly<ApplyCounts>): void {
    const done = counts.created + counts.adjusted + counts.same + counts.kept + counts.rejected + counts.notStocked;
    if (this.bar) return this.bar.update(bytesRead, { rows: done, rejected: counts.rejected });
    if (done - this.reported < this.every) return;
    this.reported = done;
    const percent = this.totalBytes
      ? ` (${Math.min(100, Math.floor((100 * bytesRead) / this.totalBytes))} % of the file read)`
      : '';
    this.stream.write(`${done} rows done, ${counts.rejected} rejected${percent}\n`);
  }

  /** Prints a line without leaving pieces of the bar behind. */
  above(print: () => void): void {
    if (!this.bar) return print();
    this.stream.write('\r\u001b[K');
    print();
    this.bar.render();
  }

  stop(): void {
    this.bar?.stop();
  }
}

/**
 * The rejected rows as a file that can be repaired and imported: the columns of the original and three more that say
 * why. Rows that could not be parsed stand as text in the last column.
 */
export class RejectsFile {
  private readonly fd: number;

  /** @throws {CatalogueError} where the file cannot be written */
  constructor(
    private readonly file: string,
    private readonly layout: Layout,
  ) {
    this.fd = this.attempt(() => openSync(file, 'w'));
    this.write('\uFEFF' + csvText([[...layout.header, ...REJECT_COLUMNS]], true));
  }

  /** @throws {CatalogueError} as the constructor */
  add(row: RejectedRow): void {
    const width = this.layout.header.length;
    const whole = row.fields !== undefined && row.fields.length === width;
    const cells = whole ? (row.fields ?? []) : new Array<string>(width).fill('');
    const text = whole ? '' : (row.text ?? row.fields?.join(' | ') ?? '');
    this.write(csvText([[...cells, String(row.line), `${row.reason}: ${row.detail}`, text]], true));
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Written at once and not through a stream: a file of nothing but rejected rows must not pile up in memory. */
  private write(text: string): void {
    this.attempt(() => writeSync(this.fd, text));
  }

  private attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw new CatalogueError(`Cannot write ${this.file}: ${(error as Error).message}`);
    }
  }
}
