// Runs in a network namespace of its own, because the port of this version of Rust Keystone is fixed, on all addresses:
// Rust Keystone, what answers its questions about policy, and the connections to the world outside.
//
// usage: serve.ts PROGRAM CONFIG SOCKET [PORT=SOCKET...]
//   SOCKET        where connections to Keystone come from
//   PORT=SOCKET   a port of loopback here, and the socket that leads to it outside
//
// Prints `listening PORT` when Keystone responds. Ends with stdin.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenAt, makeRelay } from './relay.ts';

const KEYSTONE_PORT = 8080;
/** Where Keystone looks for an Open Policy Agent. */
const POLICY_PORT = 8181;
const HOST = '127.0.0.1';
const RETRY_MS = 50;

const [program = '', config = '', socket = '', ...exits] = process.argv.slice(2);

const canConnect = (): Promise<boolean> =>
  new Promise((resolve) => {
    const attempt = connect({ host: HOST, port: KEYSTONE_PORT })
      .once('error', () => {
        resolve(false);
      })
      .once('connect', () => {
        attempt.destroy();
        resolve(true);
      });
  });

// What an operator allows is not the subject of the tests.
const policy = createServer((request, response) => {
  request.resume().once('end', () => {
    response.setHeader('content-type', 'application/json').end('{"result":{"allow":true}}');
  });
});
await listenAt({ host: HOST, port: POLICY_PORT }, policy);
for (const exit of exits) {
  const [port = '', path = ''] = exit.split('=');
  await listenAt({ host: HOST, port: Number(port) }, makeRelay({ path }));
}

const keystone = spawn(program, ['--config', config], { stdio: ['ignore', 'inherit', 'inherit'] });
const end = (): void => {
  keystone.kill('SIGKILL');
  process.exit(1);
};
process.once('exit', () => keystone.kill('SIGKILL'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
process.stdin.resume().once('close', end);
keystone.once('error', end).once('exit', end);
while (!(await canConnect())) await sleep(RETRY_MS);
await listenAt({ path: socket }, makeRelay({ host: HOST, port: KEYSTONE_PORT }));
console.log(`listening ${KEYSTONE_PORT}`);
