/** Peer (a): one EVALSHA a request, from redis-benchmark, which costs less than any client a shop would have. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../stack/project.js';
import { withAdmin } from '../../stack/redis-form.js';

const STOCKED = 1_000_000_000;
const CONNECTIONS = 50;

export function hasRedisBenchmark(): boolean {
  return spawnSync('redis-benchmark', ['--version'], { stdio: 'ignore' }).error === undefined;
}

export interface NaiveResult {
  readonly rate: number;
  readonly faults: string[];
}

/** Sends `requests` calls over 50 connections, `pipeline` of them at a time on each. */
export async function naive(port: number, pipeline: number, requests: number): Promise<NaiveResult> {
  const tag = '{naive}';
  const keys = ['stock', 'holds', 'log', 'due'].map((kind) => `${tag}${kind}`);
  const sha = await withAdmin(port, async (client) => {
    await client.del(...keys);
    await client.hset(keys[0]!, { a: STOCKED, r: 0, v: 0 });
    return (await client.script('LOAD', readFileSync(join(projectRoot(), 'bench/peers/naive.lua'), 'utf8'))) as string;
  });
  const args = ['-p', `${port}`, '-c', `${CONNECTIONS}`, '-P', `${pipeline}`, '-n', `${requests}`, '--csv'];
  const command = ['EVALSHA', sha, '4', ...keys, '1', 'buyer-000001', '1800'];
  const { stdout } = await promisify(execFile)('redis-benchmark', [...args, ...command], { timeout: 300_000 });
  const line = stdout.trim().split('\n').at(-1) ?? '';
  const rate = rateOf(line);
  const [stock, holds] = await withAdmin(port, async (client) => [
    await client.hmget(keys[0]!, 'a', 'r'),
    await client.hlen(keys[1]!),
  ]);
  const faults: string[] = [];
  if (Number(stock[0]) !== STOCKED - requests || Number(stock[1]) !== requests || holds !== requests)
    faults.push(`the naive script holds ${holds} of ${requests}`);
  await withAdmin(port, (client) => client.unlink(...keys));
  return { rate, faults };
}

/** The first number behind the quoted name of the test. */
function rateOf(line: string): number {
  return Number(line.split('","')[1]?.replaceAll('"', '') ?? NaN);
}
