/** The client: calls, subscriptions, the replica. */
import { ACKS, LEVEL_COLUMNS, OP } from '../wire/stream.js';
import { level, readFound, readReservation } from './answers.js';
import { CHANGE, READ, type Columns } from './call.js';
import { DEFAULT_TIMEOUT_MS, DEFAULT_CONNECT_MS, DEFAULT_IN_FLIGHT, DEFAULT_BACKOFF_MS } from './defaults.js';
import { Dispatcher } from './dispatcher.js';
import { HoldfastError } from './errors.js';
import { newReservationId } from './ids.js';
import type { Link } from './link.js';
import { Pinger } from './pinger.js';
import type { ReplicaItem } from './replica-item.js';
import { Replica } from './replica.js';
import { defaultSocket, streamUrl } from './socket.js';
import type {
  Ack,
  CallOptions,
  ClientState,
  ConnectOptions,
  DeductRequest,
  FoundReservation,
  ItemRef,
  Reservation,
  ReserveRequest,
  StockAnswer,
  StockLevel,
} from './types.js';
import { ackNumber, checkItem, checkItems, refOf } from './check.js';

/** Resolves when the server has answered and taken the token. @throws HoldfastError `unauthenticated`, `not_connected` */
export async function connect(options: ConnectOptions): Promise<Client> {
  const socket = options.WebSocket ?? (await defaultSocket());
  const client = new Client(options, socket);
  await client.connected(options.connectTimeoutMs ?? DEFAULT_CONNECT_MS);
  return client;
}

export class Client {
  /** Subscribed items in memory. */
  readonly replica = new Replica();
  private readonly dispatcher: Dispatcher;
  private readonly timeoutMs: number;
  private partitions = 0;
  private readonly pinger: Pinger;
  private lastError: HoldfastError | undefined;
  private current: ClientState = 'waiting';
  private waiters: (() => void)[] = [];

  /** @internal Use {@link connect}. */
  constructor(
    private readonly options: ConnectOptions,
    socket: NonNullable<ConnectOptions['WebSocket']>,
  ) {
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const { url, token, maxBackoffMs = DEFAULT_BACKOFF_MS, maxInFlight = DEFAULT_IN_FLIGHT } = options;
    this.dispatcher = new Dispatcher({ url: streamUrl(url), token, maxBackoffMs, socket }, maxInFlight, {
      up: (link) => this.up(link),
      down: () => this.state('waiting'),
      tokenRefused: (error) => {
        this.lastError = error;
        for (const wake of this.waiters) wake();
      },
      changes: (link, columns) => this.replica.changes(link, columns),
      vouch: (link, staleMs, unusual) => this.replica.vouch(link, staleMs, unusual),
    });
    this.dispatcher.connector.open();
    this.pinger = new Pinger(this.dispatcher, this.timeoutMs);
  }

  get inFlight(): number {
    return this.dispatcher.inFlight;
  }

  /** A reservation id that makes a reservation of this item cheapest for the store. */
  newReservationId(item: ItemRef): string {
    checkItem(item);
    return newReservationId(item, this.partitions);
  }

  // ── reservations ──

