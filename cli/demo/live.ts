/** The figures while the sale runs: a block that is drawn anew on a terminal, a line a second elsewhere. */
import pc from 'picocolors';
import type { Figures } from './figures.js';
import type { HotSale } from './hot.js';
import type { DemoOptions } from './options.js';
import type { LongTail } from './tail.js';
import { int, millis } from './text.js';
import type { Watch } from './watch.js';

const BLOCK_MS = 200;
const LINE_MS = 1_000;
const BAR = 40;

export interface Sources {
  options: DemoOptions;
  figures: Figures;
  hot: HotSale;
  tail: LongTail;
  watch: Watch;
  /** Once it is aborted nothing more is printed. */
  signal?: AbortSignal;
}

export class Live {
  private timer: NodeJS.Timeout | undefined;
  private drawn = 0;
  private last = { at: 0, requests: 0 };

  constructor(
    private readonly sources: Sources,
    private readonly out: NodeJS.WriteStream = process.stdout,
  ) {}

  start(): void {
    const { isTTY } = this.out;
    const show = (): void => (isTTY ? this.draw() : this.line());
    this.timer = setInterval(() => this.sources.signal?.aborted || show(), isTTY ? BLOCK_MS : LINE_MS);
  }

  /** Leaves the block with the figures of the whole sale, or a last line. */
  stop(): void {
    clearInterval(this.timer);
    if (this.sources.signal?.aborted) return;
    if (this.out.isTTY) this.draw(true);
    else if (this.last.requests < this.sources.figures.requests) this.line();
  }

  private rate(): number {
    const { figures } = this.sources;
    const now = performance.now();
    const before = this.last.at || now - figures.seconds * 1_000;
    const rate = ((figures.requests - this.last.requests) * 1_000) / Math.max(1, now - before);
    this.last = { at: now, requests: figures.requests };
    return rate;
  }

  private line(): void {
    const { figures, hot, tail, watch } = this.sources;
    const { p50, p95, p99 } = figures.window();
    const { available, reserved } = watch.level;
    const { errors } = figures;
    this.out.write(
      `${figures.seconds.toFixed(1).padStart(6)} s | sold ${int(watch.sold)} held ${int(reserved)} left ${int(available)}` +
        ` | refused ${int(hot.refusals.of('insufficient_stock'))} waiting ${int(hot.waiting)} | orders ${int(tail.done)}` +
        ` | ${int(this.rate())}/s p50 ${millis(p50)} p95 ${millis(p95)} p99 ${millis(p99)} ms` +
        ` | lag ${int(watch.lag)}${errors.total > 0 ? ` | ERRORS ${int(errors.total)}` : ''}\n`,
    );
  }

  private draw(whole = false): void {
    const { figures, hot, tail, watch, options } = this.sources;
    const { available, reserved } = watch.level;
    const { p50, p95, p99 } = whole ? figures.overall() : figures.window();
    const rate = whole ? figures.requests / figures.seconds : this.rate();
    const row = (name: string, text: string): string => `  ${pc.dim(name.padEnd(9))} ${text}`;
    const errors = figures.errors.total;
    const lines = [
      row(
        'DROP-001',
        `${bar(watch.sold, reserved, options.units)} ${pc.bold(int(watch.sold))} sold, ${reserved} held, ${available} left`,
      ),
      row(
        'buyers',
        `${int(hot.known)} of ${int(options.buyers)} know · refused ${int(hot.refusals.of('insufficient_stock'))} times · ` +
          `${int(hot.waiting)} wait for units to come back`,
      ),
      row('orders', `${int(tail.done)} of ${int(options.orders)} · refused ${int(tail.refusals.total)}`),
      row(
        'requests',
        `${int(rate)}/s · ${int(figures.requests)} in ${figures.seconds.toFixed(1)} s · repeated ${figures.repeated.total} · ` +
          (errors === 0 ? 'errors 0' : pc.red(`errors ${errors}`)),
      ),
      row('latency', `p50 ${millis(p50)}  p95 ${millis(p95)}  p99 ${millis(p99)} ms`),
      row('Postgres', `${int(watch.lag)} events behind (most ${int(watch.mostLag)})`),
    ];
    const up = this.drawn > 0 ? `\u001b[${this.drawn}A` : '';
    // Cut, not wrapped: a wrapped line would put the cursor one line too low.
    this.out.write(up + lines.map((line) => `\r\u001b[K${cut(line, this.out.columns ?? 120)}\n`).join(''));
    this.drawn = lines.length;
  }
}

function bar(sold: number, held: number, units: number): string {
  const cells = (count: number): number => Math.round((BAR * count) / units);
  const full = Math.min(BAR, cells(sold));
  const half = Math.min(BAR - full, cells(sold + held) - full);
  return pc.green('█'.repeat(full)) + pc.yellow('▓'.repeat(half)) + pc.dim('░'.repeat(BAR - full - half));
}

/** The first `columns` visible characters; colours do not count. */
function cut(line: string, columns: number): string {
  let seen = 0;
  let text = '';
  // eslint-disable-next-line no-control-regex -- colours begin with ESC
  for (const [piece] of line.matchAll(/\u001b\[[0-9;]*m|[\s\S]/gu)) {
    if (piece.length > 2) text += piece;
    else if (seen++ < columns - 1) text += piece;
  }
  return text;
}
