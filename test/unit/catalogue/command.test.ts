/** The commands as processes: exit codes, what goes where, and no colours in a pipe. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { projectRoot } from '../../../stack/project.js';
import { scratch, TinyStock } from './tiny-stock.js';

/** From source while the tests run from source, compiled when they are compiled. */
const MAIN = import.meta.url.endsWith('.ts')
  ? ['--import', 'tsx', fileURLToPath(new URL('../../../cli/main.ts', import.meta.url))]
  : [fileURLToPath(new URL('../../../cli/main.js', import.meta.url))];

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

function holdfast(args: string[], env: Record<string, string> = {}, input = ''): Promise<Ended> {
  const root = projectRoot();
  const { HOLDFAST_URL: _url, HOLDFAST_TOKEN: _token, ...rest } = process.env;
  const child = spawn(process.execPath, [...MAIN, ...args], {
    cwd: root,
    env: { ...rest, ...env },
    timeout: 60_000,
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

const FILE = 'Handle,Title,SKU,Location,On hand\nh,T,A-1,Main,7\nh,"T\n2",A-2,Main,-1\nh,T,A-3,Main,not stocked\n';

t.test('import: report, exit codes, rejects file', async (t) => {
  const stock = await new TinyStock().start(t);
  const path = scratch(t);
  const file = path('in.csv', FILE);
  const at = ['--url', stock.url];
  const env = { HOLDFAST_TOKEN: 'right' };

  const checked = await holdfast(['import', file, '--check']);
  t.match(checked, { code: 0, out: /rejected line 3: count_negative – On hand: "-1" is below 0\n/ });
  t.match(checked.out, /sound +1\n/);
  t.equal(stock.calls, 0);

  const dry = await holdfast(['import', file, '--dry-run', ...at], env);
  t.match(dry, { code: 0, out: /would be created +1\n/ });
  t.equal(stock.items.size, 0);

  const strict = await holdfast(['import', file, '--strict', ...at], env);
  t.match(strict, { code: 1, out: /Nothing was imported/ });
  t.equal(stock.items.size, 0);

  const done = await holdfast(['import', file, '--rejects', path('rej.csv'), ...at], env);
  t.match(done, { code: 0, out: /created +1\n(.*\n)* {2}not stocked +1\n {2}rejected +1\n {4}count_negative +1/ });
  t.match(stock.items.get('Main:A-1'), { available: 7, reserved: 0 });
  t.match(readFileSync(path('rej.csv'), 'utf8'), /h,"T\n2",A-2,Main,-1,3,"count_negative: /);
  // eslint-disable-next-line no-control-regex -- escapes are what must not be there
  for (const run of [checked, dry, strict, done]) t.notMatch(run.out + run.err, /\u001b/, 'no escapes in a pipe');
});

t.test('import: JSON, standard input, refusals', async (t) => {
  const stock = await new TinyStock().start(t);
  const input = `${FILE}h,T,REFUSE,Main,1\n`;
  const { code, out, err } = await holdfast(
    ['import', '-', '--json', '--url', stock.url, '--token', 'right'],
    {},
    input,
  );
  t.equal(code, 1, 'the stack refused a row');
  t.match(JSON.parse(out), {
    layout: 'on-hand',
    counts: { created: 1, rejectedBy: { refused: 1, count_negative: 1 } },
  });
  t.match(err, /rejected line 6: refused/);
  t.equal(stock.imports[0]?.reason, 'import standard input');
});

t.test('what cannot be done says why, with exit code 2', async (t) => {
  const stock = await new TinyStock().start(t);
  const path = scratch(t);
  const file = path('in.csv', FILE);
  t.match(await holdfast(['import', path('none.csv'), '--check']), { code: 2, err: /No such file/ });
  t.match(await holdfast(['import', file, '--data', path('.')]), { code: 2, err: /No stack runs in/ });
  t.match(await holdfast(['import', file, '--url', stock.url]), { code: 2, err: /HOLDFAST_TOKEN/ });
  const refused = await holdfast(['import', file, '--url', stock.url, '--token', 'wrong']);
  t.match(refused, { code: 2, err: /401.*admin token is needed/ });
  t.match(await holdfast(['export', '--url', 'ftp://x', '--token', 'x']), { code: 2, err: /Not an http/ });
});

t.test('export to a file and to standard output', async (t) => {
  const stock = await new TinyStock().start(t);
  const path = scratch(t);
  stock.items.set('Z~C3~BCrich:A', { available: 5, reserved: 2, attributes: { Title: 'T' } });
  const at = ['--url', stock.url, '--token', 'right'];
  const plain = await holdfast(['export', ...at]);
  t.match(plain, { code: 0, err: '1 items written\n' });
  t.equal(plain.out.split('\n')[1], ',T,,,,,,,A,,,Zürich,,,,2,5,7,');
  const filed = await holdfast(['export', '--excel', '--out', path('out.csv'), ...at]);
  t.equal(filed.code, 0);
  t.equal(readFileSync(path('out.csv'), 'utf8'), `\uFEFF${plain.out.replaceAll('\n', '\r\n')}`);
});
