/**
 * A TCP proxy that can be damaged while connections pass it: by kind of peer, by direction. While nobody listens at its target it
 * does not listen either: whoever comes is refused, as by the target itself.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../../../stack/ports.js';

/** Who opened a connection: told from its first bytes. */
export interface Peer {
  /** `node`: another Redis node on the cluster bus; `replica`: a Redis node that copies this one; else a client. */
  readonly kind: 'client' | 'replica' | 'node';
  /** Cluster id of a `node`, real port (as text) of a `replica`. */
  readonly id?: string;
}

export type Damage =
  /** Silence, as a pulled cable: nothing passes, connections stay; what was sent meanwhile arrives when it is healed. */
  | { readonly kind: 'hold'; readonly direction?: 'both' | 'requests' | 'replies' }
  /** Requests are carried out, their answers vanish; connections that lost some are ended when it is healed. */
  | { readonly kind: 'swallow-replies' }
  /** Connections are reset, new ones too. */
  | { readonly kind: 'refuse' }
  /** Everything arrives later, each direction by so many ms. */
  | { readonly kind: 'delay'; readonly ms: number };

export interface Link {
  /** Where the proxy listens. */
  readonly port: number;
  /** What it stands in front of. */
  readonly target: number;
  /** Damages connections (all, or those of the peers chosen), present and future. Damages add up. Returns what heals this one. */
  damage(damage: Damage, of?: (peer: Peer) => boolean): () => void;
  /** Resets the connections that there are (of the peers chosen); new ones pass. */
  reset(of?: (peer: Peer) => boolean): void;
  /** Heals all damage. */
  heal(): void;
  /** Chunks of replies that were swallowed so far. */
  readonly swallowed: number;
  close(): Promise<void>;
}

interface Active {
  readonly damage: Damage;
  readonly of: (peer: Peer) => boolean;
}

/** Longest prefix that is looked at to tell who connects. */
const SNIFF_BYTES = 512;
/** Cluster bus messages start so; the sender's id stands at 40. */
const BUS_MAGIC = 'RCmb';
const SENDER_AT = 40;
const SENDER_BYTES = 40;
const START_ATTEMPTS = 5;
/** Between two looks whether the target listens again. */
const WATCH_MS = 20;

export async function startLink(target: number, host = '127.0.0.1'): Promise<Link> {
  const link = new TcpLink(target, host);
  await link.listen();
  return link;
}

class TcpLink implements Link {
  readonly active = new Set<Active>();
  swallowed = 0;
  readonly pairs = new Set<Pair>();
  port = 0;
  private server: Server | undefined;
  private watch: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    readonly target: number,
    readonly host: string,
  ) {}

  /** On a port of its own: not one that a connection leaving this machine could get while we do not listen. */
  async listen(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.port = await freePort(this.host);
      try {
        return await this.open();
      } catch (error) {
        if (attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  /** The target refuses. */
  refused(): void {
    if (!this.server) return;
    this.server.close();
    this.server = undefined;
    this.watchFor();
  }

  private async open(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => {
      const pair = new Pair(this, socket);
      if (!pair.ended) this.pairs.add(pair);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: this.port, host: this.host, backlog: 1_024 }, resolve);
    });
    if (this.closed) server.close();
    else this.server = server;
  }

  private watchFor(): void {
    if (this.closed) return;
    this.watch = setTimeout(() => {
      const probe = connect({ port: this.target, host: this.host });
      probe.on('connect', () => {
        probe.destroy();
        // Taken by somebody for the moment: tried again.
        this.open().catch(() => this.watchFor());
      });
      probe.on('error', () => this.watchFor());
    }, WATCH_MS);
  }

  damage(damage: Damage, of: (peer: Peer) => boolean = () => true): () => void {
    const one: Active = { damage, of };
    this.active.add(one);
    this.changed();
    return () => {
      if (this.active.delete(one)) this.changed();
    };
  }

  reset(of: (peer: Peer) => boolean = () => true): void {
    for (const pair of [...this.pairs]) if (of(pair.peer)) pair.end();
  }

  heal(): void {
    this.active.clear();
    this.changed();
  }

  damagesOf(peer: Peer): Damage[] {
    return [...this.active].filter(({ of }) => of(peer)).map(({ damage }) => damage);
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.watch);
    this.reset();
    const { server } = this;
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  private changed(): void {
    for (const pair of [...this.pairs]) pair.apply();
  }
}

