/** Walks a script once and resolves every name: the ground all rules stand on. */
import {
  childNodes,
  type Analysis,
  type Call,
  type Expression,
  type Frame,
  type FunctionNode,
  type Identifier,
  type Node,
  type Reference,
  type Statement,
  type Variable,
} from './ast.js';

export function analyse(chunk: Analysis['chunk']): Analysis {
  const walker = new Walker(chunk);
  walker.run();
  return walker.result();
}

type Scope = Map<string, Variable>;

class Walker {
  private readonly variables: Variable[] = [];
  private readonly references: Reference[] = [];
  private readonly calls: Call[] = [];
  private readonly frames: Frame[] = [];
  private readonly parents = new Map<Node, Node>();
  private readonly byNode = new Map<Identifier, Reference>();
  private readonly scopes: Scope[] = [];
  private frame!: Frame;

  constructor(private readonly chunk: Analysis['chunk']) {}

  run(): void {
    this.linkParents(this.chunk);
    this.inFrame(this.chunk, () => this.block(this.chunk.body));
  }

  result(): Analysis {
    const { chunk, variables, references, calls, frames, parents, byNode } = this;
    return { chunk, variables, references, calls, frames, parents, byNode };
  }

  private linkParents(node: Node): void {
    for (const child of childNodes(node)) {
      if (child.type === 'Comment') continue;
      this.parents.set(child, node);
      this.linkParents(child);
    }
  }

  private inFrame(node: Node, body: () => void): void {
    const parent = this.frames.length ? this.frame : undefined;
    this.frame = { node, parent, upvalues: new Set(), active: 0, most: 0 };
    this.frames.push(this.frame);
    body();
    if (parent) this.frame = parent;
  }

  private block(body: readonly Statement[], before?: () => void, after?: () => void): void {
    const { frame } = this;
    const active = frame.active;
    this.scopes.push(new Map());
    before?.();
    for (const statement of body) this.statement(statement);
    after?.();
    this.scopes.pop();
    frame.active = active;
  }

  private declare(
    node: Identifier,
    kind: Variable['kind'],
    value?: Expression,
    fn?: FunctionNode,
    index = 0,
  ): Variable {
    const values = kind === 'local' || kind === 'function' ? [value] : [];
    const variable: Variable = {
      name: node.name,
      kind,
      node,
      values,
      reads: 0,
      frame: this.frame,
      index,
      ...(fn && { fn }),
    };
    this.variables.push(variable);
    this.scopes.at(-1)!.set(node.name, variable);
    this.frame.active++;
    this.frame.most = Math.max(this.frame.most, this.frame.active);
    return variable;
  }

  private refer(node: Identifier, write: boolean): Variable | undefined {
    let variable: Variable | undefined;
    for (let i = this.scopes.length - 1; i >= 0 && !variable; i--) variable = this.scopes[i]!.get(node.name);
    if (variable) {
      if (!write) variable.reads++;
      for (let f: Frame | undefined = this.frame; f && f !== variable.frame; f = f.parent) f.upvalues.add(variable);
    }
    const reference = { node, variable, write };
    this.references.push(reference);
    this.byNode.set(node, reference);
    return variable;
  }

  private statement(node: Statement): void {
    switch (node.type) {
      case 'LocalStatement':
        for (const value of node.init) this.expression(value);
        node.variables.forEach((v, i) => this.declare(v, 'local', node.init[i]));
        return;
      case 'AssignmentStatement':
        for (const value of node.init) this.expression(value);
        node.variables.forEach((target, i) => {
          if (target.type === 'Identifier') this.refer(target, true)?.values.push(node.init[i]);
          else this.expression(target);
        });
        return;
      case 'FunctionDeclaration':
        return this.functionStatement(node);
      case 'ForNumericStatement':
        for (const e of [node.start, node.end, node.step]) if (e) this.expression(e);
        return this.loop(node.body, () => this.declare(node.variable, 'counter'));
      case 'ForGenericStatement':
        for (const e of node.iterators) this.expression(e);
        return this.loop(node.body, () => node.variables.forEach((v) => this.declare(v, 'iterator')));
      default:
        return this.control(node);
    }
  }

  private control(node: Statement): void {
    switch (node.type) {
      case 'IfStatement':
        for (const clause of node.clauses) {
          if (clause.type !== 'ElseClause') this.expression(clause.condition);
          this.block(clause.body);
        }
        return;
      case 'WhileStatement':
        this.expression(node.condition);
        return this.block(node.body);
      case 'RepeatStatement':
        // The condition sees the locals of the body.
        return this.block(node.body, undefined, () => this.expression(node.condition));
      case 'DoStatement':
        return this.block(node.body);
      case 'ReturnStatement':
        return node.arguments.forEach((e) => this.expression(e));
      case 'CallStatement':
        return this.expression(node.expression);
      default:
        return;
    }
  }

  /** A for loop keeps three locals of its own beside those that are named. */
  private loop(body: readonly Statement[], declare: () => void): void {
    this.frame.active += 3;
    this.block(body, declare);
    this.frame.active -= 3;
  }

  private functionStatement(node: FunctionNode): void {
    const name = node.identifier;
    if (name?.type === 'Identifier') {
      // A local function sees itself; a global one is an assignment, which the rules refuse.
      if (node.isLocal) this.declare(name, 'function', node, node);
      else this.refer(name, true)?.values.push(node);
    } else if (name) this.expression(name);
    this.functionBody(node);
  }

  private functionBody(node: FunctionNode): void {
    this.inFrame(node, () =>
      this.block(node.body, () => {
        if (node.identifier?.type === 'MemberExpression' && node.identifier.indexer === ':')
          this.declare({ ...node.identifier.identifier, name: 'self' }, 'parameter', undefined, node, -1).reads++;
        node.parameters.forEach((p, i) => {
          if (p.type === 'Identifier') this.declare(p, 'parameter', undefined, node, i);
        });
      }),
    );
  }

  private expression(node: Expression): void {
    switch (node.type) {
      case 'Identifier':
        this.refer(node, false);
        return;
      case 'FunctionDeclaration':
        return this.functionBody(node);
      case 'MemberExpression':
        return this.expression(node.base);
      case 'CallExpression':
        return this.call(node, node.base, node.arguments);
      case 'TableCallExpression':
        return this.call(node, node.base, [node.arguments]);
      case 'StringCallExpression':
        return this.call(node, node.base, [node.argument]);
      case 'TableConstructorExpression':
        for (const field of node.fields) {
          if (field.type === 'TableKey') this.expression(field.key);
          this.expression(field.value);
        }
        return;
      default:
        for (const child of childNodes(node)) this.expression(child as Expression);
    }
  }

  private call(node: Node, callee: Expression, args: readonly Expression[]): void {
    this.calls.push({ node, callee, args });
    this.expression(callee);
    for (const arg of args) this.expression(arg);
  }
}
