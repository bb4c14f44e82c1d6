/**
 * One TCP connection to one node, from its handshake to its end. It never reconnects and never sends anything twice:
 * whoever needs a connection again opens a new one. So everything sent on it reached the same server process.
 *
 * ioredis does handshake, TLS and parsing. Its own pipelines are not used: they make a promise and several objects a
 * command; here a whole pipeline is one string, one write, and one small reply slot a command.
 */
import { Redis } from 'ioredis';
import type { Access, Endpoint } from './address.js';
import { bulkCommand } from './resp.js';

/** A reply as parsed: bulk strings are Buffers, integers numbers, errors ReplyErrors inside arrays. */
export type Reply = number | Buffer | null | Reply[];

/** Hears the replies of one pipeline, in order; `index` counts its commands from 0. */
export interface ReplySink {
  reply(index: number, value: Reply): void;
  /** The server answered with an error. */
  failed(index: number, error: Error): void;
  /** The connection ended before this reply came: whether the command ran is not known. */
  lost(index: number, error: Error): void;
}

export interface ConnectionSettings {
  readonly access: Access;
  readonly connectTimeoutMs: number;
}

/** Stands in ioredis' queue for one expected reply. */
class ReplySlot {
  readonly name = 'evalsha';
  readonly args: never[] = [];
  // Tells ioredis not to wrap the slot for its tracing channel: it has no promise to trace.
  readonly isTraced = true;
  readonly promise = undefined;
  constructor(
    private readonly sink: ReplySink,
    private readonly index: number,
  ) {}

  toWritable(): string {
    return '';
  }

  resolve(value: Reply): void {
    this.sink.reply(this.index, value);
  }

  reject(error: Error): void {
    if (error.name === 'ReplyError') this.sink.failed(this.index, error);
    else this.sink.lost(this.index, error);
  }
}

type Queueable = Parameters<Redis['sendCommand']>[0];
type QueueTarget = Parameters<Redis['sendCommand']>[1];

export class Connection {
  private closed = false;
  private readonly closeListeners: ((error: Error) => void)[] = [];
  private lastError: Error = new Error('connection closed');
  // ioredis writes each command here while it queues its slot; the bytes go out in one write afterwards.
  private readonly discard: QueueTarget;

  private constructor(
    readonly endpoint: Endpoint,
    readonly redis: Redis,
  ) {
    this.discard = { isPipeline: true, write: () => true, destination: { redis: { stream: redis.stream } } };
    redis.once('end', () => this.ended());
    redis.on('error', (error: Error) => (this.lastError = error));
  }

  /**
   * Resolves when the node has answered the handshake: a process that hangs does not count.
   * @throws Error when that takes longer than `connectTimeoutMs`.
   */
  static async open(endpoint: Endpoint, settings: ConnectionSettings): Promise<Connection> {
    const { access, connectTimeoutMs } = settings;
    const redis = new Redis({
      host: endpoint.host,
      port: endpoint.port,
      username: access.username,
      password: access.password,
      tls: access.tls,
      lazyConnect: true,
      connectTimeout: connectTimeoutMs,
      connectionName: 'holdfast',
      disableClientInfo: true,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      autoResubscribe: false,
      retryStrategy: () => null,
      noDelay: true,
      keepAlive: 10_000,
    });
    let problem: Error | undefined;
    const remember = (error: Error): void => void (problem = error);
    redis.on('error', remember);
    let timer: NodeJS.Timeout | undefined;
    try {
      await Promise.race([
        redis.connect(),
        new Promise((_, reject) => {
          timer = setTimeout(() => reject(new Error(`no answer within ${connectTimeoutMs} ms`)), connectTimeoutMs);
        }),
      ]);
      // ioredis calls a connection ready whose login was refused.
      if (problem) throw problem;
    } catch (error) {
      hangUp(redis);
      const cause = problem ?? (error as Error);
      throw new Error(`${endpoint.host}:${endpoint.port}: ${cause.message}${adviceOn(cause, access)}`, { cause });
    } finally {
      clearTimeout(timer);
    }
    const connection = new Connection(endpoint, redis);
    redis.off('error', remember);
    return connection;
  }

  get alive(): boolean {
    return !this.closed && this.redis.status === 'ready' && this.redis.stream.writable;
  }

  /** Called once, when the connection has ended for whatever reason; at once if it has already. */
  onClose(listener: (error: Error) => void): void {
    if (this.closed) listener(this.lastError);
    else this.closeListeners.push(listener);
  }

  /**
   * Sends `payload`, which holds `commands` whole commands in RESP as a latin1 string, in one write.
   * False: the connection is not usable and nothing was sent. Otherwise the sink hears of every command.
   */
  send(payload: string, commands: number, sink: ReplySink): boolean {
    if (!this.alive) return false;
    for (let i = 0; i < commands; i++)
      this.redis.sendCommand(new ReplySlot(sink, i) as unknown as Queueable, this.discard);
    this.redis.stream.write(payload, 'latin1');
    return true;
  }

  /** Runs several commands and waits for all replies; an error reply stands in its place as an Error. Cold paths only. */
  all(commands: readonly (readonly (string | number | Buffer)[])[], timeoutMs: number): Promise<(Reply | Error)[]> {
    if (commands.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      const replies = new Array<Reply | Error>(commands.length);
      let missing = commands.length;
      const timer = setTimeout(() => {
        reject(new Error(`${this.endpoint.host}:${this.endpoint.port}: no reply within ${timeoutMs} ms`));
        // Its replies would be taken for those of later commands' senders' deadline: end it.
        this.close();
      }, timeoutMs);
      const took = (index: number, value: Reply | Error): void => {
        replies[index] = value;
        if (--missing > 0) return;
        clearTimeout(timer);
        resolve(replies);
      };
      const sink: ReplySink = {
        reply: took,
        failed: took,
        lost: (_, error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      if (!this.send(commands.map(bulkCommand).join(''), commands.length, sink)) {
        clearTimeout(timer);
        reject(this.lastError);
      }
    });
  }

  /** Runs one command. @throws the error reply, or when there is none in time. */
  async run(command: readonly (string | number | Buffer)[], timeoutMs: number): Promise<Reply> {
    const [reply] = await this.all([command], timeoutMs);
    if (reply instanceof Error) throw reply;
    return reply as Reply;
  }

  /** Ends the connection at once; what was sent and not answered is lost. */
  close(): void {
    if (!this.closed) hangUp(this.redis);
  }

  private ended(): void {
    if (this.closed) return;
    this.closed = true;
    for (const listener of this.closeListeners.splice(0)) listener(this.lastError);
  }
}

const RESET = new Set(['ECONNRESET', 'EPIPE']);
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO)/;

/** What is most likely wrong when a node does not talk TLS as expected, which its own words do not say. */
function adviceOn(cause: Error & { code?: string }, { tls }: Access): string {
  const code = cause.code ?? '';
  if (!tls) return RESET.has(code) ? ' (where it expects TLS, use rediss://)' : '';
  if (TLS_CODE.test(code))
    return ' (is sslrootcert the authority of its certificate, and does that name this address?)';
  return RESET.has(code) || cause.message.startsWith('no answer') ? ' (does it talk TLS on this port?)' : '';
}

/** A polite end waits for the other side, which may hang. */
function hangUp(redis: Redis): void {
  redis.disconnect();
  redis.stream?.destroy();
}
