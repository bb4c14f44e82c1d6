/** `GET /v1/stream`: upgrade, connections, the end. */
import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import { CLOSE, SUBPROTOCOL, TOKEN_PREFIX } from '../../wire/stream.js';
import type { Caller } from '../auth/caller.js';
import { problem, problemBody, RETRY_AFTER, type Problem } from '../http/problems.js';
import { statusLine } from '../http/status-lines.js';
import type { Metrics } from '../metrics.js';
import { Connection } from './connection.js';
import { Hub, type StreamServices } from './hub.js';
import { STREAM_PATH } from './path.js';

interface Socket {
  readonly caller: Caller | undefined;
  connection?: Connection;
}

/** What a WebSocket needs of the request that asks for it; the request itself is gone after the first tick. */
interface Asked {
  readonly key: string;
  readonly protocol: string;
  readonly extensions: string;
}

export class Stream {
  readonly hub: Hub;
  private leaving = false;
  private upgrading = 0;

  constructor(services: StreamServices, metrics: Metrics) {
    this.hub = new Hub(services);
    exposeMetrics(metrics, this.hub);
  }

  mount(app: TemplatedApp): void {
    const { limits } = this.hub;
    app.ws<Socket>(STREAM_PATH, {
      maxPayloadLength: limits.frameBytes,
      // Connections are cut off before this; it only keeps uWebSockets.js from dropping frames in the middle.
      maxBackpressure: limits.dropBytes * 4,
      idleTimeout: limits.idleSeconds,
      sendPingsAutomatically: true,
      upgrade: (res, req, context) => this.upgrade(res, req, context),
      open: (ws) => this.open(ws),
      message: (ws, frame, isBinary) => ws.getUserData().connection?.message(frame, isBinary),
      close: (ws) => this.gone(ws),
    });
  }

  /** Says goodbye on every connection, lets what was taken be answered, and closes. False where `ms` were not enough. */
  async drain(ms: number): Promise<boolean> {
    this.leaving = true;
    const { connections } = this.hub;
    for (const c of [...connections]) c.goodbye('going_away', 'This process is shutting down; connect again.');
    const end = performance.now() + ms;
    let owing = true;
    while (owing && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      owing = [...connections].some((c) => c.owes);
    }
    for (const c of [...connections]) c.leave();
    return !owing;
  }

  close(): void {
    this.leaving = true;
    for (const c of [...this.hub.connections]) c.drop();
    this.hub.close();
  }

  private upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    const offered = req
      .getHeader('sec-websocket-protocol')
      .split(',')
      .map((name) => name.trim());
    const asked = {
      key: req.getHeader('sec-websocket-key'),
      // Only what was offered may be selected.
      protocol: offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : '',
      extensions: req.getHeader('sec-websocket-extensions'),
    };
    let aborted = false;
    res.onAborted(() => (aborted = true));
    try {
      if (this.leaving) throw problem('overloaded', 'The server is shutting down.');
      if (this.hub.connections.size + this.upgrading >= this.hub.limits.connections) throw problem('overloaded');
      const token = offered.find((name) => name.startsWith(TOKEN_PREFIX));
      const header = req.getHeader('authorization') || (token ? `Bearer ${token.slice(TOKEN_PREFIX.length)}` : '');
      if (header === '') return accept(res, asked, undefined, context);
      const caller = this.hub.services.auth.authenticate(header);
      if (!(caller instanceof Promise)) return accept(res, asked, caller, context);
      this.upgrading++;
      caller
        .then(
          (found) => {
            if (!aborted) res.cork(() => accept(res, asked, found, context));
          },
          (error: unknown) => {
            if (!aborted) this.refuse(res, error);
          },
        )
        .finally(() => this.upgrading--);
    } catch (error) {
      this.refuse(res, error);
    }
  }

  private refuse(res: HttpResponse, error: unknown): void {
    const found: Problem = this.hub.explain(error);
    this.hub.refused(found.kind.code);
    const retryAfter = RETRY_AFTER[found.kind.code];
    res.cork(() => {
      res.writeStatus(statusLine(found.kind.http));
      res.writeHeader('Content-Type', 'application/problem+json');
      for (const [name, value] of found.headers) res.writeHeader(name, value);
      if (retryAfter !== undefined) res.writeHeader('Retry-After', String(retryAfter));
      res.end(JSON.stringify(problemBody(found, '-')), true);
    });
  }

  private open(ws: WebSocket<Socket>): void {
    const data = ws.getUserData();
    const connection = new Connection(this.hub, ws, data.caller);
    data.connection = connection;
    this.hub.connections.add(connection);
    if (this.leaving) connection.end(CLOSE.goingAway, 'going away');
  }

  private gone(ws: WebSocket<Socket>): void {
    const { connection } = ws.getUserData();
    if (connection === undefined) return;
    this.hub.connections.delete(connection);
    connection.gone();
  }
}

function accept(res: HttpResponse, asked: Asked, caller: Caller | undefined, context: us_socket_context_t): void {
  res.upgrade<Socket>({ caller }, asked.key, asked.protocol, asked.extensions, context);
}

function exposeMetrics(metrics: Metrics, hub: Hub): void {
  const { counts } = hub;
  metrics.gauge('holdfast_stream_connections', 'Open connections of the stream.', () => hub.connections.size);
  metrics.gauge('holdfast_stream_requests_in_flight', 'Requests of the stream not answered yet.', () => hub.inFlight);
  metrics.gauge('holdfast_stream_items', 'Items somebody is subscribed to.', () => hub.topics.size);
  metrics.counter('holdfast_stream_requests_total', 'Requests taken on the stream.', () => counts.requests);
  metrics.counter('holdfast_stream_frames_in_total', 'Frames received.', () => counts.framesIn);
  metrics.counter('holdfast_stream_frames_out_total', 'Frames sent.', () => counts.framesOut);
  metrics.counter('holdfast_stream_changes_total', 'Changes of items pushed to subscribers.', () => counts.changes);
  metrics.counter(
    'holdfast_stream_paused_total',
    'Times news was held back because a client did not read.',
    () => counts.paused,
  );
}
