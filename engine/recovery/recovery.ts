/**
 * Opens partitions, or waits until somebody else has. Redis loses the tail of its writes on failover and restart; nothing may be
 * sold on top of that before it was compared with what is persisted.
 *
 * A life of a node is one run of its process as a master: a restart ends it, and so does becoming a replica. A node that is
 * new, restarted or promoted has no scripts. The order below is what makes it safe:
 * 1. fence: `owner` is taken out of every partition that was not opened in this life;
 * 2. load the scripts, on the same connection, so into the same process: no partition is open that was not compared;
 * 3. each partition: compare, take, write back, raise the epoch at the source, open.
 * Scripts that vanished within a life (SCRIPT FLUSH) are loaded again and the open partitions stay open: nothing was lost.
 * Two recoveries at once are safe: fencing spares what the other opened, taking and opening are a compare-and-set, and writing asks
 * who has taken it.
 */
import type { Batcher } from '../batch/batcher.js';
import { ShardUnavailable } from '../errors.js';
import type { Keys } from '../keys.js';
import type { Connection } from '../redis/connection.js';
import type { Link } from '../redis/link.js';
import type { ScriptSet } from '../scripts/loading.js';
import { partitionFence } from '../scripts/generated/partition-fence.js';
import type { EngineOptions, PersistedSource } from '../types.js';
import { Announced } from './announced.js';
import { DirectCalls } from './direct.js';
import { type Inspection, inspect } from './inspect.js';
import { openPartition } from './open.js';
import type { Reversals } from './reversals.js';
import type { Takeover } from './takeover.js';

/** How often nodes are looked at without a reason, and while partitions are closed. */
const IDLE_MS = 1_000;
const CLOSED_MS = 100;
/** Partitions of a node that are opened at the same time. */
const AT_ONCE = 8;

export interface RecoverySettings {
  readonly keys: Keys;
  readonly scripts: ScriptSet;
  readonly mode: 'self' | 'external';
  readonly source: PersistedSource | undefined;
  readonly notice: NonNullable<EngineOptions['onNotice']>;
  readonly reversals: Reversals;
  /** Undefined: failovers are the cluster's own business. */
  readonly takeover: Takeover | undefined;
}

const NOT_OURS = 'it is persisted to Postgres, so that only a worker may open it';

interface Watch {
  timer: NodeJS.Timeout | undefined;
  running: boolean;
  again: boolean;
  problem: string;
}

export class Recovery {
  private readonly watches = new Map<Link, Watch>();
  /** Partitions that are open, by the node they were last seen open on. */
  private readonly opened = new Map<number, Link>();
  /** What was last told about a partition that does not open. */
  private readonly problems = new Map<number, string>();
  private readonly listeners = new Set<() => void>();
  /** Connections whose end is a reason to look. */
  private readonly attended = new WeakSet<Connection>();
  private readonly announced: Announced | undefined;
  private closed = false;

  constructor(
    private readonly settings: RecoverySettings,
    private readonly batcher: Batcher,
  ) {
    const { mode, source, keys, notice } = settings;
    if (mode === 'self' && source) this.announced = new Announced(source, keys, notice);
  }

  /** Looks at every node the topology names; called after each refresh. */
  follow(): void {
    this.settings.takeover?.follow();
    const links = new Set(this.batcher.links);
    for (const [link, watch] of this.watches) {
      if (links.has(link)) continue;
      clearTimeout(watch.timer);
      this.watches.delete(link);
    }
    for (const [partition, link] of this.opened) {
      if (this.batcher.linkOf(partition) === link) continue;
      // Back on a node that had it before, it may look open to the scripts and yet have lost its tail: looked at first.
      this.opened.delete(partition);
      this.batcher.hold(partition);
    }
    for (const link of links) {
      const moved = link.master.partitions.some((partition) => !this.opened.has(partition));
      if (!this.watches.has(link)) {
        this.watches.set(link, { timer: undefined, running: false, again: false, problem: '' });
        this.soon(link, 0);
      } else if (moved) this.soon(link, 0);
    }
  }

  /** A call found the partition closed. */
  fenced(partition: number, link: Link): void {
    this.opened.delete(partition);
    this.soon(link, 0);
  }