/** One connection and its continuation. */
class Pair {
  peer: Peer = { kind: 'client' };
  private readonly up: Socket;
  private readonly requests: Flow;
  private readonly replies: Flow;
  private head = Buffer.alloc(0);
  private lostReplies = false;
  ended = false;

  constructor(
    private readonly link: TcpLink,
    private readonly down: Socket,
  ) {
    this.up = connect({ port: link.target, host: link.host, noDelay: true });
    this.requests = new Flow(down, this.up, (chunk) => this.sniff(chunk));
    this.replies = new Flow(this.up, down, () => this.swallows());
    for (const socket of [down, this.up]) {
      socket.on('error', () => undefined);
      socket.on('close', () => this.end());
    }
    this.up.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') link.refused();
    });
    this.apply();
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    // A reset, not a farewell: whoever waits for an answer learns that none comes. Where a farewell is under way libuv refuses
    // the reset and keeps the socket, so that one is closed as it is.
    for (const socket of [this.down, this.up]) {
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.link.pairs.delete(this);
  }

  apply(): void {
    if (this.ended) return;
    const damages = this.link.damagesOf(this.peer);
    const held = (direction: 'requests' | 'replies'): boolean =>
      damages.some((it) => it.kind === 'hold' && (it.direction ?? 'both') !== other(direction));
    if (damages.some(({ kind }) => kind === 'refuse')) return this.end();
    if (this.lostReplies && !damages.some(({ kind }) => kind === 'swallow-replies')) return this.end();
    const delay = damages.reduce((sum, it) => sum + (it.kind === 'delay' ? it.ms : 0), 0);
    this.requests.set(held('requests'), delay);
    this.replies.set(held('replies'), delay);
  }

  /** Answers whether the chunk is dropped: requests never are. */
  private sniff(chunk: Buffer): boolean {
    if (this.head.length < SNIFF_BYTES) {
      this.head = Buffer.concat([this.head, chunk]).subarray(0, SNIFF_BYTES);
      const peer = peerOf(this.head);
      if (peer.kind !== this.peer.kind) {
        this.peer = peer;
        this.apply();
      }
    }
    return false;
  }

  private swallows(): boolean {
    if (!this.link.damagesOf(this.peer).some(({ kind }) => kind === 'swallow-replies')) return false;
    this.link.swallowed++;
    return (this.lostReplies = true);
  }
}

const other = (direction: 'requests' | 'replies') => (direction === 'requests' ? 'replies' : 'requests');

function peerOf(head: Buffer): Peer {
  if (head.length >= SENDER_AT + SENDER_BYTES && head.subarray(0, 4).toString('latin1') === BUS_MAGIC)
    return { kind: 'node', id: head.subarray(SENDER_AT, SENDER_AT + SENDER_BYTES).toString('latin1') };
  const replica = /listening-port\r\n\$\d+\r\n(\d+)\r\n/i.exec(head.toString('latin1'));
  return replica ? { kind: 'replica', id: replica[1]! } : { kind: 'client' };
}

/** One direction of a connection. Keeps order whatever the delay; stops reading while the other side does not take more. */
class Flow {
  private held = false;
  private delay = 0;
  private readonly queue: { at: number; chunk: Buffer | undefined }[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    drops: (chunk: Buffer) => boolean,
  ) {
    from.on('data', (chunk: Buffer) => {
      if (drops(chunk)) return;
      this.queue.push({ at: Date.now() + this.delay, chunk });
      this.pump();
    });
    from.on('end', () => {
      this.queue.push({ at: Date.now() + this.delay, chunk: undefined });
      this.pump();
    });
    to.on('drain', () => this.pump());
  }

  set(held: boolean, delay: number): void {
    this.held = held;
    this.delay = delay;
    this.pump();
  }

  private pump(): void {
    while (!this.held && this.queue.length > 0 && !this.to.writableNeedDrain) {
      const wait = this.queue[0]!.at - Date.now();
      if (wait > 0) {
        this.timer ??= setTimeout(() => {
          this.timer = undefined;
          this.pump();
        }, wait);
        break;
      }
      const { chunk } = this.queue.shift()!;
      if (chunk) this.to.write(chunk);
      else this.to.end();
    }
    // A held cable takes no more than what is under way: the sender's buffers fill as they would.
    if (this.queue.length > 64 || this.to.writableNeedDrain) this.from.pause();
    else if (this.from.isPaused()) this.from.resume();
  }
}