  /** Holds units until a deadline: all lines or none. (S3, S5) */
  reserve(request: ReserveRequest, options: CallOptions = {}): Promise<Reservation> {
    const { lines, buyerId, holdSeconds } = request;
    let ack: number | undefined;
    try {
      checkItems(lines);
      ack = ackNumber(options.ack);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    const made = request.reservationId === undefined;
    const reservationId = request.reservationId ?? newReservationId(lines[0]!, this.partitions);
    return this.change(
      (link, id, first) => {
        const flat: unknown[] = [];
        for (const line of lines) flat.push(link.item(refOf(line)), line.quantity);
        return [OP.reserve, id, reservationId, flat, buyerId, holdSeconds, ack, first && made ? true : undefined];
      },
      readReservation,
      reservationId,
      options,
    );
  }

  /** Sells what is held. Past the deadline: `hold_expired`. (S3, S9) */
  confirm(reservationId: string, options: CallOptions = {}): Promise<Reservation> {
    return this.decide(OP.confirm, reservationId, options);
  }

  /** Gives back what is held. */
  release(reservationId: string, options: CallOptions = {}): Promise<Reservation> {
    return this.decide(OP.release, reservationId, options);
  }

  /** Moves the deadline to `holdSeconds` from when it is carried out; never nearer. */
  async extend(reservationId: string, holdSeconds: number, options: CallOptions = {}): Promise<Reservation> {
    const ack = ackNumber(options.ack);
    const columns = (_link: Link, id: number) => [OP.extend, id, reservationId, holdSeconds, ack];
    return this.change(columns, readReservation, reservationId, options);
  }

  /** Brings sold units back on sale; of each line named, as many as have come back altogether. All without `lines`. */
  async return(
    reservationId: string,
    lines?: readonly (ItemRef & { readonly quantity?: number })[],
    options: CallOptions = {},
  ): Promise<Reservation> {
    if (lines !== undefined) checkItems(lines);
    const ack = ackNumber(options.ack);
    const columns = (link: Link, id: number) => {
      const flat = lines?.flatMap((line) => [link.item(refOf(line)), line.quantity ?? null]);
      return [OP.return, id, reservationId, flat ?? null, ack];
    };
    return this.change(columns, readReservation, reservationId, options);
  }

  /** @throws HoldfastError `reservation_not_found`, also for those of others */
  find(reservationId: string, options: CallOptions = {}): Promise<FoundReservation> {
    const columns = (_link: Link, id: number) => [OP.find, id, reservationId];
    return this.dispatcher.submit(READ, columns, readFound, options.timeoutMs ?? this.timeoutMs);
  }

  // ── stock ──

  /** Sells in one step, without a hold. (S4) */
  async deduct(item: ItemRef, request: DeductRequest, options: CallOptions = {}): Promise<StockLevel & { ack: Ack }> {
    checkItem(item);
    const { quantity, orderId, buyerId } = request;
    const ack = ackNumber(options.ack);
    return this.change(
      (link, id) => [OP.deduct, id, link.item(refOf(item)), quantity, orderId, buyerId, ack],
      (answer) => ({ ...level(item, answer, 3)!, ack: ACKS[answer[2] as number]! }),
      orderId,
      options,
    );
  }

  /** Counts as the server's memory has them, or with `fresh` as the store has them. (S2, S10) */
  async stock(
    items: readonly ItemRef[],
    options: CallOptions & { readonly fresh?: boolean } = {},
  ): Promise<StockAnswer> {
    checkItems(items);
    const columns = (link: Link, id: number) => [
      OP.stock,
      id,
      items.map((item) => link.item(refOf(item))),
      options.fresh === true ? true : undefined,
    ];
    const read = (answer: readonly unknown[]): StockAnswer => {
      const flat = answer[3] as readonly unknown[];
      return {
        items: items.map((item, index) => level(item, flat, index * LEVEL_COLUMNS)),
        staleMs: answer[2] as number,
      };
    };
    return this.dispatcher.submit(READ, columns, read, options.timeoutMs ?? this.timeoutMs);
  }

  // ── subscriptions ──

  /** Keeps items in the replica, over connections. Resolves when the counts of all of them are known. */
  async subscribe(items: readonly ItemRef[], options: CallOptions = {}): Promise<void> {
    checkItems(items);
    const { all, added } = this.replica.want(items, this.partitions);
    try {
      await this.tellSubscriptions(OP.subscribe, added, options.timeoutMs ?? this.timeoutMs);
    } catch (error) {
      this.replica.unwant(items);
      throw error;
    }
    await this.replica.known(all);
  }

  /** Undoes one `subscribe` of each of these items. */
  async unsubscribe(items: readonly ItemRef[], options: CallOptions = {}): Promise<void> {
    const gone = this.replica.unwant(items);
    await this.tellSubscriptions(OP.unsubscribe, gone, options.timeoutMs ?? this.timeoutMs);
  }

  /** Ends it. Calls that are under way reject with `closed`, or `outcome_unknown` where they may have been carried out. */
  close(): void {
    this.pinger.close();
    this.dispatcher.close();
    this.state('closed');
    for (const wake of this.waiters) wake();
  }

  // ── within ──

  /** @internal */
  async connected(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (this.current !== 'connected' && this.lastError === undefined && performance.now() < end) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.waiters.push(resolve);
        timer = setTimeout(resolve, Math.max(1, end - performance.now()));
      });
      clearTimeout(timer);
      this.waiters = [];
    }
    // A refused token is told behind the hello: what was answered first must be waited for.
    if (this.current === 'connected' && this.options.token !== undefined && this.lastError === undefined)
      await this.pinger.roundTrip();
    if (this.current === 'connected' && this.lastError === undefined) return;
    this.close();
    throw this.lastError ?? new HoldfastError('not_connected', `There was no connection within ${timeoutMs} ms.`);
  }

  private up(link: Link): void {
    this.partitions = link.partitions;
    this.replica.attach(link);
    this.state('connected');
    for (const wake of this.waiters) wake();
    this.pinger.ping();
    void this.tellSubscriptions(OP.subscribe, [...this.replica.wanted()], this.timeoutMs).catch(() => {
      // It stays subscribed to nothing otherwise, and the next connection tries again.
      link.cut(4001, 'subscriptions were refused');
    });
  }

  private state(state: ClientState): void {
    if (this.current === state || this.current === 'closed') return;
    this.current = state;
    this.options.onState?.(state);
  }

  private async tellSubscriptions(op: number, items: readonly ReplicaItem[], timeoutMs: number): Promise<void> {
    const tellings: Promise<unknown>[] = [];
    const most = this.dispatcher.connector.link?.limits?.itemsPerRequest ?? items.length;
    for (let from = 0; from < items.length; from += most) {
      const some = items.slice(from, from + most);
      const columns = (link: Link, id: number) => [
        op,
        id,
        some.map((item) => {
          const number = link.item(item.ref);
          if (typeof number === 'number') link.tracked[number] = op === OP.subscribe ? item : undefined;
          return number;
        }),
      ];
      tellings.push(this.dispatcher.submit(READ, columns, () => undefined, timeoutMs));
    }
    await Promise.all(tellings);
  }

  private async decide(op: number, reservationId: string, options: CallOptions): Promise<Reservation> {
    const ack = ackNumber(options.ack);
    const columns = (_link: Link, id: number) => [op, id, reservationId, ack];
    return this.change(columns, readReservation, reservationId, options);
  }

  private change<T>(
    columns: Columns,
    read: (answer: readonly unknown[]) => T,
    askAgainBy: string,
    options: CallOptions,
  ): Promise<T> {
    return this.dispatcher.submit(CHANGE, columns, read, options.timeoutMs ?? this.timeoutMs, askAgainBy);
  }
}
