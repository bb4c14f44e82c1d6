/**
 * What callers of the engine see. No HTTP and no SQL here: `server` and `workers` stand above.
 * Quantities are whole units, times are milliseconds since the epoch unless the name says seconds.
 */
import type { NearCache, NearCacheOptions } from './cache/near-cache.js';
import type { StatusName } from './scripts/generated/statuses.js';

/** How far an answer is safe before the caller is told. Ordered: each level includes the ones before. */
export type Ack = 'executed' | 'replicated' | 'durable';

/** A stock item: a sku at a location. Both 1–128 of `A-Za-z0-9._-~`. (S1) */
export interface ItemRef {
  readonly location: string;
  readonly sku: string;
}

export interface Line extends ItemRef {
  /** 1 … limits.max_quantity */
  readonly quantity: number;
}

export interface CallOptions {
  /** The ack to wait for; the engine's default otherwise. */
  readonly ack?: Ack;
  /** Milliseconds from now after which the caller is answered whatever happened; the engine's default otherwise. */
  readonly timeoutMs?: number;
  /** Who causes the change, for the audit trail (S7); the buyer where there is one. At most limits.text_bytes. */
  readonly actor?: string;
}

/** The counts of an item. */
export interface StockLevel extends ItemRef {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  /** Grows by one with every change of the item. */
  readonly version: number;
  readonly updatedAt: number;
}

/** Settings of an item; `null` removes one, absent leaves it. */
export interface StockSettings {
  readonly buyerLimit?: number | null;
  readonly opensAt?: number | null;
  readonly closesAt?: number | null;
  readonly lowStock?: number | null;
  readonly holdSeconds?: number | null;
  readonly room?: string | null;
  /** Descriptive text by name (title, options …), kept in Postgres only; replaces what was there. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface StockItem extends StockLevel {
  readonly settings: { readonly [K in Exclude<keyof StockSettings, 'attributes'>]?: NonNullable<StockSettings[K]> };
}

export type ReservationState = 'held' | 'confirmed' | 'released' | 'expired' | 'returned';

export interface ReservationLine extends Line {
  /** Units of this line that have come back after the sale. */
  readonly returned: number;
}

export interface Reservation {
  readonly reservationId: string;
  /** As of now: a hold past its deadline is `expired`, swept or not. */
  readonly status: ReservationState;
  readonly buyerId: string;
  readonly lines: readonly ReservationLine[];
  /** Deadline of the hold. */
  readonly expiresAt: number;
  /** The node's clock when it answered: `expiresAt - now` is what is left. */
  readonly now: number;
}

export interface ReserveRequest {
  /** Made by the engine when absent (and then cheaper: its home is where the stock lies). */
  readonly reservationId?: string;
  readonly buyerId?: string;
  /** 1 … limits.max_lines; duplicates of an item are summed first (S5). */
  readonly lines: readonly Line[];
  /** 1 … limits.max_hold_seconds; default: the items' own, else limits.default_hold_seconds. */
  readonly holdSeconds?: number;
  /** The waiting room the buyer was admitted by, already verified. */
  readonly room?: string;
}

/** Refusals: final answers that changed nothing. `detail` is one sentence for people; more fields where they help. */
export interface Refusal {
  readonly status: Exclude<StatusName, 'ok' | 'exists'>;
  /** The line that was refused, where one was. */
  readonly item?: ItemRef;
  /** Units left, for insufficient_stock; units the buyer may still take, for buyer_limit. */
  readonly available?: number;
}

/** A change that was applied now (`ok`) or earlier under the same id (`exists`). */
export type Done<T> = { readonly status: 'ok' | 'exists'; readonly value: T; readonly ack: Ack };
export type Outcome<T> = Done<T> | Refusal;

export interface AdjustRequest {
  /** Difference (signed, not 0) … */
  readonly by?: number;
  /** … or the physical count, available + reserved. Exactly one of the two. */
  readonly countedTo?: number;
  readonly reason: string;
  /** Repeating under the same id changes nothing. Made when absent. */
  readonly movementId?: string;
}

export interface ReturnLine extends ItemRef {
  /** How many units of this line have come back *altogether*: repeating is harmless. Default: all. */
  readonly quantity?: number;
}

export interface StockApi {
  /** Reads counts straight from Redis, in the order asked; `undefined` for unknown items. At most 500. (S2) */
  check(items: readonly ItemRef[], options?: CallOptions): Promise<(StockItem | undefined)[]>;
  /** Creates an item or changes its settings. */
  configure(
    item: ItemRef,
    settings: StockSettings,
    options?: CallOptions,
  ): Promise<Outcome<StockLevel & { readonly created: boolean }>>;
  restock(
    item: ItemRef,
    request: { quantity: number; reason?: string; movementId?: string },
    options?: CallOptions,
  ): Promise<Outcome<StockLevel>>;
  adjust(item: ItemRef, request: AdjustRequest, options?: CallOptions): Promise<Outcome<StockLevel>>;
  /** Sells in one step, without a hold. (S4) */
  deduct(
    item: ItemRef,
    request: { quantity: number; orderId: string; buyerId?: string; room?: string },
    options?: CallOptions,
  ): Promise<Outcome<StockLevel>>;
}

