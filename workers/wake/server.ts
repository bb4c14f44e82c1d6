import { connect as connectTcp, type Socket as TcpSocket, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import { type Access, type Endpoint, parseAddress } from '../../engine/redis/address.js';
import { endWhenSilent } from './silence.js';

const CONNECT_MS = 5_000;
/** A node that does not say by then where the slots are is passed by. */
const ANSWER_MS = 2_000;
const LAST_RETRY_MS = 2_000;
/** What is still to be written when a client disconnects has this long. */
const HANG_UP_MS = 1_000;

/** Replies of a node that is not, or no longer, the one to ask. None of these commands was carried out. */
const ELSEWHERE = /^(MOVED|READONLY|UNBLOCKED|CLUSTERDOWN|MASTERDOWN|LOADING) /;

/**
 * The Redis of the queue: one node, or the master that serves one slot of a Redis Cluster. Clients of it are plain ones, which look
 * for that master whenever they connect. All sockets are opened here: after `close` there are none, whatever clients still try.
 */
export class QueueServer {
  private readonly sockets = new Set<TcpSocket>();
  /** Where to ask for the master: what the cluster said last, then what it was said to be. */
  private known: readonly Endpoint[] = [];
  private clustered = false;
  private closed = false;

  private constructor(
    private readonly seeds: readonly Endpoint[],
    private readonly access: Access,
    private readonly slot: number,
  ) {}

  /**
   * `url`: `redis://host:port[,redis://host:port…]`, or `rediss://`, as for the engine. `slot` is where all keys lie.
   * @throws InvalidArgument for a URL that cannot be; Error when none of them answers.
   */
  static async open(url: string, slot: number): Promise<QueueServer> {
    const { seeds, access } = parseAddress(url);
    const server = new QueueServer(seeds, access, slot);
    const info = await server.askAny((probe) => probe.info('cluster')).finally(() => server.hangUp());
    server.clustered = info.includes('cluster_enabled:1');
    return server;
  }

  /** A client that reconnects until it is disconnected or the server closed. Its errors are for whoever listens. */
  client(): Redis {
    return new QueueClient({
      ...this.access,
      connectTimeout: CONNECT_MS,
      disableClientInfo: true,
      // BullMQ asks for this: its blocking reads outlive any number of reconnections.
      maxRetriesPerRequest: null,
      enableReadyCheck: true,
      retryStrategy: (times) => (this.closed ? null : Math.min(100 * times, LAST_RETRY_MS)),
      // 2: connect anew, and send the command again there.
      reconnectOnError: (error) => (ELSEWHERE.test(error.message) ? 2 : false),
      Connector: this.connector(() => this.master(), this.clustered),
    });
  }

  /** Every master of the cluster; a single Redis is its own. @throws Error when no node answers. */
  async masters(): Promise<Endpoint[]> {
    if (!this.clustered) return [this.seeds[0]!];
    return [...new Map((await this.ranges()).map(({ master }) => [`${master.host}:${master.port}`, master])).values()];
  }

  /** One question to one node, on a connection of its own. @throws Error when it does not answer in time. */
  async ask<T>(endpoint: Endpoint, question: (probe: Redis) => Promise<T>): Promise<T> {
    const probe = new Redis({
      ...this.access,
      lazyConnect: true,
      connectTimeout: ANSWER_MS,
      commandTimeout: ANSWER_MS,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      enableReadyCheck: false,
      disableClientInfo: true,
      Connector: this.connector(() => Promise.resolve(endpoint), false),
    });
    let problem: Error | undefined;
    probe.on('error', (error: Error) => (problem = error));
    try {
      await probe.connect();
      const answer = await question(probe);
      // A node that refuses the login answers whom it knows as somebody else.
      if (problem) throw problem;
      return answer;
    } catch (error) {
      const cause = problem ?? (error as Error);
      throw new Error(`${endpoint.host}:${endpoint.port}: ${cause.message}`, { cause });
    } finally {
      probe.disconnect();
    }
  }

  /** From here on there is no socket, and no client gets another. Resolves when all have ended. */
  async close(): Promise<void> {
    this.closed = true;
    await this.hangUp();
  }

  private async hangUp(): Promise<void> {
    const ends = [...this.sockets].map(
      (socket) => new Promise<void>((resolve) => void socket.once('close', () => resolve()).destroy()),
    );
    await Promise.all(ends);
  }

  private open({ host, port }: Endpoint): TcpSocket {
    if (this.closed) return ended();
    const { tls } = this.access;
    const socket = tls ? connectTls({ ...tls, host, port }) : connectTcp({ host, port });
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    // ioredis listens for the first error only.
    socket.on('error', () => undefined);
    endWhenSilent(socket);
    return socket;
  }

  private connector(locate: () => Promise<Endpoint>, masterOnly: boolean): NonNullable<RedisOptions['Connector']> {
    const open = (endpoint: Endpoint): TcpSocket => this.open(endpoint);
    return class extends QueueConnector {
      constructor() {
        super(locate, open, masterOnly);
      }
    };
  }

  private async master(): Promise<Endpoint> {
    if (!this.clustered) return this.seeds[0]!;
    const range = (await this.ranges()).find(({ from, to }) => from <= this.slot && this.slot <= to);
    if (!range) throw new Error(`The cluster serves no slot ${this.slot}`);
    return range.master;
  }

  private async ranges(): Promise<{ from: number; to: number; master: Endpoint }[]> {
    const ranges = await this.askAny(async (probe, asked) => {
      const slots = (await probe.cluster('SLOTS')) as unknown as [number, number, ...[string | null, number][]][];
      // A node that does not know its own name leaves it out: it is where it was asked.
      const at = ([host, port]: [string | null, number]): Endpoint => ({ host: host || asked.host, port });
      return slots.map(([from, to, ...nodes]) => ({ from, to, nodes: nodes.map(at) }));
    });
    this.known = ranges.flatMap(({ nodes }) => nodes);
    return ranges.map(({ from, to, nodes }) => ({ from, to, master: nodes[0]! }));
  }

  /** One node after the other, another one first each time: one that lags behind is not asked for ever. */
  private async askAny<T>(question: (probe: Redis, asked: Endpoint) => Promise<T>): Promise<T> {
    let last: Error | undefined;
    for (const endpoint of [...shuffled(this.known), ...shuffled(this.seeds)]) {
      if (this.closed) break;
      try {
        return await this.ask(endpoint, (probe) => question(probe, endpoint));
      } catch (error) {
        last = error as Error;
      }
    }
    throw new Error(`No Redis of the queue answers: ${last?.message ?? 'closed'}`, { cause: last });
  }
}

class QueueClient extends Redis {
  constructor(options: RedisOptions) {
    super(options);
    // BullMQ listens for as long as it uses the client, and says what it hears; ioredis prints what nobody hears.
    this.on('error', () => undefined);
  }

  override duplicate(override?: Partial<RedisOptions>): Redis {
    return new QueueClient({ ...this.options, ...override });
  }

  override disconnect(reconnect = false): void {
    // ioredis forgets the client that waits for its next attempt: no end, and its commands stay open. It gets that attempt now,
    // and with it its end.
    if (!reconnect && this.status === 'reconnecting') {
      super.disconnect();
      this.connect().catch(() => undefined);
    }
    super.disconnect(reconnect);
  }
}

/** What ioredis asks for a socket, once for each attempt to connect. */
class QueueConnector extends AbstractConnector {
  private attempt = 0;

  constructor(
    private readonly locate: () => Promise<Endpoint>,
    private readonly open: (endpoint: Endpoint) => TcpSocket,
    private readonly masterOnly: boolean,
  ) {
    super(HANG_UP_MS);
  }

  /** Never rejects: that would end the client for good, where a socket that has ended makes it try again unless it is closing. */
  override async connect(): Promise<TcpSocket> {
    const attempt = ++this.attempt;
    this.firstError = undefined;
    let socket: TcpSocket | undefined;
    try {
      const endpoint = await this.locate();
      if (attempt === this.attempt) socket = this.open(endpoint);
    } catch (error) {
      this.firstError = error as Error;
    }
    return (this.stream = socket ?? ended());
  }

  override disconnect(): void {
    this.attempt++;
    // Asked for once by every reply of a node that lost its slots.
    if (!this.stream?.writableEnded) super.disconnect();
  }

  /** A node can have lost its slots between the question and the answer. */
  override check(info: { role?: string }): boolean {
    return !this.masterOnly || info.role === undefined || info.role === 'master';
  }
}

function ended(): TcpSocket {
  return new Socket().destroy();
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((one) => ({ one, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}
