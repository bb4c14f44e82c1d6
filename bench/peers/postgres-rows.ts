/**
 * Peers (c) and (d), by pgbench: stock as one row, and stock as a row a unit. Each is given the client count it does best with,
 * prepared statements and one round trip a reservation.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Postgres } from '../../stack/postgres.js';

export interface PgPeer {
  /** The best rate among the client counts, over `seconds` in all. */
  best(seconds: number): Promise<{ rate: number; faults: string[] }>;
}

export function hasPgbench(): boolean {
  return spawnSync('pgbench', ['--version'], { stdio: 'ignore' }).error === undefined;
}

const CLIENTS = [4, 16, 50];
const STOCKED = 1_000_000_000;

export async function withPg<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** One row carries the count; the hold is inserted in the same statement. */
const ROW = `with taken as (
  update bench_stock set available = available - 1, reserved = reserved + 1, version = version + 1
  where id = 1 and available >= 1 returning version
) insert into bench_holds (stock_id, buyer, quantity, version, deadline)
  select 1, 'buyer-' || :client_id, 1, version, now() + interval '30 min' from taken;
`;

export const ROW_TABLES = `
  create table bench_stock (id int primary key, available bigint not null check (available >= 0),
    reserved bigint not null, version bigint not null) with (fillfactor = 50);
  create table bench_holds (id bigint generated always as identity primary key, stock_id int not null, buyer text not null,
    quantity int not null, version bigint not null, deadline timestamptz not null);
  insert into bench_stock values (1, ${STOCKED}, 0, 0);`;

export async function preparePgRow(postgres: Postgres): Promise<PgPeer> {
  await withPg(postgres.url, (client) => client.query(ROW_TABLES));
  return {
    best: (seconds) =>
      best(postgres.url, ROW, seconds, async () => {
        const { rows } = await withPg(postgres.url, (client) =>
          client.query<{ reserved: string; holds: string; available: string }>(
            'select reserved, available, (select count(*) from bench_holds) as holds from bench_stock where id = 1',
          ),
        );
        const { reserved, holds, available } = rows[0]!;
        const same = reserved === holds && Number(available) + Number(reserved) === STOCKED;
        return same ? [] : [`Postgres has ${holds} holds for ${reserved} reserved units`];
      }),
  };
}

/** Every unit is a row; whoever comes takes the next that nobody is looking at. */
const UNITS = `update bench_units set hold = nextval('bench_hold_ids'), buyer = 'buyer-' || :client_id,
  deadline = now() + interval '30 min'
  where id = (select id from bench_units where sku = 1 and hold is null limit 1 for update skip locked);
`;

export async function preparePgUnits(postgres: Postgres, units: number): Promise<PgPeer> {
  await withPg(postgres.url, async (client) => {
    await client.query(`
      create table bench_units (id bigint primary key, sku int not null, hold bigint, buyer text, deadline timestamptz);
      create sequence bench_hold_ids;`);
    await client.query('insert into bench_units (id, sku) select n, 1 from generate_series(1, $1::bigint) as n', [
      units,
    ]);
    await client.query(`create index on bench_units (sku) where hold is null`);
    await client.query('vacuum analyze bench_units');
  });
  return {
    best: (seconds) =>
      best(postgres.url, UNITS, seconds, async () => {
        const { rows } = await withPg(postgres.url, (client) =>
          client.query<{ held: string; distinct: string }>(
            'select count(hold) as held, count(distinct hold) as distinct from bench_units',
          ),
        );
        const { held, distinct } = rows[0]!;
        if (Number(held) >= units) return ['all units were taken before the time was over: too few for this machine'];
        return held === distinct ? [] : [`${held} units are held by ${distinct} holds`];
      }),
  };
}

async function best(
  url: string,
  statement: string,
  seconds: number,
  audit: () => Promise<string[]>,
): Promise<{ rate: number; faults: string[] }> {
  let rate = 0;
  for (const clients of CLIENTS)
    rate = Math.max(rate, await pgbench(url, statement, clients, Math.max(2, seconds / 2)));
  return { rate, faults: await audit() };
}

async function pgbench(url: string, statement: string, clients: number, seconds: number): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-pgbench-'));
  try {
    const script = join(dir, 'statement.sql');
    writeFileSync(script, statement);
    const { hostname, port, username, password, pathname } = new URL(url);
    const args = ['-n', '-M', 'prepared', '-c', `${clients}`, '-j', '1', '-T', `${Math.round(seconds)}`, '-f', script];
    const { stdout } = await promisify(execFile)('pgbench', args, {
      env: {
        ...process.env,
        PGHOST: hostname,
        PGPORT: port,
        PGUSER: username,
        PGPASSWORD: password,
        PGDATABASE: pathname.slice(1),
      },
      timeout: seconds * 1_000 + 60_000,
    });
    const failed = Number(/number of failed transactions: (\d+)/.exec(stdout)?.[1] ?? 0);
    if (failed > 0) throw new Error(`pgbench: ${failed} transactions failed`);
    return Number(/tps = ([\d.]+) \(without/.exec(stdout)?.[1] ?? NaN);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
