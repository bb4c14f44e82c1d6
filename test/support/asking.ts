/** `ask` by way of `call`: for callers of tests that stand before another, or in its place. */
import type { Caller } from '../../engine/caller.js';

export function askingBy(call: Caller['call']): Caller['ask'] {
  return (script, partition, op, asker) => {
    const { ack, id } = asker;
    const timeoutMs = Math.max(1, asker.until - performance.now());
    call(script, partition, op, { ack, timeoutMs, id }).then(
      (answer) => asker.answered(answer),
      (error: Error) => asker.failed(error),
    );
  };
}
