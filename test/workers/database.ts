import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type Postgres } from '../../stack/postgres.js';
import { openPools, type Pools } from '../../workers/db/pools.js';
import { prepareDatabase } from '../../workers/db/prepare.js';
import { checkItself, type SelfCheck } from '../../workers/verify/ledger.js';
import { inSnapshot, readPosition } from '../../workers/verify/persisted.js';

export interface TestDatabase {
  readonly postgres: Postgres;
  readonly url: string;
  readonly pools: Pools;
  close(): Promise<void>;
}

/** A real Postgres of its own, migrated; gone with its data when closed. */
export async function openDatabase(partitions = 4, options: { migrated?: boolean } = {}): Promise<TestDatabase> {
  const dir = mkdtempSync(join(tmpdir(), 'hf-workers-'));
  const postgres = await startPostgres({ dir, disposable: true });
  const pools = openPools(postgres.url);
  if (options.migrated !== false) await prepareDatabase(postgres.url, pools.general, partitions);
  return {
    postgres,
    url: postgres.url,
    pools,
    async close() {
      await pools.end();
      await postgres.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Compares what Postgres has of a partition with itself. */
export async function checkDatabase(pools: Pools, partition: number, check: SelfCheck): Promise<void> {
  await inSnapshot(pools.general, async (client) =>
    checkItself(client, partition, await readPosition(client, partition), check),
  );
}
