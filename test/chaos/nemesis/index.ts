/** All faults, in the order of the table. */
import { fault as clockJump } from './clock-jump.js';
import { fault as cutAof } from './cut-aof.js';
import { fault as cutClients } from './cut-clients.js';
import { fault as cutPostgres } from './cut-postgres.js';
import { fault as cutReplication } from './cut-replication.js';
import { fault as emptyMaster } from './empty-master.js';
import { fault as failover } from './failover.js';
import { fault as freezeMaster } from './freeze-master.js';
import { fault as freezeServer } from './freeze-server.js';
import { fault as freezeWorker } from './freeze-worker.js';
import { fault as fullDisk } from './full-disk.js';
import { fault as killMaster } from './kill-master.js';
import { fault as killReplica } from './kill-replica.js';
import { fault as killServer } from './kill-server.js';
import { fault as killShard } from './kill-shard.js';
import { fault as killWorkers } from './kill-workers.js';
import { fault as lagTakeover } from './lag-takeover.js';
import { fault as lateWriter } from './late-writer.js';
import { fault as lostReplies } from './lost-replies.js';
import { fault as lowMemory } from './low-memory.js';
import { fault as overload } from './overload.js';
import { fault as partitionMaster } from './partition-master.js';
import { fault as partitionShard } from './partition-shard.js';
import { fault as powerCut } from './power-cut.js';
import { fault as resetClients } from './reset-clients.js';
import { fault as restartMaster } from './restart-master.js';
import { fault as scriptFlush } from './script-flush.js';
import { fault as slotMigration } from './slot-migration.js';
import { fault as slowLinks } from './slow-links.js';
import { fault as stopPostgres } from './stop-postgres.js';
import { fault as undrainedTakeover } from './undrained-takeover.js';
import type { Fault } from './types.js';

export const FAULTS: readonly Fault[] = [
  lostReplies,
  resetClients,
  cutClients,
  slowLinks,
  freezeMaster,
  killMaster,
  killReplica,
  killShard,
  partitionMaster,
  partitionShard,
  cutReplication,
  lagTakeover,
  undrainedTakeover,
  lateWriter,
  failover,
  restartMaster,
  cutAof,
  emptyMaster,
  scriptFlush,
  slotMigration,
  lowMemory,
  fullDisk,
  clockJump,
  stopPostgres,
  cutPostgres,
  killWorkers,
  freezeWorker,
  killServer,
  freezeServer,
  overload,
  powerCut,
];
