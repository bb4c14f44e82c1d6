/**
 * Refuses at once, for as little as can be: what a refusal costs is taken from those who were let in. Nothing is parsed, nobody is
 * asked who they are, no error is made; the answer is ready but for the request's id and time, which need no escaping, and
 * leaves in three calls into uWebSockets.js (each costs about as much as looking an item up) and one of the kernel.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { LIMITS, type Limit, REASONS } from '../limits/gate.js';
import type { Metrics, RouteMetrics } from '../metrics.js';
import { MESSAGEPACK_TYPE, PROBLEM_TYPE } from './encode.js';
import { requestIdOf, timeText, USUAL } from './exchange.js';
import { packMessage } from './msgpack.js';
import { prefersMessagePack } from './negotiate.js';
import { problem, problemBody, RETRY_AFTER, type Problem } from './problems.js';
import type { QuietLog } from './quiet-log.js';
import { statusLine } from './status-lines.js';

/** A body of more digits than that is not waited for: its connection is closed. */
const SMALL_DIGITS = 4;

interface Ready {
  readonly problem: Problem;
  /** Body, around the request id. */
  readonly before: string;
  readonly after: string;
  /** Headers behind the time. */
  readonly headers: string;
  readonly fields: Readonly<Record<string, string>>;
}

export type Cause = Limit | 'in_flight';

export class Refusals {
  private readonly ready: Readonly<Record<Cause, Ready>>;

  constructor(
    private readonly metrics: Metrics,
    private readonly quiet: QuietLog,
  ) {
    const ready: Partial<Record<Cause, Ready>> = { in_flight: prepare('in_flight', problem('overloaded')) };
    for (const limit of LIMITS) {
      const { detail, retryAfter } = REASONS[limit];
      ready[limit] = prepare(limit, problem('overloaded', detail, { retryAfter }));
    }
    this.ready = ready as Record<Cause, Ready>;
  }

  /** Answers within the handler's own turn, which uWebSockets.js has corked already. */
  send(
    cause: Cause,
    measured: RouteMetrics,
    res: HttpResponse,
    req: HttpRequest,
    startedAt: number,
    draining: boolean,
  ): void {
    const { problem: found, before, after, headers, fields } = this.ready[cause];
    const { code, http } = found.kind;
    this.metrics.problem(code);
    this.quiet.warn(cause, fields, 'requests are turned away');
    const requestId = requestIdOf(req);
    const packed = prefersMessagePack(req.getHeader('accept'));
    const bytes = packed ? packMessage(problemBody(found, requestId)) : before + requestId + after;
    const start = `${packed ? MESSAGEPACK_TYPE : PROBLEM_TYPE}\r\nX-Request-Id: ${requestId}\r\nX-Response-Time: `;
    // A small body is read and thrown away by the parser, and the connection can be used again; a long one is not waited for.
    const method = req.getMethod();
    let close = draining;
    if (method !== 'get' && method !== 'head') {
      const digits = req.getHeader('content-length').length;
      close ||= digits === 0 || digits > SMALL_DIGITS;
    }
    const ms = performance.now() - startedAt;
    res.writeStatus(statusLine(http));
    res.writeHeader('Content-Type', start + timeText(ms) + headers);
    if (method === 'head') res.endWithoutBody(Buffer.byteLength(bytes), close);
    else res.end(bytes, close);
    measured.record(http, ms);
  }
}

function prepare(cause: Cause, found: Problem): Ready {
  const [before = '', after = ''] = JSON.stringify(problemBody(found, '\0')).split('\\u0000');
  const { code } = found.kind;
  const retryAfter = found.extra.retryAfter ?? RETRY_AFTER[code];
  return {
    problem: found,
    before,
    after,
    headers: `\r\nRetry-After: ${retryAfter}\r\n${USUAL}`,
    fields: { code, limit: cause },
  };
}
