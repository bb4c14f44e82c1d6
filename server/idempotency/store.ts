/**
 * Where answers are kept for replay: one record a request, which first says what was asked and who is at it, and in the end what
 * was answered.
 *
 * Whoever makes the record, or takes it over, holds a lease on it, known by a token. Only the holder of the token in the record can
 * put an answer there or remove it: one who comes back after its lease was over, and another has taken over, changes nothing.
 * Two that carry the same request out at the same time do no harm either: the change has an id that follows from the key and the
 * content, and the engine answers `exists` instead of doing it twice.
 */
import { Packr } from 'msgpackr';
import { randomId } from '../../engine/ids.js';
import type { Reply } from '../../engine/redis/connection.js';
import { arrayHead, bulkAscii } from '../../engine/redis/resp.js';
import { decodeReply, type ReplyValue } from '../../engine/scripts/script.js';
import { RANDOM_CHARS } from '../../engine/steer.js';
import { idempotencyReplace } from '../../engine/scripts/generated/idempotency-replace.js';
import { ScriptSet } from '../../engine/scripts/loading.js';
import type { Encoded } from '../http/exchange.js';
import { KeyLanes } from './lanes.js';

/** How long answers are kept. (API: Idempotency-Key) */
export const KEEP_MS = 24 * 3600 * 1000;
/** How long a process may be at it before another may take over; far above any deadline of the engine. */
export const LEASE_MS = 10_000;
/** A command that takes longer has failed. */
const COMMAND_TIMEOUT_MS = 2_000;

/** What is there. */
export interface StoredRecord {
  readonly token: string;
  readonly fingerprint: string;
  /** It was given up: it may be taken over at once. */
  readonly givenUp: boolean;
  /** Undefined while it is being carried out, and after it failed in a way that is not final. */
  readonly answer: Encoded | undefined;
}

const packr = new Packr({ useRecords: false });
const FORMAT = 2;
const PENDING = 0;
const GIVEN_UP = 1;
const SET = bulkAscii('SET');
const PX = bulkAscii('PX');
const KEEP = bulkAscii(String(KEEP_MS));
const NX_GET = bulkAscii('NX') + bulkAscii('GET');

export class IdempotencyStore {
  private readonly lanes: KeyLanes;
  private readonly base: string;
  /** `EVALSHA <sha1> 1` */
  private readonly start: string;

  constructor(
    redis: string,
    prefix: string,
    onError: (error: Error) => void,
    /** Milliseconds, by the clock of the record's node. */
    private readonly leaseMs = LEASE_MS,
  ) {
    this.base = `${prefix}:idem:`;
    this.start = bulkAscii('EVALSHA') + bulkAscii(new ScriptSet(prefix).sha1(idempotencyReplace)) + bulkAscii('1');
    this.lanes = new KeyLanes(redis, COMMAND_TIMEOUT_MS, onError);
  }

  /**
   * Makes the record unless there is one. Resolves with the token of the new one, or with what is there.
   * @throws an error that {@link isFull} where there is none and no memory for one
   */
  async open(hash: string, fingerprint: string): Promise<string | StoredRecord> {
    const token = randomId();
    const bucket = this.lanes.bucketOf(hash);
    const record = encode(token, [FORMAT, fingerprint, PENDING]);
    const make = `${arrayHead(7)}${SET}${this.key(bucket, hash)}${bulkAscii(record)}${PX}${KEEP}${NX_GET}`;
    const before = await this.lanes.run(bucket, make).catch(async (error: unknown) => {
      if (!isFull(error)) throw error;
      const found = await this.command('GET', hash);
      if (found === null) throw error;
      return found;
    });
    return before === null ? token : decode(before);
  }

  /** What is there; undefined when there is nothing. */
  async find(hash: string): Promise<StoredRecord | undefined> {
    const found = await this.command('GET', hash);
    return found === null ? undefined : decode(found);
  }

