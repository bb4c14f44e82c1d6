/** One script from its sources to the text that Redis gets, checked. */
import { createHash } from 'node:crypto';
import { LuaSyntaxError, parseLua, rangeOf, type Node } from './ast.js';
import { expandBinds } from './bind.js';
import type { Diagnostics, Position } from './diagnostics.js';
import { parseHeader, type Header } from './header.js';
import { findLive, type Live } from './live.js';
import type { Registry } from './registry.js';
import type { RuleContext } from './rules/context.js';
import { checkGlobals } from './rules/globals.js';
import { checkKeys } from './rules/keys.js';
import { checkUnused } from './rules/unused.js';
import { checkVocabulary, type Replacement } from './rules/vocabulary.js';
import { analyse } from './scope.js';
import { expandIncludes, place, type SourceLine } from './source.js';

export interface CompiledScript {
  /** `stock/reserve` */
  readonly name: string;
  readonly file: string;
  readonly header: Header;
  readonly includes: readonly string[];
  readonly source: string;
  readonly sha1: string;
  /** Runs of lines: from this line of `source` on, lines come from `file` beginning at `line`. */
  readonly origins: readonly (readonly [start: number, file: string, line: number])[];
  /** Names at the top of includes, and whether this script reaches them; `key` is their place. */
  readonly shared: readonly { readonly at: Position; readonly name: string; readonly reached: boolean }[];
}

/** Redis takes scripts of any size, but each is sent once per node and kept for good: past this something is wrong. */
const MAX_SOURCE_BYTES = 64 * 1024;

export function compileScript(
  root: string,
  file: string,
  registry: Registry,
  diagnostics: Diagnostics,
): CompiledScript | undefined {
  const expanded = expandIncludes(root, file, diagnostics);
  const header = parseHeader(file, expanded.header, registry, diagnostics);
  const lines = expanded.body;
  const binds = expandBinds(header, lines, diagnostics);
  const text = lines.map((l) => l.text).join('\n');
  const lineOf = (node: Node): SourceLine => lines[node.loc!.start.line - 1]!;
  const at = (node: Node): Position => {
    const line = lineOf(node);
    return place(line, line.bound ? line.text.search(/\S|$/) + 1 : node.loc!.start.column + 1);
  };
  let chunk;
  try {
    chunk = parseLua(text);
  } catch (error) {
    if (!(error instanceof LuaSyntaxError)) throw error;
    const line = lines[Math.min(error.line, lines.length) - 1];
    diagnostics.error(line ? place(line, error.column) : { file, line: 1, column: 1 }, error.message);
    return undefined;
  }
  const isIncluded = (node: Node): boolean => lineOf(node).included;
  const isBound = (node: Node): boolean => lineOf(node).bound === true;
  const analysis = analyse(chunk);
  const live = findLive(analysis, isIncluded);
  const context: RuleContext = { analysis, live, header, registry, binds, diagnostics, at, isBound, isIncluded };
  checkGlobals(context);
  checkKeys(context);
  checkUnused(context);
  const replacements = checkVocabulary(context);
  checkStrayDirectives(context);
  const body = edit(text, chunk.comments ?? [], live, replacements);
  const { source, origins } = assemble(header, body, lines, multiline(context));
  if (Buffer.byteLength(source) > MAX_SOURCE_BYTES)
    diagnostics.error({ file, line: 1, column: 1 }, `the expanded script is larger than ${MAX_SOURCE_BYTES} bytes`);
  return {
    name: file.replace(/^lua\//, '').replace(/\.lua$/, ''),
    file,
    header,
    includes: expanded.includes,
    source,
    sha1: createHash('sha1').update(source).digest('hex'),
    origins,
    shared: [...live.removable].map((v) => ({ at: at(v.node), name: v.name, reached: live.reached.has(v) })),
  };
}

/** A directive in the middle of a line would be taken for a comment and silently do nothing. */
function checkStrayDirectives({ analysis, diagnostics, at }: RuleContext): void {
  for (const comment of analysis.chunk.comments ?? []) {
    const match = /^-*\s*@(include|bind)\b/.exec(comment.value);
    if (match) diagnostics.error(at(comment), `@${match[1]} must stand alone on its line, as -- @${match[1]} name`);
  }
}

/** Leaves out comments and dead declarations, puts numbers in; the number of lines stays. */
function edit(text: string, comments: readonly Node[], live: Live, replacements: readonly Replacement[]): string {
  const cuts = [
    ...[...live.dead].map((node) => ({ range: rangeOf(node), by: '' })),
    ...comments.filter((c) => !live.isDead(c)).map((node) => ({ range: rangeOf(node), by: ' ' })),
    ...replacements
      .filter(({ node }) => !live.isDead(node))
      .map(({ node, value }) => ({ range: rangeOf(node), by: value < 0 ? `(${value})` : String(value) })),
  ].sort((a, b) => a.range[0] - b.range[0]);
  let out = '';
  let from = 0;
  for (const { range, by } of cuts) {
    out += text.slice(from, range[0]) + by + '\n'.repeat(text.slice(...range).split('\n').length - 1);
    from = range[1];
  }
  return out + text.slice(from);
}

/** Lines inside string literals that go over several lines: they are kept to the letter. */
function multiline({ analysis }: RuleContext): Set<number> {
  const lines = new Set<number>();
  for (const node of analysis.parents.keys()) {
    if (node.type !== 'StringLiteral') continue;
    const { start, end } = node.loc!;
    if (start.line === end.line) continue;
    for (let line = start.line; line <= end.line; line++) lines.add(line);
  }
  return lines;
}

function assemble(
  header: Header,
  body: string,
  lines: readonly SourceLine[],
  literal: ReadonlySet<number>,
): Pick<CompiledScript, 'source' | 'origins'> {
  const out = [header.flags.length ? `#!lua flags=${header.flags.join(',')}` : '#!lua'];
  const origins: [number, string, number][] = [];
  let next: { file: string; line: number } | undefined;
  body.split('\n').forEach((text, i) => {
    const kept = literal.has(i + 1) ? text : text.trimEnd();
    if (kept === '' && !literal.has(i + 1)) return;
    const { file, line } = lines[i]!;
    out.push(kept);
    if (next?.file !== file || next.line !== line) origins.push([out.length, file, line]);
    next = { file, line: line + 1 };
  });
  return { source: out.join('\n') + '\n', origins };
}
