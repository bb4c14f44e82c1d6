import { execFile } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../../stack/project.js';
import { tempDir, testCluster, testDatabase } from '../harness/index.js';

const COMMAND = import.meta.url.endsWith('.ts')
  ? ['--import', import.meta.resolve('tsx'), join(projectRoot(), 'cli', 'main.ts')]
  : [join(projectRoot(), 'dist', 'cli', 'main.js')];

interface Result {
  code: number;
  out: string;
}

/** Runs a command with exactly these HOLDFAST_* variables. */
function holdfast(args: string[], settings: Record<string, string> = {}): Promise<Result> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_'));
  const env = { NO_COLOR: '1', ...Object.fromEntries(inherited), ...settings };
  return new Promise((resolve) => {
    execFile(process.execPath, [...COMMAND, ...args], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error ? ((error as { code?: number }).code ?? 1) : 0;
      resolve({ code, out: stdout + stderr });
    });
  });
}

t.test('a machine on which the tests run is well', async (t) => {
  const { code, out } = await holdfast(['doctor', '--data', tempDir()]);
  t.equal(code, 0, out);
  t.match(out, /✔ Node\.js .*\n✔ Redis .*\n✔ Postgres .*18\.\d+.*\n✔ uWebSockets\.js/);
  t.notMatch(out, '✖');
});

t.test('servers of the user are asked themselves', async (t) => {
  const [cluster, database] = await Promise.all([testCluster(), testDatabase({ migrated: false })]);
  const settings = { HOLDFAST_REDIS_URL: cluster.url, HOLDFAST_DATABASE_URL: database.url };
  const { code, out } = await holdfast(['doctor', '--data', tempDir()], settings);
  t.equal(code, 0, out);
  t.match(out, /HOLDFAST_REDIS_URL +reachable, a cluster, noeviction/);
  t.match(out, /HOLDFAST_DATABASE_URL +Postgres 18/);
});

t.test('what is broken is named with what to do, and the exit code says so', async (t) => {
  const { code, out } = await holdfast(['doctor', '--data', tempDir()], {
    HOLDFAST_REDIS_SERVER: '/nonexistent/redis-server',
    HOLDFAST_REDIS_URL: 'redis://127.0.0.1:1',
    HOLDFAST_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
  });
  t.equal(code, 1, out);
  t.match(out, /✖ Redis .*\n.*\/nonexistent\/redis-server cannot be run.*HOLDFAST_REDIS_SERVER/);
  t.match(out, /✖ HOLDFAST_REDIS_URL .*\n.*127\.0\.0\.1:1: cannot be reached/);
  t.match(out, /✖ HOLDFAST_DATABASE_URL .*\n.*cannot be reached/);
});

t.test('serve and work without configuration end with what is missing', async (t) => {
  for (const command of ['serve', 'work']) {
    const { code, out } = await holdfast([command]);
    t.not(code, 0, command);
    t.match(out, 'HOLDFAST_REDIS_URL', command);
  }
});
