/**
 * One request and its answer. uWebSockets.js ends the process's patience when a response is touched after it was aborted or
 * finished, and its request object is gone after the first tick: so everything worth knowing is read at once, and the
 * response is reachable only through methods that look first.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Ack } from '../../engine/types.js';
import type { Caller } from '../auth/caller.js';
import type { RouteMetrics } from '../metrics.js';
import type { Admission } from './admission.js';
import type { Receiving } from './body.js';
import { acceptsGzip, prefersMessagePack } from './negotiate.js';
import { problem } from './problems.js';
import type { Route } from './route.js';
import { statusLine } from './status-lines.js';

const REQUEST_ID = /^[A-Za-z0-9._~:@=+/-]{1,128}$/;
const ACK_PREFERENCE = /(?:^|[,;\s])ack\s*=\s*"?(executed|replicated|durable)"?\s*(?:$|[,;])/i;

/** Ids of requests that bring none: unlike those of other processes by their start, unlike each other by counting. */
const processMark = `${Date.now().toString(36)}${process.pid.toString(36)}`;
let requests = 0;

/** What answers carry unless they say otherwise. */
const CACHE_CONTROL = 'no-store';
const CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'";
const ALWAYS = 'X-Content-Type-Options: nosniff\r\nVary: Accept, Accept-Encoding, Authorization';
/** The last headers of an ordinary answer, as they follow each other. */
export const USUAL = `${ALWAYS}\r\nCache-Control: ${CACHE_CONTROL}\r\nContent-Security-Policy: ${CONTENT_POLICY}`;

/** Times as text, by hundredths of a millisecond. */
const TIMES = Array.from({ length: 1_000 }, (_, hundredths) => (hundredths / 100).toFixed(2));

/** Milliseconds, as headers have them. */
export function timeText(ms: number): string {
  return TIMES[Math.round(ms * 100)] ?? ms.toFixed(2);
}

/** The id the client brought, or one of our own. */
export function requestIdOf(req: HttpRequest): string {
  const asked = req.getHeader('x-request-id');
  if (asked !== '' && REQUEST_ID.test(asked)) return asked;
  requests += 1;
  return `${processMark}-${requests.toString(36)}`;
}

/**
 * All headers of an answer in one call: each call into uWebSockets.js costs about as much as looking an item up.
 * @param more further lines, each with its end; and then `rest` may be without what they say
 *
 * Nothing in the value comes from a client but the request id, whose characters are checked.
 */
export function writeUsualHeaders(
  res: HttpResponse,
  type: string,
  requestId: string,
  startedAt: number,
  more = '',
  rest = USUAL,
): void {
  const ms = performance.now() - startedAt;
  const time = timeText(ms);
  res.writeHeader(
    'Content-Type',
    `${type}\r\nX-Request-Id: ${requestId}\r\nX-Response-Time: ${time}\r\n${more}${rest}`,
  );
}

export type Headers = readonly (readonly [string, string])[];

/** An answer as bytes: what is sent, and what is stored for replay. */
export interface Encoded {
  readonly status: number;
  readonly type: string;
  readonly bytes: Buffer | string;
  readonly headers: Headers;
  readonly retryAfter: number | undefined;
}

/** Hears when a request is over: answered (0: the client has gone), and its handler at rest. */
export interface ExchangeOwner {
  end(x: Exchange, status: number): void;
}

const NO_PARAMS: string[] = [];

export class Exchange {
  readonly requestId: string;
  readonly query: string;
  readonly authorization: string;
  readonly contentType: string;
  readonly idempotencyKey: string;
  readonly wantsMessagePack: boolean;
  readonly wantsGzip: boolean;
  readonly head: boolean;
  /** The path as it was sent; only of requests with an idempotency key. */
  readonly url: string;
  readonly params: string[];
  /** Set once the token was checked; routes with roles always have one. */
  caller: Caller | undefined;
  /** Id under which this request's change is made when its body names none; kept with the idempotency key. */
  changeId: string | undefined;
  /** The body has not arrived whole; the connection cannot be used for another request. */
  unread = false;
  /** Bytes of its body that count against the server's limit. */
  bodyBytes = 0;
  receiving: Receiving | undefined;
  /** A handler is at work: the request is not over before it rests, even when the client has gone. */
  working = false;

