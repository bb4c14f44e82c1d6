import { createServer } from 'node:net';
import { claimPort } from './port-claims.js';

/**
 * Ports are picked below the range that Linux and macOS hand out for outgoing connections (32768 and up), so that a port saved
 * for the next start is not taken meanwhile by some connection that happens to leave this machine.
 */
const LOWEST = 20_000;
const HIGHEST = 32_000;
const ATTEMPTS = 500;

/** True when nothing listens on the port of that address and we may. */
export function portIsFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/**
 * Finds `count` different free ports and claims them until this process ends: no other that looks here is given one of them.
 * Other programs may still take one before it is used: who starts a server on them must be ready to try again with others.
 */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const found = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS && found.size < count; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (!found.has(port) && (await portIsFree(port, host)) && claimPort(port)) found.add(port);
  }
  if (found.size < count) throw new Error(`No ${count} free ports between ${LOWEST} and ${HIGHEST} on ${host}.`);
  return [...found];
}

export async function freePort(host = '127.0.0.1'): Promise<number> {
  const [port] = await freePorts(1, host);
  return port!;
}
