import type { Logger } from 'pino';

const EVERY_MS = 1_000;

/**
 * The same thing said thousands of times a second helps nobody and costs what is short just then: one line a second and
 * kind, with how often it was not said.
 */
export class QuietLog {
  private readonly last = new Map<string, { at: number; unsaid: number }>();

  constructor(private readonly log: Logger) {}

  /** `kind` is one of few. */
  warn(kind: string, fields: Record<string, unknown>, message: string): void {
    const now = Date.now();
    const before = this.last.get(kind);
    if (before !== undefined && now - before.at < EVERY_MS) {
      before.unsaid += 1;
      return;
    }
    const unsaid = before?.unsaid ?? 0;
    this.last.set(kind, { at: now, unsaid: 0 });
    this.log.warn(unsaid > 0 ? { ...fields, unsaid } : fields, message);
  }
}
