/** Watches what scripts really do: every key a script touches must have been declared in the KEYS of its call. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { scripts } from '../../engine/scripts/generated/index.js';
import { type MasterNode, type ScriptCluster } from './scripts.js';
import { atEnd } from '../harness/index.js';

/** Position of the key of the commands scripts use; undefined: none. A command that is not here is a finding. */
const KEY_AT: Readonly<Record<string, number | undefined>> = {
  exists: 1,
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

/**
 * MONITOR on one node, from now until {@link finish}. The node tells everybody's commands; only scripts whose keys bear the prefix are
 * looked at, and only they are taken apart.
 */
export class KeyMonitor {
  private readonly commands = new Map<string, number>();
  private readonly problems: string[] = [];
  private rest = '';
  private script: string | undefined;
  private declared = new Set<string>();
  private marked: (() => void) | undefined;
  private readonly mark = `seen-${process.pid}-${Date.now()}`;

  private constructor(
    private readonly socket: Socket,
    private readonly node: MasterNode,
    private readonly prefix: string,
  ) {
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => this.take(chunk));
    socket.on('error', (error) => this.problems.push(`the node stopped telling what it does: ${error.message}`));
    socket.on('close', () => {
      if (this.marked) this.problems.push('the node stopped telling what it does');
      this.marked?.();
    });
  }

  static async start(cluster: ScriptCluster, node: MasterNode): Promise<KeyMonitor> {
    const socket = createConnection({ port: node.port, host: '127.0.0.1' });
    atEnd(async () => void socket.destroy());
    await once(socket, 'connect');
    const monitor = new KeyMonitor(socket, node, `"${cluster.keys.prefix}:`);
    socket.write('MONITOR\r\n');
    await once(socket, 'data');
    return monitor;
  }

  async finish(): Promise<KeyFindings> {
    const told = new Promise<void>((resolve) => (this.marked = resolve));
    if (this.socket.destroyed) this.marked?.();
    await this.node.client.echo(this.mark);
    await told;
    this.marked = undefined;
    this.socket.destroy();
    return { commands: this.commands, problems: this.problems };
  }

  private take(chunk: string): void {
    const lines = (this.rest + chunk).split('\r\n');
    this.rest = lines.pop()!;
    for (const line of lines) this.line(line);
  }

  /** `+1795168432.123456 [0 lua] "hget" "key" …`; a script's own commands follow its call with nothing in between. */
  private line(line: string): void {
    const bracket = line.indexOf(' [0 ');
    if (!line.startsWith(' [0 lua]', bracket)) {
      this.script = undefined;
      if (line.includes(this.prefix) && /\] "evalsha" /i.test(line)) this.call(argumentsOf(line));
      else if (line.includes(this.mark)) this.marked?.();
    } else if (this.script !== undefined) this.touch(this.script, argumentsOf(line));
  }

  private call([, sha1, count, ...keys]: readonly string[]): void {
    this.script = NAMES.get(sha1!) ?? sha1;
    this.declared = new Set(keys.slice(0, Number(count)));
  }

  private touch(script: string, [command = '', ...args]: readonly string[]): void {
    this.commands.set(script, (this.commands.get(script) ?? 0) + 1);
    const name = command.toLowerCase();
    if (!(name in KEY_AT)) this.problems.push(`${script} calls ${name}, which this test does not know`);
    const at = KEY_AT[name];
    if (at !== undefined && !this.declared.has(args[at - 1]!))
      this.problems.push(`${script} touches ${args[at - 1]} by ${name}, which is not in its KEYS`);
  }
}

const argumentsOf = (line: string): string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, argument]) => argument!);
