/**
 * One effect an Idempotency-Key, and one answer: the first request carries the change out, the same request again gets the
 * same bytes, and requests that arrive meanwhile wait a little for them, in this process or in another.
 */
import type { Logger } from 'pino';
import type { Encoded, Exchange } from '../http/exchange.js';
import { Problem, problem } from '../http/problems.js';
import { QuietLog } from '../http/quiet-log.js';
import { fingerprintOf, parseIdempotencyKey, scopeHash } from './key.js';
import { isFull, LEASE_MS, type IdempotencyStore } from './store.js';

/** How long a repetition waits for the first to finish before it is told `idempotency_in_flight`. */
export const WAIT_MS = 2_000;
const FIRST_POLL_MS = 10;
const SLOWEST_POLL_MS = 200;
/** Statuses below 500 that say something about the request and not about its outcome: corrected, it may come again. */
const NOT_KEPT = new Set([400, 401, 403, 408, 413, 415, 422, 429]);

/** The right to carry a change out. */
export interface Turn {
  /** The id to make the change under, where the request names none. The same for every try. */
  readonly changeId: string;
  /** Must be called once, with what is going to be answered. Never rejects. */
  settle(answer: Encoded): Promise<void>;
}

interface Running {
  readonly fingerprint: string;
  /** The answer, or undefined where there is none that may be repeated. */
  readonly done: Promise<Encoded | undefined>;
  readonly finish: (answer: Encoded | undefined) => void;
}

export interface IdempotencyCounts {
  replays: number;
  mismatches: number;
  takeovers: number;
}

export class Idempotency {
  readonly counts: IdempotencyCounts = { replays: 0, mismatches: 0, takeovers: 0 };
  /** What this process carries out or waits for, by scope: its own repetitions cost Redis nothing. */
  private readonly running = new Map<string, Running>();
  private readonly log: QuietLog;

  constructor(
    private readonly store: IdempotencyStore,
    log: Logger,
  ) {
    this.log = new QuietLog(log);
  }

  /**
   * @throws Problem idempotency_mismatch for other content under the key, idempotency_in_flight when the first takes too
   *   long, shard_unavailable when the store cannot be reached (then the promise of one effect cannot be given)
   */
  async take(x: Exchange, body: Buffer, makeId: () => string | undefined): Promise<Turn | { replay: Encoded }> {
    const key = parseIdempotencyKey(x.idempotencyKey);
    const hash = scopeHash({ sub: x.who.sub, role: x.who.role, method: x.route.method, url: x.url, key });
    const fingerprint = fingerprintOf(x.contentType, x.query, body);
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const other = this.running.get(hash);
      if (other === undefined) break;
      if (other.fingerprint !== fingerprint) throw this.mismatch();
      const answer = await before(deadline, other.done);
      if (answer !== undefined) return this.replay(answer);
    }
    const mine = start(fingerprint);
    this.running.set(hash, mine);
    try {
      const fresh = makeId() ?? hash.slice(0, 32);
      const found = await this.enter(hash, fingerprint, fresh, deadline).catch((error: unknown) => {
        // What ends a reservation is repeatable by the reservation's own id: it goes on when there is no memory for a record.
        if (x.route.load === 'finish' && isFull(error)) return fresh;
        throw error;
      });
      if (typeof found === 'string') return this.turn(hash, mine, found);
      this.end(hash, mine, found);
      return this.replay(found);
    } catch (error) {
      this.end(hash, mine, undefined);
      if (error instanceof Problem) throw error;
      this.log.warn(
        'store',
        { err: messageOf(error), requestId: x.requestId },
        'the idempotency store cannot be reached',
      );
      throw problem('shard_unavailable', 'The store of idempotency keys cannot be reached; nothing was changed.');
    }
  }

  /** The id to carry the change out under, or the answer that is there already. */
  private async enter(hash: string, fingerprint: string, fresh: string, deadline: number): Promise<string | Encoded> {
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(pause * 2, SLOWEST_POLL_MS)) {
      const found = await this.store.open(hash, fingerprint, fresh);
      if (found === undefined) return fresh;
      if (found.fingerprint !== fingerprint) throw this.mismatch();
      if (found.answer !== undefined) return found.answer;
      if (found.since + LEASE_MS <= Date.now()) {
        this.counts.takeovers += 1;
        await this.store.takeOver(hash, fingerprint, found.changeId);
        return found.changeId;
      }
      if (performance.now() + pause > deadline) throw problem('idempotency_in_flight');
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  private turn(hash: string, mine: Running, changeId: string): Turn {
    return {
      changeId,
      settle: async (answer) => {
        const kept = isFinal(answer);
        try {
          if (kept) await this.store.answered(hash, mine.fingerprint, changeId, answer);
          else if (NOT_KEPT.has(answer.status)) await this.store.forget(hash);
          else await this.store.giveUp(hash, mine.fingerprint, changeId);
        } catch (error) {
          // The change is made and will be answered. A repetition takes over in a while, and the engine says `exists`.
          this.log.warn('keep', { err: messageOf(error) }, 'an answer could not be kept for replay');
        }
        this.end(hash, mine, kept ? answer : undefined);
      },
    };
  }

  private end(hash: string, mine: Running, answer: Encoded | undefined): void {
    if (this.running.get(hash) === mine) this.running.delete(hash);
    mine.finish(answer);
  }

  private replay(answer: Encoded): { replay: Encoded } {
    this.counts.replays += 1;
    return { replay: { ...answer, headers: [...answer.headers, ['Idempotent-Replayed', 'true']] } };
  }

  private mismatch(): Problem {
    this.counts.mismatches += 1;
    return problem('idempotency_mismatch');
  }
}

/** Whether asking again would get the same answer: not so for 5xx, for what was malformed, and for "not yet". */
function isFinal(answer: Encoded): boolean {
  return answer.status < 500 && answer.retryAfter === undefined && !NOT_KEPT.has(answer.status);
}

function start(fingerprint: string): Running {
  let finish!: (answer: Encoded | undefined) => void;
  const done = new Promise<Encoded | undefined>((resolve) => (finish = resolve));
  return { fingerprint, done, finish };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function before<T>(deadline: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(problem('idempotency_in_flight')), Math.max(0, deadline - performance.now()));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
