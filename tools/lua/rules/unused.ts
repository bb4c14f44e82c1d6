/** Nothing is declared that is not used: header fields, locals, parameters. Lua's own limits are kept too. */
import type { Variable } from '../ast.js';
import type { BindName } from '../bind.js';
import type { Named } from '../header.js';
import type { RuleContext } from './context.js';

const MAX_LOCALS = 200;
const MAX_UPVALUES = 60;

export function checkUnused(context: RuleContext): void {
  checkFields(context);
  for (const variable of context.analysis.variables) {
    const { name, node, kind } = variable;
    if (variable.reads > 0 || name === '_' || kind === 'counter') continue;
    if (context.isBound(node) || context.live.removable.has(variable)) continue;
    context.diagnostics.error(
      context.at(node),
      `${label(kind)} '${name}' is never used${kind === 'parameter' || kind === 'iterator' ? '; name it _' : ''}`,
    );
  }
  for (const frame of context.analysis.frames) {
    if (frame.most > MAX_LOCALS)
      context.diagnostics.error(context.at(frame.node), `${frame.most} locals at once; Lua allows ${MAX_LOCALS}`);
    if (frame.upvalues.size > MAX_UPVALUES)
      context.diagnostics.error(context.at(frame.node), `${frame.upvalues.size} upvalues; Lua allows ${MAX_UPVALUES}`);
  }
}

function label(kind: Variable['kind']): string {
  return kind === 'parameter' ? 'parameter' : kind === 'function' ? 'function' : 'local';
}

function checkFields({ analysis, header, binds, diagnostics, isBound }: RuleContext): void {
  const used = new Set(analysis.variables.filter((v) => isBound(v.node) && v.reads > 0).map((v) => v.name));
  const declared: [BindName, string, readonly Named[], (name: string) => string][] = [
    ['keys', 'key', header.keys, (n) => `${n}_key`],
    ['keys', 'items', header.items, (n) => `${n}_base`],
    ['args', 'arg', header.args, (n) => n],
    ['each', 'each', header.each, (n) => n],
    ['line', 'line', header.line, (n) => n],
  ];
  for (const [bind, tag, fields, local] of declared) {
    if (fields.length && !binds.has(bind)) {
      diagnostics.error(fields[0]!.at, `@${tag} is declared, but the body has no -- @bind ${bind}`);
      continue;
    }
    for (const field of fields)
      if (!used.has(local(field.name)))
        diagnostics.error(field.at, `@${tag} ${field.name} is never used (${local(field.name)} in the body)`);
  }
  if (header.each.length && !binds.has('args'))
    diagnostics.error(header.each[0]!.at, '@each is declared, but the body has no -- @bind args');
}
