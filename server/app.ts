/** Puts the parts together: engine, stores, routes, port. */
import type { Logger } from 'pino';
import { SoldOut } from '../engine/cache/sold-out.js';
import { openEngine } from '../engine/index.js';
import { Partitions } from '../engine/partitions.js';
import type { Engine } from '../engine/types.js';
import { Authenticator } from './auth/authenticate.js';
import { createVerifier } from './auth/verify.js';
import { exposeCache } from './cache/metrics.js';
import { CachedReader } from './cache/reader.js';
import type { ServerConfig } from './config.js';
import { docsRoutes } from './docs.js';
import { Health } from './health.js';
import { Admission } from './http/admission.js';
import { BodyReader } from './http/body.js';
import type { Route } from './http/route.js';
import { QuietLog } from './http/quiet-log.js';
import { Service } from './http/serve.js';
import { Idempotency } from './idempotency/idempotency.js';
import { IdempotencyStore } from './idempotency/store.js';
import { Metrics } from './metrics.js';
import { Gate } from './limits/gate.js';
import { exposeLimits } from './limits/metrics.js';
import { Pressure } from './limits/pressure.js';
import { openApiDocument } from './openapi.js';
import { openPort } from './port.js';
import { importExportRoutes } from './routes/import-export.js';
import { movementRoutes } from './routes/movements.js';
import { adminRoutes, operationRoutes } from './routes/operations.js';
import { reservationRoutes } from './routes/reservations.js';
import type { Services } from './routes/services.js';
import { stockChangeRoutes } from './routes/stock-changes.js';
import { stockRoutes } from './routes/stock.js';
import { Database } from './sql/database.js';
import { version } from './version.js';
import { Stream } from './ws/stream.js';

export interface RunningServer {
  /** The port it listens on; the one asked for, or the one that was free. */
  readonly port: number;
  /** Of this process alone, where one was asked for. */
  readonly metricsPort: number | undefined;
  readonly routes: readonly Route[];
  /** Readiness off, a moment for balancers to notice, the port closed, running requests finished, everything closed. */
  stop(): Promise<void>;
}

/** @throws when the engine cannot be opened or the port is taken */
export async function startServer(config: ServerConfig, log: Logger): Promise<RunningServer> {
  const engine = await openEngine({
    redis: config.redisUrl,
    prefix: config.keyPrefix,
    partitions: config.partitions,
    ack: config.ack,
    replicatedOnDisk: config.replicatedOnDisk,
    timeoutMs: config.callTimeoutMs,
    // With a database, workers own recovery: only they can tell what Redis has lost.
    recovery: config.databaseUrl === undefined ? 'self' : 'external',
    takeover: config.takeover,
    onNotice: ({ level, message, ...fields }) => log[level](fields, message),
  });
  return serveEngine(engine, config, log);
}

function isSlow({ ack, replicatedOnDisk }: ServerConfig): boolean {
  return ack === 'durable' || (replicatedOnDisk && ack === 'replicated');
}

