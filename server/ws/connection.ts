/**
 * One connection: what it was told, what it still owes, and how much of both it may pile up. Answers of one turn of the event
 * loop leave in one frame; changes leave at the pace at which the client reads them.
 */
import type { WebSocket } from 'uWebSockets.js';
import type { CallOptions, ItemRef } from '../../engine/types.js';
import { ACKS, CLOSE, DONE, DRAINED, EXISTS, LIMITS, PUSH, VERSION } from '../../wire/stream.js';
import type { Caller } from '../auth/caller.js';
import { unauthenticated } from '../auth/verify.js';
import { problem, type Problem } from '../http/problems.js';
import type { Hub } from './hub.js';
import { readFrame } from './read.js';
import { Subscriptions } from './subscriptions.js';
import type { FrameWriter } from './write.js';

/** A frame of answers that has grown to this leaves before its turn is over. */
const FRAME_BYTES = 256 * 1024;
const LAST_ID = 0xffff_ffff;

export class Connection {
  caller: Caller | undefined;
  closed = false;
  /** Nothing more is taken; what is owed is still answered. */
  leaving = false;
  /** Requests taken and not answered. */
  inFlight = 0;
  /** By the numbers under which this connection declared them. */
  readonly items: ItemRef[] = [];
  /** The same, as `location:sku`. */
  readonly refs: string[] = [];
  readonly openedAt = performance.now();
  /** While a token is being checked, what came behind it waits. */
  private waiting: unknown[][] | undefined;
  private options: CallOptions[] = [];
  private writer: FrameWriter | undefined;
  readonly subscriptions: Subscriptions;

  constructor(
    private readonly hub: Hub,
    private readonly ws: WebSocket<unknown>,
    caller: Caller | undefined,
  ) {
    this.subscriptions = new Subscriptions(this, hub);
    this.identify(caller);
    const { limits } = hub;
    const writer = this.begin(6);
    writer.number(PUSH.hello);
    writer.number(VERSION);
    writer.number(hub.partitions.count);
    writer.number(Date.now());
    writer.boolean(caller !== undefined);
    writer.array(LIMITS.length);
    for (const name of LIMITS) writer.number(limits[name]);
  }

  // ── who ──

  identify(caller: Caller | undefined): void {
    this.caller = caller;
    const actor = caller?.sub;
    this.options = [{ actor }, ...ACKS.map((ack) => ({ actor, ack }))];
  }

  /** @throws Problem unauthenticated */
  get who(): Caller {
    if (this.caller === undefined) throw unauthenticated('no token was sent on this connection');
    if (this.caller.expiresAt <= Date.now()) throw unauthenticated('the token has expired');
    return this.caller;
  }

  /** Options of a call; `ack` is an index into ACKS, or absent. */
  callOptions(ack: unknown): CallOptions {
    if (ack === undefined || ack === null) return this.options[0]!;
    const found = typeof ack === 'number' && ack >= 0 ? this.options[ack + 1] : undefined;
    if (found === undefined) throw problem('invalid_request', 'ack is 0 (executed), 1 (replicated) or 2 (durable)');
    return found;
  }

  /** Requests wait until `done` settles. */
  hold(done: Promise<unknown>): void {
    const waiting: unknown[][] = [];
    this.waiting = waiting;
    const go = (): void => {
      this.waiting = undefined;
      while (waiting.length > 0 && this.waiting === undefined && !this.closed) this.take(waiting.shift()!);
      // Another token came in between: what is left waits for that one.
      if (this.waiting !== undefined) (this.waiting as unknown[][]).push(...waiting);
    };
    done.then(go, go);
  }

  // ── in ──

  message(frame: ArrayBuffer, isBinary: boolean): void {
    if (!isBinary) return this.end(CLOSE.notBinary, 'frames are binary');
    const { hub } = this;
    hub.counts.framesIn++;
    let requests: unknown[];
    try {
      requests = readFrame(Buffer.from(frame));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return this.end(CLOSE.malformed, error.message);
    }
    if (requests.length > hub.limits.requestsPerFrame)
      return this.end(CLOSE.policy, `at most ${hub.limits.requestsPerFrame} requests in a frame`);
    const slow = this.ws.getBufferedAmount() > hub.limits.pauseBytes;
    for (const request of requests) {
      if (this.closed) return;
      if (!isRequest(request)) return this.end(CLOSE.malformed, 'a request is [operation, id, …]');
      if (this.waiting === undefined && !slow) this.take(request);
      else if (slow || this.waiting!.length >= hub.limits.inFlight) this.refuse(request[1] as number, 'overloaded');
      else this.waiting!.push(request);
    }
  }

  private take(request: unknown[]): void {
    const { hub } = this;
    const id = request[1] as number;
    hub.counts.requests++;
    try {
      if (this.leaving) throw problem('shard_unavailable', 'The server is shutting down.');
      if (this.inFlight >= hub.limits.inFlight || hub.inFlight >= hub.limits.inFlightTotal)
        return this.refuse(id, 'overloaded');
      hub.perform(this, request[0] as number, id, request);
    } catch (error) {
      this.fail(id, error);
    }
  }

