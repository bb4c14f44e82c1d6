import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { projectRoot } from '../../stack/project.js';
import { tempDir } from '../harness/index.js';

/**
 * The real ./holdfast in a small project of its own. npm, apt-get and redis-server are stand-ins that write down how they were
 * called: what is tested is when the script calls which.
 */
interface Project {
  root: string;
  calls(): string[];
  run(args: string[], options?: { env?: Record<string, string>; cwd?: string; path?: string }): Promise<Result>;
}

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

const execute = promisify(execFile);

function program(path: string, body: string): void {
  writeFileSync(path, `#!/usr/bin/env bash\n${body}\n`);
  chmodSync(path, 0o755);
}

/** Folder with links to the ordinary programs that the script may use; Redis and package managers are not among them. */
function ordinaryPrograms(dir: string): string {
  const bin = join(dir, 'ordinary');
  mkdirSync(bin);
  const names =
    'bash env sed grep find sort cmp cp rm mktemp touch cat dirname readlink head id flock chmod tee mkdir sleep'.split(
      ' ',
    );
  for (const name of names) {
    const found = ['/usr/bin', '/bin', '/usr/local/bin']
      .map((place) => join(place, name))
      .find((path) => existsSync(path));
    if (found) symlinkSync(found, join(bin, name));
  }
  symlinkSync(process.execPath, join(bin, 'node'));
  return bin;
}

function project(): Project {
  const dir = tempDir();
  const root = join(dir, 'project with blanks');
  const bin = join(dir, 'bin');
  const log = join(dir, 'calls');
  for (const folder of ['engine', 'cli', 'lua']) mkdirSync(join(root, folder), { recursive: true });
  mkdirSync(bin);
  copyFileSync(join(projectRoot(), 'holdfast'), join(root, 'holdfast'));
  writeFileSync(join(root, 'package.json'), '{"name":"p","type":"module"}');
  writeFileSync(join(root, 'package-lock.json'), '{"packages":{"":{},"node_modules/a":{"version":"1.0.0"}}}');
  writeFileSync(join(root, 'tsconfig.json'), '{}');
  writeFileSync(join(root, 'engine', 'a.ts'), '');
  writeFileSync(join(root, 'cli', 'main.ts'), '');
  program(
    join(bin, 'npm'),
    `echo "npm $*" >>"${log}"
     case "$1" in
       ci) [ -z "\${FAIL_CI:-}" ] || exit 1; mkdir -p node_modules ;;
       run) [ -z "\${FAIL_BUILD:-}" ] || { echo 'error in a.ts'; exit 2; }
            sleep "\${SLOW_BUILD:-0}"
            mkdir -p dist/cli dist/engine
            echo 'console.log("ran", process.argv.slice(2).join(" "))' >dist/cli/main.js
            for f in engine/*.ts; do b=\${f%.ts}; echo >"dist/$b.js"; done ;;
     esac`,
  );
  program(join(bin, 'redis-server'), `echo 'Redis server v=7.0.15 sha=0'`);
  const ordinary = ordinaryPrograms(dir);
  return {
    root,
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    async run(args, { env = {}, cwd = root, path = '' } = {}) {
      const options = { cwd, env: { PATH: [path, bin, ordinary].filter(Boolean).join(':'), LOG: log, ...env } };
      try {
        return { code: 0, ...(await execute(join(root, 'holdfast'), args, options)) };
      } catch (error) {
        const { code, stdout, stderr } = error as Result;
        return { code, stdout, stderr };
      }
    },
  };
}

/** Dates a file after the build; file systems count in steps that a test must not depend on. */
function touch(path: string): void {
  const later = new Date(Date.now() + 5_000);
  utimesSync(path, later, later);
}

t.test('the first run installs and builds, the second does neither and is silent', async (t) => {
  const p = project();
  const first = await p.run(['status', '--data', 'x y']);
  t.match(first, { code: 0, stdout: 'ran status --data x y\n' });
  t.strictSame(p.calls(), [
    'npm ci --no-audit --no-fund --no-update-notifier --loglevel=error',
    'npm run --silent build',
  ]);
  t.match(first.stderr, /installing npm packages\n.*building/s);
  const second = await p.run(['status'], { cwd: '/' });
  t.strictSame(second, { code: 0, stdout: 'ran status\n', stderr: '' });
  t.equal(p.calls().length, 2);
});

t.test(
  'it builds again when a source changed, came or went, and what came from a removed source goes too',
  async (t) => {
    const p = project();
    const builds = () => p.calls().filter((call) => call.includes('build')).length;
    await p.run(['status']);
    touch(join(p.root, 'engine', 'a.ts'));
    await p.run(['status']);
    t.equal(builds(), 2, 'changed');
    // As saved before the last build: only its name is new.
    writeFileSync(join(p.root, 'engine', 'old.ts'), '');
    utimesSync(join(p.root, 'engine', 'old.ts'), new Date(0), new Date(0));
    utimesSync(join(p.root, 'engine', 'a.ts'), new Date(0), new Date(0));
    await p.run(['status']);
    t.equal(builds(), 3, 'added');
    t.ok(existsSync(join(p.root, 'dist', 'engine', 'old.js')));
    rmSync(join(p.root, 'engine', 'old.ts'));
    await p.run(['status']);
    t.equal(builds(), 4, 'removed');
    t.notOk(existsSync(join(p.root, 'dist', 'engine', 'old.js')));
    await p.run(['status']);
    t.equal(builds(), 4);
  },
);

