import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type Dispatcher } from 'undici';
import type { Figures, Kind } from './figures.js';

export interface Call {
  kind: Kind;
  method: 'GET' | 'POST';
  path: string;
  token?: string;
  body?: unknown;
  /** Idempotency-Key: the same for every repetition of the call. */
  key?: string;
}

export interface Answer<T> {
  status: number;
  /** Code of the problem, empty where there is none. */
  code: string;
  body: T;
}

/** A buyer was left without a definite answer, or got one that nobody should get. */
export class Unexpected extends Error {
  override readonly name = 'Unexpected';
}

/** Statuses after which the same call is made again, by the same id or key. */
const REPEATED = new Set([408, 429, 502, 503, 504]);
const ANSWER_MS = 15_000;
/** A buyer is told something definite within this time, or the demo has failed. */
const GIVE_UP_MS = 60_000;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;

interface Raw {
  status: number;
  text: string;
}

/**
 * A number of keep-alive connections to the shop, one request at a time on each; who finds none free waits in line.
 * Nothing is ever sent again without being counted.
 */
export class Shop {
  private readonly pool: Pool;

  constructor(
    url: string,
    sockets: number,
    private readonly figures: Figures,
    private readonly signal?: AbortSignal,
  ) {
    this.pool = new Pool(url, {
      connections: sockets,
      pipelining: 1,
      headersTimeout: ANSWER_MS,
      bodyTimeout: ANSWER_MS,
      connect: { timeout: ANSWER_MS },
    });
  }

  /**
   * Asks until the answer is definite. Refusals are answers; what they mean is the caller's to judge.
   * @throws Unexpected when there was none in time, or the server failed (5xx other than those that ask for a repetition)
   */
  async call<T>(call: Call): Promise<Answer<T>> {
    const until = performance.now() + GIVE_UP_MS;
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      this.signal?.throwIfAborted();
      const found = await this.once<T>(call);
      if (typeof found !== 'string') return found;
      this.figures.repeated.add(found);
      if (performance.now() + wait > until) throw new Unexpected(`${call.kind}: no definite answer, last ${found}`);
      // Spread, so that those who were turned away together do not come back together.
      await sleep(wait * (0.5 + Math.random()), undefined, { signal: this.signal });
    }
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }

  /** One try: an answer, or what was in its way. */
  private async once<T>(call: Call): Promise<Answer<T> | string> {
    let raw: Raw;
    try {
      raw = await this.send(call);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return `connection ${code ?? message}`;
    }
    const body = (raw.text === '' ? {} : JSON.parse(raw.text)) as T & { code?: string };
    const code = raw.status >= 400 ? (body.code ?? '') : '';
    if (REPEATED.has(raw.status) || code === 'idempotency_in_flight') return `${raw.status} ${code}`.trim();
    if (raw.status >= 500) throw new Unexpected(`${call.kind}: ${raw.status} ${code}`);
    return { status: raw.status, code, body };
  }

  private send({ kind, method, path, token, body, key }: Call): Promise<Raw> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (token !== undefined) headers.authorization = token;
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (key !== undefined) headers['idempotency-key'] = key;
    const options: Dispatcher.DispatchOptions = { method, path, headers };
    if (body !== undefined) options.body = JSON.stringify(body);
    return new Promise((resolve, reject) => {
      let startedAt = 0;
      let status = 0;
      const chunks: Buffer[] = [];
      this.pool.dispatch(options, {
        // Called when a connection is free and the request is about to be written: waiting for that is not the server's time.
        onRequestStart: () => void (startedAt = performance.now()),
        onResponseStart: (_controller, code) => void (status = code),
        onResponseData: (_controller, chunk) => void chunks.push(chunk),
        onResponseEnd: () => {
          this.figures.answered(kind, startedAt);
          resolve({ status, text: (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString() });
        },
        onResponseError: (_controller, error) => reject(error),
      });
    });
  }
}
