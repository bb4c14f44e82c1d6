import { prepareDatabase } from '../db/prepare.js';
import { openPools } from '../db/pools.js';
import { connect, type Target } from '../verify/connect.js';
import { emptyForRebuild } from './rebuild.js';
import { PostgresSource } from './source.js';

export interface RebuildCommandOptions {
  replace: boolean;
  discardUnpersisted: boolean;
  timeoutMs: number;
  out: NodeJS.WritableStream;
}

/** Empties Redis as far as allowed, then opens every partition by the path that recovery always takes. Rejects when it is not done in time. */
export async function rebuild(target: Target, options: RebuildCommandOptions): Promise<void> {
  const { out } = options;
  const started = Date.now();
  const pools = openPools(target.databaseUrl);
  try {
    await prepareDatabase(target.databaseUrl, pools.general, target.partitions);
    const source = new PostgresSource(pools.general);
    const filled = await emptyForRebuild({ target, pool: pools.general, source, ...options });
    out.write(`${filled.length} of ${target.partitions} partitions have data in Postgres\n`);
  } finally {
    await pools.end();
  }
  const connection = await connect(
    target,
    (own) => new PostgresSource(own.general),
    ({ level, message }) => {
      if (level !== 'info') out.write(`${level}: ${message}\n`);
    },
  );
  try {
    await connection.engine.ready(options.timeoutMs);
    out.write(`All ${target.partitions} partitions are open after ${((Date.now() - started) / 1_000).toFixed(1)} s\n`);
  } finally {
    await connection.close();
  }
}
