/** STATUS.x, EVENT.x, LIMIT.x and WIDTH: known names, and the header says what the body does. */
import { type Node } from '../ast.js';
import type { Named } from '../header.js';
import type { RuleContext } from './context.js';
import { VOCABULARY } from './globals.js';

/** A place in the text that the build puts a number in. */
export interface Replacement {
  readonly node: Node;
  readonly value: number;
}

export function checkVocabulary(context: RuleContext): Replacement[] {
  const { analysis, registry, header, live, diagnostics } = context;
  const replacements: Replacement[] = [];
  const used = { STATUS: new Set<string>(), EVENT: new Set<string>(), LIMIT: new Set<string>() };
  const tables = {
    STATUS: {
      numbers: new Map([...registry.statuses].map(([k, v]) => [k, v.number])),
      file: 'statuses',
      declared: header.statuses,
    },
    EVENT: {
      numbers: new Map([...registry.events].map(([k, v]) => [k, v.number])),
      file: 'events',
      declared: header.events,
    },
    LIMIT: {
      numbers: new Map([...registry.limits].map(([k, v]) => [k, v.value])),
      file: 'limits',
      declared: undefined,
    },
  };
  for (const { node, variable } of analysis.references) {
    if (variable || !VOCABULARY.has(node.name)) continue;
    if (node.name === 'WIDTH') {
      replacements.push({ node, value: header.width });
      continue;
    }
    const word = node.name as keyof typeof tables;
    const { numbers, file, declared } = tables[word];
    const parent = analysis.parents.get(node);
    if (parent?.type !== 'MemberExpression' || parent.base !== node || parent.indexer !== '.') {
      diagnostics.error(context.at(node), `${word} must be written ${word}.name`);
      continue;
    }
    const name = parent.identifier.name;
    const number = numbers.get(name);
    if (number === undefined) {
      diagnostics.error(context.at(parent), `${word}.${name} is not in lua/registry/${file}.json`);
      continue;
    }
    replacements.push({ node: parent, value: number });
    if (live.isDead(parent)) continue;
    if (declared && !used[word].has(name) && !declared.some((d: Named) => d.name === name))
      diagnostics.error(
        context.at(parent),
        `${word}.${name} is used, but the header of ${context.header.flagsAt.file} has no @${word.toLowerCase()} ${name}`,
      );
    used[word].add(name);
  }
  for (const word of ['STATUS', 'EVENT'] as const)
    for (const { name, at } of tables[word].declared)
      if (!used[word].has(name))
        diagnostics.error(at, `@${word.toLowerCase()} ${name} is declared, but the body never uses ${word}.${name}`);
  return replacements;
}
