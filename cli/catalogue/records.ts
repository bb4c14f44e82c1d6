/**
 * Physical lines → parsed records. csv-parse does the parsing; this file decides which lines belong together (an odd
 * number of quotes so far means that the record goes on) and what is lost where they do not: one line, never the rest
 * of the file.
 */
import { parse } from 'csv-parse/sync';
import { physicalLines, type PhysicalLine } from './lines.js';
import { LIMITS, type RejectReason } from './reasons.js';

export type CsvRecord =
  | { kind: 'record'; line: number; fields: string[] }
  | { kind: 'blank'; line: number }
  | { kind: 'damaged'; line: number; reason: RejectReason; detail: string; text: string };

/** Records parsed by one call of csv-parse: a call has a fixed cost, and this many rows are in memory at once. */
const PARSE_BATCH = 256;

/** The lines of one record, to be parsed as `text` or already decided (blank, damaged). */
interface Assembled {
  lines: PhysicalLine[];
  text: string;
  decided?: CsvRecord;
}

/** Delimiters that spreadsheets write, in order of preference when a header has several. */
const DELIMITERS = [',', ';', '\t'];

/** The delimiter of a header line: the candidate found most often outside quotes. */
export function detectDelimiter(header: string): string {
  const bare = header.replace(/"[^"]*"/g, '');
  let best = ',';
  let most = 0;
  for (const delimiter of DELIMITERS) {
    const count = bare.split(delimiter).length - 1;
    if (count > most) [best, most] = [delimiter, count];
  }
  return best;
}

function quotesIn(text: string): number {
  let count = 0;
  for (let i = text.indexOf('"'); i >= 0; i = text.indexOf('"', i + 1)) count++;
  return count;
}

function parseText(text: string, delimiter: string): string[][] {
  return parse(text, {
    delimiter,
    record_delimiter: '\n',
    relax_column_count: true,
    max_record_size: LIMITS.lineBytes * LIMITS.recordLines,
  });
}

/** Lines with a place to put some back: a damaged record gives all but its first line back. */
class LineReader {
  private readonly pending: PhysicalLine[] = [];
  constructor(private readonly source: AsyncGenerator<PhysicalLine>) {}

  async next(): Promise<PhysicalLine | undefined> {
    const line = this.pending.shift();
    if (line) return line;
    const step = await this.source.next();
    return step.done ? undefined : step.value;
  }

  putBack(lines: PhysicalLine[]): void {
    this.pending.unshift(...lines);
  }

  async close(): Promise<void> {
    await this.source.return(undefined);
  }
}

function damaged(line: PhysicalLine, reason: RejectReason, detail: string): CsvRecord {
  return { kind: 'damaged', line: line.number, reason, detail, text: line.text.slice(0, 2000) };
}

function undecodable(record: PhysicalLine, at: PhysicalLine): CsvRecord {
  return damaged(record, 'encoding', `line ${at.number} is not valid UTF-8; save the file as "CSV UTF-8"`);
}

const UNCLOSED = 'a quote is opened and not closed';

/** The next record's lines, or undefined at the end of the file. */
async function assemble(reader: LineReader, delimiter: string | undefined): Promise<Assembled | undefined> {
  const first = await reader.next();
  if (!first) return undefined;
  const decide = (decided: CsvRecord, lines = [first]): Assembled => ({ lines, text: '', decided });
  if (first.fault === 'too_long') {
    return decide(damaged(first, 'too_long', `the line is longer than ${LIMITS.lineBytes} bytes`));
  }
  if (first.text.trim() === '' && !first.fault) return decide({ kind: 'blank', line: first.number });
  const lines = [first];
  let text = first.text;
  let quotes = quotesIn(first.text);
  while (quotes % 2 === 1) {
    const next = lines.length < LIMITS.recordLines ? await reader.next() : undefined;
    if (!next || next.fault === 'too_long' || text.length + next.text.length > LIMITS.lineBytes) {
      reader.putBack([...lines.slice(1), ...(next ? [next] : [])]);
      return decide(first.fault ? undecodable(first, first) : damaged(first, 'quotes', UNCLOSED));
    }
    text += (lines[lines.length - 1] as PhysicalLine).eol + next.text;
    quotes += quotesIn(next.text);
    lines.push(next);
  }
  if (lines.length > 1) {
    // Two lines with one stray quote each look like one record: parsed now, so that only the first is lost.
    const fault = faultOf(text, delimiter ?? detectDelimiter(first.text));
    if (fault !== undefined) {
      reader.putBack(lines.slice(1));
      return decide(first.fault ? undecodable(first, first) : damaged(first, 'quotes', fault));
    }
  }
  const broken = lines.find((line) => line.fault === 'encoding');
  if (broken) return decide(undecodable({ ...first, text }, broken), lines);
  return { lines, text };
}

function faultOf(text: string, delimiter: string): string | undefined {
  try {
    parseText(text, delimiter);
    return undefined;
  } catch (error) {
    return quoteFault(error);
  }
}

function quoteFault(error: unknown): string {
  const code = (error as { code?: string }).code;
  if (code === 'INVALID_OPENING_QUOTE')
    return 'a quote inside a field that is not quoted; write the field in quotes and double the quote';
  if (code === 'CSV_INVALID_CLOSING_QUOTE')
    return 'text after a closing quote; double a quote that belongs to the text';
  return UNCLOSED;
}

/** Parses assembled records in one call, or one by one where that fails, so that a fault stays with its record. */
function parseBatch(batch: Assembled[], delimiter: string): CsvRecord[] {
  const numberOf = (record: Assembled): number => (record.lines[0] as PhysicalLine).number;
  try {
    const rows = parseText(batch.map((record) => record.text).join('\n'), delimiter);
    if (rows.length === batch.length) {
      return batch.map((record, i) => ({ kind: 'record', line: numberOf(record), fields: rows[i] as string[] }));
    }
  } catch {
    // One of them is damaged: found out below.
  }
  return batch.map((record) => {
    try {
      return { kind: 'record', line: numberOf(record), fields: parseText(record.text, delimiter)[0] ?? [''] };
    } catch (error) {
      return damaged(record.lines[0] as PhysicalLine, 'quotes', quoteFault(error));
    }
  });
}

/**
 * The records of a CSV file in order, the header first. Memory: a batch of records, whatever the size of the file.
 * @throws {CatalogueError} where the file is not text.
 */
export async function* csvRecords(source: AsyncIterable<Buffer>): AsyncGenerator<CsvRecord> {
  const reader = new LineReader(physicalLines(source));
  let delimiter: string | undefined;
  let batch: Assembled[] = [];
  try {
    for (;;) {
      const next = await assemble(reader, delimiter);
      if (next && !next.decided) {
        // Excel's own first line, which names the delimiter.
        const hint = delimiter === undefined ? /^sep=([,;\t])$/i.exec(next.text) : null;
        if (hint) {
          delimiter = hint[1];
          continue;
        }
        delimiter ??= detectDelimiter(next.text);
        batch.push(next);
        if (batch.length < PARSE_BATCH) continue;
      }
      if (batch.length > 0) {
        yield* parseBatch(batch, delimiter ?? ',');
        batch = [];
      }
      if (!next) return;
      if (next.decided) yield next.decided;
    }
  } finally {
    await reader.close();
  }
}
