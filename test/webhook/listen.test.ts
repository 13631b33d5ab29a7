// Addresses on which the webhook cannot listen.

import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import t from 'tap';
import { listenOn } from '../../src/webhook/server/listen.ts';
import { failToStart } from '../support/webhook.ts';

void t.test('an address that cannot be used ends the start with a hint', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  t.match(await failToStart(t, { args: ['--listen', `127.0.0.1:${port}`] }), {
    status: 3,
    stdout: '',
    stderr: `k8s-keystone-auth: --listen: cannot listen on 127.0.0.1:${port} (EADDRINUSE); another program listens there: stop it, or choose another port with --listen\n`,
  });
  t.match(await failToStart(t, { args: ['--listen', '192.0.2.1:0'] }), {
    status: 3,
    stdout: '',
    stderr: /cannot listen on 192\.0\.2\.1:0 \(EADDRNOTAVAIL\); set --listen to an address of this machine\n$/,
  });
});

/** A server that can only listen on some hosts; the other ones fail with a code. */
function makeServer(failures: Readonly<Record<string, string>>): Server {
  const server = createServer();
  t.teardown(() => server.close());
  const listen = server.listen.bind(server);
  return Object.assign(server, {
    listen(options: ListenOptions) {
      const code = failures[options.host ?? ''];
      if (code === undefined) return listen(options);
      process.nextTick(() => server.emit('error', Object.assign(new Error(code), { code })));
      return server;
    },
  });
}

void t.test('each reason has a hint', async (t) => {
  for (const [code, hint] of Object.entries({
    EACCES: /need a privilege/,
    ENOTFOUND: /a name that resolves to one/,
    EAI_AGAIN: /a name that resolves to one/,
    EAFNOSUPPORT: /no IPv6/,
    EOTHER: /an address and a port of this machine/,
  })) {
    const listening = listenOn(makeServer({ 'a::1': code }), { host: 'a::1', port: 443 });
    await t.rejects(listening, {
      code: 'config-invalid',
      message: `--listen: cannot listen on [a::1]:443 (${code})`,
      hint,
    });
  }
});

void t.test('all addresses are those of IPv4 on a machine without IPv6', async (t) => {
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL']) {
    const server = makeServer({ '::': code });
    const port = await listenOn(server, { host: '::', port: 0 });
    t.match(server.address(), { address: '0.0.0.0', port });
  }
  await t.rejects(listenOn(makeServer({ '::': 'EAFNOSUPPORT', '0.0.0.0': 'EACCES' }), { host: '::', port: 443 }), {
    message: '--listen: cannot listen on 0.0.0.0:443 (EACCES)',
  });
});
