/**
 * Asks for a failover as soon as a master is known to be gone, instead of waiting until the cluster has noticed (its node
 * timeout) and agreed. Known to be gone means: its port refuses connections, again and again for a second, and every replica
 * that runs has lost its link to it. A link that is cut, a master that hangs and one that was started again at once look otherwise.
 *
 * What is sent is CLUSTER FAILOVER FORCE: the replica needs no word of its master, but the votes of most masters under a new
 * config epoch, so that there are never two. TAKEOVER, which needs nobody, is never sent. Whoever is asked twice, or by several
 * processes, holds one election. Whatever speaks against it leaves everything to Redis' own failover (docs/decisions).
 */
import type { ConnectionSettings } from '../redis/connection.js';
import type { Master, Topology } from '../redis/topology.js';
import type { EngineOptions } from '../types.js';
import { type Asked, askHeir, chooseHeir, ELECTION_SECONDS, isRefused, type Stand } from './heirs.js';

/** A process that a supervisor starts again at once is back by then. */
const GONE_MS = 1_000;
const GONE_LOOKS = 3;
/** A replica may lack what the master did in the last so many ms before it was heard of: it was on its way. */
const ON_ITS_WAY_MS = 500;
/** Between two looks at the replicas of a master that they do not replace yet. */
const AGAIN_MS = 500;
/** For one election, before the next is asked for: two at once could meet in one epoch and split the votes. */
const ELECTION_MS = 1_000;
const REFRESH_MS = 50;
const COMMAND_TIMEOUT_MS = 1_000;
/** A master's answer to CLUSTER FAILOVER. */
const PROMOTED = /You should send CLUSTER FAILOVER to a replica/;

interface Heard extends Stand {
  readonly at: number;
}

interface Refusal {
  readonly since: number;
  looks: number;
  /** Not to be asked about before. */
  rests: number;
  /** A replica was asked: the rest is the cluster's. */
  done: boolean;
  problem: string;
}

export class Takeover {
  /** What masters said when they last answered; `before` is older by ON_ITS_WAY_MS at least. */
  private readonly heard = new Map<string, { last: Heard; before: Heard | undefined }>();
  /** When masters ceased to be any. */
  private readonly replaced = new Map<string, number>();
  private readonly refusals = new Map<string, Refusal>();
  private working = false;
  private closed = false;

  constructor(
    private readonly topology: Topology,
    private readonly connection: ConnectionSettings,
    private readonly notice: NonNullable<EngineOptions['onNotice']>,
  ) {}

  /** The master was reached and is well. */
  answered(master: Master, { replicationId, offset }: Stand): void {
    this.refusals.delete(master.id);
    const now: Heard = { replicationId, offset, at: performance.now() };
    const known = this.heard.get(master.id);
    if (known?.last.replicationId !== replicationId) this.heard.set(master.id, { last: now, before: undefined });
    else if (now.at - known.last.at >= ON_ITS_WAY_MS) this.heard.set(master.id, { last: now, before: known.last });
  }

  /** It was not, or it does not do what it should. Called again with each look that fails. */
  unanswered(master: Master, error: unknown): void {
    if (this.closed) return;
    if (!isRefused(error)) {
      this.refusals.delete(master.id);
      return;
    }
    const refusal = this.refusals.get(master.id);
    if (refusal) refusal.looks++;
    else this.refusals.set(master.id, { since: performance.now(), looks: 1, rests: 0, done: false, problem: '' });
    void this.work();
  }

  /** Forgets masters that serve nothing any more. */
  follow(): void {
    const { masters } = this.topology.view;
    const now = performance.now();
    for (const [id, at] of this.replaced) if (now - at > ELECTION_SECONDS * 1_000) this.replaced.delete(id);
    for (const id of this.heard.keys())
      if (!masters.has(id)) {
        this.heard.delete(id);
        this.replaced.set(id, now);
      }
    for (const id of this.refusals.keys()) if (!masters.has(id)) this.refusals.delete(id);
  }

  close(): void {
    this.closed = true;
    this.refusals.clear();
  }

  /** One master at a time, in an order that is the same for everybody. */
  private async work(): Promise<void> {
    if (this.working) return;
    this.working = true;
    try {
      for (let id = this.nextDue(); id !== undefined; id = this.nextDue()) await this.replace(id);
    } finally {
      this.working = false;
    }
  }

  private nextDue(): string | undefined {
    const now = performance.now();
    const due = [...this.refusals].filter(
      ([, { since, looks, rests, done }]) => !done && looks >= GONE_LOOKS && now - since >= GONE_MS && now >= rests,
    );
    return due.map(([id]) => id).sort()[0];
  }

  private async replace(id: string): Promise<void> {
    const refusal = this.refusals.get(id)!;
    refusal.rests = performance.now() + AGAIN_MS;
    const master = this.topology.view.masters.get(id);
    const known = this.heard.get(id);
    // Never heard of: nobody can tell what its replicas may lack.
    if (!master || !known || master.standbys.length === 0) return;
    const asked: Asked[] = [];
    try {
      asked.push(...(await this.askAll(master)));
      const stand = known.before ?? known.last;
      const heirs = asked.map(({ heir }) => heir);
      const heir = chooseHeir(id, stand, heirs, this.replacedAgo());
      if (typeof heir === 'string') throw new Error(heir);
      // Replaced meanwhile, or back.
      if (!heir || this.refusals.get(id) !== refusal || this.closed) return;
      const { connection } = asked.find((one) => one.heir === heir)!;
      await connection.run(['CLUSTER', 'FAILOVER', 'FORCE'], COMMAND_TIMEOUT_MS);
      refusal.done = true;
      this.tell('info', 'a master is gone, its replica was asked to take over', {
        node: id,
        replica: heir.id,
        aheadBytes: heir.offset - stand.offset,
        refusedMs: Math.round(performance.now() - refusal.since),
      });
    } catch (error) {
      const problem = (error as Error).message;
      // Somebody else was quicker.
      refusal.done = PROMOTED.test(problem);
      if (refusal.done) return;
      if (problem !== refusal.problem)
        this.tell('warn', 'a master is gone, its replica was not asked to take over', { node: id, problem });
      refusal.problem = problem;
      return;
    } finally {
      for (const { connection } of asked) connection.close();
    }
    await this.settle(id);
  }

  private replacedAgo(): ReadonlyMap<string, number> {
    const now = performance.now();
    return new Map([...this.replaced].map(([id, at]) => [id, (now - at) / 1_000]));
  }

  /** @throws Error when one of them does not answer: it may be the one that has most. */
  private async askAll(master: Master): Promise<Asked[]> {
    const answers = await Promise.allSettled(master.standbys.map(({ endpoint }) => askHeir(endpoint, this.connection)));
    const asked = answers.flatMap((answer) => (answer.status === 'fulfilled' && answer.value ? [answer.value] : []));
    const silent = answers.find((answer) => answer.status === 'rejected');
    if (!silent) return asked;
    for (const { connection } of asked) connection.close();
    throw silent.reason as Error;
  }

  /** Until the partitions are elsewhere, or for as long as an election takes. */
  private async settle(id: string): Promise<void> {
    const end = performance.now() + ELECTION_MS;
    while (!this.closed && performance.now() < end) {
      await this.topology.refresh();
      if (!this.topology.view.masters.has(id)) return;
      await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    }
  }

  private tell(level: 'info' | 'warn', message: string, fields: Record<string, unknown>): void {
    if (!this.closed) this.notice({ level, message, ...fields });
  }
}
