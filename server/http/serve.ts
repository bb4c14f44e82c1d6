/**
 * The way of a request: full? → body → who → query and body checked → idempotency → handler → answer.
 * Nothing here is async where the answer is there at once; nothing thrown leaves this file.
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticate.js';
import type { Caller } from '../auth/caller.js';
import type { Idempotency, Turn } from '../idempotency/idempotency.js';
import type { Metrics, RouteMetrics } from '../metrics.js';
import { isId } from '../schemas/ids.js';
import type { Gate } from '../limits/gate.js';
import type { LoopDelay } from '../limits/loop.js';
import type { Admission } from './admission.js';
import type { BodyReader, BodySink } from './body.js';
import { decodeBody } from './decode.js';
import { compress, encodeAnswer, encodeProblem, JSON_TYPE, MESSAGEPACK_TYPE, worthCompressing } from './encode.js';
import { Exchange, requestIdOf, writeUsualHeaders, type Encoded, type ExchangeOwner } from './exchange.js';
import { problemOf } from './failures.js';
import { prefersMessagePack } from './negotiate.js';
import { invalidField, problem, type Problem } from './problems.js';
import { parseQuery } from './query.js';
import { QuietLog } from './quiet-log.js';
import { Refusals } from './refusals.js';
import type { Answer, Route } from './route.js';

const EMPTY = Buffer.alloc(0);

export interface ServeOptions {
  readonly publicReads: boolean;
}

export class Service implements BodySink, ExchangeOwner {
  /** Requests begun and not yet over. */
  inFlight = 0;
  /** Set when the process is to end: every answer then closes its connection. */
  draining = false;
  private idle: (() => void) | undefined;
  private readonly quiet: QuietLog;
  private readonly refusals: Refusals;

  constructor(
    private readonly options: ServeOptions,
    private readonly admission: Admission,
    private readonly gate: Gate,
    private readonly loop: LoopDelay,
    private readonly bodies: BodyReader,
    private readonly auth: Authenticator,
    private readonly idempotency: Idempotency,
    private readonly metrics: Metrics,
    private readonly log: Logger,
  ) {
    this.quiet = new QuietLog(log);
    this.refusals = new Refusals(metrics, this.quiet);
  }

  mount(app: TemplatedApp, route: Route): void {
    const measured = this.metrics.route(route);
    const handler = (res: HttpResponse, req: HttpRequest): void => this.begin(route, measured, res, req);
    const pattern = route.path.replace(/\{(\w+)\}/g, ':$1');
    const { instant } = route;
    if (instant !== undefined && route.access === 'read' && this.options.publicReads)
      app.get(pattern, (res, req) => {
        if (!this.answeredAtOnce(instant, measured, res, req)) handler(res, req);
      });
    else app[route.method](pattern, handler);
    if (route.method === 'get') app.head(pattern, handler);
  }

  /** For every method that nothing else was mounted for. */
  mountAny(app: TemplatedApp, route: Route): void {
    const measured = this.metrics.route(route, 'ANY');
    app.any(route.path.replace(/\{(\w+)\}/g, ':$1'), (res, req) => this.begin(route, measured, res, req, true));
  }

  /** Resolves when no request runs; false after `ms`. */
  drained(ms: number): Promise<boolean> {
    if (this.inFlight === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.idle = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  private begin(route: Route, measured: RouteMetrics, res: HttpResponse, req: HttpRequest, any = false): void {
    const { load } = route;
    const now = performance.now();
    let admitted = false;
    if (!route.essential) {
      this.loop.arrival(now);
      const shut = this.gate.shut(load);
      if (shut !== undefined) this.gate.refuse(shut);
      else admitted = this.admission.enter(now, load);
      if (!admitted) {
        return this.refusals.send(shut ?? 'in_flight', measured, res, req, now, this.draining);
      }
    }
    this.inFlight += 1;
    const x = new Exchange(route, measured, now, res, req, this);
    if (admitted) x.admission = this.admission;
    // Whatever it sends is not going to be read.
    if (any) x.unread = req.getMethod() !== 'get' && req.getMethod() !== 'head';
    try {
      if (route.method === 'get') return this.identify(x, EMPTY);
      this.bodies.read(x, req.getHeader('content-length'), this);
    } catch (error) {
      this.fail(x, error);
    }
  }

  /** Costs a request less than a promise would: the answer is out before this returns, so it cannot be aborted meanwhile. */
  private answeredAtOnce(
    instant: NonNullable<Route['instant']>,
    measured: RouteMetrics,
    res: HttpResponse,
    req: HttpRequest,
  ): boolean {
    if (this.draining) return false;
    const startedAt = performance.now();
    const packed = prefersMessagePack(req.getHeader('accept'));
    const found = instant(req, packed, startedAt);
    if (found === undefined) return false;
    writeUsualHeaders(res, packed ? MESSAGEPACK_TYPE : JSON_TYPE, requestIdOf(req), startedAt);
    res.end(found);
    measured.record(200, performance.now() - startedAt);
    return true;
  }

  end(x: Exchange, status: number): void {
    this.inFlight -= 1;
    const ms = performance.now() - x.startedAt;
    x.admission?.leave(ms);
    this.bodies.release(x);
    x.measured.record(status, ms);
    if (this.inFlight === 0) this.idle?.();
  }

  received(x: Exchange, body: Buffer): void {
    this.identify(x, body);
  }

  private identify(x: Exchange, body: Buffer): void {
    try {
      const { access } = x.route;
      const open = access === 'public' || (access === 'read' && this.options.publicReads);
      if (open) return this.admit(x, body, undefined);
      const caller = this.auth.authenticate(x.authorization);
      if (!(caller instanceof Promise)) return this.admit(x, body, caller);
      const kept = Buffer.from(body);
      caller.then(
        (found) => this.admit(x, kept, found),
        (error: unknown) => this.fail(x, error),
      );
    } catch (error) {
      this.fail(x, error);
    }
  }

  private admit(x: Exchange, body: Buffer, caller: Caller | undefined): void {
    try {
      x.caller = caller;
      const { route } = x;
      if (caller !== undefined && typeof route.access !== 'string' && !route.access.includes(caller.role)) {
        throw problem('forbidden', `This needs the role ${route.access.join(' or ')}; the token says ${caller.role}.`);
      }
      const quick = route.quick?.(x, body);
      if (quick !== undefined) return this.answer(x, quick);
      checkParams(x);
      const query = route.query?.parse(parseQuery(x.query, route.query.schema));
      if (route.query === undefined && x.query !== '') parseQuery(x.query, undefined);
      const input = { query, body: route.body?.parse(bodyOf(x, body)) };
      if (x.idempotencyKey === '') return this.answer(x, route.handle(x, input));
      x.working = true;
      this.answerOnce(x, body, input)
        .catch((error: unknown) => this.fail(x, error))
        .finally(() => x.rest());
    } catch (error) {
      this.fail(x, error);
    }
  }

  private answer(x: Exchange, answer: Answer | Promise<Answer>): void {
    if (!(answer instanceof Promise)) return this.finish(x, encodeAnswer(x, answer));
    x.working = true;
    answer.then(
      (ready) => {
        try {
          this.finish(x, encodeAnswer(x, ready));
        } catch (error) {
          this.fail(x, error);
        }
        x.rest();
      },
      (error: unknown) => {
        this.fail(x, error);
        x.rest();
      },
    );
  }

  /** With an Idempotency-Key: the first carries the change out, the others get its answer. */
  private async answerOnce(x: Exchange, body: Buffer, input: { query: unknown; body: unknown }): Promise<void> {
    const turn = await this.idempotency.take(x, body, (hash, content) => x.route.makeId?.(input, hash, content));
    if ('replay' in turn) return this.finish(x, turn.replay);
    x.changeId = turn.changeId;
    const encoded = await this.carryOut(x, input, turn);
    this.finish(x, encoded);
  }

  private async carryOut(x: Exchange, input: { query: unknown; body: unknown }, turn: Turn): Promise<Encoded> {
    let encoded: Encoded;
    try {
      encoded = encodeAnswer(x, await x.route.handle(x, input));
    } catch (error) {
      const found = this.explain(x, error);
      encoded = encodeProblem(x, found);
    }
    return turn.settle(encoded);
  }

  private finish(x: Exchange, answer: Encoded): void {
    if (!x.open) return;
    if (x.wantsGzip && worthCompressing(answer)) compress(answer, (packed) => x.send(packed, this.draining));
    else x.send(answer, this.draining);
  }

  fail(x: Exchange, error: unknown): void {
    try {
      const found = this.explain(x, error);
      if (!x.open) return;
      x.send(encodeProblem(x, found), this.draining);
    } catch (worse) {
      this.log.error({ err: worse, requestId: x.requestId, route: x.route.operationId }, 'an answer could not be sent');
      x.drop();
    }
  }

  private explain(x: Exchange, error: unknown): Problem {
    const found = problemOf(error, x.route.idField) ?? problem('internal_error');
    this.metrics.problem(found.kind.code);
    if (found.kind.http === 500) {
      this.log.error({ err: error, requestId: x.requestId, route: x.route.operationId }, 'request failed');
    } else if (found.kind.http > 500) {
      const { code } = found.kind;
      this.quiet.warn(code, { code, requestId: x.requestId, route: x.route.operationId }, 'request refused');
    }
    return found;
  }
}

function checkParams(x: Exchange): void {
  for (let index = 0; index < x.params.length; index += 1) {
    const text = decoded(x.param(index));
    if (!isId(text)) {
      throw invalidField(x.route.params[index] ?? 'path', 'must be 1 to 128 of A-Z a-z 0-9 . _ - ~');
    }
    x.params[index] = text;
  }
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

function bodyOf(x: Exchange, body: Buffer): unknown {
  if (body.length > 0) return decodeBody(body, x.contentType);
  if (x.route.bodyOptional) return {};
  throw problem('invalid_request', 'A body is needed.');
}
