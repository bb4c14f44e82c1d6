/**
 * Which node serves which partition, and how many replicas stand behind it.
 *
 * Several nodes are asked at once and their views merged by the cluster's own rule: of two masters that claim a slot the one
 * with the higher config epoch has it. So a node that was cut off cannot talk us back to the past.
 */
import type { Partitions } from '../partitions.js';
import type { Endpoint } from './address.js';
import { Connection, type ConnectionSettings, type Reply } from './connection.js';
import { type NodeView, parseNodes, parseShardEndpoints, textOf } from './nodes.js';
import { Orphans } from './orphans.js';

export interface Master {
  readonly id: string;
  readonly endpoint: Endpoint;
  /** All replicas of the shard, and those that are reachable; also those that are only about to follow this master. */
  readonly replicas: number;
  readonly onlineReplicas: number;
  /** Replicas that nobody has found to have failed. */
  readonly standbys: readonly { readonly id: string; readonly endpoint: Endpoint }[];
  readonly partitions: readonly number[];
}

export interface View {
  /** By node id; only masters that serve partitions. */
  readonly masters: ReadonlyMap<string, Master>;
  /** By partition; undefined where nobody serves its slot. */
  readonly owners: readonly (Master | undefined)[];
}

const ASK_AT_MOST = 8;
const REPLY_TIMEOUT_MS = 1_000;
const STRAGGLE_MS = 200;
/** Refreshes follow each other at least so far apart, however often they are asked for. */
const LEAST_PAUSE_MS = 50;

export class Topology {
  view: View;
  private known = new Map<string, Endpoint>();
  private connections = new Map<string, Promise<Connection>>();
  private running: Promise<void> | undefined;
  private again = false;
  private lastStart = 0;
  private hint: Endpoint | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private readonly orphans = new Orphans();
  private readonly listeners: ((view: View) => void)[] = [];

  constructor(
    private readonly seeds: readonly Endpoint[],
    private readonly settings: ConnectionSettings,
    private readonly partitions: Partitions,
    private readonly intervalMs = 2_000,
  ) {
    this.view = { masters: new Map(), owners: new Array<undefined>(partitions.count).fill(undefined) };
  }

  /** Called after each refresh that succeeded, whether something changed or not. */
  onView(listener: (view: View) => void): void {
    this.listeners.push(listener);
  }

  /** First look. @throws Error when no node could be asked. */
  async start(): Promise<void> {
    await this.look();
    this.schedule();
  }

  /** Asks for a look soon; `hint` is a node to ask first (the target of a MOVED). Never throws. */
  refresh(hint?: Endpoint): Promise<void> {
    if (hint) this.hint = hint;
    if (this.closed) return Promise.resolve();
    if (this.running) {
      this.again = true;
      return this.running;
    }
    this.running = this.refreshing().finally(() => (this.running = undefined));
    return this.running;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const connection of this.connections.values()) void connection.then((c) => c.close()).catch(() => undefined);
    this.connections.clear();
  }

  private schedule(): void {
    this.timer = setTimeout(() => {
      void this.refresh().finally(() => {
        if (!this.closed) this.schedule();
      });
    }, this.intervalMs);
    this.timer.unref();
  }

  private async refreshing(): Promise<void> {
    do {
      this.again = false;
      const pause = this.lastStart + LEAST_PAUSE_MS - performance.now();
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      // An unreachable cluster is not an event of its own: callers learn it by their deadlines.
      await this.look().catch(() => undefined);
    } while (this.again && !this.closed);
  }

  private async look(): Promise<void> {
    this.lastStart = performance.now();
    const { views, problem } = await this.askAll(this.toAsk());
    if (views.length === 0) throw new Error(problem);
    if (this.closed) return;
    const nodes = mergeNodes(views);
    this.known = new Map([...nodes.values()].filter((node) => !node.failed).map((node) => [node.id, node.endpoint]));
    const owners = ownersIn(nodes, this.partitions);
    const ids = (all: readonly ({ id: string } | undefined)[]) => all.map((one) => one?.id);
    this.orphans.follow(ids(this.view.owners), ids(owners), performance.now());
    this.view = makeView(nodes, owners, this.orphans);
    this.dropOldConnections();
    for (const listener of this.listeners) listener(this.view);
  }

  /** Asks all at once. Once one has answered the others have STRAGGLE_MS: a node that hangs must not hold up the news of its end. */
  private async askAll(endpoints: readonly Endpoint[]): Promise<{ views: NodeView[][]; problem: string }> {
    const views: NodeView[][] = [];
    let problem = 'no node to ask';
    await new Promise<void>((resolve) => {
      let missing = endpoints.length;
      let timer: NodeJS.Timeout | undefined;
      const one = (): void => {
        if (--missing === 0) {
          clearTimeout(timer);
          resolve();
        } else if (views.length > 0) timer ??= setTimeout(resolve, STRAGGLE_MS);
      };
      for (const endpoint of endpoints)
        this.ask(endpoint).then(
          (view) => {
            views.push(view);
            one();
          },
          (error: Error) => {
            problem = error.message;
            one();
          },
        );
    });
    return { views: [...views], problem };
  }

  private toAsk(): Endpoint[] {
    const chosen = new Map<string, Endpoint>();
    const add = (endpoint: Endpoint): void => {
      if (chosen.size < ASK_AT_MOST) chosen.set(nameOf(endpoint), endpoint);
    };
    if (this.hint) add(this.hint);
    this.hint = undefined;
    for (const master of this.view.masters.values()) add(master.endpoint);
    const rest = [...this.known.values()];
    if (chosen.size < 3) for (const endpoint of rest) add(endpoint);
    if (chosen.size < 3) for (const endpoint of this.seeds) add(endpoint);
    // None of the masters may be left where we know them: a seed is always asked.
    const seed = this.seeds[Math.floor(Math.random() * this.seeds.length)]!;
    chosen.set(nameOf(seed), seed);
    return [...chosen.values()];
  }

  private async ask(endpoint: Endpoint): Promise<NodeView[]> {
    const connection = await this.connect(endpoint);
    const [nodes, shards] = await connection.all(
      [
        ['CLUSTER', 'NODES'],
        ['CLUSTER', 'SHARDS'],
      ],
      REPLY_TIMEOUT_MS,
    );
    if (nodes instanceof Error) throw nodes;
    const endpoints = parseShardEndpoints(shards as Reply | Error, this.settings.access.tls !== undefined);
    return parseNodes(textOf(nodes), endpoint).map((node) => ({
      ...node,
      endpoint: endpoints.get(node.id) ?? node.endpoint,
    }));
  }

  private connect(endpoint: Endpoint): Promise<Connection> {
    const name = nameOf(endpoint);
    let connection = this.connections.get(name);
    if (!connection) {
      connection = Connection.open(endpoint, this.settings);
      this.connections.set(name, connection);
      const forget = (): void => {
        if (this.connections.get(name) === connection) this.connections.delete(name);
      };
      connection.then((opened) => {
        if (this.closed) opened.close();
        opened.onClose(() => {
          forget();
          // A lost node is the first sign of a failover.
          if (!this.closed) void this.refresh();
        });
      }, forget);
    }
    return connection;
  }

  private dropOldConnections(): void {
    const wanted = new Set([...this.known.values(), ...this.seeds].map(nameOf));
    for (const [name, connection] of this.connections) {
      if (wanted.has(name)) continue;
      this.connections.delete(name);
      void connection.then((opened) => opened.close()).catch(() => undefined);
    }
  }
}

