/** The WebSocket of wherever this runs. */

export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/** @throws where there is none: Node 20 without the package `undici` */
export async function defaultSocket(): Promise<SocketConstructor> {
  const own = (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
  if (own !== undefined) return own;
  // A variable keeps bundlers for browsers from looking for it.
  const name = 'undici';
  const { WebSocket } = (await import(name)) as { WebSocket: SocketConstructor };
  return WebSocket;
}

const PATH = '/v1/stream';

export function streamUrl(text: string): string {
  const url = new URL(text);
  url.protocol = url.protocol.replace('http', 'ws');
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw new TypeError(`not an address of a server: ${text}`);
  if (url.pathname === '/' || url.pathname === '') url.pathname = PATH;
  url.hash = '';
  return url.href;
}

/** Runs `work` when this turn of the event loop is over: calls made in one turn leave in one frame. */
export const afterTurn: (work: () => void) => void = makeAfterTurn();

function makeAfterTurn(): (work: () => void) => void {
  const scope = globalThis as { setImmediate?: (work: () => void) => void; MessageChannel?: typeof MessageChannel };
  const { setImmediate, MessageChannel: Channel } = scope;
  if (typeof setImmediate === 'function') return (work) => setImmediate(work);
  if (Channel === undefined) return (work) => void setTimeout(work, 0);
  // Timers of browsers wait for milliseconds, and for a second in a tab that is not seen; messages do not.
  const queue: (() => void)[] = [];
  const channel = new Channel();
  (channel.port1 as unknown as { onmessage: () => void }).onmessage = () => queue.shift()?.();
  return (work) => {
    queue.push(work);
    channel.port2.postMessage(0);
  };
}
