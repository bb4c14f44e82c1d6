/** What a rule is given. */
import type { Analysis, Node } from '../ast.js';
import type { BindName } from '../bind.js';
import type { Diagnostics, Position } from '../diagnostics.js';
import type { Header } from '../header.js';
import type { Live } from '../live.js';
import type { Registry } from '../registry.js';

export interface RuleContext {
  readonly analysis: Analysis;
  readonly live: Live;
  readonly header: Header;
  readonly registry: Registry;
  readonly binds: ReadonlySet<BindName>;
  readonly diagnostics: Diagnostics;
  /** Where a node stands in the sources. */
  readonly at: (node: Node) => Position;
  /** True for locals made by a bind line. */
  readonly isBound: (node: Node) => boolean;
  readonly isIncluded: (node: Node) => boolean;
}
