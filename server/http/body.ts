/**
 * Request bodies, within limits: bytes of one body (the route's), bytes of all bodies together (the server's), and time.
 * Deadlines are kept in one queue looked at twice a second instead of a timer a request: all of them are equally long,
 * so the queue is in order of expiry by itself.
 */
import { problem, type Problem } from './problems.js';
import type { Exchange } from './exchange.js';

const SWEEP_MS = 500;

/** A body on its way; hangs on its exchange. */
export interface Receiving {
  readonly deadline: number;
  readonly refuse: (why: Problem) => void;
}

export class BodyReader {
  /** Bytes of bodies that are being received or worked on. */
  buffered = 0;
  private readonly waiting = new Set<Exchange>();
  private readonly sweep: NodeJS.Timeout;

  constructor(
    private readonly maxBuffered: number,
    private readonly timeoutMs: number,
  ) {
    this.sweep = setInterval(() => this.expire(), SWEEP_MS);
    this.sweep.unref();
  }

  /** Bodies that have not arrived whole. */
  get receiving(): number {
    return this.waiting.size;
  }

  /**
   * Collects the body and calls `done` once, with a copy that is the caller's; or `refuse` once. Neither is called when the
   * client goes away. The bytes stay counted until `release`.
   */
  read(x: Exchange, declared: string, done: (body: Buffer) => void, refuse: (why: Problem) => void): void {
    x.unread = true;
    const { maxBody } = x.route;
    if (declared !== '' && Number(declared) > maxBody) {
      refuse(tooLarge(maxBody));
      return;
    }
    x.receiving = { deadline: performance.now() + this.timeoutMs, refuse };
    this.waiting.add(x);
    let chunks: Buffer[] = [];
    let size = 0;
    const stop = (why: Problem): void => {
      this.forget(x);
      chunks = [];
      refuse(why);
    };
    x.onData((chunk, isLast) => {
      if (x.receiving === undefined || !x.open) return;
      size += chunk.byteLength;
      if (size > maxBody) return stop(tooLarge(maxBody));
      if (!this.reserve(x, chunk.byteLength))
        return stop(problem('overloaded', 'Too many large bodies at the same time.'));
      // The memory behind `chunk` is taken back when this returns.
      if (chunk.byteLength > 0) chunks.push(Buffer.from(new Uint8Array(chunk)));
      if (!isLast) return;
      this.forget(x);
      x.unread = false;
      done(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size));
    });
  }

  /** Gives back what a request's body took; called once, when the request is over. */
  release(x: Exchange): void {
    this.buffered -= x.bodyBytes;
    x.bodyBytes = 0;
    this.forget(x);
  }

  close(): void {
    clearInterval(this.sweep);
  }

  private reserve(x: Exchange, bytes: number): boolean {
    if (this.buffered + bytes > this.maxBuffered) return false;
    this.buffered += bytes;
    x.bodyBytes += bytes;
    return true;
  }

  private forget(x: Exchange): void {
    if (x.receiving === undefined) return;
    x.receiving = undefined;
    this.waiting.delete(x);
  }

  private expire(): void {
    const now = performance.now();
    for (const x of this.waiting) {
      const { receiving } = x;
      if (receiving !== undefined && receiving.deadline > now) return;
      this.forget(x);
      receiving?.refuse(problem('request_timeout'));
    }
  }
}

const tooLarge = (maxBody: number): Problem =>
  problem('payload_too_large', `The body is larger than the ${maxBody} bytes this route takes.`);
