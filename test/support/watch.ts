/** MONITOR over a plain socket. A client library may mistake the first lines for replies when the node is busy. */
import { connect, type Socket } from 'node:net';
import { atEnd } from '../harness/index.js';

/** Calls `heard` with the words of every command the node executes, from now on. */
export async function watchCommands(port: number, heard: (words: string[]) => void): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  atEnd(async () => void socket.destroy());
  let rest = '';
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('latin1')).split('\r\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === '+OK') resolve();
        else heard(wordsOf(line));
      }
    });
    socket.write('MONITOR\r\n');
  });
  return socket;
}

/** `+1700000000.123456 [0 127.0.0.1:4000] "HGET" "key" "field"` */
function wordsOf(line: string): string[] {
  return [...line.slice(line.indexOf(']') + 1).matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]!);
}
