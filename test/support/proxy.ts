/** A TCP proxy in front of one Redis node that can swallow replies: what a cut link looks like to a client. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { atEnd } from '../harness/index.js';

export interface Proxy {
  readonly port: number;
  /** From now on requests pass and replies do not. */
  swallowReplies(): void;
  /** New connections are refused from now on; those that there are stay. */
  refuse(): void;
  /** Ends all connections and lets new ones pass normally. */
  cut(): void;
  /** Connections that had a request while replies were swallowed. */
  readonly swallowed: number;
}

export async function startProxy(target: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let swallow = false;
  let swallowed = 0;
  const server = createServer((client) => {
    const node = connect(target, '127.0.0.1');
    for (const socket of [client, node]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        node.destroy();
      });
    }
    client.on('data', (data) => node.write(data));
    node.on('data', (data) => {
      if (swallow) swallowed++;
      else client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    swallow = false;
    for (const socket of sockets) socket.destroy();
  };
  atEnd(async () => {
    cut();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as AddressInfo).port,
    swallowReplies: () => {
      swallow = true;
      swallowed = 0;
    },
    cut,
    refuse: () => void server.close(),
    get swallowed() {
      return swallowed;
    },
  };
}
