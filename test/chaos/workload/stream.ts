/**
 * Calls over the stream (docs/stream.md), by the client that callers are given: it has its own way of sending again on the next
 * connection what was under way when one ended. All callers share one connection to each server, so that frames hold several
 * requests and a connection that is lost is lost to several calls.
 */
import { buildConnector, Agent, WebSocket } from 'undici';
import { type Client, connect, HoldfastError, type SocketConstructor } from '../../../client/index.js';
import { PROBLEMS } from '../../../server/http/problems.js';
import type { Ack, Answer, LineAsked, Op, Request } from '../history.js';
import { itemOf, judge } from './answers.js';
import { adminToken, type HttpTarget } from './http.js';

/** A server that was started again is found again soon. */
const MAX_BACKOFF_MS = 500;
const CONNECT_MS = 30_000;

/** What the stream takes; restocks and adjustments go over HTTP. */
const TAKES: ReadonlySet<Op> = new Set([
  'reserve',
  'confirm',
  'release',
  'extend',
  'return',
  'deduct',
  'read',
  'find',
] satisfies Op[]);

export const takes = ({ op }: Request): boolean => TAKES.has(op);

interface Connection {
  readonly client: Client;
  /** Resets the sockets that there are, in the middle of whatever is under way. */
  reset(): void;
}

export class StreamCaller {
  private constructor(private readonly connections: ReadonlyMap<string, Connection>) {}

  static async open(jwtSecret: string, servers: readonly HttpTarget[]): Promise<StreamCaller> {
    const token = await adminToken(jwtSecret);
    const opened = await Promise.all(
      servers.map(async ({ name, port }) => {
        const { agent, reset } = resettable();
        const url = `ws://127.0.0.1:${port}`;
        const options = { url, token, maxBackoffMs: MAX_BACKOFF_MS, connectTimeoutMs: CONNECT_MS };
        return [name, { client: await connect({ ...options, WebSocket: over(agent) }), reset }] as const;
      }),
    );
    return new StreamCaller(new Map(opened));
  }

  /** @param timeoutMs after which the caller wants to know, whatever there is to say */
  async call({ name }: HttpTarget, request: Request, ack: Ack, timeoutMs: number): Promise<Answer> {
    try {
      const body = await ask(this.connections.get(name)!.client, request, { ack, timeoutMs });
      return judge(200, body, false);
    } catch (error) {
      // Anything else is a defect of the client, and ends the run.
      if (!(error instanceof HoldfastError)) throw error;
      return refusal(error, request);
    }
  }

  reset({ name }: HttpTarget): void {
    this.connections.get(name)!.reset();
  }

  close(): void {
    for (const { client } of this.connections.values()) client.close();
  }
}

function resettable(): { agent: Agent; reset(): void } {
  const open = new Set<{ resetAndDestroy(): unknown }>();
  const connector = buildConnector({ timeout: 2_000 });
  const agent = new Agent({
    connect: (options, done) =>
      connector(options, (...result) => {
        const [, socket] = result;
        if (socket) {
          open.add(socket);
          socket.once('close', () => open.delete(socket));
        }
        done(...result);
      }),
  });
  return { agent, reset: () => open.forEach((socket) => socket.resetAndDestroy()) };
}

function over(dispatcher: Agent): SocketConstructor {
  class Through extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, { protocols, dispatcher });
    }
  }
  return Through;
}

interface Asking {
  readonly ack: Ack;
  readonly timeoutMs: number;
}

/** The answer in the form it has over HTTP. */
async function ask(client: Client, request: Request, options: Asking): Promise<Record<string, unknown>> {
  switch (request.op) {
    case 'reserve': {
      const { id: reservationId, buyer: buyerId, lines, holdSeconds } = request;
      return timed(await client.reserve({ reservationId, buyerId, lines: linesOf(lines), holdSeconds }, options));
    }
    case 'confirm':
      return timed(await client.confirm(request.id, options));
    case 'release':
      return timed(await client.release(request.id, options));
    case 'extend':
      return timed(await client.extend(request.id, request.holdSeconds, options));
    case 'return':
      return timed(await client.return(request.id, request.lines && linesOf(request.lines), options));
    case 'find':
      return timed(await client.find(request.id, options));
    case 'deduct': {
      const { ref, quantity, id: orderId, buyer: buyerId } = request;
      return { ...(await client.deduct(itemOf(ref), { quantity, orderId, buyerId }, options)) };
    }
    case 'read': {
      const { refs, fresh } = request;
      const { items, staleMs } = await client.stock(refs.map(itemOf), { ...options, fresh });
      return { items: items.filter((item) => item !== undefined), staleMs };
    }
    default:
      throw new Error(`The stream does not take ${request.op}.`);
  }
}

const linesOf = (lines: readonly LineAsked[]) => lines.map(({ ref, quantity }) => ({ ...itemOf(ref), quantity }));

const timed = (told: { readonly expiresAt: number }): Record<string, unknown> => ({
  ...told,
  expiresAt: new Date(told.expiresAt).toISOString(),
});

function refusal({ code, available, line, id }: HoldfastError, request: Request): Answer {
  // It was not sent: nothing was changed.
  if (code === 'not_connected') return { outcome: 'failed', status: 0, code };
  const status = PROBLEMS.get(code)?.http;
  if (status === undefined) return { outcome: 'unknown', status: 0, code };
  // The id that the client made is the one to ask again by.
  const made = request.op === 'reserve' && id !== undefined ? { reservationId: id } : {};
  return judge(status, { code, available, line, ...made }, false);
}