t.test('it installs again when the lock file changed, unless someone already did', async (t) => {
  const p = project();
  const installs = () => p.calls().filter((call) => call.startsWith('npm ci')).length;
  await p.run(['status']);
  const lock =
    '{"packages":{"":{},"node_modules/a":{"version":"2.0.0"},"node_modules/b":{"version":"1.0.0","optional":true}}}';
  writeFileSync(join(p.root, 'package-lock.json'), lock);
  await p.run(['status']);
  t.equal(installs(), 2);
  writeFileSync(join(p.root, 'package-lock.json'), lock.replace('2.0.0', '3.0.0'));
  const there = '{"packages":{"node_modules/a":{"version":"3.0.0"}}}';
  writeFileSync(join(p.root, 'node_modules', '.package-lock.json'), there);
  await p.run(['status']);
  t.equal(installs(), 2, 'npm install by hand is seen');
  rmSync(join(p.root, 'node_modules'), { recursive: true });
  await p.run(['status']);
  t.equal(installs(), 3);
});

t.test('of two at once only one builds', async (t) => {
  const p = project();
  const results = await Promise.all([1, 2, 3].map(() => p.run(['status'], { env: { SLOW_BUILD: '0.5' } })));
  t.strictSame(
    results.map((result) => result.code),
    [0, 0, 0],
  );
  t.equal(p.calls().length, 2, p.calls().join('; '));
});

t.test('a failed step is shown, stops everything and is tried again', async (t) => {
  const p = project();
  const noPackages = await p.run(['status'], { env: { FAIL_CI: '1' } });
  t.equal(noPackages.code, 1);
  t.match(noPackages.stderr, 'npm ci failed');
  t.notOk(p.calls().includes('npm run --silent build'));
  const noBuild = await p.run(['status'], { env: { FAIL_BUILD: '1' } });
  t.equal(noBuild.code, 1);
  t.match(noBuild.stderr, /error in a\.ts\n.*The build failed/s);
  t.match(await p.run(['status']), { code: 0, stdout: 'ran status\n' });
});

t.test('a Redis server is installed only for commands that start one, and only when there is none', async (t) => {
  const p = project();
  const managers = join(p.root, '..', 'managers');
  mkdirSync(managers);
  const place = join(p.root, '..', 'bin', 'redis-server');
  rmSync(place);
  program(
    join(managers, 'apt-get'),
    `echo "apt-get $*" >>"$LOG"
     case "$*" in *install*) printf '#!/bin/sh\\necho "Redis server v=\${APT_REDIS:-7.0.15} sha=0"\\n' >"${place}"; chmod 755 "${place}" ;; esac`,
  );
  // Root is not needed by the stand-ins, and the machine's own policy file is none of the test's business.
  program(join(managers, 'id'), 'echo 1000');
  program(
    join(managers, 'sudo'),
    `case "$1" in tee | chmod | rm | systemctl) cat >/dev/null 2>&1 </dev/null ;; *) "$@" ;; esac`,
  );
  const apt = () => p.calls().filter((call) => call.startsWith('apt-get'));

  t.equal((await p.run(['status'], { path: managers })).code, 0);
  t.equal((await p.run(['up'], { path: managers, env: { HOLDFAST_REDIS_URL: 'redis://h:1' } })).code, 0);
  t.strictSame(apt(), []);
  const up = await p.run(['up'], { path: managers });
  t.match(up, { code: 0, stdout: 'ran up\n', stderr: /installing a Redis server/ });
  t.strictSame(apt(), ['apt-get update -qq', 'apt-get install -y -qq --no-install-recommends redis-server']);
  t.match(await p.run(['up'], { path: managers }), { code: 0, stderr: '' });
  t.equal(apt().length, 2);
  program(place, `echo 'Redis server v=6.0.16 sha=0'`);
  const old = await p.run(['up'], { path: managers, env: { APT_REDIS: '6.0.16' } });
  t.match(old, { code: 1, stdout: '', stderr: /only a Redis older than 7\.0/ });
  program(join(p.root, '..', 'bin', 'valkey-server'), `echo 'Valkey server v=8.0.1 sha=0'`);
  t.match(await p.run(['up'], { path: managers }), { code: 0, stdout: 'ran up\n' });
});

t.test('without a package manager it says what to do', async (t) => {
  const p = project();
  rmSync(join(p.root, '..', 'bin', 'redis-server'));
  const result = await p.run(['up']);
  t.match(result, { code: 1, stdout: '', stderr: /Install redis-server 7\.0 or newer/ });
});

t.test('an old or missing Node.js is named before anything is touched', async (t) => {
  const p = project();
  const old = join(p.root, '..', 'old');
  mkdirSync(old);
  program(join(old, 'node'), 'case "$1" in -e) exit 1 ;; --version) echo v18.19.0 ;; esac');
  const result = await p.run(['status'], { path: old });
  t.match(result, { code: 1, stderr: /Node\.js v18\.19\.0 is too old.*20\.11/ });
  t.strictSame(p.calls(), []);
});

t.test('help needs no set-up', async (t) => {
  const p = project();
  for (const args of [[], ['--help']]) t.match(await p.run(args), { code: 0, stdout: /^Usage: / });
  t.strictSame(p.calls(), []);
});

t.test('it works through a link from another folder', async (t) => {
  const p = project();
  const link = join(p.root, '..', 'linked');
  symlinkSync('project with blanks/holdfast', link);
  await p.run(['status']);
  const { stdout } = await execute(link, ['status'], { cwd: '/' });
  t.equal(stdout, 'ran status\n');
});