  /** Whether whoever is at it has been for longer than its lease. By the node's clock: its records' time to live tells their age. */
  async leaseOver(hash: string): Promise<boolean> {
    const left = await this.command('PTTL', hash);
    return typeof left === 'number' && left >= 0 && KEEP_MS - left >= this.leaseMs;
  }

  /** The token under which the caller is at it from now on; undefined when the record is not that one any more. */
  async takeOver(hash: string, { token, fingerprint }: StoredRecord): Promise<string | undefined> {
    const mine = randomId();
    const done = await this.replace(hash, token, KEEP_MS, encode(mine, [FORMAT, fingerprint, PENDING]));
    return done ? mine : undefined;
  }

  /** Keeps an answer. False: somebody else has taken the request over, and nothing was changed. So with the other two. */
  answered(hash: string, token: string, fingerprint: string, answer: Encoded): Promise<boolean> {
    const { status, type, bytes, headers } = answer;
    const record = [FORMAT, fingerprint, status, type, Buffer.from(bytes as Buffer), headers];
    return this.replace(hash, token, KEEP_MS, encode(token, record));
  }

  /** Lets the next try begin at once; with the same content, because a change may have been made. */
  giveUp(hash: string, token: string, fingerprint: string): Promise<boolean> {
    return this.replace(hash, token, KEEP_MS, encode(token, [FORMAT, fingerprint, GIVEN_UP]));
  }

  /** Forgets a request that changed nothing and may come again corrected. */
  forget(hash: string, token: string): Promise<boolean> {
    return this.replace(hash, token, 0, '');
  }

  close(): void {
    this.lanes.close();
  }

  private async replace(hash: string, token: string, keep: number, record: string): Promise<boolean> {
    const bucket = this.lanes.bucketOf(hash);
    const kept = keep === KEEP_MS ? KEEP : bulkAscii(String(keep));
    const payload = `${arrayHead(7)}${this.start}${this.key(bucket, hash)}${bulkAscii(token)}${kept}${bulkAscii(record)}`;
    const reply = await this.lanes.run(bucket, payload);
    if (!Array.isArray(reply)) throw new Error('the idempotency store gave an answer that is none');
    const { rows, callStatus } = decodeReply(idempotencyReplace, reply as ReplyValue[], 1);
    const status = rows[0]?.status;
    if (status === 'ok' || status === 'superseded') return status === 'ok';
    throw new Error(`the idempotency store refused a record: ${callStatus}`);
  }

  private command(name: string, hash: string): Promise<Reply> {
    const bucket = this.lanes.bucketOf(hash);
    return this.lanes.run(bucket, arrayHead(2) + bulkAscii(name) + this.key(bucket, hash));
  }

  private key(bucket: number, hash: string): string {
    return bulkAscii(`${this.base}{${this.lanes.tagOf(bucket)}}:${hash}`);
  }
}

/** The store has no memory for another record; nothing was written. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('OOM ');
}

type Packed = [format: number, fingerprint: string, status: number, ...rest: unknown[]];

/** The token, then what is packed: a character a byte. */
function encode(token: string, record: readonly unknown[]): string {
  return token + packr.pack(record).toString('latin1');
}

function decode(reply: Reply): StoredRecord {
  if (!Buffer.isBuffer(reply)) throw new Error('the idempotency store holds something else under the key');
  const token = reply.toString('latin1', 0, RANDOM_CHARS);
  const [, fingerprint, status, ...rest] = packr.unpack(reply.subarray(RANDOM_CHARS)) as Packed;
  if (status === PENDING || status === GIVEN_UP)
    return { token, fingerprint, givenUp: status === GIVEN_UP, answer: undefined };
  const [type, bytes, headers] = rest as [string, Buffer, [string, string][]];
  return { token, fingerprint, givenUp: false, answer: { status, type, bytes, headers, retryAfter: undefined } };
}
