/**
 * Load on /v1/stream: a process of its own, told by JSON on its standard input. Closed loop: so many frames of so many requests
 * are under way on every connection; a frame is sent again when all its requests are answered.
 */
import { Packr, unpack } from 'msgpackr';
import { WebSocket } from 'undici';
import { DONE, OP, PUSH, SUBPROTOCOL, TOKEN_PREFIX } from '../../wire/stream.js';
import { encode, histogram, record } from './histogram.js';

export interface StreamOptions {
  readonly url: string;
  readonly token: string;
  readonly connections: number;
  /** Frames under way on a connection. */
  readonly frames: number;
  readonly requestsPerFrame: number;
  /** `location:sku` of items to declare. */
  readonly items: readonly string[];
  /** reserve: one unit of the first item a request; stock: the counts of all items a request. */
  readonly operation: 'reserve' | 'stock';
  readonly warmupMs: number;
  readonly durationMs: number;
}

export interface StreamResult {
  readonly answers: number;
  readonly seconds: number;
  /** From the first request on. */
  readonly done: number;
  readonly failed: Record<string, number>;
  /** Of whole frames, HDR. */
  readonly latency: string;
  readonly cpuSeconds: number;
}

const DRAIN_MS = 5_000;
const packr = new Packr({ useRecords: false });

interface Slot {
  left: number;
  sentAt: number;
  readonly bytes: Uint8Array;
}

class Load {
  private readonly latency = histogram();
  private readonly failed: Record<string, number> = {};
  private done = 0;
  private answers = 0;
  private underWay = 0;
  private readonly from: number;
  private readonly until: number;
  private readonly sockets: WebSocket[] = [];

  constructor(private readonly options: StreamOptions) {
    this.from = performance.now() + options.warmupMs;
    this.until = this.from + options.durationMs;
  }

  async run(): Promise<StreamResult> {
    const { connections, durationMs } = this.options;
    await Promise.all(Array.from({ length: connections }, () => this.open()));
    await pause(this.until - performance.now());
    const patience = performance.now() + DRAIN_MS;
    while (this.underWay > 0 && performance.now() < patience) await pause(5);
    if (this.underWay > 0) this.failed['unanswered'] = this.underWay;
    for (const socket of this.sockets) socket.close();
    const { user, system } = process.cpuUsage();
    const { answers, done, failed } = this;
    const latency = encode(this.latency);
    return { answers, seconds: durationMs / 1_000, done, failed, latency, cpuSeconds: (user + system) / 1e6 };
  }

  private async open(): Promise<void> {
    const { url, token, items } = this.options;
    const socket = new WebSocket(url, [SUBPROTOCOL, `${TOKEN_PREFIX}${token}`]);
    socket.binaryType = 'arraybuffer';
    this.sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`no connection to ${url}`));
    });
    socket.onclose = () => (this.failed['closed'] = (this.failed['closed'] ?? 0) + 1);
    socket.send(packr.pack([[OP.items, 0, 0, items]]));
    const slots = Array.from({ length: this.options.frames }, (_, index) => this.slot(index));
    socket.onmessage = ({ data }: { data: unknown }) => this.received(socket, slots, data as ArrayBuffer);
    for (const slot of slots) this.send(socket, slot);
  }

  /** The same bytes every time: a request without an id is a new reservation, and the numbers of requests may be used again. */
  private slot(index: number): Slot {
    const { requestsPerFrame, operation, items } = this.options;
    const numbers = items.map((_, number) => number);
    const requests = Array.from({ length: requestsPerFrame }, (_, n) => {
      const id = 1 + index * requestsPerFrame + n;
      return operation === 'reserve' ? [OP.reserve, id, null, [0, 1], `buyer-${id}`] : [OP.stock, id, numbers];
    });
    return { left: 0, sentAt: 0, bytes: packr.pack(requests) };
  }

  private send(socket: WebSocket, slot: Slot): void {
    slot.left = this.options.requestsPerFrame;
    slot.sentAt = performance.now();
    this.underWay += slot.left;
    socket.send(slot.bytes);
  }

  private received(socket: WebSocket, slots: readonly Slot[], data: ArrayBuffer): void {
    const messages = unpack(new Uint8Array(data)) as unknown[][];
    const now = performance.now();
    for (const message of messages) {
      const id = message[0] as number;
      if (id === PUSH.goodbye) this.failed[`goodbye ${String(message[1])}`] = 1;
      if (id <= 0) continue;
      this.underWay--;
      if (message[1] === DONE) this.done++;
      else this.failed[String(message[1])] = (this.failed[String(message[1])] ?? 0) + 1;
      const slot = slots[Math.floor((id - 1) / this.options.requestsPerFrame)]!;
      const measured = slot.sentAt >= this.from && now < this.until;
      if (now >= this.from && now < this.until) this.answers++;
      if (--slot.left > 0) continue;
      if (measured) record(this.latency, now - slot.sentAt);
      if (now < this.until) this.send(socket, slot);
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

let text = '';
for await (const chunk of process.stdin) text += String(chunk);
const result = await new Load(JSON.parse(text) as StreamOptions).run();
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
