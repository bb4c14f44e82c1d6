/** Scripts read only what Redis gives them, keep no globals, and use no clock, chance or code loading. */
import type { Expression, Node, Reference } from '../ast.js';
import type { RuleContext } from './context.js';

const words = (text: string): Set<string> => new Set(text.split(' '));

/** Libraries and the members of them that scripts may use. */
const LIBRARIES = new Map<string, Set<string>>([
  ['redis', words('call pcall error_reply status_reply sha1hex log LOG_DEBUG LOG_VERBOSE LOG_NOTICE LOG_WARNING')],
  ['cmsgpack', words('pack unpack unpack_one unpack_limit')],
  ['cjson', words('encode decode null encode_sparse_array encode_number_precision encode_max_depth')],
  ['struct', words('pack unpack size')],
  ['bit', words('tobit tohex bnot band bor bxor lshift rshift arshift rol ror bswap')],
  ['string', words('byte char find format gmatch gsub len lower match rep reverse sub upper')],
  ['table', words('concat insert maxn remove sort')],
  ['math', words('abs ceil floor fmod huge max min modf pow sqrt')],
]);
const FUNCTIONS = words(
  'tonumber tostring type pairs ipairs next select unpack error assert pcall xpcall rawequal rawget rawset',
);
const DATA = words('KEYS ARGV');
/** Names the build replaces; rules/vocabulary.ts looks at them. */
export const VOCABULARY = words('STATUS EVENT LIMIT WIDTH');
const REFUSED = new Map([
  ['loadstring', 'code must not be made at run time'],
  ['load', 'code must not be made at run time'],
  ['dofile', 'code must not be made at run time'],
  ['loadfile', 'code must not be made at run time'],
  ['os', "the only clock is redis.call('TIME')"],
  ['io', 'scripts have no files'],
  ['print', 'use redis.log'],
  ['require', 'use -- @include'],
]);

export function checkGlobals(context: RuleContext): void {
  const { analysis, diagnostics } = context;
  for (const reference of analysis.references) {
    const { node, variable, write } = reference;
    if (variable) continue;
    if (write) diagnostics.error(context.at(node), `assignment to the global '${node.name}'; declare it local`);
    else checkRead(context, reference);
  }
  for (const { node, name } of analysis.variables)
    if (VOCABULARY.has(name) || DATA.has(name) || LIBRARIES.has(name))
      diagnostics.error(context.at(node), `'${name}' must not be redefined`);
  for (const node of analysis.parents.keys())
    if (node.type === 'AssignmentStatement') for (const target of node.variables) checkTarget(context, target);
}

function checkRead(context: RuleContext, { node }: Reference): void {
  const { name } = node;
  const at = context.at(node);
  const refused = REFUSED.get(name);
  const members = LIBRARIES.get(name);
  if (refused) context.diagnostics.error(at, `'${name}' is not allowed: ${refused}`);
  else if (members) checkMember(context, node, members);
  else if (!FUNCTIONS.has(name) && !DATA.has(name) && !VOCABULARY.has(name))
    context.diagnostics.error(at, `unknown global '${name}'`);
}

function checkMember(context: RuleContext, node: Reference['node'], members: ReadonlySet<string>): void {
  const parent = context.analysis.parents.get(node);
  if (parent?.type !== 'MemberExpression' || parent.base !== node) {
    context.diagnostics.error(
      context.at(node),
      `'${node.name}' must be used with a member, as in ${node.name}.${[...members][0]}`,
    );
    return;
  }
  const member = parent.identifier.name;
  if (members.has(member)) return;
  const why =
    node.name === 'math' && member.startsWith('random') ? 'scripts use nothing random' : 'unknown or not allowed';
  context.diagnostics.error(context.at(parent), `'${node.name}.${member}': ${why}`);
}

/** `KEYS[1] = …` or `string.x = …` would change what every later line reads. */
function checkTarget(context: RuleContext, target: Expression): void {
  let base: Node = target;
  while (base.type === 'IndexExpression' || base.type === 'MemberExpression') base = base.base;
  if (base.type !== 'Identifier' || base === target || context.analysis.byNode.get(base)?.variable) return;
  context.diagnostics.error(context.at(target), `assignment into the global '${base.name}'`);
}