  /** @throws ShardUnavailable when some partitions are not open by then. */
  async ready(timeoutMs: number): Promise<void> {
    const { count } = this.settings.keys.partitions;
    if (this.opened.size === count) return;
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error): void => {
        clearTimeout(timer);
        this.listeners.delete(look);
        if (error) reject(error);
        else resolve();
      };
      const look = (): void => {
        if (this.opened.size === count) done();
      };
      const timer = setTimeout(() => {
        const missing = Array.from({ length: count }, (_, p) => p).filter((p) => !this.opened.has(p));
        done(new ShardUnavailable(`${missing.length} of ${count} partitions are not open: ${missing.join(', ')}`));
      }, timeoutMs);
      this.listeners.add(look);
    });
  }

  close(): void {
    this.closed = true;
    for (const watch of this.watches.values()) clearTimeout(watch.timer);
    this.watches.clear();
    this.settings.takeover?.close();
  }

  /** A process that dies closes its connections: looked at now, not with the next round. */
  private attend(link: Link, connection: Connection): void {
    if (this.attended.has(connection)) return;
    this.attended.add(connection);
    connection.onClose(() => this.soon(link, 0));
  }

  private soon(link: Link, ms: number): void {
    const watch = this.watches.get(link);
    if (!watch || this.closed) return;
    if (watch.running) {
      if (ms === 0) watch.again = true;
      return;
    }
    clearTimeout(watch.timer);
    watch.timer = setTimeout(() => void this.look(link, watch), ms);
    watch.timer.unref();
  }

  private async look(link: Link, watch: Watch): Promise<void> {
    watch.running = true;
    let allOpen = false;
    try {
      allOpen = await this.visit(link);
      watch.problem = '';
    } catch (error) {
      const problem = (error as Error).message;
      if (problem !== watch.problem && !this.closed)
        this.settings.notice({ level: 'warn', message: 'a node cannot be looked at', node: link.master.id, problem });
      watch.problem = problem;
      this.settings.takeover?.unanswered(link.master, error);
    }
    watch.running = false;
    const again = watch.again;
    watch.again = false;
    this.soon(link, again ? 5 : allOpen ? IDLE_MS : CLOSED_MS);
  }

  /** True: everything this node serves is open. */
  private async visit(link: Link): Promise<boolean> {
    const seen = await inspect(link, this.settings.keys, this.settings.scripts);
    this.settings.takeover?.answered(link.master, seen);
    this.attend(link, seen.connection);
    if (seen.scripts) {
      for (const partition of seen.open) this.isOpen(partition, link);
      for (const [partition, past] of seen.pasts) this.settings.reversals.look(partition, past);
      void this.announced?.look(seen.connection, seen.epochs);
    }
    if (seen.scripts && seen.closed.length === 0) return true;
    if (this.settings.mode === 'external') {
      for (const partition of seen.scripts ? seen.closed : link.master.partitions) this.isClosed(partition, link);
      return false;
    }
    return this.recover(link, seen);
  }

  private async recover(link: Link, seen: Inspection): Promise<boolean> {
    const { keys, scripts } = this.settings;
    const calls = new DirectCalls(seen.connection, keys, scripts);
    const life = { node: seen.node, run: seen.run };
    await calls.load(scripts.ofRecovery);
    // All partitions, not only those the topology lays here: loading opens whatever this node believes to own.
    const all = Array.from({ length: keys.partitions.count }, (_, partition) => partition);
    const looked = seen.scripts ? seen.closed : all;
    const fences = await calls.onEach(partitionFence, looked, life);
    const closed: number[] = [];
    const open: number[] = [];
    for (const [index, fence] of fences.entries()) {
      if (fence instanceof Error) {
        // Served elsewhere. Anything else (CLUSTERDOWN, ASK) may pass, and then the partition would be open uncompared.
        if (!fence.message.startsWith('MOVED ')) throw fence;
        continue;
      }
      const row = fence.rows[0];
      if (row?.status !== 'ok') throw new Error(`partition ${looked[index]!}: fencing was refused`);
      (row.open === 1 ? open : closed).push(looked[index]!);
    }
    if (!seen.scripts) await calls.load(scripts.working);
    for (const partition of open) this.isOpen(partition, link);
    const opened = await this.openAll(link, calls, life, closed);
    if (opened > 0)
      this.settings.notice({ level: 'info', message: 'partitions opened', node: life.node, partitions: opened });
    return opened === closed.length;
  }

  private async openAll(
    link: Link,
    calls: DirectCalls,
    life: { node: string; run: string },
    partitions: readonly number[],
  ): Promise<number> {
    let opened = 0;
    const queue = [...partitions];
    const work = async (): Promise<void> => {
      for (let partition = queue.shift(); partition !== undefined && !this.closed; partition = queue.shift()) {
        this.isClosed(partition, link);
        try {
          const outcome = await openPartition(calls, partition, life, this.settings.source);
          if (outcome === 'open') {
            opened++;
            this.isOpen(partition, link);
          } else if (outcome === 'not_ours')
            this.complain('error', 'a partition could not be opened', partition, NOT_OURS);
        } catch (error) {
          this.complain('warn', 'a partition could not be opened', partition, (error as Error).message);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return opened;
  }

  private isOpen(partition: number, link: Link): void {
    if (this.closed || this.batcher.linkOf(partition) !== link) return;
    this.problems.delete(partition);
    if (!this.opened.has(partition)) {
      this.opened.set(partition, link);
      for (const listener of this.listeners) listener();
    }
    if (this.batcher.isHeld(partition)) this.batcher.open(partition);
  }

  private isClosed(partition: number, link: Link): void {
    if (this.batcher.linkOf(partition) !== link) return;
    this.opened.delete(partition);
    this.batcher.hold(partition);
  }

  /** Tells a problem once, not at every look. */
  private complain(level: 'warn' | 'error', message: string, partition: number, problem: string): void {
    if (this.problems.get(partition) === problem) return;
    this.problems.set(partition, problem);
    this.settings.notice({ level, message, partition, problem });
  }
}
