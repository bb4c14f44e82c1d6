/**
 * One front end, some workers, bulk inserts in order, few and short queries: these settings spend memory on that and nothing on
 * parallel queries or replication. Durability is left as Postgres has it (fsync, synchronous_commit, full_page_writes on).
 */
export const SETTINGS: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  // Sockets live in folders whose path may be too long for them; TCP on the loopback costs little more.
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '256MB',
  work_mem: '8MB',
  maintenance_work_mem: '128MB',
  // Nobody replicates or archives from a local stack: without that, bulk loads write less log.
  wal_level: 'minimal',
  max_wal_senders: '0',
  // Checkpoints by time, not in the middle of a sale because the log grew.
  max_wal_size: '2GB',
  min_wal_size: '128MB',
  checkpoint_timeout: '10min',
  wal_compression: 'on',
  // Small machines: no parallel plans (they also need more /dev/shm than a container has), no compiler.
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  io_method: 'sync',
  random_page_cost: '1.1',
  // The ledger only grows: planner statistics matter more than vacuum.
  autovacuum_naptime: '30s',
  // A worker that was frozen in a transaction must not hold a partition's lock for ever.
  idle_in_transaction_session_timeout: '60s',
  log_min_duration_statement: '500ms',
  log_line_prefix: '%m [%p] %a ',
  timezone: 'UTC',
};

/** The data is worthless after the run: nothing needs to reach the disk (what was committed still survives a killed process). */
export const DISPOSABLE: Record<string, string> = {
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '64MB',
};
