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
  readonly sink: BodySink;
  size: number;
  /** What came before the last chunk; most bodies come in one. */
  chunks: Buffer[] | undefined;
}

export interface BodySink {
  /** The whole body, called once. The bytes are only there until it returns: whoever needs them longer copies them. */
  received(x: Exchange, body: Buffer): void;
  /** Called once, instead. */
  fail(x: Exchange, why: Problem): void;
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

  /** Collects the body for the sink, which hears nothing when the client goes away. The bytes stay counted until `release`. */
  read(x: Exchange, declared: string, sink: BodySink): void {
    x.unread = true;
    const { maxBody } = x.route;
    if (declared !== '' && Number(declared) > maxBody) return sink.fail(x, tooLarge(maxBody));
    x.receiving = { deadline: x.startedAt + this.timeoutMs, sink, size: 0, chunks: undefined };
    this.waiting.add(x);
    x.onData((chunk, isLast) => this.take(x, chunk, isLast));
  }

  private take(x: Exchange, chunk: ArrayBuffer, isLast: boolean): void {
    const { receiving } = x;
    if (receiving === undefined || !x.open) return;
    const { maxBody } = x.route;
    const { byteLength } = chunk;
    receiving.size += byteLength;
    if (receiving.size > maxBody) return this.stop(x, receiving, tooLarge(maxBody));
    if (!this.reserve(x, byteLength))
      return this.stop(x, receiving, problem('overloaded', 'Too many large bodies at the same time.'));
    if (!isLast) {
      // The memory behind `chunk` is taken back when this returns.
      if (byteLength > 0) (receiving.chunks ??= []).push(Buffer.from(new Uint8Array(chunk)));
      return;
    }
    this.forget(x);
    x.unread = false;
    const last = Buffer.from(chunk);
    receiving.sink.received(x, receiving.chunks === undefined ? last : Buffer.concat([...receiving.chunks, last]));
  }

  private stop(x: Exchange, { sink }: Receiving, why: Problem): void {
    this.forget(x);
    sink.fail(x, why);
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
      if (receiving !== undefined) this.stop(x, receiving, problem('request_timeout'));
    }
  }
}

const tooLarge = (maxBody: number): Problem =>
  problem('payload_too_large', `The body is larger than the ${maxBody} bytes this route takes.`);
