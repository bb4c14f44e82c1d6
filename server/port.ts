/** A port with routes on it. */
import uWS, { type TemplatedApp } from 'uWebSockets.js';
import { mountFallbacks } from './http/fallbacks.js';
import type { Route } from './http/route.js';
import type { Service } from './http/serve.js';

export interface OpenPort {
  /** The one asked for, or the one that was free. */
  readonly number: number;
  /** No new connections; those that are open go on. */
  closeToNew(): void;
  /** Cuts what is still open. */
  close(): void;
}

/**
 * Several processes may listen on one port: the kernel spreads the connections (SO_REUSEPORT).
 * @throws when something else listens there
 */
export function openPort(
  service: Service,
  routes: readonly Route[],
  host: string,
  port: number,
  more?: (app: TemplatedApp) => void,
): Promise<OpenPort> {
  const app = uWS.App();
  more?.(app);
  for (const route of routes) service.mount(app, route);
  mountFallbacks(app, service, routes);
  return new Promise((resolve, reject) => {
    app.listen(host, port, (socket) => {
      if (socket === false) {
        reject(new Error(`Cannot listen on ${host}:${port}. Is the port taken?`));
        return;
      }
      let listening = true;
      const closeToNew = (): void => {
        if (listening) uWS.us_listen_socket_close(socket);
        listening = false;
      };
      const close = (): void => {
        closeToNew();
        // The method is there, its type is not.
        (app as unknown as { close(): void }).close();
      };
      resolve({ number: uWS.us_socket_local_port(socket), closeToNew, close });
    });
  });
}
