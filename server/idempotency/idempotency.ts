/**
 * One effect an Idempotency-Key, and one answer: the first request carries the change out, the same request again gets the
 * same bytes, and requests that arrive meanwhile wait a little for them, in this process or in another.
 */
import type { Logger } from 'pino';
import type { Encoded, Exchange } from '../http/exchange.js';
import { Problem, problem } from '../http/problems.js';
import { QuietLog } from '../http/quiet-log.js';
import { fingerprintOf, parseIdempotencyKey, scopeHash } from './key.js';
import { isFull, type IdempotencyStore } from './store.js';

/** How long a repetition waits for the first to finish before it is told `idempotency_in_flight`. */
export const WAIT_MS = 2_000;
const FIRST_POLL_MS = 10;
const SLOWEST_POLL_MS = 200;
const CHANGE_ID_CHARS = 32;
/** In place of a token: there is no record. */
const NO_RECORD = '';
/** Statuses below 500 that say something about the request and not about its outcome: corrected, it may come again. */
const NOT_KEPT = new Set([400, 401, 403, 408, 413, 415, 422, 429]);

/** The right to carry a change out. */
export interface Turn {
  /** The id to make the change under, where the request names none. The same for every try. */
  readonly changeId: string;
  /**
   * Must be called once, with what would be answered. Resolves with what is to be answered: that, or, where another has taken the
   * request over meanwhile, what the other has answered.
   * @throws Problem idempotency_in_flight while the other is still at it
   */
  settle(answer: Encoded): Promise<Encoded>;
}

/** Makes the id of a change from what does not differ between two tries. */
export type MakeId = (hash: string, fingerprint: string) => string | undefined;

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
  /** Requests whose lease was over before they were answered, and that another had taken over by then. */
  overtaken: number;
}

export class Idempotency {
  readonly counts: IdempotencyCounts = { replays: 0, mismatches: 0, takeovers: 0, overtaken: 0 };
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
  async take(x: Exchange, body: Buffer, makeId: MakeId): Promise<Turn | { replay: Encoded }> {
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
      const changeId = makeId(hash, fingerprint) ?? hash.slice(0, CHANGE_ID_CHARS);
      const found = await this.enter(hash, fingerprint, deadline).catch((error: unknown) => {
        // What ends a reservation is repeatable by the reservation's own id: it goes on when there is no memory for a record.
        if (x.route.load === 'finish' && isFull(error)) return NO_RECORD;
        throw error;
      });
      if (typeof found === 'string') return this.turn(hash, mine, found, changeId);
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

  /** The token to carry the change out under, or the answer that is there already. */
  private async enter(hash: string, fingerprint: string, deadline: number): Promise<string | Encoded> {
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(pause * 2, SLOWEST_POLL_MS)) {
      const found = await this.store.open(hash, fingerprint);
      if (typeof found === 'string') return found;
      if (found.fingerprint !== fingerprint) throw this.mismatch();
      if (found.answer !== undefined) return found.answer;
      if (found.givenUp || (await this.store.leaseOver(hash))) {
        const token = await this.store.takeOver(hash, found);
        // Another was faster.
        if (token === undefined) continue;
        this.counts.takeovers += 1;
        return token;
      }
      if (performance.now() + pause > deadline) throw problem('idempotency_in_flight');
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  private turn(hash: string, mine: Running, token: string, changeId: string): Turn {
    return {
      changeId,
      settle: async (answer) => {
        let final = isFinal(answer) ? answer : undefined;
        try {
          if (token === NO_RECORD || (await this.keep(hash, mine.fingerprint, token, answer))) return answer;
          this.counts.overtaken += 1;
          final = await this.answerOfAnother(hash, mine.fingerprint, answer);
          return final ?? answer;
        } catch (error) {
          if (error instanceof Problem) throw error;
          // The change is made and will be answered. A repetition takes over in a while, and the engine says `exists`.
          this.log.warn('keep', { err: messageOf(error) }, 'an answer could not be kept for replay');
          return answer;
        } finally {
          this.end(hash, mine, final);
        }
      },
    };
  }

  private keep(hash: string, fingerprint: string, token: string, answer: Encoded): Promise<boolean> {
    if (isFinal(answer)) return this.store.answered(hash, token, fingerprint, answer);
    if (NOT_KEPT.has(answer.status)) return this.store.forget(hash, token);
    return this.store.giveUp(hash, token, fingerprint);
  }

  /** The lease was over and another has taken the request over: its answer is the one that is given. */
  private async answerOfAnother(hash: string, fingerprint: string, mine: Encoded): Promise<Encoded | undefined> {
    const found = await this.store.find(hash);
    if (found?.fingerprint !== fingerprint) return isFinal(mine) ? mine : undefined;
    if (found.answer === undefined) throw problem('idempotency_in_flight');
    return this.replay(found.answer).replay;
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
