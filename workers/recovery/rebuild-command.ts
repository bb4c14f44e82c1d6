import { prepareDatabase } from '../db/prepare.js';
import { openPools } from '../db/pools.js';
import { connect, type Target } from '../verify/connect.js';
import { Progress } from './progress.js';
import { emptyForRebuild } from './rebuild.js';
import { PostgresSource } from './source.js';

export interface RebuildCommandOptions {
  replace: boolean;
  discardUnpersisted: boolean;
  timeoutMs: number;
  out: NodeJS.WritableStream;
}

/**
 * Empties Redis as far as allowed, then opens every partition by the path that recovery always takes, and tells how far it is.
 * Rejects when it is not done in time; what is done stays done, and doing it again goes on from there.
 */
export async function rebuild(target: Target, options: RebuildCommandOptions): Promise<void> {
  const { out } = options;
  const pools = openPools(target.databaseUrl);
  try {
    await prepareDatabase(target.databaseUrl, pools.general, target.partitions);
    const source = new PostgresSource(pools.general);
    const filled = await emptyForRebuild({ target, pool: pools.general, source, ...options });
    out.write(`${filled.length} of ${target.partitions} partitions have data in Postgres\n`);
  } finally {
    await pools.end();
  }
  let progress: Progress | undefined;
  const connection = await connect(
    target,
    (own) =>
      (progress = new Progress(new PostgresSource(own.general), target.partitions, (line) => out.write(`${line}\n`))),
    ({ level, message }) => {
      if (level !== 'info') out.write(`${level}: ${message}\n`);
    },
  );
  try {
    await connection.engine.ready(options.timeoutMs);
    const { written, seconds } = progress!;
    out.write(
      `All ${target.partitions} partitions are open after ${seconds.toFixed(1)} s, ${written} records written\n`,
    );
  } finally {
    progress?.stop();
    await connection.close();
  }
}
