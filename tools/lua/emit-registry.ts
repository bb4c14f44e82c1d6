/** Writes the generated registries and the index of all scripts. */
import type { CompiledScript } from './compile.js';
import { BANNER, camel, docText, fileName, quote } from './emit.js';
import type { Registry } from './registry.js';

export function emitStatuses({ statuses }: Registry): string {
  const all = [...statuses.values()];
  return [
    `${BANNER} Source: lua/registry/statuses.json`,
    "import { numberedNames } from '../script.js';",
    '',
    '/** `final`: asking again will not help. `retryable`: the same call under the same id may be repeated. */',
    "export type StatusKind = 'ok' | 'final' | 'retryable';",
    '',
    `export type StatusName =\n${all.map((s) => `  | ${quote(s.name)}`).join('\n')};`,
    '',
    'export interface StatusMeta {',
    '  /** Stable, never reused; the lower number wins when several apply. */',
    '  readonly number: number;',
    '  readonly name: StatusName;',
    '  readonly kind: StatusKind;',
    '  /** HTTP status it becomes. */',
    '  readonly http: number;',
    '  /** `code` of the HTTP error. */',
    '  readonly code: string;',
    '  readonly title: string;',
    '  readonly description: string;',
    '}',
    '',
    '/** Every status a script can answer, in order of precedence. */',
    'export const statuses: { readonly [N in StatusName]: StatusMeta & { readonly name: N } } = {',
    ...all.flatMap((s) => [
      `  ${s.name}: {`,
      `    number: ${s.number},`,
      `    name: ${quote(s.name)},`,
      `    kind: ${quote(s.kind)},`,
      `    http: ${s.http},`,
      `    code: ${quote(s.code)},`,
      `    title: ${quote(s.title)},`,
      `    description: ${quote(s.description)},`,
      '  },',
    ]),
    '};',
    '',
    'export const statusNames: readonly StatusName[] = Object.keys(statuses) as StatusName[];',
    '',
    '/** Name by number; undefined for numbers that are not in the registry. */',
    'export const statusByNumber: readonly (StatusName | undefined)[] = numberedNames(statuses);',
    '',
  ].join('\n');
}

export function emitEvents({ events }: Registry): string {
  const all = [...events.values()];
  return [
    `${BANNER} Source: lua/registry/events.json`,
    "import { numberedNames } from '../script.js';",
    '',
    `export type EventName =\n${all.map((e) => `  | ${quote(e.name)}`).join('\n')};`,
    '',
    'export interface EventMeta {',
    '  readonly number: number;',
    '  readonly name: EventName;',
    '  readonly description: string;',
    '}',
    '',
    '/** Every kind of event that scripts write to the log. */',
    'export const events: { readonly [N in EventName]: EventMeta & { readonly name: N } } = {',
    ...all.map(
      (e) => `  ${e.name}: { number: ${e.number}, name: ${quote(e.name)}, description: ${quote(e.description)} },`,
    ),
    '};',
    '',
    '/** Numbers by name, as they stand in the log. */',
    'export const eventNumbers = {',
    ...all.map((e) => `  ${e.name}: ${e.number},`),
    '} as const;',
    '',
    'export const eventNames: readonly EventName[] = Object.keys(events) as EventName[];',
    '',
    '/** Name by number; undefined for numbers that are not in the registry. */',
    'export const eventByNumber: readonly (EventName | undefined)[] = numberedNames(events);',
    '',
  ].join('\n');
}

export function emitLimits({ limits }: Registry): string {
  return [
    `${BANNER} Source: lua/registry/limits.json`,
    '',
    '/** The limits that Lua keeps; whoever stands above refuses earlier, with the same numbers. */',
    'export const limits = {',
    ...[...limits.values()].flatMap((l) => [
      `  /** ${docText(l.description)} (${l.unit}) */`,
      `  ${l.name}: ${l.value},`,
    ]),
    '} as const;',
    '',
    'export type LimitName = keyof typeof limits;',
    '',
  ].join('\n');
}

export function emitIndex(scripts: readonly CompiledScript[]): string {
  return [
    BANNER,
    "import type { ScriptInfo } from '../script.js';",
    ...scripts.map((s) => `import { ${camel(s.name)} } from './${fileName(s.name)}.js';`),
    '',
    "export * from './events.js';",
    "export * from './limits.js';",
    "export * from './statuses.js';",
    ...scripts.map((s) => `export * from './${fileName(s.name)}.js';`),
    '',
    '/** Every script, for whoever loads them. */',
    'export const scripts: readonly ScriptInfo[] = [',
    ...scripts.map((s) => `  ${camel(s.name)},`),
    '];',
    '',
  ].join('\n');
}
