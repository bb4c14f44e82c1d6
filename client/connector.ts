/** Keeps a connection: opens it, brings the token, opens the next one when it ends. */
import { OP } from '../wire/stream.js';
import { HoldfastError } from './errors.js';
import { Link, type LinkEvents } from './link.js';
import type { SocketConstructor } from './socket.js';

const FIRST_BACKOFF_MS = 50;
/** A server that says goodbye has another beside it, or is back soon; not everybody should come in the same moment. */
const GOODBYE_SPREAD_MS = 100;
const HELLO_MS = 10_000;
/** Ids of token requests: above those of calls. */
const AUTH_ID = 0xffff_ffff;

export interface ConnectorOptions {
  readonly url: string;
  readonly token: string | (() => string | Promise<string>) | undefined;
  readonly maxBackoffMs: number;
  readonly socket: SocketConstructor;
}

export interface ConnectorEvents extends Pick<LinkEvents, 'answer' | 'changes' | 'vouch'> {
  /** Requests can be sent. */
  up(link: Link): void;
  /** Nothing sent on it will be answered any more. */
  lost(link: Link): void;
  /** The server did not take the token. */
  tokenRefused(error: HoldfastError): void;
}

export class Connector {
  /** Where new requests go. */
  link: Link | undefined;
  /** All that are open, those that are being left included. */
  readonly links = new Set<Link>();
  private readonly openings = new Map<Link, ReturnType<typeof setTimeout>>();
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  private renewing: Promise<boolean> | undefined;
  private renewed: ((taken: boolean) => void) | undefined;

  constructor(
    private readonly options: ConnectorOptions,
    private readonly events: ConnectorEvents,
  ) {}

  open(): void {
    if (this.closed) return;
    let link: Link;
    try {
      link = new Link(this.options.socket, this.options.url, {
        hello: (up) => void this.hello(up),
        answer: (from, answer) => this.answer(from, answer),
        changes: (from, columns) => from === this.link && this.events.changes(from, columns),
        vouch: (from, staleMs, unusual) => from === this.link && this.events.vouch(from, staleMs, unusual),
        goodbye: (from) => this.goodbye(from),
        closed: (from) => this.ended(from),
      });
    } catch (error) {
      this.events.tokenRefused(new HoldfastError('not_connected', (error as Error).message));
      return;
    }
    this.links.add(link);
    const opening = setTimeout(() => link.open || link.cut(4000, 'no hello'), HELLO_MS);
    this.openings.set(link, opening);
  }

  /** A new token on the present connection; whether it was taken. One at a time. */
  renew(): Promise<boolean> {
    const { link } = this;
    if (link === undefined || typeof this.options.token !== 'function') return Promise.resolve(false);
    this.renewing ??= this.bring(link).finally(() => (this.renewing = undefined));
    return this.renewing;
  }

  /** True where a refused token can be replaced. */
  get canRenew(): boolean {
    return typeof this.options.token === 'function';
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const link of [...this.links]) link.cut(1000, 'closed');
  }

  private opened(link: Link): void {
    clearTimeout(this.openings.get(link));
    this.openings.delete(link);
  }

  private async hello(link: Link): Promise<void> {
    this.opened(link);
    if (this.options.token !== undefined) {
      // What is asked for behind the token is answered in its name: there is no need to wait for the answer.
      const bringing = this.bring(link);
      if (typeof this.options.token === 'function') await bringing;
      else void bringing;
    }
    if (this.closed || !link.open || link.leaving) return;
    this.failures = 0;
    this.link = link;
    this.events.up(link);
  }

  private async bring(link: Link): Promise<boolean> {
    const { token } = this.options;
    try {
      const text = typeof token === 'function' ? await token() : token!;
      if (!link.open) return false;
      return await new Promise<boolean>((resolve) => {
        this.renewed?.(false);
        this.renewed = resolve;
        link.send([[OP.auth, AUTH_ID, text]]);
      });
    } catch (error) {
      this.events.tokenRefused(new HoldfastError('unauthenticated', `there is no token: ${(error as Error).message}`));
      return false;
    }
  }

  private answer(link: Link, answer: unknown[]): void {
    if (answer[0] !== AUTH_ID) return this.events.answer(link, answer);
    const taken = typeof answer[1] === 'number';
    if (!taken) {
      const text = (answer[4] as string | null | undefined) ?? 'the server did not take the token';
      this.events.tokenRefused(new HoldfastError(answer[1] as string, text));
    }
    this.renewed?.(taken);
    this.renewed = undefined;
  }

  private goodbye(link: Link): void {
    if (link !== this.link) return;
    this.link = undefined;
    this.again(Math.random() * GOODBYE_SPREAD_MS);
  }

  private ended(link: Link): void {
    this.opened(link);
    this.links.delete(link);
    this.renewed?.(false);
    this.renewed = undefined;
    const current = link === this.link || this.link === undefined;
    if (link === this.link) this.link = undefined;
    this.events.lost(link);
    if (!current) return;
    // Between half and the whole of the pause: many clients that lost one server do not return as one.
    const pause = Math.min(this.options.maxBackoffMs, FIRST_BACKOFF_MS * 2 ** Math.min(this.failures++, 20));
    this.again(pause * (0.5 + Math.random() / 2));
  }

  private again(pauseMs: number): void {
    if (this.closed || this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.link === undefined && ![...this.links].some((link) => !link.leaving)) this.open();
    }, pauseMs);
  }
}
