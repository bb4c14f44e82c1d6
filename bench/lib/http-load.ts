/** Load over HTTP, from a process of its own: wrk where it is installed and will do, else our generator. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import type { GeneratorOptions, GeneratorResult } from './generator.js';
import { decode, type Percentiles, percentiles } from './histogram.js';
import type { PreparedRequest } from './raw-http.js';

const SLACK_MS = 30_000;

/** Runs the generator once and waits for its answer. */
export function generate(options: GeneratorOptions): Promise<GeneratorResult> {
  return runProgram<GeneratorOptions, GeneratorResult>('generator', options);
}

/** Runs a program of this folder: JSON in, JSON out. */
export async function runProgram<In extends { warmupMs: number; durationMs: number }, Out>(
  name: string,
  options: In,
): Promise<Out> {
  const source = import.meta.url.endsWith('.ts');
  const entry = fileURLToPath(new URL(`./${name}.${source ? 'ts' : 'js'}`, import.meta.url));
  const args = [...(source ? ['--import', import.meta.resolve('tsx')] : []), entry];
  const running = promisify(execFile)(process.execPath, args, {
    maxBuffer: 64 * 1024 * 1024,
    timeout: options.warmupMs + options.durationMs + SLACK_MS,
  });
  running.child.stdin!.end(JSON.stringify(options));
  return JSON.parse((await running).stdout) as Out;
}

export interface Capacity {
  /** Answers a second. */
  readonly rate: number;
  readonly answers: number;
  /** Answers from the first request of the warm-up on, 2xx only; with wrk those of requests cut off at its end are missing. */
  readonly accepted: number;
  /** Not 2xx, lost connections, timeouts. */
  readonly errors: number;
  readonly p50: number;
  readonly p99: number;
  readonly generator: 'wrk' | 'own';
  readonly generatorCpuSeconds: number;
  readonly connections: number;
}

export interface CapacityOptions {
  readonly host: string;
  readonly port: number;
  readonly request: PreparedRequest;
  readonly connections: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
}

let wrkFound: boolean | undefined;

export function hasWrk(): boolean {
  wrkFound ??=
    !process.env.HOLDFAST_BENCH_NO_WRK && spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error === undefined;
  return wrkFound;
}

/** What one server answers at most: every connection asks again as soon as it is answered. */
export async function capacity(options: CapacityOptions): Promise<Capacity> {
  return hasWrk() ? wrkCapacity(options) : ownCapacity(options);
}

async function ownCapacity({ host, port, request, connections, ...times }: CapacityOptions): Promise<Capacity> {
  const result = await generate({
    host,
    port,
    connections,
    requests: [request],
    warmupMs: times.warmupSeconds * 1_000,
    durationMs: times.seconds * 1_000,
  });
  const latency = latencyOf(result.accepted);
  const answers = sum(result.statuses);
  return {
    rate: answers / result.seconds,
    answers,
    accepted: accepted(result.all),
    errors: sum(result.all) - accepted(result.all),
    p50: latency.p50,
    p99: latency.p99,
    generator: 'own',
    generatorCpuSeconds: result.cpuSeconds,
    connections,
  };
}

export function latencyOf(encoded: string): Percentiles {
  return percentiles(decode(encoded));
}

export function sum(statuses: Readonly<Record<string, number>>): number {
  return Object.values(statuses).reduce((total, count) => total + count, 0);
}

export function accepted(statuses: Readonly<Record<string, number>>): number {
  return Object.entries(statuses).reduce((total, [status, count]) => total + (/^2/.test(status) ? count : 0), 0);
}

interface WrkSummary {
  requests: number;
  microseconds: number;
  errors: number;
  p50: number;
  p99: number;
}

async function wrkCapacity(options: CapacityOptions): Promise<Capacity> {
  const warm = await wrk(options, options.warmupSeconds);
  const { summary, cpuSeconds } = await wrk(options, options.seconds);
  return {
    rate: summary.requests / (summary.microseconds / 1e6),
    answers: summary.requests,
    accepted: summary.requests + warm.summary.requests - summary.errors - warm.summary.errors,
    errors: summary.errors + warm.summary.errors,
    p50: summary.p50 / 1_000,
    p99: summary.p99 / 1_000,
    generator: 'wrk',
    generatorCpuSeconds: cpuSeconds,
    connections: options.connections,
  };
}

async function wrk(
  { host, port, request, connections }: CapacityOptions,
  seconds: number,
): Promise<{ summary: WrkSummary; cpuSeconds: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-wrk-'));
  try {
    const script = join(dir, 'request.lua');
    writeFileSync(script, wrkScript(request), 'latin1');
    const duration = `${Math.max(1, Math.round(seconds))}s`;
    const url = `http://${host}:${port}${request.path}`;
    const out = await output('wrk', [
      '-t1',
      `-c${connections}`,
      `-d${duration}`,
      '--timeout',
      '10s',
      '-s',
      script,
      url,
    ]);
    const line = out.split('\n').find((text) => text.startsWith('{'));
    if (!line) throw new Error(`wrk said nothing that can be read:\n${out}`);
    const summary = JSON.parse(line) as WrkSummary;
    return { summary, cpuSeconds: 0 };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function output(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve(text) : reject(new Error(`${command} failed:\n${text}`))));
  });
}

function wrkScript({ method, headers, body = '' }: PreparedRequest): string {
  const quoted = (text: string) =>
    `"${Array.from(text, (char) => `\\${String(char.charCodeAt(0)).padStart(3, '0')}`).join('')}"`;
  return [
    `wrk.method = "${method}"`,
    ...(method === 'GET' ? [] : [`wrk.body = ${quoted(body)}`]),
    ...Object.entries(headers).map(([name, value]) => `wrk.headers[${quoted(name)}] = ${quoted(value)}`),
    'done = function(summary, latency)',
    '  local errors = summary.errors',
    '  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout',
    `  io.write(string.format('{"requests":%d,"microseconds":%d,"errors":%d,"p50":%d,"p99":%d}\\n',`,
    '    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))',
    'end',
    '',
  ].join('\n');
}
