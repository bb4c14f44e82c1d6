/** The one module that knows key names (docs/protocol.md). */
import type { Partitions } from './partitions.js';

/** Kinds of which a partition has one. */
export type FixedKind = 'meta' | 'log' | 'due' | 'holds' | 'claims' | 'ids' | 'deltas' | 'persisted' | LooseKind;
/** Kinds that scripts name and no partition has: they lie beside the partitions, under names of their owners' making. */
export type LooseKind = 'idem';
/** Kinds of which every stock item has one. */
export type ItemKind = 'stock' | 'buyers';

const PREFIX = /^[A-Za-z0-9._-]{1,32}$/;

export class Keys {
  /** Says what the installation was made with; outside the partitions, because their tags depend on it. */
  readonly installation: string;
  private readonly bases: readonly string[];
  private readonly fixedNames = new Map<string, readonly string[]>();
  private readonly itemBases = new Map<string, readonly string[]>();

  /** @throws RangeError for a prefix with characters that mean something in a key or a pattern. */
  constructor(
    readonly prefix: string,
    readonly partitions: Partitions,
  ) {
    if (!PREFIX.test(prefix)) throw new RangeError('prefix must be 1 to 32 of A-Z a-z 0-9 . _ -');
    this.installation = `${prefix}:installation`;
    this.bases = partitions.tags.map((tag) => `${prefix}:{${tag}}:`);
  }

  fixed(kind: FixedKind, partition: number): string {
    return this.fixedOf(kind)[partition]!;
  }

  /** The key of an item of this partition; `ref` is `location:sku`. */
  item(kind: ItemKind, partition: number, ref: string): string {
    return this.itemBasesOf(kind)[partition]! + ref;
  }

  /** The names of a kind for all partitions, by partition. */
  fixedOf(kind: string): readonly string[] {
    let names = this.fixedNames.get(kind);
    if (!names) this.fixedNames.set(kind, (names = this.bases.map((base) => base + kind)));
    return names;
  }

  /** What stands before the ref in keys of this kind, by partition. */
  itemBasesOf(kind: string): readonly string[] {
    let bases = this.itemBases.get(kind);
    if (!bases) this.itemBases.set(kind, (bases = this.bases.map((base) => `${base}${kind}:`)));
    return bases;
  }

  /** The ref in a key of this kind and partition; undefined for any other key. */
  refIn(kind: ItemKind, partition: number, key: string): string | undefined {
    const base = this.itemBasesOf(kind)[partition]!;
    return key.startsWith(base) ? key.slice(base.length) : undefined;
  }
}
