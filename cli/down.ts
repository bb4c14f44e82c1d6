import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pc from 'picocolors';
import { endProcess } from '../stack/identity.js';
import { sweep } from '../stack/processes.js';
import { clearState } from '../stack/state.js';
import { supervisorOf } from '../stack/supervisor.js';

/** The supervisor stops servers (30 s at most), workers, Postgres and Redis in this order before it ends. */
const GRACE_MS = 60_000;

/** Ends the stack of a data folder and whatever a supervisor that was killed left there. Harmless when nothing runs. */
export async function down(dataDir: string): Promise<void> {
  const owner = supervisorOf(dataDir);
  if (owner) {
    process.stdout.write(`stopping the stack in ${dataDir} …\n`);
    await endProcess(owner, 'SIGTERM', GRACE_MS);
  }
  const left: string[] = [];
  // Servers and workers before what they write to.
  for (const runDir of ['run', 'postgres/run', 'redis/run'])
    if (existsSync(join(dataDir, runDir))) left.push(...(await sweep(join(dataDir, runDir))));
  clearState(dataDir);
  if (left.length > 0) process.stdout.write(`ended what was left running: ${left.join(', ')}\n`);
  if (owner || left.length > 0) process.stdout.write(`${pc.green('✔')} stopped; the data is kept in ${dataDir}\n`);
  else process.stdout.write(`nothing is running in ${dataDir}\n`);
}
