/** Whether the ledger is what was written: its rows against the chain of hashes that was made when they were persisted. (S7) */
import type pg from 'pg';
import { linkHash, NO_LINK } from '../drain/chain.js';
import { MOVEMENT_COLUMNS } from '../drain/rows.js';
import type { ChainEnd } from './problems.js';

/** The last link of a partition that was found right. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Buffer;
}

export interface ChainResult {
  /** Up to where all is as it was written. */
  readonly head: ChainHead;
  /** What is wrong at the first link that is; nothing is said of those behind it. */
  readonly broken: string | undefined;
}

/** For the report, and back from an earlier one. */
export function chainEnds(heads: ReadonlyMap<number, ChainHead>): ChainEnd[] {
  return [...heads].map(([partition, { seq, hash }]) => ({ partition, seq, hash: hash.toString('hex') }));
}

/**
 * The links that a report of `verify --json` names.
 * @throws Error for a text that is none
 */
export function chainHeads(report: string): Map<number, ChainHead> {
  const chain = chainOf(report);
  if (!Array.isArray(chain)) throw new Error('this is no report of verify --json with a chain');
  return new Map(
    (chain as Partial<ChainEnd>[]).map(({ partition, seq, hash }) => {
      if (!Number.isSafeInteger(partition) || !Number.isSafeInteger(seq) || !/^([0-9a-f]{64})?$/.test(hash ?? '-'))
        throw new Error('an entry of its chain is not a partition, a number and a hash');
      return [partition!, { seq: seq!, hash: Buffer.from(hash!, 'hex') }];
    }),
  );
}

function chainOf(report: string): unknown {
  try {
    return (JSON.parse(report) as { chain?: unknown } | null)?.chain;
  } catch {
    return undefined;
  }
}

interface Link {
  readonly first: number;
  readonly last: number;
  readonly hash: Buffer;
  /** Rows of the ledger that it is about, and their digest; null for a link longer than LONGEST. */
  readonly count: number;
  readonly digest: Buffer | null;
}

/** Links a statement looks at. */
const PAGE = 200;
/** Movements a link may be about: workers write batches of some thousands. More is damage, and would be memory in Postgres. */
const LONGEST = 250_000;

const TEXTS = new Set(['ref', 'id', 'actor', 'detail']);

/** A text as COPY writes it. */
function escaped(column: string): string {
  const pairs = [
    ["E'\\\\'", "E'\\\\\\\\'"],
    ["E'\\t'", "E'\\\\t'"],
    ["E'\\n'", "E'\\\\n'"],
    ["E'\\r'", "E'\\\\r'"],
  ];
  return pairs.reduce((text, [from, to]) => `replace(${text}, ${from}, ${to})`, column);
}

/** A row of the ledger as `movementRow` writes it. */
const ROW = MOVEMENT_COLUMNS.split(', ')
  .map((column) => (TEXTS.has(column) ? escaped(column) : column))
  .join(', ');

/** Digests are made where the rows are: what comes over the wire is one row a link. */
const READ_LINKS = `
SELECT c.first_seq AS first, c.last_seq AS last, c.hash, d.count, d.digest
FROM (SELECT * FROM ledger_chain WHERE partition = $1 AND last_seq > $2 ORDER BY last_seq LIMIT $3) c, LATERAL (
  SELECT count(*)::int8 AS count, CASE WHEN c.last_seq - c.first_seq < ${LONGEST} THEN
    sha256(convert_to(coalesce(string_agg(concat_ws(E'\\t', ${ROW}) || E'\\n', '' ORDER BY seq, epoch, at), ''), 'UTF8')) END AS digest
  FROM movements m WHERE m.partition = $1 AND m.seq BETWEEN c.first_seq AND c.last_seq AND c.last_seq - c.first_seq < ${LONGEST}
) d ORDER BY c.last_seq`;

async function readLinks(client: pg.ClientBase, partition: number, after: number, limit = PAGE): Promise<Link[]> {
  const { rows } = await client.query<Link>({
    name: 'chain',
    text: READ_LINKS,
    values: [partition, after, limit],
  });
  return rows;
}