export function nameOf(endpoint: Endpoint): string {
  return `${endpoint.host}:${endpoint.port}`;
}

/** One view out of several: each node as told by whoever knows its newest epoch, then most cautiously. */
function mergeNodes(views: readonly NodeView[][]): Map<string, NodeView> {
  const merged = new Map<string, NodeView>();
  for (const view of views) {
    for (const node of view) {
      const other = merged.get(node.id);
      if (!other || node.configEpoch > other.configEpoch) merged.set(node.id, node);
      // A demoted master keeps its last epoch in some views: the newer role is that of a replica without slots.
      else if (node.configEpoch === other.configEpoch && other.master && !node.master) merged.set(node.id, node);
      else if (node.configEpoch === other.configEpoch && node.master === other.master && other.online && !node.online)
        merged.set(node.id, { ...other, online: false, failed: other.failed || node.failed });
    }
  }
  return merged;
}

/** By partition. */
export function ownersIn(nodes: ReadonlyMap<string, NodeView>, partitions: Partitions): (NodeView | undefined)[] {
  return partitions.slots.map((slot) => {
    let best: NodeView | undefined;
    for (const node of nodes.values()) {
      if (!node.master || (best && best.configEpoch >= node.configEpoch)) continue;
      if (serves(node, slot)) best = node;
    }
    return best;
  });
}

export function makeView(
  nodes: ReadonlyMap<string, NodeView>,
  masterOf: readonly (NodeView | undefined)[],
  orphans: Orphans,
): View {
  const masters = new Map<string, Master>();
  for (const node of new Set(masterOf)) {
    if (!node) continue;
    const followers = [...nodes.values()].filter((other) => !other.master && other.masterId === node.id);
    const coming = [...nodes.values()].filter(
      (other) => !other.master && !other.failed && orphans.heirOf(other, nodes) === node.id,
    );
    const replicas = [...followers, ...coming];
    masters.set(node.id, {
      id: node.id,
      endpoint: node.endpoint,
      replicas: replicas.length,
      onlineReplicas: replicas.filter((replica) => replica.online).length,
      standbys: followers.filter(({ failed }) => !failed).map(({ id, endpoint }) => ({ id, endpoint })),
      partitions: masterOf.flatMap((master, partition) => (master?.id === node.id ? [partition] : [])),
    });
  }
  return { masters, owners: masterOf.map((node) => node && masters.get(node.id)) };
}

function serves(node: NodeView, slot: number): boolean {
  for (let i = 0; i < node.slots.length; i += 2) if (node.slots[i]! <= slot && slot <= node.slots[i + 1]!) return true;
  return false;
}
