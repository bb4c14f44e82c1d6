import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { ImportBatch } from '../../../cli/catalogue/api.js';

interface Item {
  available: number;
  reserved: number;
  attributes?: Record<string, string>;
}

/** The stock routes that import and export call, over real HTTP, with counts in memory and faults on demand. */
export class TinyStock {
  readonly items = new Map<string, Item>();
  readonly imports: ImportBatch[] = [];
  readonly keys: string[] = [];
  private readonly replies = new Map<string, object>();
  calls = 0;
  atOnce = 0;
  mostAtOnce = 0;
  /** Answers instead of work, taken first to last. */
  readonly faults: {
    path: string;
    status: number;
    headers?: Record<string, string>;
    body?: object;
    drop?: boolean;
    afterWork?: boolean;
  }[] = [];
  url = '';
  private readonly server = createServer((request, response) => void this.answer(request, response));

  async start(t: Test): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    t.teardown(() => {
      this.server.closeAllConnections();
      this.server.close();
    });
    return this;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.calls++;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const url = new URL(request.url ?? '', this.url);
    const send = (status: number, body: object, headers = {}): void => {
      this.atOnce--;
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    };
    if (request.headers.authorization !== 'Bearer right')
      return send(401, { code: 'unauthenticated', detail: 'no token' });
    const fault = this.faults[0]?.path === url.pathname ? this.faults.shift() : undefined;
    if (fault && !fault.afterWork) {
      if (!fault.drop) return send(fault.status, fault.body ?? {}, fault.headers);
      this.atOnce--;
      return void request.socket.destroy();
    }
    const body = parts.length > 0 ? (JSON.parse(Buffer.concat(parts).toString()) as unknown) : undefined;
    const done = this.work(url, body, String(request.headers['idempotency-key']));
    if (fault?.afterWork) {
      this.atOnce--;
      return void request.socket.destroy();
    }
    send(200, done);
  }

  private work(url: URL, body: unknown, key: string): object {
    if (url.pathname === '/v1/stock/query') {
      const { items } = body as { items: [string, string][] };
      return { items: items.map((ref) => this.items.get(ref.join(':')) ?? { code: 'sku_not_found' }) };
    }
    if (url.pathname === '/v1/stock/export') {
      const all = [...this.items].sort(([a], [b]) => (a < b ? -1 : 1));
      const from = url.searchParams.get('after') ?? '';
      const page = all.filter(([ref]) => ref > from).slice(0, Number(url.searchParams.get('limit')));
      const next = page.length > 0 && page.at(-1)?.[0] !== all.at(-1)?.[0] ? page.at(-1)?.[0] : null;
      return {
        items: page.map(([ref, item]) => ({ location: ref.split(':')[0], sku: ref.split(':')[1], ...item })),
        next,
      };
    }
    const batch = body as ImportBatch;
    this.imports.push(batch);
    this.keys.push(key);
    const replayed = this.replies.get(key);
    if (replayed) return replayed;
    const results = batch.rows.map(({ location, sku, countedTo, attributes }) => {
      if (sku.startsWith('REFUSE')) return { status: 'rejected', code: 'stock_limit', detail: 'too many' };
      const before = this.items.get(`${location}:${sku}`);
      const reserved = before?.reserved ?? 0;
      this.items.set(`${location}:${sku}`, {
        available: countedTo - reserved,
        reserved,
        ...(attributes ? { attributes } : {}),
      });
      const same = before && before.available + reserved === countedTo;
      return { status: !before ? 'created' : same ? 'unchanged' : 'adjusted' };
    });
    this.replies.set(key, { results });
    return { results };
  }
}

/** A folder for this test; answers the path of a file in it, written where a text is given. */
export function scratch(t: Test): (name: string, text?: string) => string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-import-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return (name, text) => {
    if (text !== undefined) writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
}
