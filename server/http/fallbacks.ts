/** Addresses nobody has, and methods an address does not have. */
import type { TemplatedApp } from 'uWebSockets.js';
import { problem } from './problems.js';
import { route, type Route } from './route.js';
import type { Service } from './serve.js';

export function mountFallbacks(app: TemplatedApp, service: Service, routes: readonly Route[]): void {
  const methods = new Map<string, string[]>();
  for (const { path, method } of routes) {
    const names = method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()];
    methods.set(path, [...(methods.get(path) ?? []), ...names]);
  }
  for (const [path, allowed] of methods) {
    service.mountAny(app, {
      ...fallback(path, () => {
        throw problem('method_not_allowed', `This takes ${allowed.join(', ')}.`, undefined, [
          ['Allow', allowed.join(', ')],
        ]);
      }),
    });
  }
  service.mountAny(
    app,
    fallback('/*', () => {
      throw problem('not_found');
    }),
  );
}

/** Parameters are not looked at: what the address is like does not matter any more. */
function fallback(path: string, handle: () => never): Route {
  return {
    ...route({
      method: 'get',
      path,
      operationId: 'fallback',
      tag: 'Operations',
      summary: '',
      access: 'public',
      answers: {},
      handle,
    }),
    params: [],
    query: undefined,
  };
}