  /** Where it is counted among those under way, until it waits for something else. */
  admission: Admission | undefined;

  private res: HttpResponse | undefined;
  private readonly prefer: string;
  private ended: number | undefined;
  private over = false;

  constructor(
    readonly route: Route,
    readonly measured: RouteMetrics,
    /** By performance.now(). */
    readonly startedAt: number,
    res: HttpResponse,
    req: HttpRequest,
    private readonly owner: ExchangeOwner,
  ) {
    this.res = res;
    this.head = route.method === 'get' && req.getMethod() === 'head';
    // Undefined where there is no question mark, whatever the type says.
    this.query = req.getQuery() ?? '';
    const { length } = route.params;
    this.params = length === 0 ? NO_PARAMS : new Array<string>(length);
    for (let index = 0; index < length; index += 1) this.params[index] = req.getParameter(index);
    this.authorization = req.getHeader('authorization');
    this.wantsMessagePack = prefersMessagePack(req.getHeader('accept'));
    this.wantsGzip = acceptsGzip(req.getHeader('accept-encoding'));
    const changes = route.method !== 'get';
    this.contentType = changes ? req.getHeader('content-type') : '';
    this.prefer = changes ? req.getHeader('prefer') : '';
    this.idempotencyKey = route.idempotent ? req.getHeader('idempotency-key') : '';
    this.url = this.idempotencyKey === '' ? '' : req.getUrl();
    this.requestId = requestIdOf(req);
    res.onAborted(() => this.abort());
  }

  /** True until the answer was sent or the client went away. */
  get open(): boolean {
    return this.res !== undefined;
  }

  /** The caller of a route that has roles. */
  get who(): Caller {
    if (this.caller === undefined) throw problem('unauthenticated');
    return this.caller;
  }

  param(index: number): string {
    return this.params[index] ?? '';
  }

  /** The ack asked for: the body's word counts more than the Prefer header's. */
  ackWanted(inBody: Ack | undefined): Ack | undefined {
    if (inBody !== undefined || this.prefer === '') return inBody;
    return ACK_PREFERENCE.exec(this.prefer)?.[1]?.toLowerCase() as Ack | undefined;
  }

  /** What it waits for from here on (Postgres) is no queue of this process. */
  waitsElsewhere(): void {
    this.admission?.stand();
    this.admission = undefined;
  }

  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    this.res?.onData(handler);
  }

  /** Sends the answer, if there is still somebody to send it to. */
  send(answer: Encoded, closing: boolean): void {
    const res = this.res;
    if (res === undefined) return;
    this.res = undefined;
    res.cork(() => {
      if (answer.status !== 200) res.writeStatus(statusLine(answer.status));
      this.writeHeaders(res, answer);
      const close = closing || this.unread;
      if (this.head) res.endWithoutBody(byteLength(answer.bytes), close);
      else res.end(answer.bytes, close);
    });
    this.finish(answer.status);
  }

  private writeHeaders(res: HttpResponse, { type, headers, retryAfter }: Encoded): void {
    let more = retryAfter === undefined ? '' : `Retry-After: ${retryAfter}\r\n`;
    let rest = USUAL;
    for (const [name, value] of headers) {
      if (name === 'Cache-Control' || name === 'Content-Security-Policy') rest = ALWAYS;
      more += `${name}: ${value}\r\n`;
    }
    if (rest === ALWAYS) {
      if (!headers.some(([name]) => name === 'Cache-Control')) more += `Cache-Control: ${CACHE_CONTROL}\r\n`;
      if (!headers.some(([name]) => name === 'Content-Security-Policy'))
        more += `Content-Security-Policy: ${CONTENT_POLICY}\r\n`;
    }
    writeUsualHeaders(res, type, this.requestId, this.startedAt, more, rest);
  }

  /** Cuts the connection: for a client that does not even take an answer. */
  drop(): void {
    this.res?.close();
  }

  private abort(): void {
    this.res = undefined;
    this.finish(0);
  }

  /** The handler has come to its end. */
  rest(): void {
    this.working = false;
    if (this.ended !== undefined) this.finish(this.ended);
  }

  private finish(status: number): void {
    this.ended = status;
    if (this.working || this.over) return;
    this.over = true;
    this.owner.end(this, status);
  }
}

function byteLength(bytes: Buffer | string): number {
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
}
