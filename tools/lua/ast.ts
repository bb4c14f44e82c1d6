/** Parses Lua 5.1 and finds which name means which variable. */
import luaparse from 'luaparse';
import type * as lua from 'luaparse';

export type Node = lua.Node;
export type Expression = lua.Expression;
export type Statement = lua.Statement;
export type FunctionNode = lua.FunctionDeclaration;
export type Identifier = lua.Identifier;

export interface Variable {
  readonly name: string;
  readonly kind: 'local' | 'function' | 'parameter' | 'counter' | 'iterator';
  readonly node: Identifier;
  /** Everything that is assigned to it where that is known; undefined stands for a value that cannot be seen. */
  readonly values: (Expression | undefined)[];
  reads: number;
  readonly frame: Frame;
  /** The function a parameter belongs to, or that a `local function` names. */
  readonly fn?: FunctionNode;
  readonly index: number;
}

export interface Reference {
  readonly node: Identifier;
  /** Undefined: a global. */
  readonly variable: Variable | undefined;
  readonly write: boolean;
}

export interface Call {
  readonly node: Node;
  readonly callee: Expression;
  readonly args: readonly Expression[];
}

/** A function body, or the script as a whole. Lua 5.1 allows 200 locals at once and 60 upvalues in each. */
export interface Frame {
  readonly node: Node;
  readonly parent: Frame | undefined;
  readonly upvalues: Set<Variable>;
  active: number;
  most: number;
}

export interface Analysis {
  readonly chunk: lua.Chunk;
  readonly variables: Variable[];
  readonly references: Reference[];
  readonly calls: Call[];
  readonly frames: Frame[];
  readonly parents: ReadonlyMap<Node, Node>;
  readonly byNode: ReadonlyMap<Identifier, Reference>;
}

export class LuaSyntaxError extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(message);
  }
}

export function parseLua(text: string): lua.Chunk {
  try {
    return luaparse.parse(text, { luaVersion: '5.1', locations: true, ranges: true, comments: true, scope: false });
  } catch (error) {
    const { message, line, column } = error as { message: string; line?: number; column?: number };
    throw new LuaSyntaxError(message.replace(/^\[\d+:\d+\] /, ''), line ?? 1, (column ?? 0) + 1);
  }
}

/** Character offsets of a node in the text that was parsed. */
export function rangeOf(node: Node): [number, number] {
  return (node as unknown as { range: [number, number] }).range;
}

/** Content of a string literal as written, escapes left alone: enough for names of commands. */
export function stringValue(node: Expression | undefined): string | undefined {
  if (node?.type !== 'StringLiteral') return undefined;
  const long = /^\[(=*)\[([\s\S]*)\]\1\]$/.exec(node.raw);
  return long ? long[2]! : node.raw.slice(1, -1);
}

export function* childNodes(node: Node): Generator<Node> {
  for (const value of Object.values(node) as unknown[]) {
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) yield item;
    } else if (isNode(value)) yield value;
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}
