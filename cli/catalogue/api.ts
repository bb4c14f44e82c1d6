/** The HTTP calls that import and export make, with retries: the only file here that knows the network. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExportedItem } from './write.js';

/** Where a running stack answers and the admin token to use. */
export interface Target {
  url: string;
  token: string;
}

/** An item as the server knows it now, or undefined where it does not know it. */
export type LiveItem = { available: number; reserved: number } | undefined;

export interface ImportRow {
  location: string;
  sku: string;
  /** Units on the shelf: available + reserved. */
  countedTo: number;
  /** Line of the file: with the import's id it makes the movement's id, so that a repeated row counts once. */
  line: number;
  attributes?: Record<string, string>;
}

export interface ImportBatch {
  importId: string;
  reason: string;
  rows: ImportRow[];
}

/** What the server says of one row; `code` and `detail` where it refused it. */
export interface RowResult {
  status?: 'created' | 'adjusted' | 'unchanged' | 'rejected';
  code?: string;
  detail?: string;
}

/** An answer that no retry will change, or that stayed away through all of them. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    message: string,
    readonly status?: number,
    readonly code?: string,
  ) {
    super(message);
  }
}

export interface ApiOptions {
  /** Attempts of one call in all. */
  attempts?: number;
  /** Milliseconds before the second attempt; doubles up to 8 s. `Retry-After` goes before it. */
  backoffMs?: number;
  timeoutMs?: number;
  signal?: AbortSignal;
  onRetry?: (why: string, waitMs: number) => void;
}

interface Problem {
  code?: string;
  title?: string;
  detail?: string;
}

const RETRIED = new Set([408, 429, 500, 502, 503, 504]);
const MAX_WAIT_MS = 60_000;

export class Api {
  private readonly base: string;
  constructor(
    private readonly target: Target,
    private readonly options: ApiOptions = {},
  ) {
    this.base = target.url.replace(/\/+$/, '');
  }

  /** The items as they are now, in the order asked for; at most 500. */
  async query(items: [location: string, sku: string][]): Promise<LiveItem[]> {
    const body = await this.call<{ items: { available?: number; reserved?: number; code?: string }[] }>(
      'POST',
      '/v1/stock/query?fresh=true',
      { items },
    );
    if (!Array.isArray(body.items) || body.items.length !== items.length) {
      throw new ApiError(`POST /v1/stock/query answered ${body.items?.length} items for ${items.length}`);
    }
    return body.items.map((item) => {
      if (item.code === 'sku_not_found') return undefined;
      if (item.code !== undefined) throw new ApiError(`POST /v1/stock/query: ${item.code}`);
      return { available: Number(item.available), reserved: Number(item.reserved) };
    });
  }

  /** Sets the counts of at most 500 items; one result a row, in order. */
  async import(batch: ImportBatch, idempotencyKey: string): Promise<RowResult[]> {
    const body = await this.call<{ results: RowResult[] }>('POST', '/v1/stock/import', batch, idempotencyKey);
    if (!Array.isArray(body.results) || body.results.length !== batch.rows.length) {
      throw new ApiError(
        `POST /v1/stock/import answered ${body.results?.length} results for ${batch.rows.length} rows`,
      );
    }
    return body.results;
  }

  /** Every item, page by page. */
  async *exportItems(limit = 500): AsyncGenerator<ExportedItem> {
    let after: string | undefined;
    for (;;) {
      const query = new URLSearchParams({ limit: String(limit), ...(after === undefined ? {} : { after }) });
      const path = `/v1/stock/export?${query.toString()}`;
      const page = await this.call<{ items: ExportedItem[]; next?: string | null }>('GET', path);
      yield* page.items;
      if (page.next === undefined || page.next === null || page.next === '') return;
      if (page.next === after) throw new ApiError('GET /v1/stock/export repeats its page');
      after = page.next;
    }
  }

  /** One call with its retries. Safe to repeat: reads change nothing, writes carry an idempotency key and movement ids. */
  private async call<T>(method: string, path: string, body?: unknown, idempotencyKey?: string): Promise<T> {
    const attempts = this.options.attempts ?? 8;
    let backoff = this.options.backoffMs ?? 250;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.once<T>(method, path, body, idempotencyKey);
      if ('value' in outcome) return outcome.value;
      if (!outcome.retry || attempt >= attempts) throw outcome.error;
      const wait = Math.min(outcome.retryAfterMs ?? backoff, MAX_WAIT_MS);
      backoff = Math.min(backoff * 2, 8_000);
      this.options.onRetry?.(outcome.error.message, wait);
      await sleep(wait, undefined, this.options.signal ? { signal: this.options.signal } : {});
    }
  }

  private async once<T>(
    method: string,
    path: string,
    body: unknown,
    idempotencyKey: string | undefined,
  ): Promise<{ value: T } | { error: ApiError; retry: boolean; retryAfterMs?: number }> {
    const what = `${method} ${path.split('?')[0]}`;
    const timeout = AbortSignal.timeout(this.options.timeoutMs ?? 30_000);
    const signal = this.options.signal ? AbortSignal.any([timeout, this.options.signal]) : timeout;
    try {
      const response = await fetch(this.base + path, {
        method,
        signal,
        headers: {
          authorization: `Bearer ${this.target.token}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (response.ok) return { value: (await response.json()) as T };
      const problem = await problemOf(response);
      const retry = RETRIED.has(response.status) || problem.code === 'idempotency_in_flight';
      const retryAfterMs = retryAfter(response.headers.get('retry-after'));
      return {
        error: explain(what, response.status, problem),
        retry,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      };
    } catch (error) {
      if (this.options.signal?.aborted) throw new ApiError('interrupted');
      const cause = (error as { cause?: { code?: string; message?: string } }).cause;
      const why = timeout.aborted ? 'no answer in time' : (cause?.code ?? cause?.message ?? (error as Error).message);
      return { error: new ApiError(`${what} at ${this.base}: ${why}`), retry: true };
    }
  }
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return {};
  }
}

function explain(what: string, status: number, problem: Problem): ApiError {
  const said = problem.detail ?? problem.title ?? '';
  const hint = status === 401 || status === 403 ? ' An admin token is needed: ./holdfast token --role admin.' : '';
  const text = [`${what}: ${status}`, problem.code, said]
    .filter((part) => part !== undefined && part !== '')
    .join(' – ');
  return new ApiError(text + (hint ? `.${hint}` : ''), status, problem.code);
}

/** `Retry-After` in seconds or as a date → milliseconds. */
export function retryAfter(header: string | null, now = Date.now()): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