export interface ReservationsApi {
  reserve(request: ReserveRequest, options?: CallOptions): Promise<Outcome<Reservation>>;
  find(reservationId: string, options?: CallOptions): Promise<Reservation | undefined>;
  /** Sells what is held. `hold_expired` at or past the deadline. (S3, S9) */
  confirm(reservationId: string, options?: CallOptions): Promise<Outcome<Reservation>>;
  release(reservationId: string, options?: CallOptions): Promise<Outcome<Reservation>>;
  /** Moves the deadline to `holdSeconds` from now; never brings it nearer. */
  extend(reservationId: string, holdSeconds: number, options?: CallOptions): Promise<Outcome<Reservation>>;
  /** Brings sold units back on sale; all of them without `lines`. */
  return(reservationId: string, lines?: readonly ReturnLine[], options?: CallOptions): Promise<Outcome<Reservation>>;
}

/** One event of the log, as workers persist it (docs/protocol.md). */
export interface LogEvent {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly at: number;
  readonly kind: number;
  readonly ref: string;
  readonly id: string;
  readonly quantity: number;
  readonly actor: string;
  readonly detail: string;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
  readonly deadline: number;
  readonly fingerprint: number;
  readonly attempt: number;
}

/** The last event of a partition that Postgres has. */
export interface PersistedPosition {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
}

/** What is wanted of a partition's log: entries after `after`, until at least `maxEvents` events are read. */
export interface LogRequest {
  readonly partition: number;
  readonly after: { readonly epoch: number; readonly seq: number };
  readonly maxEvents: number;
}

export interface PartitionStatus {
  readonly partition: number;
  readonly node: string;
  readonly epoch: number;
  readonly seq: number;
  readonly open: boolean;
  readonly persisted: { epoch: number; seq: number };
  /** Entries in the log, not yet trimmed. */
  readonly logLength: number;
  /** Time of the earliest due entry, if any. */
  readonly nextDue: number | undefined;
}

/** How full the memory of a node is. */
export interface NodeMemory {
  readonly node: string;
  /** The partitions it serves. */
  readonly partitions: readonly number[];
  /** Bytes that count against `maxmemory`. */
  readonly used: number;
  /** `maxmemory` in bytes; 0: none is set. */
  readonly limit: number;
}

/** For workers and operators: one partition's log, sweep and state. */
export interface PartitionsApi {
  readonly count: number;
  of(item: ItemRef): number;
  /**
   * State of all partitions, or of those asked for, by number: one pipelined read a node that has some of them, no other node is
   * waited for. Partitions of nodes that do not answer within 2 s are absent.
   */
  status(partitions?: readonly number[]): Promise<PartitionStatus[]>;
  /** Memory of every master that can be reached, one read each. */
  memory(): Promise<NodeMemory[]>;
  /** Entries after `epoch-seq`, whole entries, in order, until at least `maxEvents` events are read or the log ends. */
  readLog(partition: number, after: { epoch: number; seq: number }, maxEvents: number): Promise<LogEvent[]>;
  /** The same of several logs: those of one node in a shared pipeline. One promise a request, in order; each rejects by itself. */
  readLogs(requests: readonly LogRequest[]): Promise<LogEvent[]>[];
  /** Tells everybody that Postgres has everything up to here, and trims the log up to it. */
  markPersisted(partition: number, position: { epoch: number; seq: number }): Promise<void>;
  /**
   * Tells those who wait for `durable` how far Postgres has partitions, and nobody else: a message each instead of a script call.
   * One that is lost costs a moment; `markPersisted` has to follow.
   */
  publishPersisted(positions: readonly PersistedPosition[]): Promise<void>;
  /** Expires what is due and forgets what is past its retention; returns how many records were changed. (S9) */
  sweep(partition: number, max?: number): Promise<number>;
  /** Pages through everything a partition holds (verify, rebuild). */
  dump(partition: number): AsyncIterable<PartitionDump>;
  /** Some of what a partition holds; what it does not hold is absent. Like pages, not all of one moment. */
  read(partition: number, names: RecordNames): Promise<Required<PartitionDump>>;
}

/** Items by ref (`location:sku`), reservations and claims by id. */
export interface RecordNames {
  readonly items?: readonly string[];
  readonly holds?: readonly string[];
  readonly claims?: readonly string[];
}

export interface HoldLine extends ReservationLine {
  /** Its units stand in the item's count of what this buyer holds and has bought (the item had a buyer limit). */
  readonly counted: boolean;
}

/** A hold record, or a claim record (then `counted` and `returned` of its lines are false and 0). */
export interface HoldRecord {
  readonly id: string;
  readonly state: ReservationState | 'pending';
  readonly deadline: number;
  readonly fingerprint: number;
  readonly attempt: number;
  readonly buyerId: string;
  /** When it left the held state, 0 before. */
  readonly resolvedAt: number;
  /** Claims only: when the attempt was opened. */
  readonly openedAt?: number;
  readonly lines: readonly HoldLine[];
}

