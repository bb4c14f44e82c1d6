/** One run: a fresh system, a workload, faults one after the other, and the verdict. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, type FaultSpan, type ServerEnd, type Verdict, type Violation } from './checker/index.js';
import { drained, type Drained } from './drained.js';
import { explain } from './explain.js';
import { type Call, HistoryWriter, runClock } from './history.js';
import type { Fault } from './nemesis/types.js';
import { NemesisLog, outagesOf } from './nemesis-log.js';
import { afterwards, type Recovery } from './recovery.js';
import { makeRng } from './rng.js';
import { type Seen, seenDuring } from './seen.js';
import { makeCatalogue } from './workload/catalogue.js';
import { startWorkload, stockUp, type Workload } from './workload/driver.js';
import { startWorld, type World, type WorldOptions } from './world.js';

export interface RunOptions {
  readonly dir: string;
  readonly seed: number;
  /** How long faults are injected. */
  readonly durationMs: number;
  readonly faults: readonly Fault[];
  readonly clients?: number;
  readonly pauseMs?: number;
  readonly world?: Omit<WorldOptions, 'dir'>;
  readonly onProgress?: (line: string) => void;
  /** How long recovery after a fault, and the end of everything, may take. */
  readonly patienceMs?: number;
}

export interface RunSummary {
  readonly seed: number;
  readonly durationMs: number;
  readonly calls: number;
  /** Of these, over the stream. Absent in results of before there were any. */
  readonly streamCalls?: number;
  /** By op and outcome. */
  readonly operations: Record<string, Record<'ok' | 'failed' | 'unknown', number>>;
  readonly codes: Record<string, number>;
  readonly events: number;
  readonly faults: readonly {
    readonly name: string;
    readonly atMs: number;
    readonly injected: boolean;
    readonly reason?: string;
    /** From when it was healed until everything sold again. */
    readonly recoveredMs: number;
    readonly seen: Seen;
  }[];
  readonly skipped: readonly string[];
  readonly unknown: number;
  readonly acks: Verdict['acks'];
  readonly reversalRows: number | undefined;
  readonly drainedMs: number;
  readonly violations: readonly { point: number; what: string }[];
  readonly violationCounts: Record<number, number>;
  readonly explanation: string;
}

/** The world's default for servers: HOLDFAST_SOLD_OUT_MS; the feed that tells of new stock may be late by as much again. */
const SOLD_OUT_MS = 250;
const DRAIN_PATIENCE_MS = 90_000;
const INJECT_MS = 60_000;

export async function runOnce(options: RunOptions): Promise<RunSummary> {
  const { dir, seed } = options;
  mkdirSync(dir, { recursive: true });
  const rng = makeRng(seed);
  const clock = runClock();
  const startedAt = Date.now() - clock();
  const history = new HistoryWriter(join(dir, 'history.jsonl'), clock);
  const nemesis = new NemesisLog(join(dir, 'nemesis.jsonl'), clock);
  const say = options.onProgress ?? (() => undefined);
  const world = await startWorld({ ...options.world, dir: join(dir, 'system') });
  try {
    const running = new Running(options, world, history, nemesis, clock);
    const catalogue = makeCatalogue(rng.fork('catalogue'));
    await stockUp(world, catalogue, history);
    const { clients = 16, pauseMs = 40 } = options;
    const workload = await startWorkload(world, catalogue, history, rng.fork('workload'), { clients, pauseMs });
    say('selling');
    try {
      await running.faults(
        rng.fork('nemesis'),
        workload,
        catalogue.items.map(({ ref }) => ref),
        say,
      );
    } finally {
      await workload.stop();
    }
    say('waiting until everything is done');
    const done = await drained(world, options.patienceMs ?? DRAIN_PATIENCE_MS);
    say('checking');
    return running.judge(done, startedAt);
  } finally {
    await world.stop();
    await Promise.all([history.close(), nemesis.close()]);
  }
}

class Running {
  private readonly spans: FaultSpan[] = [];
  private readonly told: Omit<RunSummary['faults'][number], 'seen'>[] = [];
  private readonly skipped: string[] = [];
  private readonly own: Violation[] = [];
  private readonly serverEnds: ServerEnd[] = [];
  private readonly aloneEnds = new Map<string, number>();

  constructor(
    private readonly options: RunOptions,
    private readonly world: World,
    private readonly history: HistoryWriter,
    private readonly nemesis: NemesisLog,
    private readonly clock: () => number,
  ) {}

  async faults(
    rng: ReturnType<typeof makeRng>,
    workload: Workload,
    refs: readonly string[],
    say: (line: string) => void,
  ): Promise<void> {
    const able = this.options.faults.filter((fault) => {
      const reason = fault.needs?.(this.world);
      if (reason !== undefined) {
        this.skipped.push(`${fault.name}: ${reason}`);
        say(`SKIPPED ${fault.name}: ${reason}`);
      }
      return reason === undefined;
    });
    const until = this.clock() + this.options.durationMs;
    await pause(1_500);
    let queue: Fault[] = [];
    for (let n = 0; able.length > 0 && this.clock() < until && this.own.length === 0; n++) {
      if (queue.length === 0) queue = rng.shuffle(able);
      await this.fault(queue.shift()!, rng.fork(`fault-${n}`), workload, refs, say);
      await pause(rng.int(300, 2_000));
    }
    if (able.length === 0) await pause(this.options.durationMs);
    await pause(1_000);
  }

