/**
 * Where answers are kept for replay: one record a request, which first says what was asked, under which id the change is
 * made and since when somebody is at it, and in the end what was answered.
 *
 * Plain commands only: scripts are loaded by recovery alone, because an empty script cache has to mean a restarted node.
 * Whoever takes a request over from a process that died finds the id of the change in the record, and the engine answers
 * `exists` instead of doing the thing twice. That makes it harmless, too, when two take over at once, or when the clocks
 * of two servers differ: so there is no lock, and a request costs two commands.
 */
import { Cluster } from 'ioredis';
import { Packr } from 'msgpackr';
import { parseAddress } from '../../engine/redis/address.js';
import type { Encoded } from '../http/exchange.js';

/** How long answers are kept. (API: Idempotency-Key) */
export const KEEP_MS = 24 * 3600 * 1000;
/** How long a process may be at it before another may take over; far above any deadline of the engine. */
export const LEASE_MS = 10_000;
/** A command that takes longer has failed. */
const COMMAND_TIMEOUT_MS = 1_000;
const REFRESH_MS = 500;

export interface StoredRecord {
  readonly fingerprint: string;
  readonly changeId: string;
  /** Since when somebody carries it out, in ms; 0 where it was given up. */
  readonly since: number;
  /** Undefined while it is being carried out, and after it failed in a way that is not final. */
  readonly answer: Encoded | undefined;
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

  /**
   * Makes the record unless there is one; resolves with the one that is there, undefined where it is new.
   * @throws an error that {@link isFull} where there is none and no memory for one
   */
  async open(hash: string, fingerprint: string, changeId: string): Promise<StoredRecord | undefined> {
    const mine = packr.pack([FORMAT, fingerprint, changeId, PENDING, Date.now()]);
    try {
      const before = await this.bounded(
        this.cluster.callBuffer('SET', this.key(hash), mine, 'PX', KEEP_MS, 'NX', 'GET') as Promise<Buffer | null>,
      );
      return before === null ? undefined : unpack(before);
    } catch (error) {
      if (!isFull(error)) throw error;
      const before = await this.bounded(this.cluster.getBuffer(this.key(hash)));
      if (before === null) throw error;
      return unpack(before);
    }
  }

  /** Says that the caller is at it from now on. */
  async takeOver(hash: string, fingerprint: string, changeId: string): Promise<void> {
    await this.put(hash, [FORMAT, fingerprint, changeId, PENDING, Date.now()]);
  }

  async answered(hash: string, fingerprint: string, changeId: string, answer: Encoded): Promise<void> {
    const { status, type, bytes, headers } = answer;
    await this.put(hash, [FORMAT, fingerprint, changeId, status, type, Buffer.from(bytes as Buffer), headers]);
  }

  /** Lets the next try begin at once. The record stays: it has to find the id of a change that may have been made. */
  async giveUp(hash: string, fingerprint: string, changeId: string): Promise<void> {
    await this.put(hash, [FORMAT, fingerprint, changeId, PENDING, 0]);
  }

  /** Forgets a request that changed nothing and may come again corrected. */
  async forget(hash: string): Promise<void> {
    await this.bounded(this.cluster.del(this.key(hash)));
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

  private async put(hash: string, record: readonly unknown[]): Promise<void> {
    await this.bounded(this.cluster.set(this.key(hash), packr.pack(record), 'PX', KEEP_MS));
  }

  private key(hash: string): string {
    return `${this.base}{${hash}}`;
  }
}

/** The store has no memory for another record; nothing was written. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('OOM ');
}

type Packed = [format: number, fingerprint: string, changeId: string, status: number, ...rest: unknown[]];

function unpack(bytes: Buffer): StoredRecord {
  const [, fingerprint, changeId, status, ...rest] = packr.unpack(bytes) as Packed;
  if (status === PENDING) return { fingerprint, changeId, since: rest[0] as number, answer: undefined };
  const [type, body, headers] = rest as [string, Buffer, [string, string][]];
  return { fingerprint, changeId, since: 0, answer: { status, type, bytes: body, headers, retryAfter: undefined } };
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
