/** Looks for the few operations that are enough for a disagreement, by carrying out fewer and fewer of them again. */
import { connect, type ScriptCluster } from '../support/scripts.js';
import { Disagreement, type Step } from './checker.js';
import { type RunOptions, Stage } from './runner.js';

/** A partition that runs do not use. */
const PARTITION = 63;
const MOST_ATTEMPTS = 400;
const MOST_MS = 20_000;

/**
 * The shortest list found, with what disagrees at its end; undefined when the steps one by one agree, as they may when it takes a
 * batch or a moment.
 */
export async function shrink(
  cluster: ScriptCluster,
  steps: readonly Step[],
  options: Pick<RunOptions, 'instead'>,
): Promise<{ steps: readonly Step[]; message: string } | undefined> {
  const partition = cluster.partition(PARTITION);
  const client = connect(partition.node.port);
  const until = Date.now() + MOST_MS;
  let attempts = 0;
  const fails = async (list: readonly Step[]): Promise<{ steps: readonly Step[]; message: string } | undefined> => {
    attempts++;
    const stage = await Stage.set(partition, options.instead);
    for (const [i, { name, op }] of list.entries()) {
      const wrong = await stage.call(client, name, [op]).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (wrong instanceof Disagreement) return { steps: list.slice(0, i + 1), message: wrong.message };
      if (wrong instanceof Error) throw wrong;
    }
    return undefined;
  };
  let found = await fails(steps);
  for (let chunk = Math.ceil(steps.length / 2); found && chunk >= 1; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2))
    for (let from = 0; from < found.steps.length - 1;) {
      if (attempts >= MOST_ATTEMPTS || Date.now() > until) return found;
      // The last step is the one that disagrees; it stays.
      const fewer = found.steps.filter((_, i) => i < from || i >= from + chunk || i === found!.steps.length - 1);
      const smaller = await fails(fewer);
      if (smaller) found = smaller;
      else from += chunk;
    }
  return found;
}
