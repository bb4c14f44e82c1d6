/** A WebSocket by hand: it sends what no client would, and reads only when it is told to. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { pack, unpack } from 'msgpackr';
import { until } from './support.js';

export class Raw {
  /** Messages of all frames, in order. */
  readonly messages: unknown[][] = [];
  closed = false;
  closeCode: number | undefined;
  closeReason = '';
  head = '';
  private bytes = Buffer.alloc(0);

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    socket.on('close', () => (this.closed = true));
    socket.on('error', () => undefined);
  }

  /** Resolves with the answer's head; `upgraded` says whether it is a WebSocket now. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<Raw> {
    const { hostname, port } = new URL(url);
    const raw = new Raw(connect(Number(port), hostname));
    const lines = Object.entries({
      Host: hostname,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Version': '13',
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    raw.socket.write(`GET /v1/stream HTTP/1.1\r\n${lines.join('')}\r\n`);
    await until(() => raw.head !== '' || raw.closed, 'the handshake was answered');
    return raw;
  }

  get upgraded(): boolean {
    return this.head.startsWith('HTTP/1.1 101');
  }

  get status(): number {
    return Number(this.head.split(' ')[1]);
  }

  send(requests: unknown): void {
    this.frame(2, pack(requests));
  }

  frame(opcode: number, payload: Buffer): void {
    const { length } = payload;
    const header = length < 126 ? Buffer.alloc(2) : length < 65_536 ? Buffer.alloc(4) : Buffer.alloc(10);
    header[0] = 0x80 | opcode;
    if (length < 126) header[1] = 0x80 | length;
    else if (length < 65_536) header.writeUInt16BE(length, 2 + ((header[1] = 0xfe) & 0));
    else header.writeBigUInt64BE(BigInt(length), 2 + ((header[1] = 0xff) & 0));
    // A mask of zeros is a mask.
    this.socket.write(Buffer.concat([header, Buffer.alloc(4), payload]));
  }

  /** The answer to a request. */
  async answer(id: number): Promise<unknown[]> {
    await until(() => this.closed || this.messages.some(([first]) => first === id), `request ${id} was answered`);
    return this.messages.find(([first]) => first === id) ?? ['closed', this.closeCode, this.closeReason];
  }

  async end(): Promise<number | undefined> {
    await until(() => this.closed, 'the server closed the connection');
    return this.closeCode;
  }

  private received(chunk: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    if (this.head === '') {
      const at = this.bytes.indexOf('\r\n\r\n');
      if (at < 0) return;
      this.head = this.bytes.subarray(0, at).toString();
      this.bytes = this.bytes.subarray(at + 4);
      if (!this.upgraded) return;
    }
    while (this.upgraded && this.one());
  }

  private one(): boolean {
    const { bytes } = this;
    if (bytes.length < 2) return false;
    const short = bytes[1]! & 0x7f;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < header) return false;
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < header + length) return false;
    const payload = bytes.subarray(header, header + length);
    const opcode = bytes[0]! & 0x0f;
    if (opcode === 2) this.messages.push(...(unpack(payload) as unknown[][]));
    if (opcode === 8) {
      this.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.closeReason = payload.subarray(2).toString();
    }
    this.bytes = bytes.subarray(header + length);
    return true;
  }
}
