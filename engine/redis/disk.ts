/**
 * Whether the nodes can do what `replicatedOnDisk` asks of them: checked when an engine is opened, told when it stops being so.
 *
 * Why an engine refuses to open and does not fall back to WAIT: its answers would promise less than the operator has asked for,
 * and nobody would notice before the power fails. Later, when stock is being sold, it goes on with answers that say `executed`.
 */
import { InvalidArgument } from '../errors.js';
import type { EngineOptions } from '../types.js';
import type { FellShort } from './acks.js';
import { Connection, type ConnectionSettings } from './connection.js';
import { textOf } from './nodes.js';
import type { Endpoint } from './address.js';
import { nameOf, type View } from './topology.js';

type Notice = NonNullable<EngineOptions['onNotice']>;

const COMMAND_TIMEOUT_MS = 2_000;
const ASKED = 'replicatedOnDisk is asked for';

/**
 * Asks masters and replicas: each of them may be a master soon, and each has to write.
 * @throws InvalidArgument naming the first node that cannot, and what to do
 */
export async function checkDisks(view: View, settings: ConnectionSettings, notice: Notice): Promise<void> {
  const masters = [...view.masters.values()];
  const endpoints = masters.flatMap(({ endpoint, standbys }) => [endpoint, ...standbys.map((one) => one.endpoint)]);
  const problems = await Promise.all(
    endpoints.map(async (endpoint) => {
      const problem = await problemOf(endpoint, settings).catch((error: Error) => {
        notice({
          level: 'warn',
          message: `${ASKED}, but a node cannot be asked whether it can`,
          reason: error.message,
        });
      });
      return problem && `${ASKED}, but Redis at ${nameOf(endpoint)} ${problem}`;
    }),
  );
  const found = problems.find((problem) => problem !== undefined);
  if (found) throw new InvalidArgument(found);
}

async function problemOf(endpoint: Endpoint, settings: ConnectionSettings): Promise<string | undefined> {
  const connection = await Connection.open(endpoint, settings);
  try {
    const commands = [
      ['WAITAOF', 1, 0, 1],
      ['INFO', 'server', 'persistence'],
    ];
    const [answer, info] = await connection.all(commands, COMMAND_TIMEOUT_MS);
    if (info instanceof Error) throw info;
    const text = textOf(info);
    const version = /^redis_version:(\S+)/m.exec(text)?.[1] ?? 'unknown';
    // A replica answers with an error of its own, which says that it knows the command.
    const refusal = answer instanceof Error ? answer.message : '';
    if (/unknown command/i.test(refusal))
      return `is version ${version}, which has no WAITAOF. It needs Redis 7.2 or newer, or Valkey; or leave the setting off.`;
    if (refusal.startsWith('NOPERM'))
      return 'does not let this user call WAITAOF. Add +waitaof to its ACL (./holdfast acl --waitaof prints one).';
    if (/^aof_enabled:0/m.test(text))
      return 'has no append-only file. It needs `appendonly yes`; or leave the setting off.';
    return undefined;
  } finally {
    connection.close();
  }
}

/** The same of one node is told so often. */
const SAME_NOTICE_MS = 60_000;

/** Tells operators when answers are not what they asked for: by a node, once a minute. */
export class DiskNotices {
  private readonly told = new Map<string, number>();

  constructor(private readonly notice: Notice) {}

  readonly fellShort: FellShort = ({ id, endpoint }, wait, reply) => {
    const refused = reply instanceof Error;
    // A connection that ended, a node that is no master any more: others tell of that. And a caller in a hurry tells nothing.
    if (refused ? !/^(ERR|NOPERM)/.test(reply.message) : !wait.telling) return;
    const now = performance.now();
    if ((this.told.get(id) ?? -Infinity) > now - SAME_NOTICE_MS) return;
    this.told.set(id, now);
    const fields = { node: id, address: nameOf(endpoint), replicas: wait.replicas };
    if (refused)
      this.notice({
        level: 'error',
        message: 'answers are only executed: the node refuses WAITAOF, which replicatedOnDisk asks for',
        ...fields,
        reason: reply.message,
      });
    else
      this.notice({
        level: 'warn',
        message: 'answers are only executed: not every node of the shard had them on disk in time',
        ...fields,
        waitedMs: wait.timeoutMs,
        onDisk: Array.isArray(reply) ? { master: reply[0] === 1, replicas: Number(reply[1]) } : undefined,
      });
  };
}
