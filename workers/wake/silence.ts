/** Leaves a node that hangs: its kernel keeps every connection, so that nothing else would end them. */
import type { Socket } from 'node:net';

/** The longest that a read of the queue's Redis blocks, seconds: a node that owes an answer for much longer hangs. */
export const LONGEST_READ_S = 2;

const LOOK_MS = 1_000;
/** Looks without an answer. They are counted and not timed: a process that was held up itself finds its answers before the next. */
const SILENT_LOOKS = 2 * LONGEST_READ_S;

/**
 * Destroys the socket when the node has said nothing, for some four seconds, to what was written to it. What it says is taken as an
 * answer to all that was written until then: where it hangs between two answers, that shows with the next write.
 */
export function endWhenSilent(socket: Socket): void {
  let answered = 0;
  let looks = 0;
  socket.on('data', () => {
    answered = socket.bytesWritten;
    looks = 0;
  });
  const timer = setInterval(() => {
    if (socket.bytesWritten <= answered) looks = 0;
    else if (++looks > SILENT_LOOKS) socket.destroy(new Error('the node does not answer'));
  }, LOOK_MS);
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}
