/** What drivers over HTTP share: a stack, an engine beside it for set-up and audit, and requests as bytes. */
import { openEngine } from '../../engine/index.js';
import type { Engine, ItemRef } from '../../engine/types.js';
import type { BenchStack } from './bed.js';
import type { PreparedRequest } from './raw-http.js';

/** An engine on the stack's Redis that leaves recovery to the workers. */
export async function engineOf(stack: BenchStack): Promise<Engine> {
  const engine = await openEngine({ redis: stack.redisUrl, recovery: 'external', ack: 'executed', timeoutMs: 30_000 });
  await engine.ready(60_000);
  return engine;
}

export function get(path: string, headers: Record<string, string> = {}): PreparedRequest {
  return { method: 'GET', path, headers };
}

export function post(stack: BenchStack, path: string, body: unknown): PreparedRequest {
  return {
    method: 'POST',
    path,
    headers: { Authorization: stack.authorization, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  };
}

/** No id in it: every request is a new reservation. */
export function reserveRequest(stack: BenchStack, item: ItemRef, buyerId = 'buyer-000001'): PreparedRequest {
  return post(stack, '/v1/reservations', { lines: [{ ...item, quantity: 1 }], buyerId });
}

export const HOST = '127.0.0.1';

/** Answers of a route by status, as the server counts them; 0: the client went away first. */
export async function answersOf(stack: BenchStack, path: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${stack.url}/metrics`)).text();
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('holdfast_http_requests_total{') || !line.includes(`route="${path}"`)) continue;
    const status = /status="(\d+)"/.exec(line)?.[1] ?? '?';
    counts.set(status, (counts.get(status) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  return counts;
}
