/** The client in a real browser: the modules as `tsc` writes them, no bundler, nothing of Node. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';
import t from 'tap';
import { projectRoot } from '../../stack/project.js';
import { LOCATION, startScene, token } from './support.js';

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
const root = projectRoot();

/** Every module the client reaches, and the packages among them. */
function reached(entry: string): { modules: Set<string>; packages: Set<string> } {
  const modules = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (modules.has(path)) return;
    modules.add(path);
    for (const [, kind, from] of readFileSync(join(root, path), 'utf8').matchAll(
      /^(?:import|export)( type)? [^;]*?from '([^']+)'/gms,
    )) {
      if (kind !== undefined) continue;
      if (from!.startsWith('.')) visit(normalize(join(dirname(path), from!)).replace(/\.js$/, '.ts'));
      else packages.add(from!);
    }
  };
  visit(entry);
  return { modules, packages };
}

await t.test('the client reaches no module of Node', async (t) => {
  const { modules, packages } = reached('client/index.ts');
  t.ok(modules.has('client/link.ts') && modules.has('engine/partitions.ts') && modules.has('wire/stream.ts'));
  t.same([...packages], ['msgpackr']);
  t.same(
    [...modules].filter((path) => path.startsWith('server/')),
    [],
  );
});

const skip = executablePath === undefined && `no Chromium at ${BROWSERS.join(', ')}: install it, or set CHROMIUM`;
await t.test('it sells and follows stock from a page', { skip }, async (t) => {
  const out = mkdtempSync(join(tmpdir(), 'holdfast-client-'));
  t.teardown(() => rmSync(out, { recursive: true, force: true }));
  // Only these files, whatever the state of the rest of the tree.
  const flags = ['--outDir', out, '--rootDir', root, '--target', 'ES2022', '--module', 'NodeNext', '--skipLibCheck'];
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, ...flags, '--types', 'node', join(root, 'client/index.ts')], { cwd: root });

  const scene = await startScene();
  const sku = await scene.item(10);
  const given = { url: scene.url, token: await token('service'), item: { location: LOCATION, sku } };
  const page = `<!doctype html><script type="importmap">{"imports":{"msgpackr":"/msgpackr/index.js"}}</script>
    <script type="module">
      import { connect } from '/client/index.js';
      const { url, token, item } = ${JSON.stringify(given)};
      try {
        const client = await connect({ url, token });
        await client.subscribe([item]);
        const before = client.replica.get(item.location, item.sku).available;
        const calls = Array.from({ length: 12 }, () => client.reserve({ lines: [{ ...item, quantity: 1 }] }));
        const codes = (await Promise.allSettled(calls)).map((c) => (c.status === 'fulfilled' ? 'held' : c.reason.code));
        const live = client.replica.get(item.location, item.sku);
        while (live.available > 0) await new Promise((resolve) => setTimeout(resolve, 5));
        window.result = { before, codes, reserved: live.reserved, stale: client.replica.staleMs(live) < 60000 };
        client.close();
      } catch (error) {
        window.result = { error: String(error) };
      }
    </script>`;
  const files = createServer((request, response) => {
    const path = normalize(new URL(request.url!, 'http://x').pathname);
    const file = path.startsWith('/msgpackr/') ? join(root, 'node_modules', path) : join(out, path);
    const known = path === '/' || existsSync(file);
    response.writeHead(known ? 200 : 404, { 'content-type': path === '/' ? 'text/html' : 'text/javascript' });
    response.end(path === '/' ? page : known ? readFileSync(file) : '');
  });
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage();
    const errors: string[] = [];
    tab.on('pageerror', (error) => errors.push(error.message));
    await tab.goto(`http://127.0.0.1:${(files.address() as AddressInfo).port}/`);
    const found = await tab.waitForFunction('window.result', undefined, { timeout: 60_000 });
    const result = (await found.jsonValue()) as { codes: string[] };
    t.same(errors, []);
    t.match(result, { before: 10, reserved: 10, stale: true });
    t.equal(result.codes.filter((code) => code === 'held').length, 10);
    t.equal(result.codes.filter((code) => code === 'insufficient_stock').length, 2);
  } finally {
    await browser.close();
    files.close();
    files.closeAllConnections();
  }
});
