import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Metrics of one worker process. Labels are partition numbers only: bounded, and never personal data. (G5) */
export class WorkerMetrics {
  readonly registry = new Registry();
  readonly lagEvents = this.gauge('holdfast_persist_lag_events', 'Events in the log that Postgres does not have yet', [
    'partition',
  ]);
  readonly lagMs = this.gauge(
    'holdfast_persist_lag_ms',
    'For how long a partition has had events that Postgres does not have',
    ['partition'],
  );
  readonly halted = this.gauge('holdfast_partition_halted', '1 while the log of the partition cannot be persisted', [
    'partition',
  ]);
  readonly unreachable = this.gauge(
    'holdfast_partitions_unreachable',
    'Partitions that did not answer the last look',
    [],
  );
  readonly violations = this.gauge(
    'holdfast_violations',
    'What disagreed between Redis and Postgres, or within one of them, when the partition was last verified',
    ['partition'],
  );
  readonly verifiedAt = this.gauge(
    'holdfast_verified_timestamp_seconds',
    'When this process last verified the partition and could tell',
    ['partition'],
  );
  readonly verifications = new Counter({
    name: 'holdfast_verifications_total',
    help: 'Partitions verified, by outcome; undecided: it was away, closed, or Postgres was behind',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  readonly events = this.counter('holdfast_persisted_events_total', 'Events committed to Postgres by this process');
  readonly reversals = this.counter(
    'holdfast_reversals_total',
    'Answers that were taken back by a failover or a restart, as recorded in the ledger by this process',
  );
  readonly batches = this.counter('holdfast_persisted_batches_total', 'Transactions committed by this process');
  readonly expired = this.counter(
    'holdfast_swept_records_total',
    'Records expired, completed or forgotten by the sweeps of this process',
  );
  readonly failures = new Counter({
    name: 'holdfast_worker_failures_total',
    help: 'Failed steps by what failed; they are tried again',
    labelNames: ['step'],
    registers: [this.registry],
  });
  readonly batchSize = this.histogram(
    'holdfast_persist_batch_events',
    'Events in a transaction',
    [1, 4, 16, 64, 256, 1024, 4096, 16384],
  );
  readonly commitSeconds = this.histogram(
    'holdfast_persist_seconds',
    'Time from sending a transaction to its commit',
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5],
  );

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  private gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  private counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.registry] });
  }

  private histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.registry] });
  }
}
