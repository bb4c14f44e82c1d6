/** Measures round trips, which bound how old the replica may be, and notices connections that are silent. */
import { OP } from '../wire/stream.js';
import { READ } from './call.js';
import { PING_AGAIN_MS, PING_MS, SLOW_MS } from './defaults.js';
import type { Dispatcher } from './dispatcher.js';
import type { Link } from './link.js';

export class Pinger {
  private readonly timer: ReturnType<typeof setInterval>;
  private again: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly timeoutMs: number,
  ) {
    this.timer = setInterval(() => this.ping(), PING_MS);
  }

  ping(): void {
    for (const link of this.dispatcher.connector.links) link.checkSilence(performance.now());
    if (this.dispatcher.connector.link !== undefined) this.roundTrip().catch(() => undefined);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.again);
  }

  /** Resolves when everything sent before has been answered or taken. */
  async roundTrip(): Promise<void> {
    const { link } = this.dispatcher.connector;
    let sentAt = performance.now();
    const columns = (_link: Link, id: number) => {
      sentAt = performance.now();
      return [OP.ping, id];
    };
    await this.dispatcher.submit(READ, columns, () => undefined, this.timeoutMs);
    if (link === undefined) return;
    link.roundTripMs = performance.now() - sentAt;
    clearTimeout(this.again);
    // What was slow for a moment must not make everything look old until the next time.
    if (link.roundTripMs > SLOW_MS && !this.closed) this.again = setTimeout(() => this.ping(), PING_AGAIN_MS);
  }
}
