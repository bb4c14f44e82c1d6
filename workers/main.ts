import { pino } from 'pino';
import { type RunningWorker, startWorker } from './worker.js';
import { ConfigError, readConfig } from './config.js';

/** How long stopping may take before the process ends anyway: batches take milliseconds. */
const STOP_MS = 25_000;

/** A worker process, configured by environment (`HOLDFAST_*`). Ends with 0 when it was asked to, 1 when it could not start. */
async function main(env: NodeJS.ProcessEnv = process.env): Promise<void> {
  let config;
  try {
    config = readConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`holdfast worker: ${error.message}`);
    process.exitCode = 1;
    return;
  }
  const log = pino({ name: 'holdfast-worker', level: config.logLevel, base: { pid: process.pid } });
  let worker: RunningWorker | undefined;
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'worker stopping');
    setTimeout(() => process.exit(1), STOP_MS).unref();
    void (worker?.stop() ?? Promise.resolve()).then(() => {
      log.info('worker stopped');
      process.exit(0);
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  try {
    worker = await startWorker(config, log);
    if (stopping) await worker.stop();
  } catch (error) {
    log.fatal({ err: error }, `worker cannot start: ${(error as Error).message}`);
    process.exitCode = 1;
    setTimeout(() => process.exit(1), 1_000).unref();
  }
}

await main();
