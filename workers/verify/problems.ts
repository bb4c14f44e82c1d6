/** One thing that is not as it must be. `subject` names an item, a reservation or a partition. */
export interface Problem {
  readonly partition: number;
  readonly subject: string;
  readonly detail: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly problems: Problem[];
  /** Problems beyond those listed. */
  readonly more: number;
  readonly counted: {
    partitions: number;
    items: number;
    holds: number;
    claims: number;
    movements: number;
    /** Records that were read from Postgres one by one: their digests were not those of Redis, which selling alone explains. */
    rows: number;
    /** Answers that were taken back and are recorded as such, in the ledger's whole life: no problem, but worth knowing. */
    reversals: number;
  };
  /** Up to where each partition's ledger is as it was written: kept elsewhere, it shows later whether somebody made the chain anew. */
  readonly chain: ChainEnd[];
  readonly seconds: number;
}

/** The last link of a partition that was found right: the movement it ends at and its hash in hex. */
export interface ChainEnd {
  readonly partition: number;
  readonly seq: number;
  readonly hash: string;
}

/** Listed at most: a broken installation has as many problems as rows. */
const LISTED = 1_000;

/** Collects problems up to a bound. */
export class Problems {
  readonly list: Problem[] = [];
  more = 0;

  add(partition: number, subject: string, detail: string): void {
    if (this.list.length < LISTED) this.list.push({ partition, subject, detail });
    else this.more++;
  }
}
