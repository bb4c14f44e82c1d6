/** Reads a script and puts its includes in place. Every line keeps the place it came from. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostics, Position } from './diagnostics.js';

export interface SourceLine {
  text: string;
  /** Path relative to the root, with slashes. */
  readonly file: string;
  readonly line: number;
  /** Set when the line came from an include. */
  readonly included: boolean;
  /** Set when a bind comment was expanded here. */
  bound?: boolean;
}

export interface Expanded {
  readonly file: string;
  /** The `---` lines at the top, without what follows. */
  readonly header: SourceLine[];
  readonly body: SourceLine[];
  /** Names of the includes, in the order in which their text stands. */
  readonly includes: string[];
}

const DIRECTIVE = /^(\s*)--\s*@(\w+)\s*(.*?)\s*$/;

export function place(line: SourceLine, column = 1): Position {
  return { file: line.file, line: line.line, column };
}

export function includeFile(name: string): string {
  return `lua/include/${name}.lua`;
}

export function readLines(root: string, file: string, included: boolean): SourceLine[] {
  const text = readFileSync(join(root, file), 'utf8')
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n');
  return text.split('\n').map((t, i) => ({ text: t, file, line: i + 1, included }));
}

export function expandIncludes(root: string, file: string, diagnostics: Diagnostics): Expanded {
  const lines = readLines(root, file, false);
  const end = lines.findIndex((l) => !l.text.startsWith('---'));
  const header = end === -1 ? lines : lines.slice(0, end);
  const body: SourceLine[] = [];
  const includes: string[] = [];
  const splice = (from: SourceLine[], stack: string[]): void => {
    const here = new Set<string>();
    for (const line of from) {
      const directive = DIRECTIVE.exec(line.text);
      if (directive?.[2] !== 'include') {
        if (directive && directive[2] !== 'bind') unknownDirective(line, directive, diagnostics);
        body.push(line);
        continue;
      }
      const name = directive[3]!;
      const at = place(line, directive[1]!.length + 1);
      const problem = refuse(root, name, here, stack);
      if (problem) diagnostics.error(at, problem);
      else if (!includes.includes(name)) {
        includes.push(name);
        splice(readLines(root, includeFile(name), true), [...stack, name]);
      }
      here.add(name);
    }
  };
  splice(lines.slice(header.length), []);
  return { file, header, body, includes };
}

/** Why an include cannot be put here, or undefined. The same text reached over two ways is put in once, silently. */
function refuse(root: string, name: string, here: ReadonlySet<string>, stack: readonly string[]): string | undefined {
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) return `@include needs the name of a file in lua/include, not '${name}'`;
  if (here.has(name)) return `'${name}' is included twice`;
  if (stack.includes(name)) return `include cycle: ${[...stack.slice(stack.indexOf(name)), name].join(' -> ')}`;
  if (!existsSync(join(root, includeFile(name)))) return `include '${name}' not found (${includeFile(name)})`;
  return undefined;
}

function unknownDirective(line: SourceLine, directive: RegExpExecArray, diagnostics: Diagnostics): void {
  const tag = `@${directive[2]}`;
  diagnostics.error(
    place(line, line.text.indexOf(tag) + 1),
    `unknown directive ${tag}; in the body there are @include and @bind, the header ends at the first line without ---`,
  );
}
