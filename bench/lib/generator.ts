/**
 * The load generator: a process of its own, told by JSON on its standard input, answering with one JSON line.
 *
 * Open loop: arrivals come at their intended times whatever the server does, and latency counts from the intended time. A
 * server that stalls is so charged for every request that would have come meanwhile, not just for one (no coordinated omission).
 * Closed loop: every connection sends its next request when it has the answer to the last; that finds the capacity.
 */
import { encode, histogram, record } from './histogram.js';
import { type PreparedRequest, RawConnection, type RawResponse, requestBytes } from './raw-http.js';

export interface GeneratorOptions {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Taken in turn. */
  readonly requests: readonly PreparedRequest[];
  /** Arrivals a second; absent: closed loop. */
  readonly rate?: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** After a 201: this path with `{id}` replaced is posted to as well; latencies are kept apart. */
  readonly then?: PreparedRequest;
}

export interface GeneratorResult {
  /** Answers by status within the measured time; 0: the connection ended first. */
  readonly statuses: Record<string, number>;
  /** The same from the first request to the last, warm-up included: what the server must agree with. */
  readonly all: Record<string, number>;
  readonly thenStatuses: Record<string, number>;
  readonly thenAll: Record<string, number>;
  /** 503 without Retry-After. */
  readonly withoutRetryAfter: number;
  /** Arrivals that were never sent, because all connections were taken to the end. */
  readonly unsent: number;
  readonly seconds: number;
  /** HDR, microseconds, compressed base64: requests that were accepted (2xx), refused (503), and the follow-ups. */
  readonly accepted: string;
  readonly refused: string;
  readonly followed: string;
  readonly cpuSeconds: number;
}

const DRAIN_MS = 5_000;
const TICK_MS = 1;

class Generator {
  private readonly connections: RawConnection[] = [];
  private readonly free: RawConnection[] = [];
  private readonly bytes: string[];
  private readonly result = { statuses: {}, all: {}, thenStatuses: {}, thenAll: {}, withoutRetryAfter: 0, unsent: 0 };
  private readonly accepted = histogram();
  private readonly refused = histogram();
  private readonly followed = histogram();
  /** Intended times of arrivals that wait for a connection. */
  private waiting: number[] = [];
  private head = 0;
  private turn = 0;
  private underWay = 0;
  private measureFrom = 0;
  private until = 0;

  constructor(private readonly options: GeneratorOptions) {
    this.bytes = options.requests.map(requestBytes);
  }

  async run(): Promise<GeneratorResult> {
    const { host, port, connections, rate, warmupMs, durationMs } = this.options;
    for (let i = 0; i < connections; i++) this.connections.push(new RawConnection(host, port));
    await Promise.all(this.connections.map((connection) => connection.open()));
    const startedAt = performance.now();
    this.measureFrom = startedAt + warmupMs;
    this.until = this.measureFrom + durationMs;
    if (rate === undefined) for (const connection of this.connections) this.send(connection, performance.now());
    else await this.arrive(rate, startedAt);
    while (performance.now() < this.until) await pause(20);
    const drained = performance.now() + DRAIN_MS;
    while ((this.underWay > 0 || this.pending > 0) && performance.now() < drained) await pause(5);
    for (const connection of this.connections) connection.close();
    const { user, system } = process.cpuUsage();
    return {
      ...this.result,
      unsent: this.pending,
      seconds: durationMs / 1_000,
      accepted: encode(this.accepted),
      refused: encode(this.refused),
      followed: encode(this.followed),
      cpuSeconds: (user + system) / 1e6,
    };
  }

  private get pending(): number {
    return this.waiting.length - this.head;
  }

  private async arrive(rate: number, startedAt: number): Promise<void> {
    this.free.push(...this.connections);
    const gap = 1_000 / rate;
    let arrivals = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const now = Math.min(performance.now(), this.until);
        for (let at = startedAt + arrivals * gap; at <= now; at = startedAt + ++arrivals * gap) this.waiting.push(at);
        this.dispatch();
        if (now < this.until) return;
        clearInterval(timer);
        resolve();
      }, TICK_MS);
    });
  }

  private dispatch(): void {
    while (this.head < this.waiting.length) {
      const connection = this.free.pop();
      if (!connection) return;
      this.send(connection, this.waiting[this.head++]!);
    }
    this.waiting = [];
    this.head = 0;
  }

  private send(connection: RawConnection, intended: number): void {
    this.underWay++;
    connection.send(this.bytes[this.turn++ % this.bytes.length]!, (response) => {
      this.underWay--;
      const now = performance.now();
      const { status, measured } = this.count(this.result.all, this.result.statuses, response, intended);
      if (measured && status >= 200 && status < 300) record(this.accepted, now - intended);
      else if (measured && status === 503) record(this.refused, now - intended);
      if (status === 503 && !response!.head.includes('Retry-After')) this.result.withoutRetryAfter++;
      const { then } = this.options;
      if (then && status === 201) this.follow(connection, then, response!, now);
      else this.next(connection);
    });
  }

  private follow(connection: RawConnection, then: PreparedRequest, response: RawResponse, intended: number): void {
    const id = /"reservationId":"([^"]+)"/.exec(response.body())?.[1] ?? 'missing';
    this.underWay++;
    connection.send(requestBytes({ ...then, path: then.path.replace('{id}', id) }), (answer) => {
      this.underWay--;
      const { status, measured } = this.count(this.result.thenAll, this.result.thenStatuses, answer, intended);
      if (measured && status === 200) record(this.followed, performance.now() - intended);
      this.next(connection);
    });
  }

  private count(
    all: Record<string, number>,
    within: Record<string, number>,
    response: RawResponse | undefined,
    intended: number,
  ): { status: number; measured: boolean } {
    const status = response?.status ?? 0;
    const measured = intended >= this.measureFrom && intended < this.until;
    all[status] = (all[status] ?? 0) + 1;
    if (measured) within[status] = (within[status] ?? 0) + 1;
    return { status, measured };
  }

  private next(connection: RawConnection): void {
    if (connection.busy) {
      // It is being opened again.
      setTimeout(() => this.next(connection), 5);
      return;
    }
    if (this.options.rate === undefined) {
      if (performance.now() < this.until) this.send(connection, performance.now());
    } else if (this.head < this.waiting.length) this.send(connection, this.waiting[this.head++]!);
    else this.free.push(connection);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let text = '';
for await (const chunk of process.stdin) text += String(chunk);
const options = JSON.parse(text) as GeneratorOptions;
const result = await new Generator(options).run();
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
