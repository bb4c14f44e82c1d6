/** What a batch does to the records of holds, claims and ids, and to items, as rows. */

/** A row of `holds` or `claims`. `startedAt` is `held_at` or `opened_at`; `returned` and `counted` are of holds only. */
export interface RecordRow {
  id: string;
  state: number;
  deadline: number;
  fingerprint: number;
  attempt: number;
  buyer: string;
  resolvedAt: number;
  startedAt: number;
  refs: string[];
  quantities: number[];
  returned: number[];
  counted: number[];
  /** It was in the database before, and is written over. */
  loaded?: boolean;
}

/** What a batch changes about a record that was there before it; undefined: as it was. */
export interface Transition {
  id: string;
  /** The row may have been removed because Redis should have forgotten the record (prune.ts): then there is nothing to change. */
  optional?: boolean;
  state?: number;
  deadline?: number;
  attempt?: number;
  resolvedAt?: number;
}

export interface ItemRow {
  ref: string;
  available: number;
  reserved: number;
  sold: number;
  version: number;
  updatedAt: number;
}

export interface IdRow extends ItemRow {
  id: string;
  kind: number;
  fingerprint: number;
}

/** Units of a limited item that a buyer has bought by deductions. */
export interface BoughtRow {
  readonly ref: string;
  readonly buyer: string;
  units: number;
}

/** Units of a reservation that came back after its record was removed. */
export interface LateReturn {
  readonly ref: string;
  readonly id: string;
  readonly quantity: number;
}

/** Final state of the records of one kind after a batch: born (or loaded and rewritten) in it, changed by it, or gone. */
export class Records {
  readonly whole = new Map<string, RecordRow>();
  readonly changed = new Map<string, Transition>();
  readonly gone = new Set<string>();

  /** Puts a whole row in place of whatever was known under its id. One that went before stays noted: its row makes room first. */
  set(row: RecordRow): void {
    this.changed.delete(row.id);
    this.whole.set(row.id, row);
  }

  /** Applies a change (-1: none) to the row if it is known, else notes it for the row in the database. */
  change(id: string, state: number, deadline: number, attempt: number, resolvedAt: number, optional = false): void {
    const row = this.whole.get(id) ?? this.transition(id, optional);
    if (state >= 0) row.state = state;
    if (deadline >= 0) row.deadline = deadline;
    if (attempt >= 0) row.attempt = attempt;
    if (resolvedAt >= 0) row.resolvedAt = resolvedAt;
  }

  remove(id: string): void {
    this.whole.delete(id);
    this.changed.delete(id);
    this.gone.add(id);
  }

  private transition(id: string, optional: boolean): Transition {
    let transition = this.changed.get(id);
    if (!transition) this.changed.set(id, (transition = { id, optional }));
    return transition;
  }
}
