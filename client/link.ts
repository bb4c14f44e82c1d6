/** One connection, from its opening to its end. */
import { Packr, Unpackr } from 'msgpackr';
import { CLOSE, DRAINED, LIMITS, OP, PUSH, SUBPROTOCOL, VERSION, type LimitName } from '../wire/stream.js';
import type { ReplicaItem } from './replica-item.js';
import type { Socket, SocketConstructor } from './socket.js';

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' });

/** Requests in one frame: enough to share its cost, few enough that the first are answered while the last are read. */
const REQUESTS_PER_FRAME = 1_024;
/** Bytes waiting in the socket from which on requests wait here instead. */
const SOCKET_BYTES = 1024 * 1024;
/** Answers to this id are looked at only when they are errors. */
export const NO_ID = 0;
/** Without a frame for so long a connection is taken for dead. */
const SILENCE_MS = 15_000;

export interface LinkEvents {
  hello(link: Link): void;
  answer(link: Link, answer: unknown[]): void;
  changes(link: Link, columns: unknown[]): void;
  vouch(link: Link, staleMs: number, unusual: unknown[]): void;
  goodbye(link: Link): void;
  closed(link: Link, code: number, reason: string): void;
}

export class Link {
  partitions = 0;
  /** Calls sent and not answered. */
  inFlight = 0;
  lastHeard = performance.now();
  leaving = false;
  /** It was closed after everything that the server had taken was answered: what has no answer was not carried out. */
  drained = false;
  open = false;
  limits: Readonly<Record<LimitName, number>> | undefined;
  /** Last measured round trip, in ms. */
  roundTripMs = 0;
  /** Subscribed items by their numbers on this connection. */
  readonly tracked: (ReplicaItem | undefined)[] = [];
  private readonly numbers = new Map<string, number>();
  private undeclared: string[] = [];
  private over = false;
  private readonly socket: Socket;

  constructor(
    constructor: SocketConstructor,
    url: string,
    private readonly events: LinkEvents,
  ) {
    this.socket = new constructor(url, [SUBPROTOCOL]);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onmessage = (event: { data: unknown }) => this.received(event.data);
    this.socket.onclose = (event: { code?: number; reason?: string }) =>
      this.ended(event.code ?? 1006, event.reason ?? '');
    this.socket.onerror = () => undefined;
  }

  /** Whether more can be sent now; otherwise it should be tried again in a moment. */
  get takes(): boolean {
    return this.open && !this.leaving && this.socket.bufferedAmount < SOCKET_BYTES && this.room > 0;
  }

  get room(): number {
    return this.limits === undefined ? 0 : this.limits.inFlight - this.inFlight;
  }

  get perFrame(): number {
    return Math.min(REQUESTS_PER_FRAME, this.limits?.requestsPerFrame ?? 1);
  }

  /**
   * How an item is named on this connection: by a number, declared with the frame that uses it first; by its ref when the server
   * takes no more declarations.
   */
  item(ref: string): number | string {
    let number = this.numbers.get(ref);
    if (number === undefined) {
      number = this.numbers.size;
      if (number >= (this.limits?.items ?? 0)) return ref;
      this.numbers.set(ref, number);
      this.undeclared.push(ref);
    }
    return number;
  }

  /** Sends requests in as few frames as the server's limits allow. */
  send(requests: unknown[][]): void {
    const limits = this.limits!;
    const frame: unknown[][] = [];
    const { undeclared } = this;
    let first = this.numbers.size - undeclared.length;
    for (let from = 0; from < undeclared.length; from += limits.itemsPerRequest) {
      const refs = undeclared.slice(from, from + limits.itemsPerRequest);
      frame.push([OP.items, NO_ID, first, refs]);
      first += refs.length;
    }
    this.undeclared = [];
    for (const request of requests) frame.push(request);
    this.sendFrame(frame);
  }

  private sendFrame(frame: unknown[][]): void {
    const bytes = packr.pack(frame);
    if (bytes.length <= this.limits!.frameBytes || frame.length === 1) return this.socket.send(bytes);
    const half = frame.length >> 1;
    this.sendFrame(frame.slice(0, half));
    this.sendFrame(frame.slice(half));
  }

  /** Nothing has come for too long: the other side is gone, whatever the socket says. */
  checkSilence(now: number): void {
    if (now - this.lastHeard > SILENCE_MS) this.cut(4000, 'silence');
  }

  /** Ends it at once: a socket that is dead does not tell for minutes. */
  cut(code: number, reason: string): void {
    if (this.over) return;
    try {
      this.socket.close(code, reason);
    } catch {
      // It was never open.
    }
    this.ended(code, reason);
  }

  private received(data: unknown): void {
    if (this.over) return;
    this.lastHeard = performance.now();
    let messages: unknown[][];
    try {
      messages = unpackr.unpack(new Uint8Array(data as ArrayBuffer)) as unknown[][];
      for (const message of messages) this.message(message);
    } catch (error) {
      this.cut(4001, 'an answer could not be read');
      throw error;
    }
  }

  private message(message: unknown[]): void {
    const first = message[0] as number;
    if (first > 0) return this.events.answer(this, message);
    switch (first) {
      case NO_ID:
        // A server that leaves refuses declarations like everything else; each request of the frame is told so itself.
        if (typeof message[1] === 'string' && !this.leaving) this.cut(4001, message[1]);
        return;
      case PUSH.hello:
        return this.hello(message);
      case PUSH.changes:
        return this.events.changes(this, message[1] as unknown[]);
      case PUSH.vouch:
        return this.events.vouch(this, message[1] as number, message[2] as unknown[]);
      case PUSH.goodbye:
        this.leaving = true;
        return this.events.goodbye(this);
    }
  }

  private hello(message: unknown[]): void {
    if (message[1] !== VERSION) return this.cut(4002, 'another version of the protocol');
    this.partitions = message[2] as number;
    const values = message[5] as number[];
    this.limits = Object.fromEntries(LIMITS.map((name, index) => [name, values[index]])) as Record<LimitName, number>;
    this.open = true;
    this.events.hello(this);
  }

  private ended(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.open = false;
    this.drained = this.leaving && code === CLOSE.goingAway && reason === DRAINED;
    this.events.closed(this, code, reason);
  }
}