  /** Waits for a result and has it written; the connection may be gone by then. */
  settle<T>(id: number, call: Promise<T>, write: (c: Connection, id: number, value: T) => void): void {
    this.inFlight++;
    this.hub.inFlight++;
    call.then(
      (value) => {
        this.over();
        if (this.closed) return;
        try {
          write(this, id, value);
        } catch (error) {
          this.fail(id, error);
        }
      },
      (error: unknown) => {
        this.over();
        this.fail(id, error);
      },
    );
  }

  private over(): void {
    this.inFlight--;
    this.hub.inFlight--;
  }

  // ── out ──

  /** Begins a message; its columns follow. */
  begin(columns: number): FrameWriter {
    let { writer } = this;
    if (writer === undefined) {
      this.writer = writer = this.hub.borrow();
      this.hub.schedule(this);
    } else if (writer.length > FRAME_BYTES) {
      this.flush();
      return this.begin(columns);
    }
    writer.begin(columns);
    return writer;
  }

  done(id: number, columns: number, exists = false): FrameWriter {
    const writer = this.begin(columns);
    writer.number(id);
    writer.number(exists ? EXISTS : DONE);
    return writer;
  }

  refuse(id: number, code: string, available?: number, line?: number, detail?: string, askAgainBy?: string): void {
    if (this.closed) return;
    this.hub.refused(code);
    const columns = askAgainBy !== undefined ? 6 : detail !== undefined ? 5 : line !== undefined ? 4 : 3;
    const writer = this.begin(available === undefined && columns === 3 ? 2 : columns);
    writer.number(id);
    writer.text(code);
    if (available === undefined && columns === 3) return;
    if (available === undefined) writer.nil();
    else writer.number(available);
    if (columns < 4) return;
    if (line === undefined) writer.nil();
    else writer.number(line);
    if (columns < 5) return;
    if (detail === undefined) writer.nil();
    else writer.text(detail);
    if (columns === 6) writer.text(askAgainBy!);
  }

  fail(id: number, error: unknown): void {
    const found: Problem = this.hub.explain(error);
    const { kind, detail, extra } = found;
    const first = extra.errors?.[0];
    const plain = detail === kind.description || first?.available !== undefined;
    this.refuse(id, kind.code, first?.available, first?.line, plain ? undefined : detail, extra.id?.[1]);
  }

  flush(): void {
    const { writer, ws } = this;
    if (writer === undefined) return;
    this.writer = undefined;
    if (!this.closed) {
      const frame = writer.finish();
      this.hub.counts.framesOut++;
      ws.send(frame, true, false);
      // What it does not read it cannot have been waiting for; its calls are answered by their ids on the next connection.
      if (ws.getBufferedAmount() > this.hub.limits.dropBytes) {
        this.drop();
      }
    }
    this.hub.giveBack(writer);
  }

  /** Bytes that wait for the client to read. */
  get backlog(): number {
    return this.ws.getBufferedAmount();
  }

  // ── the end ──

  goodbye(code: string, text: string): void {
    this.leaving = true;
    const writer = this.begin(3);
    writer.number(PUSH.goodbye);
    writer.text(code);
    writer.text(text);
  }

  get owes(): boolean {
    return !this.closed && (this.inFlight > 0 || this.writer !== undefined || this.waiting !== undefined);
  }

  /** Reading may need a token that is not there or has expired. */
  check(now: number): void {
    const { publicReads } = this.hub.services;
    const { caller } = this;
    if (publicReads || this.waiting !== undefined) return;
    if (caller === undefined && now - this.openedAt > this.hub.limits.authMs)
      this.end(CLOSE.unauthenticated, 'no token was sent in time');
    if (caller !== undefined && caller.expiresAt <= Date.now() && this.subscriptions.size > 0)
      this.end(CLOSE.unauthenticated, 'the token has expired');
  }

  /** The last of a goodbye: where all that was taken is answered it says so, and what has no answer was not taken. */
  leave(): void {
    const all = this.inFlight === 0 && this.waiting === undefined;
    this.end(CLOSE.goingAway, all ? DRAINED : 'going away');
  }

  /** Closes with a reason. uWebSockets.js calls the close handler at once. */
  end(code: number, why: string): void {
    if (this.closed) return;
    this.flush();
    if (!this.closed) this.ws.end(code, why);
  }

  drop(): void {
    if (!this.closed) this.ws.close();
  }

  /** The socket is gone. What is in flight is carried out all the same. */
  gone(): void {
    this.closed = true;
    this.subscriptions.clear();
  }
}

function isRequest(value: unknown): value is unknown[] {
  if (!Array.isArray(value) || typeof value[0] !== 'number') return false;
  const id: unknown = value[1];
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= LAST_ID;
}
