/** The connections to one master: lanes for pipelines of writes, a lane for reads, and one for everything else. */
import { Connection, type ConnectionSettings, type ReplySink } from './connection.js';
import type { Master } from './topology.js';

const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 1_000;

/** One connection that is opened again for as long as the link lives; at most one pipeline is in flight on it. */
export class Lane {
  busy = false;
  private connection: Connection | undefined;
  private attempts = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly link: Link,
    private readonly settings: ConnectionSettings,
  ) {
    this.connect();
  }

  get free(): boolean {
    return !this.busy && this.connection !== undefined && this.connection.alive;
  }

  /** False: nothing was sent. The sender clears `busy` when it has all replies. */
  send(payload: string, commands: number, sink: ReplySink): boolean {
    if (!this.connection?.send(payload, commands, sink)) return false;
    this.busy = true;
    return true;
  }

  /** Gives up a connection that does not answer; what is in flight on it is lost. */
  drop(): void {
    this.connection?.close();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.connection?.close();
  }

  private connect(): void {
    Connection.open(this.link.master.endpoint, this.settings).then(
      (connection) => {
        if (this.closed) return connection.close();
        this.attempts = 0;
        this.connection = connection;
        connection.onClose(() => {
          this.connection = undefined;
          this.busy = false;
          this.link.onTrouble();
          this.retry();
        });
        this.link.onReady();
      },
      () => {
        this.link.onTrouble();
        this.retry();
      },
    );
  }

  private retry(): void {
    if (this.closed) return;
    const pause = Math.min(FIRST_RETRY_MS * 2 ** this.attempts++, LAST_RETRY_MS);
    this.timer = setTimeout(() => this.connect(), pause * (0.5 + Math.random() / 2));
  }
}

export interface LinkEvents {
  /** A lane can be used. */
  ready(link: Link): void;
  /** A connection was lost or could not be made. */
  trouble(link: Link): void;
}

export class Link {
  readonly writeLanes: readonly Lane[];
  readonly readLanes: readonly Lane[];
  private control: Promise<Connection> | undefined;
  private closed = false;

  constructor(
    public master: Master,
    private readonly settings: ConnectionSettings,
    lanes: { readonly write: number; readonly read: number },
    private readonly events: LinkEvents,
  ) {
    this.writeLanes = Array.from({ length: lanes.write }, () => new Lane(this, settings));
    this.readLanes = Array.from({ length: lanes.read }, () => new Lane(this, settings));
  }

  /**
   * A connection beside the lanes, shared by recovery, status and log reading: it never waits behind a WAIT.
   * All that is sent on one `Connection` object reaches the same process of the node.
   */
  controlConnection(): Promise<Connection> {
    if (this.closed) return Promise.reject(new Error('link closed'));
    if (!this.control) {
      const opening = Connection.open(this.master.endpoint, this.settings);
      this.control = opening;
      const forget = (): void => {
        if (this.control === opening) this.control = undefined;
      };
      opening.then((connection) => {
        if (this.closed) connection.close();
        connection.onClose(() => {
          forget();
          this.onTrouble();
        });
      }, forget);
    }
    return this.control;
  }

  freeLane(lanes: readonly Lane[]): Lane | undefined {
    for (const lane of lanes) if (lane.free) return lane;
    return undefined;
  }

  /**
   * One lane got no answer for too long: the process hangs or the way to it is cut, and the others only do not know yet.
   * New connections have to be answered before calls are sent on them, so what comes now is not sent into the dark.
   */
  drop(): void {
    for (const lane of [...this.writeLanes, ...this.readLanes]) lane.drop();
    void this.control?.then((connection) => connection.close()).catch(() => undefined);
  }

  onReady(): void {
    if (!this.closed) this.events.ready(this);
  }

  onTrouble(): void {
    if (!this.closed) this.events.trouble(this);
  }

  close(): void {
    this.closed = true;
    for (const lane of [...this.writeLanes, ...this.readLanes]) lane.close();
    void this.control?.then((connection) => connection.close()).catch(() => undefined);
  }
}
