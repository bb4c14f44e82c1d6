/**
 * Finds what a script does not need of its includes. A function or constant at the top of an include that nothing
 * reaches is left out: the script stays short, and only what it can really answer counts as its statuses.
 */
import { rangeOf, type Analysis, type Expression, type Node, type Variable } from './ast.js';

export interface Live {
  /** Statements to leave out. */
  readonly dead: ReadonlySet<Node>;
  isDead(node: Node): boolean;
  /** Names at the top of includes that this script reaches. */
  readonly reached: ReadonlySet<Variable>;
  /** Names at the top of includes that could be left out if nothing reached them. */
  readonly removable: ReadonlySet<Variable>;
}

export function findLive(analysis: Analysis, isIncluded: (node: Node) => boolean): Live {
  const statements = new Map<Node, Variable[]>();
  for (const variable of analysis.variables) {
    const statement = topStatement(analysis, variable);
    if (statement && isIncluded(statement) && removable(statement))
      statements.set(statement, [...(statements.get(statement) ?? []), variable]);
  }
  const ownerOf = (node: Node): Node | undefined => {
    for (let n: Node | undefined = node; n; n = analysis.parents.get(n)) if (statements.has(n)) return n;
    return undefined;
  };
  const edges = new Map<Node | undefined, Set<Variable>>();
  for (const { node, variable } of analysis.references) {
    const from = ownerOf(node);
    // Writing to a name reaches it too: without its declaration the write would make a global.
    if (variable) edges.set(from, (edges.get(from) ?? new Set()).add(variable));
  }
  const home = new Map<Variable, Node>();
  for (const [statement, variables] of statements) for (const v of variables) home.set(v, statement);
  const alive = new Set<Node | undefined>([undefined]);
  const reached = new Set<Variable>();
  const queue: (Node | undefined)[] = [undefined];
  while (queue.length)
    for (const variable of edges.get(queue.pop()) ?? []) {
      const statement = home.get(variable);
      if (!statement) continue;
      reached.add(variable);
      if (alive.has(statement)) continue;
      alive.add(statement);
      queue.push(statement);
    }
  const dead = new Set([...statements.keys()].filter((s) => !alive.has(s)));
  const deadRanges = [...dead].map(rangeOf);
  const isDead = (node: Node): boolean => {
    const [start, end] = rangeOf(node);
    return deadRanges.some(([from, to]) => from <= start && end <= to);
  };
  return { dead, isDead, reached, removable: new Set(home.keys()) };
}

/** The statement of the outermost block that declares the variable, if it stands there. */
function topStatement({ chunk, parents }: Analysis, variable: Variable): Node | undefined {
  const statement = parents.get(variable.node);
  return (variable.kind === 'local' || variable.kind === 'function') && statement && parents.get(statement) === chunk
    ? statement
    : undefined;
}

function removable(statement: Node): boolean {
  if (statement.type === 'FunctionDeclaration') return statement.isLocal;
  return statement.type === 'LocalStatement' && statement.init.every(pure);
}

/** True when leaving the expression out cannot be noticed. */
function pure(node: Expression): boolean {
  switch (node.type) {
    case 'StringLiteral':
    case 'NumericLiteral':
    case 'BooleanLiteral':
    case 'NilLiteral':
    case 'FunctionDeclaration':
    case 'Identifier':
      return true;
    case 'MemberExpression':
      return node.base.type === 'Identifier';
    case 'UnaryExpression':
      return pure(node.argument);
    case 'BinaryExpression':
    case 'LogicalExpression':
      return pure(node.left) && pure(node.right);
    case 'TableConstructorExpression':
      return node.fields.every((f) => pure(f.value) && (f.type !== 'TableKey' || pure(f.key)));
    default:
      return false;
  }
}
