import type { LogEvent } from '../../engine/types.js';

/**
 * Events of a transaction, about: batches are whole entries of the log. With a backlog of several 100,000 events one transaction of
 * all of them would hold the locks of its partitions for as long as it takes, and be lost whole when it takes too long.
 */
export const TRANSACTION_EVENTS = 40_000;
/** Full batches that a full transaction has room for: a partition with much to drain leaves room for others. */
const SHARES = 8;
/** A transaction that takes longer is too large, though it was committed: six of them fit into the time a query is waited for. */
const SLOW_MS = 5_000;
/** After a transaction that left something over the next one may have so much more: a part of what it had. */
const GROWTH = 8;

/** What was read of a partition's log. */
export interface Waiting {
  readonly partition: number;
  readonly events: readonly LogEvent[];
  /** How many events were asked for: with fewer the log has ended. */
  readonly asked: number;
}

/**
 * Says which batches go into the next transaction, and how large it may be. A transaction that fails (a time limit, memory, a link that
 * breaks: what is too large for it is not known before) makes the next ones less than half as large, down to one batch of one
 * entry; each that is committed lets them grow a little. Partitions take turns, so that none waits for more transactions than there
 * are partitions, also where one of them makes every transaction fail that it is in.
 */
export class Turns {
  /** Events that the next transaction may have, about. */
  limit: number;
  /** The last choice left something over, in the logs or out of them. */
  more = false;
  private shrunk = false;
  /** Events of the transaction under way. */
  private under = 0;
  private turn = 0;
  /** When each partition had its last turn. */
  private readonly last = new Map<number, number>();

  /** @param most events of a transaction that nothing has made smaller */
  constructor(private readonly most = TRANSACTION_EVENTS) {
    this.limit = most;
  }

  /** Events that a partition may have of the next transaction, about: so many are worth reading. */
  get share(): number {
    return Math.ceil(this.limit / SHARES);
  }

  /** What goes into the next transaction, those first that have waited for longest. Never nothing where something is ready. */
  choose<T extends Waiting>(ready: readonly T[]): T[] {
    const lastOf = ({ partition }: T): number => this.last.get(partition) ?? 0;
    const chosen: T[] = [];
    let events = 0;
    this.under = 0;
    this.turn++;
    for (const one of [...ready].sort((a, b) => lastOf(a) - lastOf(b))) {
      if (chosen.length > 0 && events + one.events.length > this.limit) continue;
      chosen.push(one);
      events += one.events.length;
      this.last.set(one.partition, this.turn);
    }
    this.more = chosen.length < ready.length || chosen.some((one) => one.events.length >= one.asked);
    this.shrunk = false;
    return chosen;
  }

  /** A transaction of so many events leaves now. */
  sending(events: number): void {
    this.under = events;
  }

  /** It was committed, after `ms`. */
  committed(ms: number): void {
    if (ms > SLOW_MS) this.shrink();
    this.under = 0;
  }

  /** What was chosen is persisted, or was left out for reasons of its own. */
  done(): void {
    if (this.more && !this.shrunk && this.under === 0)
      this.limit = Math.min(this.most, this.limit + Math.ceil(this.limit / GROWTH));
  }

  /** The circumstances did not let it be persisted. @returns events of the transaction that failed; 0: none was under way */
  failed(): number {
    const events = this.under;
    if (events > 0) this.shrink();
    this.under = 0;
    return events;
  }

  private shrink(): void {
    this.shrunk = true;
    this.limit = Math.max(1, Math.floor(Math.min(this.limit, this.under) / 2));
  }
}
