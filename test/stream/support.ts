/** A real server in this process on the run's cluster, with limits a test can reach. */
import { SignJWT } from 'jose';
import { pino } from 'pino';
import { openEngine } from '../../engine/index.js';
import type { Engine } from '../../engine/types.js';
import { connect, type Client } from '../../client/index.js';
import type { ConnectOptions } from '../../client/types.js';
import { serveEngine, type RunningServer } from '../../server/app.js';
import { readConfig } from '../../server/config.js';
import type { StreamLimits } from '../../server/ws/limits.js';
import { atEnd, testCluster } from '../harness/index.js';

export const SECRET = 'a-secret-of-the-stream-tests-0123456789';
export const LOCATION = 'berlin';

export interface Scene {
  readonly engine: Engine;
  readonly server: RunningServer;
  readonly url: string;
  client(options?: Partial<ConnectOptions>): Promise<Client>;
  item(units: number): Promise<string>;
}

export async function startScene(
  limits: Partial<StreamLimits> = {},
  env: Record<string, string> = {},
  wrap: (engine: Engine) => Engine = (engine) => engine,
): Promise<Scene> {
  const cluster = await testCluster();
  const config = readConfig({
    HOLDFAST_REDIS_URL: cluster.url,
    HOLDFAST_KEY_PREFIX: cluster.prefix,
    HOLDFAST_PORT: '0',
    HOLDFAST_JWT_SECRET: SECRET,
    HOLDFAST_SHUTDOWN_DELAY_MS: '0',
    ...env,
  });
  const engine = await openEngine({ redis: cluster.url, prefix: cluster.prefix, ack: 'executed' });
  await engine.ready();
  const stream = { ...config.stream, ...limits };
  const server = await serveEngine(wrap(engine), { ...config, stream }, pino({ level: 'silent' }));
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= server.stop());
  atEnd(stop);
  const url = `ws://127.0.0.1:${server.port}`;
  return {
    engine,
    server: { ...server, stop },
    url,
    client: async (options = {}) => {
      const client = await connect({ url, token: await token('service'), ...options });
      atEnd(async () => client.close());
      return client;
    },
    item: async (units) => {
      const sku = `sku-${Math.random().toString(36).slice(2)}`;
      await engine.stock.configure({ location: LOCATION, sku }, {});
      if (units > 0) await engine.stock.restock({ location: LOCATION, sku }, { quantity: units });
      return sku;
    },
  };
}

type Reserve = Engine['reservations']['reserve'];

/** An engine whose reservations pass through here first. */
export const beforeReserve =
  (first: (request: Parameters<Reserve>[0]) => void | Promise<void>) =>
  (engine: Engine): Engine => {
    const reserve: Reserve = async (request, options) => {
      await first(request);
      return engine.reservations.reserve(request, options);
    };
    return { ...engine, reservations: { ...engine.reservations, reserve } };
  };

export function token(role: 'buyer' | 'service' | 'admin', sub: string = role, expires: string | number = '1h') {
  return new SignJWT({ role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(sub)
    .setIssuer('holdfast')
    .setAudience('holdfast')
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(new TextEncoder().encode(SECRET));
}

/** The code a call ends with. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'done';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** Waits for something that must happen; the bound is for a test that hangs. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let turn = 0; turn < 3_000; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`it did not happen: ${what}`);
}
