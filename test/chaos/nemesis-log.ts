/** What was done to the system, when. */
import { createWriteStream, type WriteStream } from 'node:fs';
import type { Outage } from './checker/context.js';
import type { FaultLog } from './nemesis/types.js';

export interface NemesisEntry {
  /** ms on the run's clock, and by the wall. */
  readonly at: number;
  readonly wall: number;
  readonly what: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

export class NemesisLog {
  readonly entries: NemesisEntry[] = [];
  private readonly out: WriteStream;

  constructor(
    file: string,
    private readonly clock: () => number,
  ) {
    this.out = createWriteStream(file, { flags: 'a' });
  }

  readonly note: FaultLog = (what, fields) => {
    const entry = { at: this.clock(), wall: Date.now(), what, ...(fields ? { fields } : {}) };
    this.entries.push(entry);
    this.out.write(`${JSON.stringify(entry)}\n`);
  };

  /** For one fault: its name stands before what it says. */
  named(name: string): FaultLog {
    return (what, fields) => this.note(`${name}: ${what}`, fields);
  }

  /** What was noted last under a name since a time of the run's clock. */
  lastNumber(field: string, since: number): number | undefined {
    const entry = this.entries.findLast(({ at, fields }) => at >= since && fields?.[field] !== undefined);
    return entry && Number(entry.fields![field]);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.out.end(resolve));
  }
}

/**
 * What could not be reached for a while, as faults note it: `lacks` (and `partitions`) once it is so for certain, `regains` before it ends.
 * One that does not say when it ends is left out.
 */
export function outagesOf(entries: readonly NemesisEntry[]): Outage[] {
  return entries.flatMap(({ wall: from, fields }, index) => {
    const ack = fields?.lacks as Outage['ack'] | undefined;
    const end = ack && entries.slice(index + 1).find(({ fields }) => fields?.regains === ack || fields?.lacks === ack);
    if (!ack || end?.fields?.regains !== ack) return [];
    const partitions = fields?.partitions as readonly number[] | undefined;
    return [{ ack, from, to: end.wall, ...(partitions ? { partitions } : {}) }];
  });
}