/** The link that ends at a number. */
async function hashAt(client: pg.ClientBase, partition: number, seq: number): Promise<Buffer | undefined> {
  const { rows } = await client.query<{ hash: Buffer }>(
    'SELECT hash FROM ledger_chain WHERE partition = $1 AND last_seq = $2',
    [partition, seq],
  );
  return rows[0]?.hash;
}

/**
 * Where to begin: at the first movement; where old movements were taken out of the ledger as a whole, at the first link whose movements
 * are all there, which the link before it is needed for.
 */
async function beginning(client: pg.ClientBase, partition: number, firstSeq: number): Promise<ChainHead> {
  const start = { seq: 0, hash: NO_LINK };
  if (firstSeq <= 1) return start;
  const { rows } = await client.query<ChainHead>(
    'SELECT last_seq AS seq, hash FROM ledger_chain WHERE partition = $1 AND last_seq >= $2 - 1 ORDER BY last_seq LIMIT 1',
    [partition, firstSeq],
  );
  return rows[0] ?? start;
}

/**
 * Checks a partition's movements against its chain, link by link, in the transaction of `client`. One page of links at a time is in
 * memory here, the rows of one link in Postgres.
 * @param firstSeq number of the ledger's first movement, 0 where there is none
 * @param lastSeq number up to which the partition is persisted
 * @param known a link that was right before: it must still be there
 * @param whole also read again what `known` stands for
 */
export async function checkChain(
  client: pg.ClientBase,
  partition: number,
  firstSeq: number,
  lastSeq: number,
  known: ChainHead | undefined,
  whole: boolean,
): Promise<ChainResult> {
  if (known && known.seq > 0 && !(await hashAt(client, partition, known.seq))?.equals(known.hash))
    return {
      head: known,
      broken: `the link that ends at movement ${known.seq} is not the one it was when it was last looked at`,
    };
  let head = !whole && known ? known : await beginning(client, partition, firstSeq);
  for (;;) {
    const links = await readLinks(client, partition, head.seq);
    for (const link of links) {
      const broken = await linkFault(client, partition, head, link);
      if (broken !== undefined) return { head, broken };
      head = { seq: link.last, hash: link.hash };
    }
    if (links.length < PAGE) break;
  }
  if (head.seq < lastSeq) return { head, broken: missing(head.seq + 1, lastSeq) };
  if (head.seq > lastSeq)
    return { head, broken: `its links end at movement ${head.seq}, the position says ${lastSeq}` };
  return { head, broken: undefined };
}

function span(first: number, last: number): string {
  return first === last ? `movement ${first}` : `movements ${first} to ${last}`;
}

function missing(first: number, last: number): string {
  return `the link of ${span(first, last)} is missing`;
}

/** What is wrong with the link after `head`. */
async function linkFault(
  client: pg.ClientBase,
  partition: number,
  head: ChainHead,
  link: Link,
): Promise<string | undefined> {
  const { first, last, hash, count, digest } = link;
  if (first > head.seq + 1) return missing(head.seq + 1, first - 1);
  if (first <= head.seq)
    return `the link of ${span(first, last)} was put in: the one before it ends at movement ${head.seq}`;
  // Older than the chain. Anywhere else it would make whatever stands there unquestioned.
  if (hash.length === 0) return head.seq === 0 ? undefined : `the link of ${span(first, last)} is empty`;
  if (digest === null) return `the link of ${span(first, last)} is about more than was ever written at once`;
  const expected = linkHash(head.hash, digest);
  if (expected.equals(hash)) return undefined;
  const length = last - first + 1;
  if (count < length) return `${length - count} of ${span(first, last)} were deleted`;
  if (count > length) return `${count - length} movements were put in among ${span(first, last)}`;
  // The link behind tells whether it was made after what the rows say or after what the link says.
  const [next] = await readLinks(client, partition, last, 1);
  if (next?.digest && next.first === last + 1 && linkHash(expected, next.digest).equals(next.hash))
    return `the link of ${span(first, last)} was changed`;
  return `${span(first, last)} ${first === last ? 'is not what was' : 'are not what was'} written: changed, or put in another order`;
}
