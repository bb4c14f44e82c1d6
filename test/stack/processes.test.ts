import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { endProcess, identify, isRunning, type ProcessIdentity, stampOf } from '../../stack/identity.js';
import { claimPort } from '../../stack/port-claims.js';
import { freePorts, portIsFree } from '../../stack/ports.js';
import { hasSetpriv, leftovers, spawnManaged, sweep } from '../../stack/processes.js';
import { projectRoot } from '../../stack/project.js';
import { isNewEnough, probeRedis } from '../../stack/redis-binary.js';
import { parseNodes } from '../../stack/redis-form.js';
import { clearState, loadSecrets, readState, runningState, type StackState, writeState } from '../../stack/state.js';
import { tempDir } from '../harness/index.js';

const SLEEPER = ['-e', 'setInterval(() => {}, 1000)'];

function sleeper(dir: string, name = 'sleeper') {
  return spawnManaged({
    name,
    command: process.execPath,
    args: SLEEPER,
    runDir: join(dir, 'run'),
    logFile: join(dir, 'logs', `${name}.log`),
  });
}

t.test('a process is known by number and start, not by number alone', async (t) => {
  const me = identify(process.pid)!;
  t.ok(isRunning(me));
  t.notOk(isRunning({ ...me, stamp: `${me.stamp}0` }), 'same number, other start');
  t.equal(stampOf(0), undefined);
  t.equal(stampOf(-1), undefined);
  t.equal(stampOf(2 ** 31), undefined);
});

t.test('stop ends a process and removes its pid file', async (t) => {
  const dir = tempDir();
  const child = await sleeper(dir);
  t.ok(existsSync(join(dir, 'run', 'sleeper.pid')));
  t.strictSame(
    leftovers(join(dir, 'run')).map((entry) => entry.pid),
    [child.pid],
  );
  await child.stop();
  t.notOk(child.running);
  t.notOk(isRunning(child.identity));
  t.notOk(existsSync(join(dir, 'run', 'sleeper.pid')));
  await child.stop();
});

t.test('a program that does not exist is an error with its name', async (t) => {
  const dir = tempDir();
  const start = spawnManaged({
    name: 'nothing',
    command: '/nonexistent/program',
    args: [],
    runDir: join(dir, 'run'),
    logFile: join(dir, 'logs', 'nothing.log'),
  });
  // Through setpriv the program is missed only after the start.
  const ended = await start.then(
    (child) => child.exited,
    (error: Error) => error,
  );
  if (ended instanceof Error) t.match(ended.message, '/nonexistent/program');
  else t.equal(ended.code, 127);
});

t.test('sweep ends what is left and spares a process that was given the same number', async (t) => {
  const dir = tempDir();
  const runDir = join(dir, 'run');
  const child = await sleeper(dir);
  // A pid file from before a restart of the machine: the number is ours now.
  const stale = { ...identify(process.pid)!, stamp: 'another-boot:1', name: 'stale', stopSignal: 'SIGKILL' };
  writeFileSync(join(runDir, 'stale.pid'), JSON.stringify(stale));
  writeFileSync(join(runDir, 'broken.pid'), '{"pid":');
  t.strictSame(await sweep(runDir), ['sleeper']);
  await child.exited;
  t.notOk(isRunning(child.identity));
  t.strictSame(await sweep(runDir), []);
  t.strictSame(await sweep(join(dir, 'no-such-folder')), []);
});