  private async fault(
    fault: Fault,
    rng: ReturnType<typeof makeRng>,
    workload: Workload,
    refs: readonly string[],
    say: (line: string) => void,
  ): Promise<void> {
    const { name, loses } = fault;
    const from = this.clock();
    say(
      `${name} (${workload.counts.ok} ok, ${workload.counts.failed} refused, ${workload.counts.unknown} unknown so far)`,
    );
    const span: FaultSpan = {
      name,
      loses,
      clocks: fault.clocks === true,
      from,
      to: Infinity,
      fromWall: Date.now(),
      toWall: Infinity,
    };
    this.spans.push(span);
    const pids = new Map(this.world.servers.map((server) => [server.name, server.pid]));
    let injected = true;
    let reason: string | undefined;
    this.nemesis.note(`${name} begins`);
    try {
      const injecting = fault.inject(this.world, rng, this.nemesis.named(name));
      // One that comes too late is not left broken.
      const heal = await within(INJECT_MS, injecting, `${name} to be injected`).catch((error: unknown) => {
        injecting.then((late) => late()).catch(() => undefined);
        throw error;
      });
      const [least, most] = fault.dwellMs ?? [1_000, 4_000];
      await pause(rng.int(least, most));
      this.nemesis.note(`${name} is healed`);
      await within(INJECT_MS, heal(), `${name} to heal`);
    } catch (error) {
      injected = false;
      reason = (error as Error).message;
      this.nemesis.note(`${name} could not be injected`, { reason });
      say(`${name} could not be injected: ${reason}`);
    }
    for (const server of this.world.servers)
      if (!server.running || server.pid !== pids.get(server.name))
        this.serverEnds.push({ name: server.name, at: this.clock(), since: from });
    const recovery = await afterwards(this.world, workload, this.history, refs, this.options.patienceMs);
    span.to = this.clock();
    span.toWall = Date.now();
    if (span.clocks) span.shiftMs = this.nemesis.lastNumber('shiftMs', from) ?? 0;
    this.judgeRecovery(name, recovery);
    this.judgeEnds(name);
    this.nemesis.note(`${name} is over`, { recoveredMs: recovery.tookMs });
    this.told.push({ name, atMs: Math.round(from), injected, reason, recoveredMs: recovery.tookMs });
  }

  /** Point 11, first half. */
  private judgeRecovery(name: string, { problem, tookMs }: Recovery): void {
    if (problem !== undefined) this.own.push({ point: 11, what: `${tookMs} ms after ${name} was healed: ${problem}` });
  }

  /** A fault ends processes by killing them; none ends by itself because something else is broken. */
  private judgeEnds(during: string): void {
    for (const { name, aloneEnds } of [...this.world.servers, ...this.world.workers])
      if (aloneEnds > (this.aloneEnds.get(name) ?? 0)) {
        this.aloneEnds.set(name, aloneEnds);
        this.own.push({ point: 11, what: `${name} ended by itself during ${during}` });
      }
  }

  judge({ final, left, tookMs }: Drained, startedAt: number): RunSummary {
    if (left.length > 0)
      this.own.push({
        point: 11,
        what: `${left.length} things are not done after ${tookMs} ms: ${left.slice(0, 5).join('; ')}`,
      });
    const { calls } = this.history;
    const { spans: faults, serverEnds } = this;
    const outages = outagesOf(this.nemesis.entries);
    const rest = { faults, partitions: this.world.partitions, serverEnds, outages, soldOutMs: SOLD_OUT_MS };
    const verdict = check({ ...rest, calls, final });
    const violations = [...this.own, ...verdict.violations];
    const explained = violations.slice(0, 12).map((one) => explain(one, calls, final, this.nemesis.entries, startedAt));
    const counts: Record<number, number> = { ...verdict.counts };
    if (this.own.length > 0) counts[11] = this.own.length;
    const summary: RunSummary = {
      seed: this.options.seed,
      durationMs: Math.round(this.clock()),
      calls: calls.length,
      streamCalls: calls.filter(({ over }) => over === 'stream').length,
      ...tallies(calls),
      events: verdict.events,
      faults: this.told.map((one, n) => ({ ...one, seen: seenDuring(calls, this.spans[n]!) })),
      skipped: this.skipped,
      acks: verdict.acks,
      reversalRows: final.postgres.reversals?.length,
      drainedMs: tookMs,
      violations: violations.map(({ point, what }) => ({ point, what })),
      violationCounts: counts,
      explanation: explained.join('\n\n'),
    };
    writeFileSync(join(this.options.dir, 'summary.json'), JSON.stringify(summary, null, 2));
    writeFileSync(join(this.options.dir, 'spans.json'), JSON.stringify(rest));
    return summary;
  }
}

function tallies(calls: readonly Call[]): Pick<RunSummary, 'operations' | 'codes' | 'unknown'> {
  const operations: RunSummary['operations'] = {};
  const codes: Record<string, number> = {};
  let unknown = 0;
  for (const { request, answer } of calls) {
    const outcome = answer?.outcome ?? 'unknown';
    const row = (operations[request.op] ??= { ok: 0, failed: 0, unknown: 0 });
    row[outcome]++;
    if (outcome === 'unknown') unknown++;
    if (answer?.code !== undefined) codes[answer.code] = (codes[answer.code] ?? 0) + 1;
  }
  return { operations, codes, unknown };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
