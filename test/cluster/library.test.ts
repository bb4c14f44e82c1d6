/** The engine alone on a fresh cluster: the program in docs/engine.md does what the page says, and shows every call there is. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../../stack/project.js';
import { openEngine } from '../../engine/index.js';
import { startCluster, tempDir } from '../harness/index.js';

const page = readFileSync(join(projectRoot(), 'docs/engine.md'), 'utf8');
const program = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!).join('\n');
const expected = [...program.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, line]) => line!);

const cluster = await startCluster();

t.test('the program of docs/engine.md prints what the page says', async (t) => {
  t.ok(expected.length > 10, `${expected.length} lines`);
  t.equal(program.match(/console\.log/g)!.length, expected.length, 'every line that is printed says what');
  const { output, code } = await run(program);
  t.same(output.trimEnd().split('\n'), expected);
  t.equal(code, 0);
});

t.test('const engine = await openEngine({ redis }) is all it takes; every public call is on the page', async (t) => {
  const engine = await openEngine({ redis: cluster.url, prefix: 'alone' });
  await engine.ready();
  const item = { location: 'l', sku: 's' };
  await engine.stock.configure(item, {});
  await engine.stock.restock(item, { quantity: 3 });
  const held = await engine.reservations.reserve({ lines: [{ ...item, quantity: 2 }] });
  t.match(held, { status: 'ok', ack: 'replicated', value: { status: 'held' } });
  t.match(await engine.stock.check([item]), [{ available: 1, reserved: 2, sold: 0 }]);
  for (const domain of ['stock', 'reservations', 'partitions'] as const)
    for (const name of Object.keys(engine[domain]))
      t.match(program, new RegExp(`engine\\.${domain}\\.${name}\\b`), `${domain}.${name}`);
  for (const [name, value] of Object.entries(engine))
    if (typeof value === 'function') t.match(program, `engine.${name}(`, name);
  await engine.close();
  await t.rejects(engine.stock.check([item]), { code: 'engine_closed' });
});

/** Runs the program as a module of its own, in the form that this test has. */
async function run(source: string): Promise<{ output: string; code: number | null }> {
  const typescript = import.meta.url.endsWith('.ts');
  const engine = new URL(`../../engine/index.${typescript ? 'ts' : 'js'}`, import.meta.url).href;
  const file = join(tempDir(), 'program.mts');
  writeFileSync(file, source.replaceAll(`'holdfast'`, `'${engine}'`).replace('redis://localhost:7000', cluster.url));
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), file], {
    cwd: projectRoot(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { output, code };
}
