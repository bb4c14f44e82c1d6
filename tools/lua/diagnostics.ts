/** Findings of the Lua build. All of a run are gathered and shown at once, sorted by place. */

/** A place in a source file; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Diagnostic extends Position {
  /** Warnings fail `lint` and `--check`, but not a build: half-finished work can be tried. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

export class Diagnostics {
  private readonly found = new Map<string, Diagnostic>();

  error(at: Position, message: string): void {
    this.add('error', at, message);
  }

  warning(at: Position, message: string): void {
    this.add('warning', at, message);
  }

  /** An include is read by many scripts; what is wrong in it is reported once. */
  private add(severity: Diagnostic['severity'], { file, line, column }: Position, message: string): void {
    this.found.set(`${file}:${line}:${column}:${message}`, { severity, file, line, column, message });
  }

  list(): Diagnostic[] {
    return [...this.found.values()].sort(
      (a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column || compare(a.message, b.message),
    );
  }

  get errors(): number {
    return this.list().filter((d) => d.severity === 'error').length;
  }

  get warnings(): number {
    return this.found.size - this.errors;
  }
}

/** `file:line:column: message`, the form editors and CI logs turn into links. */
export function formatDiagnostic(d: Diagnostic): string {
  return `${d.file}:${d.line}:${d.column}: ${d.severity === 'warning' ? 'warning: ' : ''}${d.message}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
