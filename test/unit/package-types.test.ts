/** What programs in TypeScript get when they import the package. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { projectRoot } from '../../stack/project.js';
import { tempDir } from '../harness/index.js';

const root = projectRoot();
const built = existsSync(join(root, 'dist/client/index.d.ts'));

const PROGRAM = `
import { connect, HoldfastError, type Reservation } from 'holdfast/client';
import { openEngine, type Engine } from 'holdfast';
const client = await connect({ url: 'http://localhost:8080', token: 'x' });
const held: Reservation = await client.reserve({ lines: [{ location: 'main', sku: 'lamp', quantity: 1 }] });
const left: number | undefined = client.replica.get('main', 'lamp')?.available;
const engine: Engine = await openEngine({ redis: 'redis://localhost:7000' });
// @ts-expect-error a quantity is a number
await client.reserve({ lines: [{ location: 'main', sku: 'lamp', quantity: 'one' }] });
export { held, left, engine, HoldfastError };
`;

void t.test('every entrance has its types', async (t) => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { types: string; default: string }>;
  };
  for (const [name, entrance] of Object.entries(exports))
    if (typeof entrance !== 'string') t.equal(entrance.types, entrance.default.replace(/\.js$/, '.d.ts'), name);
});

void t.test('a program is checked against them', { skip: !built && 'needs a build' }, async (t) => {
  const dir = tempDir();
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(root, join(dir, 'node_modules/holdfast'));
  const file = join(dir, 'program.mts');
  writeFileSync(file, PROGRAM);
  const program = ts.createProgram([file], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  });
  const found = ts.getPreEmitDiagnostics(program);
  t.same(
    found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    [],
  );
});
