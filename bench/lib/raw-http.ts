/**
 * The least HTTP client that can measure: prepared bytes out, status and length in, one request at a time on a connection.
 * Full clients cost more than the server they are pointed at, and on one machine that is measured as the server's slowness.
 */
import { connect, type Socket } from 'node:net';

export interface RawResponse {
  readonly status: number;
  readonly head: string;
  body(): string;
}

type Done = (response: RawResponse | undefined) => void;

const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH = 'content-length: ';

export class RawConnection {
  /** A request is under way. */
  busy = false;
  private socket: Socket | undefined;
  private rest: Buffer | undefined;
  private done: Done | undefined;
  private closed = false;

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: this.host, port: this.port, noDelay: true });
      this.socket = socket;
      socket.once('connect', resolve);
      socket.once('error', reject);
      socket.on('data', (chunk) => this.received(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => this.lost());
    });
  }

  /** `done` hears the answer, or undefined when the connection ended first. */
  send(bytes: string | Buffer, done: Done): void {
    this.busy = true;
    this.done = done;
    if (typeof bytes === 'string') this.socket!.write(bytes, 'latin1');
    else this.socket!.write(bytes);
  }

  close(): void {
    this.closed = true;
    this.socket?.destroy();
  }

  private lost(): void {
    const { done } = this;
    this.done = undefined;
    this.rest = undefined;
    if (!this.closed) {
      // Opened again, so that the load stays what it is meant to be; until then it counts as busy.
      this.busy = true;
      this.open().then(
        () => (this.busy = false),
        () => (this.closed = true),
      );
    }
    done?.(undefined);
  }

  private received(chunk: Buffer): void {
    const bytes = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) {
      this.rest = bytes;
      return;
    }
    const head = bytes.toString('latin1', 0, end);
    const total = end + 4 + lengthIn(head);
    if (bytes.length < total) {
      this.rest = bytes;
      return;
    }
    this.rest = undefined;
    this.busy = false;
    const { done } = this;
    this.done = undefined;
    done?.({ status: Number(head.slice(9, 12)), head, body: () => bytes.toString('latin1', end + 4, total) });
  }
}

function lengthIn(head: string): number {
  let at = head.indexOf('Content-Length: ');
  if (at < 0) at = head.toLowerCase().indexOf(LENGTH);
  if (at < 0) return 0;
  const from = at + LENGTH.length;
  const to = head.indexOf('\r\n', from);
  return Number(head.slice(from, to < 0 ? undefined : to));
}

export interface PreparedRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Latin1: binary bodies survive as they are. */
  readonly body?: string;
}

export function requestBytes({ method, path, headers, body = '' }: PreparedRequest): string {
  let out = `${method} ${path} HTTP/1.1\r\nHost: bench\r\n`;
  for (const [name, value] of Object.entries(headers)) out += `${name}: ${value}\r\n`;
  if (method !== 'GET') out += `Content-Length: ${body.length}\r\n`;
  return `${out}\r\n${body}`;
}
