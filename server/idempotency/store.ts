/**
 * Where answers are kept for replay. Two keys a request, in one slot: the *record* (24 h) says what was asked, under which
 * id the change is made and, in the end, what was answered; the *lease* (seconds) says that somebody is carrying it out.
 *
 * Plain commands only: scripts are loaded by recovery alone, because an empty script cache has to mean a restarted node.
 * The record outlives the lease. So whoever takes a request over from a process that died finds the id in it, and the
 * engine answers `exists` instead of doing the thing twice. That also makes it harmless when two take over at once.
 */
import { Cluster } from 'ioredis';
import { Packr } from 'msgpackr';
import { parseAddress } from '../../engine/redis/address.js';
import type { Encoded } from '../http/exchange.js';

/** How long answers are kept. (API: Idempotency-Key) */
export const KEEP_MS = 24 * 3600 * 1000;
/** How long a process may take before another may take over; far above any deadline of the engine. */
export const LEASE_MS = 10_000;
/** A command that takes longer has failed. */
const COMMAND_TIMEOUT_MS = 1_000;
const REFRESH_MS = 500;

export interface StoredRecord {
  readonly fingerprint: string;
  readonly changeId: string;
  /** Undefined while it is being carried out, and after it failed in a way that is not final. */
  readonly answer: Encoded | undefined;
}

export interface Opening {
  /** What stood there before; undefined where the record is new. */
  readonly found: StoredRecord | undefined;
  /** Whether the lease is now the caller's. */
  readonly leased: boolean;
}

const packr = new Packr({ useRecords: false });
const FORMAT = 1;
const PENDING = 0;

export class IdempotencyStore {
  private readonly cluster: Cluster;
  private readonly base: string;
  private refreshed = 0;
  private closed = false;

  constructor(redis: string, prefix: string, onError: (error: Error) => void) {
    const { seeds, access } = parseAddress(redis);
    this.base = `${prefix}:idem:`;
    this.cluster = new Cluster([...seeds], {
      // Nothing is sent again behind our back: a lost connection or a moved shard is an error, at once.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      enableOfflineQueue: true,
      enableReadyCheck: true,
      // For ever, but never slower than this: the server goes on without the store, and must find it again.
      clusterRetryStrategy: (times) => Math.min(100 * times, 2_000),
      redisOptions: {
        username: access.username,
        password: access.password,
        tls: access.tls,
        commandTimeout: COMMAND_TIMEOUT_MS,
        connectTimeout: COMMAND_TIMEOUT_MS,
        autoResendUnfulfilledCommands: false,
        maxRetriesPerRequest: 0,
      },
    });
    this.cluster.on('error', onError);
  }

  /** Makes the record unless there is one, and takes the lease unless it is taken: one round trip. */
  async open(hash: string, fingerprint: string, changeId: string): Promise<Opening> {
    const pending = packr.pack([FORMAT, fingerprint, changeId, PENDING]);
    const [before, leased] = await this.bounded(
      Promise.all([
        this.cluster.callBuffer('SET', this.record(hash), pending, 'PX', KEEP_MS, 'NX', 'GET'),
        this.cluster.set(this.lease(hash), '1', 'PX', LEASE_MS, 'NX'),
      ]),
    );
    return { found: before === null ? undefined : unpack(before as Buffer), leased: leased === 'OK' };
  }

  /** Keeps the answer and gives the lease back. */
  async answered(hash: string, fingerprint: string, changeId: string, answer: Encoded): Promise<void> {
    const { status, type, bytes, headers } = answer;
    const record = packr.pack([FORMAT, fingerprint, changeId, status, type, Buffer.from(bytes as Buffer), headers]);
    await this.bounded(
      Promise.all([this.cluster.set(this.record(hash), record, 'PX', KEEP_MS), this.cluster.del(this.lease(hash))]),
    );
  }

  /** Gives the lease back. The record stays: a retry has to find the id of a change that may have been made. */
  async release(hash: string): Promise<void> {
    await this.bounded(this.cluster.del(this.lease(hash)));
  }

  /** Forgets a request that changed nothing and may come again corrected. */
  async forget(hash: string): Promise<void> {
    await this.bounded(this.cluster.del(this.record(hash), this.lease(hash)));
  }

  close(): void {
    this.closed = true;
    this.cluster.disconnect();
  }

  /**
   * A master that hangs is not noticed by its connection: after a failure the map is read again, at most twice a second.
   * (The client's own interval goes on after it was closed.)
   */
  private async bounded<T>(work: Promise<T>): Promise<T> {
    try {
      return await inTime(work);
    } catch (error) {
      const now = Date.now();
      if (!this.closed && now - this.refreshed > REFRESH_MS) {
        this.refreshed = now;
        this.cluster.refreshSlotsCache();
      }
      throw error;
    }
  }

  private record(hash: string): string {
    return `${this.base}{${hash}}`;
  }

  private lease(hash: string): string {
    return `${this.base}{${hash}}:lease`;
  }
}

function unpack(bytes: Buffer): StoredRecord {
  const [, fingerprint, changeId, status, type, body, headers] = packr.unpack(bytes) as [
    number,
    string,
    string,
    number,
    string,
    Buffer,
    [string, string][],
  ];
  if (status === PENDING) return { fingerprint, changeId, answer: undefined };
  return { fingerprint, changeId, answer: { status, type, bytes: body, headers, retryAfter: undefined } };
}

/** The client's own timeout does not cover commands that wait for the cluster to be found. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the idempotency store did not answer in time')), 2 * COMMAND_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
