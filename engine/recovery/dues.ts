/**
 * Due entries of records that are written back. As in a sale, records that are due at the same time share an entry: with an entry
 * each, a rebuilt partition would take half as much memory again as the one that was lost.
 */
import { limits } from '../scripts/generated/limits.js';

export interface DueEntry {
  readonly at: number;
  /** Names joined by blanks. */
  readonly member: string;
}

/** Names gathered before they are written: bounds the memory of a recovery. */
const MOST = 200_000;

export class Dues {
  private readonly names = new Map<number, string[]>();
  private count = 0;

  add(at: number, name: string): void {
    const names = this.names.get(at);
    if (names) names.push(name);
    else this.names.set(at, [name]);
    this.count++;
  }

  get isFull(): boolean {
    return this.count >= MOST;
  }

  /** Takes everything out, in entries no longer than one that a script takes. */
  take(): DueEntry[] {
    const entries: DueEntry[] = [];
    for (const [at, names] of this.names) {
      let member = '';
      for (const name of names) {
        if (member !== '' && member.length + 1 + name.length > limits.detail_bytes) {
          entries.push({ at, member });
          member = '';
        }
        member = member === '' ? name : `${member} ${name}`;
      }
      entries.push({ at, member });
    }
    this.names.clear();
    this.count = 0;
    return entries;
  }
}
