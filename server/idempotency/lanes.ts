/**
 * Single commands about single keys, over the engine's own connections: one to each master, all commands of a turn of the event loop
 * in one write, nothing sent again unless the reply proves that it did not run, and a deadline for each.
 *
 * Keys are spread over buckets of their own, finer than the partitions of the stock, and lie beside those.
 */
import { verdictOf } from '../../engine/batch/replies.js';
import { Partitions } from '../../engine/partitions.js';
import { parseAddress } from '../../engine/redis/address.js';
import type { Connection, ConnectionSettings, Reply, ReplySink } from '../../engine/redis/connection.js';
import { Link } from '../../engine/redis/link.js';
import { type Master, Topology } from '../../engine/redis/topology.js';

const BUCKETS = 256;
const CONNECT_TIMEOUT_MS = 1_000;
/** How exactly deadlines are kept. */
const TICK_MS = 50;
/** Before a command that did not run is sent again. */
const PAUSE_MS = 20;
/** Commands that wait; more are refused at once. */
const MOST = 65_536;

class Command {
  settled = false;
  constructor(
    readonly bucket: number,
    /** RESP, a character a byte. */
    readonly payload: string,
    /** By performance.now(). */
    readonly deadline: number,
    private readonly onReply: (reply: Reply) => void,
    private readonly onError: (error: Error) => void,
  ) {}

  resolve(reply: Reply): void {
    if (this.settled) return;
    this.settled = true;
    this.onReply(reply);
  }

  reject(error: Error): void {
    if (this.settled) return;
    this.settled = true;
    this.onError(error);
  }
}

export class KeyLanes {
  private readonly buckets = new Partitions(BUCKETS);
  private readonly settings: ConnectionSettings;
  private readonly topology: Topology;
  private readonly links = new Map<string, Link>();
  private waiting: Command[] = [];
  private scheduled = false;
  /** Those that are answered leave with the next tick. */
  private underWay: Command[] = [];
  private readonly ticker: NodeJS.Timeout;
  private closed = false;

  constructor(
    redis: string,
    private readonly timeoutMs: number,
    private readonly onTrouble: (error: Error) => void,
  ) {
    const { seeds, access } = parseAddress(redis);
    this.settings = { access, connectTimeoutMs: CONNECT_TIMEOUT_MS };
    this.topology = new Topology(seeds, this.settings, this.buckets);
    this.topology.start().catch((error: Error) => {
      onTrouble(error);
      void this.topology.refresh();
    });
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    this.ticker.unref();
  }

  /** The bucket of a hash, and the hash tag that puts a key into it. */
  bucketOf(hash: string): number {
    return this.buckets.of(hash);
  }

  tagOf(bucket: number): string {
    return this.buckets.tags[bucket]!;
  }

  /**
   * Sends one command to the master that serves the bucket.
   * @throws Error what Redis answered, or that there was no answer in time, or that the connection ended; after those two it may
   *   have run
   */
  run(bucket: number, payload: string): Promise<Reply> {
    if (this.closed) return Promise.reject(new Error('the idempotency store is closed'));
    if (this.underWay.length >= MOST) return Promise.reject(new Error('too many commands wait for the store'));
    return new Promise((resolve, reject) => {
      const command = new Command(bucket, payload, performance.now() + this.timeoutMs, resolve, reject);
      this.underWay.push(command);
      this.queue(command);
    });
  }

  close(): void {
    this.closed = true;
    clearInterval(this.ticker);
    this.topology.close();
    for (const link of this.links.values()) link.close();
    for (const command of this.underWay.splice(0)) command.reject(new Error('the idempotency store is closed'));
  }

  private queue(command: Command): void {
    this.waiting.push(command);
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.flush);
  }

  private readonly flush = (): void => {
    this.scheduled = false;
    const commands = this.waiting;
    this.waiting = [];
    const byMaster = new Map<Master | undefined, Command[]>();
    for (const command of commands) {
      if (command.settled) continue;
      const master = this.topology.view.owners[command.bucket];
      const some = byMaster.get(master);
      if (some) some.push(command);
      else byMaster.set(master, [command]);
    }
    for (const [master, some] of byMaster) {
      if (master === undefined) this.later(some, true);
      else this.sendTo(this.linkTo(master), some);
    }
  };

  private sendTo(link: Link, commands: readonly Command[]): void {
    link.controlConnection().then(
      (connection) => {
        let payload = '';
        for (const command of commands) payload += command.payload;
        if (!connection.send(payload, commands.length, this.sinkOf(connection, commands))) this.later(commands, true);
      },
      (error: Error) => {
        if (!this.closed) this.onTrouble(error);
        this.later(commands, true);
      },
    );
  }

  private sinkOf(connection: Connection, commands: readonly Command[]): ReplySink {
    return {
      reply: (index, reply) => commands[index]!.resolve(reply),
      lost: (index, error) => commands[index]!.reject(error),
      failed: (index, error) => {
        const { kind } = verdictOf(error);
        // Scripts are loaded by recovery, which comes by soon.
        if (kind === 'moved' || kind === 'later' || kind === 'noscript')
          this.later([commands[index]!], kind === 'moved');
        else commands[index]!.reject(error);
      },
    };
  }

  /** None of them ran. */
  private later(commands: readonly Command[], elsewhere: boolean): void {
    if (this.closed) return;
    if (elsewhere) void this.topology.refresh();
    setTimeout(() => {
      for (const command of commands) if (!command.settled) this.queue(command);
    }, PAUSE_MS);
  }

  private linkTo(master: Master): Link {
    const { host, port } = master.endpoint;
    const name = `${host}:${port}`;
    let link = this.links.get(name);
    if (link === undefined) {
      link = new Link(
        master,
        this.settings,
        { write: 0, read: 0 },
        { ready: () => undefined, trouble: () => void this.topology.refresh() },
      );
      this.links.set(name, link);
    }
    return link;
  }

  private tick(): void {
    const now = performance.now();
    this.underWay = this.underWay.filter(({ settled }) => !settled);
    // All are given the same time: the first is the first to be late.
    const over: Command[] = [];
    for (const command of this.underWay) {
      if (command.deadline > now) break;
      over.push(command);
    }
    if (over.length === 0) return;
    for (const command of over) {
      // Whoever does not answer in time may hang: what comes next is sent on a connection that has answered its handshake.
      const master = this.topology.view.owners[command.bucket];
      if (master !== undefined) this.links.get(`${master.endpoint.host}:${master.endpoint.port}`)?.drop();
      command.reject(new Error('the idempotency store did not answer in time'));
    }
    void this.topology.refresh();
  }
}