t.test('children end with a parent that is killed', { skip: !hasSetpriv() && 'needs setpriv' }, async (t) => {
  const dir = tempDir();
  const script = `
    import { spawnManaged } from ${JSON.stringify(new URL('../../stack/processes.js', import.meta.url).href)};
    const child = await spawnManaged({ name: 'grandchild', command: process.execPath, args: ${JSON.stringify(SLEEPER)},
      runDir: ${JSON.stringify(join(dir, 'run'))}, logFile: ${JSON.stringify(join(dir, 'grandchild.log'))} });
    console.log(child.pid);`;
  const loader = import.meta.url.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  const parent = spawn(process.execPath, [...loader, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: projectRoot(),
  });
  const pid = Number(
    await new Promise<string>((resolve) => parent.stdout.once('data', (data) => resolve(String(data)))),
  );
  const grandchild = identify(pid)!;
  t.ok(grandchild, 'it runs');
  parent.kill('SIGKILL');
  await new Promise((resolve) => parent.once('exit', resolve));
  for (let i = 0; i < 200 && isRunning(grandchild); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  t.notOk(isRunning(grandchild), 'it is gone');
  await endProcess(grandchild, 'SIGKILL');
});

t.test('free ports are different and free, and a taken one is seen', async (t) => {
  const ports = await freePorts(20);
  t.equal(new Set(ports).size, 20);
  const server = createServer().listen(ports[0], '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.equal(await portIsFree(ports[0]!), false);
  t.equal(await portIsFree(ports[1]!), true);
  server.close();
  await new Promise((resolve) => server.once('close', resolve));
});

t.test('a port that a running process has claimed is given to nobody else', (t) => {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = tempDir();
  t.teardown(() => (before === undefined ? delete process.env.TMPDIR : (process.env.TMPDIR = before)));
  const dir = join(tmpdir(), `holdfast-ports-${process.getuid!()}`);
  mkdirSync(dir, { mode: 0o700 });
  const claim = (name: string, owner: ProcessIdentity, port: number): void =>
    writeFileSync(join(dir, name), JSON.stringify({ owner, ports: [port] }));
  claim('running.json', identify(process.ppid)!, 20_001);
  claim('ended.json', { pid: process.ppid, stamp: 'another-boot:1' }, 20_002);
  t.equal(claimPort(20_001), false, 'of a process that runs');
  t.equal(claimPort(20_002), true, 'of one that has ended');
  t.equal(existsSync(join(dir, 'ended.json')), false);
  t.equal(claimPort(20_003), true);
  const mine = readdirSync(dir).find((name) => name.startsWith(`${process.pid}-`))!;
  const own = JSON.parse(readFileSync(join(dir, mine), 'utf8')) as { ports: number[] };
  t.strictSame(own.ports.slice(-2), [20_002, 20_003], 'what it was given stands there for the others');
  t.end();
});

t.test('the state of a stack counts only while its owner runs', async (t) => {
  const dir = tempDir();
  const state: StackState = {
    format: 1,
    supervisor: identify(process.pid)!,
    phase: 'ready',
    startedAt: new Date().toISOString(),
    url: 'http://127.0.0.1:1',
    port: 1,
    logDir: dir,
    env: {},
    redis: { url: '', own: true, nodes: [] },
    postgres: { url: '', own: true },
    apps: [],
  };
  t.equal(readState(dir), undefined);
  writeState(dir, state);
  t.strictSame(runningState(dir), state);
  t.equal(statSync(join(dir, 'state.json')).mode & 0o777, 0o600);
  writeState(dir, { ...state, supervisor: { pid: process.pid, stamp: 'another-boot:1' } });
  t.equal(runningState(dir), undefined);
  t.ok(readState(dir));
  writeFileSync(join(dir, 'state.json'), '{"format":');
  t.equal(readState(dir), undefined, 'a damaged file is no state');
  clearState(dir);
  t.equal(readState(dir), undefined);
});

t.test('secrets are made once, kept, and readable by their owner only', async (t) => {
  const dir = tempDir();
  const first = loadSecrets(dir);
  t.ok(first.jwtSecret.length >= 43, '256 bits');
  t.strictSame(loadSecrets(dir), first);
  t.equal(statSync(join(dir, 'secrets.json')).mode & 0o777, 0o600);
  t.notMatch(readFileSync(join(dir, 'secrets.json'), 'utf8'), loadSecrets(tempDir()).jwtSecret);
});

t.test('versions of the Redis server', async (t) => {
  t.equal(probeRedis('/nonexistent/redis-server'), undefined);
  t.equal(probeRedis(process.execPath), undefined, 'node is not Redis');
  const at = (version: string) => isNewEnough({ command: 'x', product: 'redis', version });
  t.strictSame(['6.2.14', '7.0.0', '7.2.5', '8.0.1', '10.0.0'].map(at), [false, true, true, true, true]);
});

t.test('CLUSTER NODES is read: roles, slots, migrating slots, failures', async (t) => {
  const nodes = parseNodes(
    [
      'aa 127.0.0.1:7000@17000,host,tls-port=0 myself,master - 0 0 1 connected 0-100 200 [300->-bb]',
      'bb 127.0.0.1:7001@17001 master,fail - 1 1 2 disconnected',
      'cc 127.0.0.1:7002@17002 slave aa 0 1 1 connected',
      '',
    ].join('\n'),
  );
  t.match(nodes, [
    { id: 'aa', port: 7000, role: 'master', masterId: undefined, slots: 102, failed: false, connected: true },
    { id: 'bb', port: 7001, role: 'master', slots: 0, failed: true, connected: false },
    { id: 'cc', port: 7002, role: 'replica', masterId: 'aa', failed: false },
  ]);
});