export interface PartitionDump {
  readonly items?: readonly StockItem[];
  readonly holds?: readonly HoldRecord[];
  readonly claims?: readonly HoldRecord[];
}

/**
 * Answers that Postgres does not have yet (of partitions that are persisted). Those that a failover or a restart takes back (`executed`), or
 * the loss of a whole shard (`replicated` too), are recorded in the ledger as `reversed`.
 */
export interface ReversalCounts {
  /** Remembered now. */
  readonly kept: number;
  /** Dropped since the engine was opened, because more than 250,000 were waiting: if they are lost, nobody tells. */
  readonly forgotten: number;
  /** Reversals recorded, and those that are lost and not recorded yet. */
  readonly recorded: number;
  readonly unrecorded: number;
}

export interface Engine {
  readonly stock: StockApi;
  readonly reservations: ReservationsApi;
  readonly partitions: PartitionsApi;
  /** A new reservation id whose home is the partition of this item. */
  newReservationId(item: ItemRef): string;
  /** Counts of items in memory, kept true by what the partitions tell; one for a process is enough. (S2, S10) */
  openCache(options?: NearCacheOptions): NearCache;
  /** What this engine knows of answers that can still be lost. */
  reversals(): ReversalCounts;
  /** Resolves when every partition is open (or rejects after `timeoutMs`). */
  ready(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** Where recovery learns what is persisted. Workers implement it on Postgres; without one, Redis is believed as it is. */
export interface PersistedSource {
  /** Runs `work` while no other process recovers this partition; false if another one does. */
  exclusively<T>(partition: number, work: () => Promise<T>): Promise<T | false>;
  /**
   * The last position that is committed, `{epoch: 0, seq: 0}` if none; and the highest epoch ever announced, which is higher
   * when a recovery announced one and died, or nothing happened under it yet.
   */
  position(partition: number): Promise<{ epoch: number; seq: number; announced?: number }>;
  /**
   * Announces the new epoch, which begins after event `seq` of epoch `parent`: from now on nothing is accepted under an older
   * epoch, but for events that lead there and are still in the log. Called before the partition opens.
   */
  raiseEpoch(partition: number, epoch: number, seq: number, parent?: number): Promise<void>;
  /** The persisted state of what changed after `seq` (items, holds, claims, id records), to be written back. */
  changedSince(partition: number, seq: number): AsyncIterable<PersistedState>;
}

export interface PersistedIdRecord {
  readonly id: string;
  readonly ref: string;
  readonly kind: number;
  readonly fingerprint: number;
  readonly level: StockLevel;
}

export interface PersistedState {
  readonly items?: readonly StockItem[];
  readonly holds?: readonly HoldRecord[];
  readonly claims?: readonly HoldRecord[];
  readonly ids?: readonly PersistedIdRecord[];
  /** Absolute numbers; 0 means that the field goes. */
  readonly buyers?: readonly { ref: string; buyerId: string; units: number }[];
  /** Ids of records that are no longer there (aborted after `seq`): deleted if Redis still has them. */
  readonly gone?: { readonly holds: readonly string[]; readonly claims: readonly string[] };
}

export interface EngineOptions {
  /** `redis://host:port` of some nodes of the cluster (comma-separated or a list); `rediss://` for TLS (docs/security.md), user and password as usual. */
  readonly redis: string | readonly string[];
  /** Key prefix, default `hf`: several installations can share a cluster. */
  readonly prefix?: string;
  /** Number of partitions, a power of two, default 64. Must be the same in every process. */
  readonly partitions?: number;
  /** Default ack, default `replicated` (falls to `executed` on shards that have no replicas). */
  readonly ack?: Ack;
  /**
   * `replicated` means that every replica has it on disk, and the master, too (WAITAOF; default: in their memory). Survives the
   * loss of power of a whole shard; an answer takes about a second. Needs Redis 7.2 or Valkey with `appendonly yes` on every node:
   * otherwise the engine does not open.
   */
  readonly replicatedOnDisk?: boolean;
  /** Default deadline of a call, default 2000 ms, with `replicatedOnDisk` 10,000. */
  readonly timeoutMs?: number;
  /**
   * Who opens partitions that are fenced or new: `self` (default; this process, believing Redis or `source`), or `external`
   * (another process does; calls answer shard_unavailable until it has). `self` without a source refuses partitions a worker owns.
   */
  readonly recovery?: 'self' | 'external';
  readonly source?: PersistedSource;
  /**
   * Whether this process, where it recovers by itself, asks the replica of a master that is gone to take over (default), or leaves
   * that to the cluster's node timeout: docs/reliability.md. The user it logs in as needs `cluster|failover`.
   */
  readonly takeover?: boolean;
  /** Called with things an operator should know; never with personal data. */
  readonly onNotice?: (notice: { level: 'info' | 'warn' | 'error'; message: string; [field: string]: unknown }) => void;
}
