/** Every key that a script touches is one of its KEYS: Redis Cluster routes by them, and so does the slot check. */
import { stringValue, type Call, type Expression, type Node, type Variable } from '../ast.js';
import { COMMANDS, REFUSED } from '../commands.js';
import type { RuleContext } from './context.js';

export function checkKeys(context: RuleContext): void {
  let firstWrite: Node | undefined;
  for (const call of context.analysis.calls) {
    if (context.live.isDead(call.node) || !isRedisCall(context, call.callee)) continue;
    const name = stringValue(call.args[0])?.toUpperCase();
    const at = context.at(call.args[0] ?? call.node);
    if (name === undefined) {
      context.diagnostics.error(at, 'the command must be a string, so that its keys can be checked');
      continue;
    }
    const command = COMMANDS.get(name);
    if (!command) {
      const why = REFUSED.get(name);
      context.diagnostics.error(at, why ? `${name} is not allowed: ${why}` : `${name} is not in tools/lua/commands.ts`);
      continue;
    }
    if (command.write) firstWrite ??= call.node;
    if (command.write && context.header.flags.includes('no-writes'))
      context.diagnostics.error(at, `${name} writes, but the script is flagged no-writes`);
    const subcommand = stringValue(call.args[1])?.toUpperCase();
    if (command.subcommands && !command.subcommands.includes(subcommand ?? ''))
      context.diagnostics.error(at, `${name} may only be used as ${name} ${command.subcommands.join(', ')}`);
    if (command.keys === 'none') continue;
    const keys = command.keys === 'all' ? call.args.slice(1) : call.args.slice(1, 2);
    if (!keys.length) context.diagnostics.error(at, `${name} needs a key`);
    for (const key of keys) checkKey(context, name, key);
  }
  if (!firstWrite && !context.header.flags.includes('no-writes'))
    context.diagnostics.error(context.header.flagsAt, 'the script writes nothing: declare @flags no-writes');
  checkEscapes(context);
}

/** `redis.call`, `redis.pcall`, or a local that stands for one of them. */
function isRedisCall(context: RuleContext, callee: Expression): boolean {
  if (isCallMember(context, callee)) return true;
  const variable = callee.type === 'Identifier' ? context.analysis.byNode.get(callee)?.variable : undefined;
  return variable !== undefined && isAlias(context, variable);
}

function isAlias(context: RuleContext, { values }: Variable): boolean {
  return values.length === 1 && values[0] !== undefined && isCallMember(context, values[0]);
}

function isCallMember(context: RuleContext, node: Node): boolean {
  return (
    node.type === 'MemberExpression' &&
    (node.identifier.name === 'call' || node.identifier.name === 'pcall') &&
    node.base.type === 'Identifier' &&
    node.base.name === 'redis' &&
    context.analysis.byNode.get(node.base)?.variable === undefined
  );
}

/** `redis.call` handed on (to pcall, into a table) could not be checked. */
function checkEscapes(context: RuleContext): void {
  const { analysis } = context;
  const escapes = (node: Node): boolean => {
    const parent = analysis.parents.get(node);
    return !(parent && 'base' in parent && parent.base === node);
  };
  for (const [node, parent] of analysis.parents) {
    if (!isCallMember(context, node) || !escapes(node)) continue;
    const local =
      parent.type === 'LocalStatement' ? parent.variables[parent.init.indexOf(node as Expression)] : undefined;
    const variable = local && analysis.variables.find((v) => v.node === local);
    const ok =
      variable &&
      isAlias(context, variable) &&
      analysis.references.every((r) => r.variable !== variable || !escapes(r.node));
    if (!ok)
      context.diagnostics.error(
        context.at(node),
        'redis.call must be called, not passed on: its keys cannot be checked otherwise',
      );
  }
}

function checkKey(context: RuleContext, command: string, key: Expression): void {
  const problem = problemOf(context, key, new Set());
  if (problem) context.diagnostics.error(context.at(key), `key of ${command} ${problem.text}`);
}

/** `unsure`: nothing wrong was seen, but nothing right either; a name that ends in `_key` is then believed. */
interface Problem {
  readonly text: string;
  readonly unsure?: boolean;
}
const UNDECLARED: Problem = { text: 'is not one of KEYS', unsure: true };

function problemOf(context: RuleContext, node: Expression, seen: Set<Variable>): Problem | undefined {
  switch (node.type) {
    case 'Identifier':
      return ofIdentifier(context, node, seen);
    case 'IndexExpression':
      if (isGlobal(context, node.base, 'KEYS')) return undefined;
      return node.base.type === 'Identifier' && node.base.name.endsWith('_keys') ? undefined : UNDECLARED;
    case 'StringLiteral':
      return { text: 'is a literal; keys come from KEYS only' };
    case 'NumericLiteral':
      return { text: 'is a literal; keys come from KEYS only' };
    case 'BinaryExpression':
      return node.operator === '..' ? { text: 'is put together with ..; keys come from KEYS only' } : UNDECLARED;
    case 'LogicalExpression':
      return (node.operator === 'or' && problemOf(context, node.left, seen)) || problemOf(context, node.right, seen);
    case 'CallExpression':
      // unpack(KEYS, …)
      return isGlobal(context, node.base, 'unpack') && node.arguments[0] && isGlobal(context, node.arguments[0], 'KEYS')
        ? undefined
        : UNDECLARED;
    default:
      return UNDECLARED;
  }
}

function isGlobal(context: RuleContext, node: Expression, name: string): boolean {
  return node.type === 'Identifier' && node.name === name && !context.analysis.byNode.get(node)?.variable;
}

function ofIdentifier(
  context: RuleContext,
  node: Expression & { type: 'Identifier' },
  seen: Set<Variable>,
): Problem | undefined {
  const variable = context.analysis.byNode.get(node)?.variable;
  if (!variable) return { text: `'${node.name}' is not one of KEYS` };
  if (seen.has(variable)) return undefined;
  seen.add(variable);
  const sources =
    variable.kind === 'parameter' ? [...argumentsFor(context, variable), ...variable.values] : variable.values;
  const named = node.name.endsWith('_key');
  if (!sources.length && !named) return UNDECLARED;
  for (const source of sources) {
    if (source?.type === 'NilLiteral') continue;
    // `local key` without a value: what it is given later is looked at too.
    if (!source && variable.kind === 'local' && variable.values.length > 1) continue;
    const problem = source ? problemOf(context, source, seen) : UNDECLARED;
    if (problem && !(problem.unsure && named))
      return { text: `'${node.name}' ${problem.text.replace(/^'[^']*' /, '')}` };
  }
  return undefined;
}

/** What the calls of its function pass for a parameter; an unseen value when the function is handed on. */
function argumentsFor({ analysis, live }: RuleContext, parameter: Variable): (Expression | undefined)[] {
  const fn = analysis.variables.find((v) => v.values.includes(parameter.fn));
  if (!fn) return [undefined];
  const calls = analysis.calls.filter(
    (c) => c.callee.type === 'Identifier' && analysis.byNode.get(c.callee)?.variable === fn && !live.isDead(c.node),
  );
  const passed: (Expression | undefined)[] = calls.map((c: Call) => c.args[parameter.index]);
  const called = new Set<Node>(calls.map((c) => c.callee));
  const handedOn = analysis.references.some(
    (r) => r.variable === fn && !r.write && !called.has(r.node) && !live.isDead(r.node),
  );
  return handedOn ? [...passed, undefined] : passed;
}
