/**
 * Which scripts a node must have, and under which hash.
 *
 * The empty script cache of a restarted node is half of the fence, so an installation's scripts must not be loaded by anybody
 * else's recovery: under another prefix than the default one, each script ends in a comment that names the prefix.
 */
import { createHash } from 'node:crypto';
import { partitionFence, partitionOpen, partitionRestore, partitionTake, scripts } from './generated/index.js';
import type { ScriptInfo } from './script.js';

export const DEFAULT_PREFIX = 'hf';

export interface LoadedScript {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

/** They look at closed partitions and open them; they sell nothing, so they may be loaded before anything is compared. */
const OF_RECOVERY: ReadonlySet<ScriptInfo> = new Set<ScriptInfo>([
  partitionFence,
  partitionOpen,
  partitionRestore,
  partitionTake,
]);

export class ScriptSet {
  readonly ofRecovery: readonly LoadedScript[];
  /** Everything else: loading these lets every partition sell that is not fenced. */
  readonly working: readonly LoadedScript[];
  private readonly shas = new Map<ScriptInfo, string>();

  constructor(prefix: string) {
    const loaded = (script: ScriptInfo): LoadedScript => {
      const source = prefix === DEFAULT_PREFIX ? script.source : `${script.source}\n-- installation ${prefix}`;
      const sha1 = prefix === DEFAULT_PREFIX ? script.sha1 : createHash('sha1').update(source).digest('hex');
      this.shas.set(script, sha1);
      return { name: script.name, source, sha1 };
    };
    this.ofRecovery = scripts.filter((script) => OF_RECOVERY.has(script)).map(loaded);
    this.working = scripts.filter((script) => !OF_RECOVERY.has(script)).map(loaded);
  }

  sha1(script: ScriptInfo): string {
    return this.shas.get(script) ?? script.sha1;
  }
}
