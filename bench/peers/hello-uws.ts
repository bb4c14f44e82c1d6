/** Peer (e): the least a server on uWebSockets.js can do. Run as a process; prints its port. */
import uWS, { type us_listen_socket } from 'uWebSockets.js';

uWS
  .App()
  .get('/*', (res) => {
    res.end('Hello world!');
  })
  .listen('127.0.0.1', 0, (socket: us_listen_socket | false) => {
    if (socket === false) process.exit(1);
    process.stdout.write(`${uWS.us_socket_local_port(socket)}\n`);
  });
