/** Watches what scripts really do: every key a script touches must have been declared in the KEYS of its call. */
import { type Redis } from 'ioredis';
import { scripts } from '../../engine/scripts/generated/index.js';
import { connect, type ScriptCluster } from './scripts.js';
import { atEnd } from '../harness/index.js';

/** Position of the key of the commands scripts use; undefined: none. A command that is not here is a finding. */
const KEY_AT: Readonly<Record<string, number | undefined>> = {
  time: undefined,
  cluster: undefined,
  hget: 1,
  hmget: 1,
  hset: 1,
  hdel: 1,
  zadd: 1,
  zrem: 1,
  zcount: 1,
  zscore: 1,
  zrange: 1,
  xadd: 1,
  spublish: 1,
};

const NAMES = new Map(scripts.map((script) => [script.sha1, script.name]));

export interface KeyFindings {
  /** Commands seen inside calls of each script. */
  readonly commands: ReadonlyMap<string, number>;
  /** What must not be, one sentence each. */
  readonly problems: readonly string[];
}

interface Watched {
  readonly monitor: Redis;
  readonly lines: string[][];
}

/** MONITOR on every master, from now until {@link finish}. */
export class KeyMonitor {
  private constructor(
    private readonly cluster: ScriptCluster,
    private readonly watched: readonly Watched[],
  ) {}

  static async start(cluster: ScriptCluster): Promise<KeyMonitor> {
    const watched: Watched[] = [];
    for (const { port } of cluster.masters) {
      const lines: string[][] = [];
      const monitor = await connect(port).monitor();
      atEnd(async () => monitor.disconnect());
      monitor.on('monitor', (_time: string, args: string[], source: string) => lines.push([source, ...args]));
      watched.push({ monitor, lines });
    }
    return new KeyMonitor(cluster, watched);
  }

  async finish(): Promise<KeyFindings> {
    const commands = new Map<string, number>();
    const problems: string[] = [];
    const mark = `seen-${process.pid}-${Date.now()}`;
    for (const [i, { monitor, lines }] of this.watched.entries()) {
      await this.cluster.masters[i]!.client.echo(mark);
      for (let turn = 0; turn < 1_000 && !lines.some((line) => line[2] === mark); turn++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      if (!lines.some((line) => line[2] === mark)) problems.push(`node ${i} stopped telling what it does`);
      monitor.disconnect();
      judge(lines, `${this.cluster.keys.prefix}:`, commands, problems);
    }
    return { commands, problems };
  }
}

/** A script's own commands follow its EVALSHA without anything in between: scripts are atomic. */
function judge(lines: readonly string[][], prefix: string, commands: Map<string, number>, problems: string[]): void {
  let name: string | undefined;
  let declared = new Set<string>();
  for (const [source, command, ...args] of lines) {
    if (source !== 'lua') {
      name = undefined;
      if (command!.toLowerCase() !== 'evalsha') continue;
      declared = new Set(args.slice(2, 2 + Number(args[1])));
      if ([...declared].some((key) => key.startsWith(prefix))) name = NAMES.get(args[0]!);
      continue;
    }
    if (!name) continue;
    commands.set(name, (commands.get(name) ?? 0) + 1);
    const lower = command!.toLowerCase();
    if (!(lower in KEY_AT)) problems.push(`${name} calls ${lower}, which this test does not know`);
    const at = KEY_AT[lower];
    if (at !== undefined && !declared.has(args[at - 1]!))
      problems.push(`${name} touches ${args[at - 1]} by ${lower}, which is not in its KEYS`);
  }
}