/** Everything above the engine, which is closed with the server. */
export async function serveEngine(engine: Engine, config: ServerConfig, log: Logger): Promise<RunningServer> {
  const quiet = new QuietLog(log);
  const tell = (message: string) => (error: Error) => quiet.warn(message, { err: error.message }, message);
  const database =
    config.databaseUrl === undefined
      ? undefined
      : new Database(config.databaseUrl, new Partitions(config.partitions), tell('the database cannot be reached'));
  const store = new IdempotencyStore(config.redisUrl, config.keyPrefix, tell('the idempotency store has trouble'));
  const idempotency = new Idempotency(store, log);
  const auth = new Authenticator(
    createVerifier({
      secret: config.jwtSecret,
      jwksUrl: config.jwksUrl,
      issuer: config.jwtIssuer,
      audience: config.jwtAudience,
    }),
  );
  const cache = engine.openCache({ maxStaleMs: config.maxStaleMs, items: config.cacheItems });
  const bodies = new BodyReader(config.maxBufferedBytes, config.bodyTimeoutMs);
  const metrics = new Metrics();
  const admission = new Admission({
    most: config.maxInFlight,
    // Where everybody waits for Postgres or the disks, being under way for long is no sign of a queue.
    targetMs: isSlow(config) ? 0 : config.maxQueueMs,
  });
  const partitions = new Partitions(config.partitions);
  const { gate, pressure } = openGate(engine, partitions, config, log);
  exposeLimits(metrics, gate, admission);
  const service = new Service(config, admission, gate, pressure.loop, bodies, auth, idempotency, metrics, log);
  const health = new Health(engine, database);
  exposeMetrics(metrics, service, bodies, auth, idempotency, engine);
  const soldOut = new SoldOut(cache, config.soldOutMs);
  exposeCache(metrics, cache, soldOut);

  const services = { engine, reader: new CachedReader(cache), cache, soldOut, gate, database };
  const routes = allRoutes(services, health, metrics, config);
  const { publicReads } = config;
  const refused = (code: string): void => metrics.problem(code);
  const limits = { ...config.stream, callMs: config.callTimeoutMs };
  const stream = new Stream(
    { engine, cache, soldOut, gate, database, auth, partitions, publicReads, log, limits, refused },
    metrics,
  );
  const main = await openPort(service, routes, config.host, config.port, (app) => stream.mount(app));
  const own =
    config.metricsPort === undefined
      ? undefined
      : await openPort(service, probes(routes), config.host, config.metricsPort);

  pressure.start();
  const stop = async (): Promise<void> => {
    health.drain();
    service.draining = true;
    await new Promise((resolve) => setTimeout(resolve, config.shutdownDelayMs));
    main.closeToNew();
    const [requests, streams] = await Promise.all([service.drained(config.drainMs), stream.drain(config.drainMs)]);
    if (!requests || !streams) log.warn({ inFlight: service.inFlight }, 'requests were cut off');
    stream.close();
    pressure.close();
    health.close();
    bodies.close();
    store.close();
    cache.close();
    await Promise.allSettled([engine.close(), database?.close()]);
    main.close();
    own?.close();
  };
  return { port: main.number, metricsPort: own?.number, routes, stop };
}

/** What closes admission before something is full. */
function openGate(
  engine: Engine,
  partitions: Partitions,
  { pressure: limits, databaseUrl }: ServerConfig,
  log: Logger,
): { gate: Gate; pressure: Pressure } {
  const gate = new Gate(partitions.count, (key) => partitions.of(key));
  const persisted = databaseUrl !== undefined;
  return { gate, pressure: new Pressure({ partitions: engine.partitions, gate, limits, persisted, log }) };
}

const probes = (routes: readonly Route[]): Route[] => routes.filter(({ essential }) => essential);

export function allRoutes(
  services: Services,
  health: Health,
  metrics: Metrics,
  config: Pick<ServerConfig, 'publicReads'>,
): Route[] {
  let document: string | undefined;
  const routes: Route[] = [
    ...stockRoutes(services),
    ...stockChangeRoutes(services),
    ...movementRoutes(services),
    ...importExportRoutes(services),
    ...reservationRoutes(services),
    ...adminRoutes(services),
    ...operationRoutes(
      health,
      metrics,
      () => (document ??= JSON.stringify(openApiDocument(routes, { version, ...config }))),
    ),
    ...docsRoutes(),
  ];
  return routes;
}

function exposeMetrics(
  metrics: Metrics,
  service: Service,
  bodies: BodyReader,
  auth: Authenticator,
  idempotency: Idempotency,
  engine: Engine,
): void {
  metrics.gauge('holdfast_unsafe_answers', 'Answers that Postgres does not have yet.', () => engine.reversals().kept);
  metrics.counter(
    'holdfast_forgotten_answers_total',
    'Of these, dropped: too many.',
    () => engine.reversals().forgotten,
  );
  metrics.gauge('holdfast_http_requests_in_flight', 'Requests begun and not yet over.', () => service.inFlight);
  metrics.gauge('holdfast_http_body_bytes', 'Bytes of request bodies held in memory.', () => bodies.buffered);
  metrics.gauge('holdfast_http_bodies_receiving', 'Requests whose body has not arrived whole.', () => bodies.receiving);
  metrics.counter('holdfast_auth_cache_hits_total', 'Tokens that were verified before.', () => auth.counts.hits);
  metrics.counter('holdfast_auth_cache_misses_total', 'Tokens that had to be verified.', () => auth.counts.misses);
  metrics.counter('holdfast_idempotency_replays_total', 'Answers given again.', () => idempotency.counts.replays);
  metrics.counter(
    'holdfast_idempotency_mismatches_total',
    'Keys used again for other content.',
    () => idempotency.counts.mismatches,
  );
  metrics.counter(
    'holdfast_idempotency_takeovers_total',
    'Requests finished for a process that did not.',
    () => idempotency.counts.takeovers,
  );
  metrics.counter(
    'holdfast_idempotency_overtaken_total',
    'Requests that were finished by another process because they took longer than their lease.',
    () => idempotency.counts.overtaken,
  );
}
