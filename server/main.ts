/** One front-end process: configuration from the environment, logs to stdout, SIGTERM ends it in order. (G4) */
import { pino } from 'pino';
import { startServer, type RunningServer } from './app.js';
import { ConfigError, readConfig, type ServerConfig } from './config.js';

const config = configuration();
const log = pino({ level: config.logLevel, base: { process: 'server', pid: process.pid } });
let running: RunningServer | undefined;
let ending = false;

process.on('SIGTERM', () => void end('SIGTERM'));
process.on('SIGINT', () => void end('SIGINT'));
// What nobody caught has left something half done: go on as a new process, not as this one.
process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'uncaught exception');
  process.exit(1);
});

try {
  running = await startServer(config, log);
  log.info({ host: config.host, port: running.port }, 'listening');
  if (ending) await end('start');
} catch (error) {
  log.fatal({ err: error }, 'the server could not start');
  process.exit(1);
}

/** A second signal does not wait any longer. */
async function end(why: string): Promise<void> {
  if (ending && why !== 'start') process.exit(1);
  ending = true;
  if (running === undefined) return;
  log.info({ why }, 'stopping');
  await running.stop();
  log.info('stopped');
  process.exit(0);
}

function configuration(): ServerConfig {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}
