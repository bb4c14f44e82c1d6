/** Calls over HTTP. */
import { SignJWT } from 'jose';
import { Agent, request as send } from 'undici';
import type { Ack, Answer, Request } from '../history.js';
import { itemOf, judge } from './answers.js';

/** Longer than a server lets a call take, so that its own answer is the rule. */
const PATIENCE_MS = 6_000;

export interface HttpTarget {
  readonly name: string;
  readonly port: number;
}

interface Wire {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: unknown;
}

/** A token for everything, for as long as any run. */
export function adminToken(jwtSecret: string): Promise<string> {
  return new SignJWT({ role: 'admin' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject('chaos')
    .setIssuer('holdfast')
    .setAudience('holdfast')
    .setIssuedAt()
    .setExpirationTime('12h')
    .sign(new TextEncoder().encode(jwtSecret));
}

export class HttpCaller {
  private readonly agent = new Agent({
    connections: 64,
    pipelining: 1,
    headersTimeout: PATIENCE_MS,
    bodyTimeout: PATIENCE_MS,
    connect: { timeout: 2_000 },
  });

  private constructor(private readonly token: string) {}

  static async open(jwtSecret: string): Promise<HttpCaller> {
    return new HttpCaller(await adminToken(jwtSecret));
  }

  /** @param hangUpMs after which the caller ends the connection, answered or not */
  call(target: HttpTarget, request: Request, ack: Ack, key?: string, hangUpMs?: number): Promise<Answer> {
    return this.wire(target, wireOf(request, ack), key, hangUpMs);
  }

  configure(target: HttpTarget, ref: string, settings: object): Promise<Answer> {
    return this.wire(target, {
      method: 'PUT',
      path: `/v1/stock/${pathOf(ref)}`,
      body: { ...settings, ack: 'durable' },
    });
  }

  private async wire(
    { port }: HttpTarget,
    { method, path, body }: Wire,
    key?: string,
    hangUpMs = PATIENCE_MS,
  ): Promise<Answer> {
    try {
      const response = await send(`http://127.0.0.1:${port}${path}`, {
        method,
        dispatcher: this.agent,
        signal: AbortSignal.timeout(Math.min(hangUpMs, PATIENCE_MS)),
        headers: {
          authorization: `Bearer ${this.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const answer = JSON.parse(await response.body.text()) as Record<string, unknown>;
      return judge(response.statusCode, answer, response.headers['idempotent-replayed'] !== undefined);
    } catch (error) {
      const { code, name } = error as { code?: string | number; name: string };
      // Nobody listened: the request was not even sent.
      if (code === 'ECONNREFUSED' || code === 'UND_ERR_CONNECT_TIMEOUT') return { outcome: 'failed', status: 0, code };
      return { outcome: 'unknown', status: 0, code: typeof code === 'string' ? code : name };
    }
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }
}

const pathOf = (ref: string): string => ref.replace(':', '/');

function wireOf(request: Request, ack: Ack): Wire {
  const post = (path: string, body: object): Wire => ({ method: 'POST', path, body: { ...body, ack } });
  switch (request.op) {
    case 'reserve': {
      const lines = request.lines.map(({ ref, quantity }) => ({ ...itemOf(ref), quantity }));
      const { id: reservationId, buyer: buyerId, holdSeconds } = request;
      return post('/v1/reservations', { reservationId, buyerId, holdSeconds, lines });
    }
    case 'confirm':
    case 'release':
      return post(`/v1/reservations/${request.id}/${request.op}`, {});
    case 'extend':
      return post(`/v1/reservations/${request.id}/extend`, { holdSeconds: request.holdSeconds });
    case 'return': {
      const lines = request.lines?.map(({ ref, quantity }) => ({ ...itemOf(ref), quantity }));
      return post(`/v1/reservations/${request.id}/return`, lines ? { lines } : {});
    }
    case 'deduct': {
      const { id: orderId, buyer: buyerId, quantity } = request;
      return post(`/v1/stock/${pathOf(request.ref)}/deduct`, { orderId, buyerId, quantity });
    }
    case 'restock':
      return post(`/v1/stock/${pathOf(request.ref)}/restock`, { quantity: request.quantity, movementId: request.id });
    case 'adjust': {
      const { by, countedTo, id: movementId } = request;
      return post(`/v1/stock/${pathOf(request.ref)}/adjust`, { by, countedTo, reason: 'count', movementId });
    }
    case 'read': {
      const [only] = request.refs;
      if (request.refs.length === 1)
        return { method: 'GET', path: `/v1/stock/${pathOf(only!)}${request.fresh ? '?fresh=true' : ''}` };
      return { method: 'GET', path: `/v1/stock?items=${request.refs.join(',')}` };
    }
    case 'find':
      return { method: 'GET', path: `/v1/reservations/${request.id}` };
  }
}
