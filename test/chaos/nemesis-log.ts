/** What was done to the system, when. */
import { createWriteStream, type WriteStream } from 'node:fs';
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

  close(): Promise<void> {
    return new Promise((resolve) => this.out.end(resolve));
  }
}
