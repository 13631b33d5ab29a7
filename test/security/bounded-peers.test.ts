/**
 * Nothing that a server or a proxy sends makes the plugin or the webhook grow without limit, end without a word, print a
 * stack trace, or, in the case of the webhook, end at all.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { checkFailure, EXIT_STATUS, makeLoginSettings, runInFreshHome } from '../support/check-run.ts';
import { makeTestHome } from '../support/home.ts';
import { runBundles } from '../support/run-bundles.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { drip, startRawServer, writeForever } from '../support/raw-server.ts';
import { PATIENT } from '../support/stress.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcessSettings } from '../support/webhook-process.ts';

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n';
const MAX_MIB = 160;

/** What the message says if only the deadline ends the run. Every other run has to end long before its own deadline. */
const DEADLINE = /did not respond within 3 s/;

/** What a proxy sends after CONNECT, and what the message then says. */
const PROXIES: Readonly<Record<string, readonly [answer: (socket: Socket) => void, says: RegExp]>> = {
  'header lines that drip without end': [
    (socket) => {
      socket.write(ESTABLISHED);
      drip(socket, (index) => `x-${index}: y\r\n`, 1);
    },
    /the proxy does not answer as an HTTP proxy does/,
  ],
  'header lines in a flood': [
    (socket) => {
      socket.write(ESTABLISHED);
      writeForever(socket, (index) => `x-${index}: y\r\n`);
    },
    /the proxy does not answer as an HTTP proxy does/,
  ],
  'one header line without an end': [
    (socket) => {
      socket.write(`${ESTABLISHED}x: `);
      writeForever(socket, () => 'y'.repeat(1000));
    },
    /the proxy does not answer as an HTTP proxy does/,
  ],
  'interim responses without end': [
    (socket) => {
      writeForever(socket, () => 'HTTP/1.1 100 Continue\r\n\r\n');
    },
    /the proxy (refuses the connection|does not answer)/,
  ],
  'no HTTP': [
    (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n\r\n'),
    /the proxy does not answer as an HTTP proxy does/,
  ],
  'data in place of the server': [
    (socket) => socket.write(`${ESTABLISHED}\r\nunexpected`),
    /the proxy does not answer as an HTTP proxy does/,
  ],
  'the end of the connection': [(socket) => socket.end(ESTABLISHED), /the proxy refuses the connection/],
};

/** What a SOCKS5 proxy sends to the greeting, and what the message then says. */
const SOCKS_PROXIES: Readonly<
  Record<string, readonly [answer: (socket: Socket) => void, says: RegExp, status?: number]>
> = {
  'no SOCKS': [(socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), /does not answer as a SOCKS5 proxy/],
  'a method without end': [(socket) => drip(socket, () => '\x05', 1), /the proxy/],
  'an answer in a flood': [
    (socket) => {
      socket.write(Buffer.from([5, 0, 5, 0, 0, 3, 255]));
      writeForever(socket, () => 'y'.repeat(1000));
    },
    /it does not use TLS on this port/,
    EXIT_STATUS.protocol,
  ],
  'an unknown method': [(socket) => socket.write(Buffer.from([5, 9])), /does not answer as a SOCKS5 proxy/],
  'an unknown kind of address': [(socket) => socket.write(Buffer.from([5, 0, 5, 0, 0, 9, 0, 0])), /./],
  'a refusal with a number of its own': [
    (socket) => socket.write(Buffer.from([5, 0, 5, 99, 0, 1, 0, 0, 0, 0, 0, 0])),
    /the proxy refuses the connection/,
  ],
  'the end of the connection': [(socket) => socket.end(Buffer.from([5, 0])), /the proxy refuses the connection/],
  'half an answer': [(socket) => socket.write(Buffer.from([5, 0, 5, 0, 0, 1])), DEADLINE],
  nothing: [() => undefined, DEADLINE],
};

/** Runs the plugin, and returns its result and its peak memory in MiB. `says` is what the message is expected to say. */
async function runMeasured(
  t: Test,
  env: Readonly<Record<string, string>>,
  says: RegExp,
): Promise<RunResult & { peak: number }> {
  const folder = t.testdir();
  const report = join(folder, 'peak');
  const reporter = join(folder, 'report.cjs');
  const write = `require('fs').writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS))`;
  writeFileSync(reporter, `process.on('exit', () => { ${write}; });`);
  const args = says === DEADLINE ? ['--timeout=3'] : PATIENT;
  const result = await runInFreshHome({ env: { ...env, NODE_OPTIONS: `--require ${reporter}` }, args });
  return { ...result, peak: Math.round(Number(readFileSync(report, 'utf8')) / 1024) };
}

for (const [name, [answer, says]] of Object.entries(PROXIES)) {
  await t.test(`a proxy that sends ${name}`, async (t) => {
    const proxy = await startRawServer(t, answer);
    const env = {
      ...makeLoginSettings('https://keystone.example.test:5000/v3'),
      HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
    };
    await t.test('the plugin', async (t) => {
      const { peak, ...result } = await runMeasured(t, env, says);
      checkFailure(t, result, EXIT_STATUS.unreachable, { says: [says, 'HTTPS_PROXY'] });
      t.ok(peak > 0 && peak <= MAX_MIB, `memory peaks at ${peak} MiB`);
    });
    await t.test('doctor', async (t) => {
      const result = await runBundles({ home: makeTestHome(t), env, args: ['doctor', '--no-cluster'] });
      t.match(result.stdout, says);
      t.equal(result.stderr, '');
      t.equal(result.status, EXIT_STATUS.unreachable);
    });
    await proxy.waitUntilClosed();
  });
}

for (const [name, [answer, says, status = EXIT_STATUS.unreachable]] of Object.entries(SOCKS_PROXIES)) {
  await t.test(`a SOCKS5 proxy that sends ${name}`, async (t) => {
    const proxy = await startRawServer(t, answer, { headEnd: '' });
    const ALL_PROXY = `socks5h://user:canary@127.0.0.1:${proxy.port}`;
    const env = { ...makeLoginSettings('https://keystone.example.test:5000/v3'), ALL_PROXY };
    const { peak, ...result } = await runMeasured(t, env, says);
    checkFailure(t, result, status, { says: [says] });
    t.notMatch(result.stderr, /canary/);
    t.ok(peak > 0 && peak <= MAX_MIB, `memory peaks at ${peak} MiB`);
    await proxy.waitUntilClosed();
  });
}

type Answer = (socket: Socket) => void;

/** Has one webhook meet each of these peers in turn. It must neither end, nor grow, nor wait for one of them at its end. */
async function meetPeers(
  t: Test,
  answers: Readonly<Record<string, readonly [answer: Answer, ...rest: readonly unknown[]]>>,
  makeSettings: (url: string) => WebhookProcessSettings,
): Promise<void> {
  let current: Answer = () => undefined;
  const peer = await startRawServer(t, (socket) => {
    current(socket);
  });
  const webhook = await startWebhookProcess(t, makeSettings(`http://127.0.0.1:${peer.port}`));
  for (const [name, [answer]] of Object.entries(answers)) {
    await t.test(name, async (t) => {
      current = answer;
      for (let count = 0; count < 3; count += 1) {
        const before = peer.countConnections();
        const status = await webhook.reviewToken(makeFakeToken());
        t.notOk(status['authenticated'], 'nobody is authenticated');
        // On a busy machine, the review is answered before.
        await waitUntil('the webhook asks the peer', () => peer.countConnections() > before);
      }
      t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
      const memory = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${webhook.pid}/status`, 'utf8'))?.[1];
      t.ok(Number(memory) / 1024 <= MAX_MIB, `memory peaks at ${Math.round(Number(memory) / 1024)} MiB`);
      t.notMatch(webhook.readOutput(), /^\s+at /m, 'no stack trace');
    });
  }
  t.equal(await webhook.stop(), 0, 'it stops when it is told to');
}

await t.test('the webhook survives each of these proxies', async (t) => {
  await meetPeers(t, PROXIES, (url) => ({
    keystone: { url: 'https://keystone.example.test:5000' },
    env: { HTTPS_PROXY: url, NO_PROXY: '' },
  }));
});

const OK = 'HTTP/1.1 200 OK\r\n';

/** What a server sends, and what the message then says. */
const SERVERS: Readonly<Record<string, readonly [answer: (socket: Socket) => void, status: number, says: RegExp]>> = {
  'a change of the protocol': [
    (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
    EXIT_STATUS.protocol,
    /switches to another protocol/,
  ],
  'a change of the protocol without a header': [
    (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
    EXIT_STATUS.protocol,
    /./,
  ],
  'interim responses without end': [
    (socket) => {
      writeForever(socket, () => 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n');
    },
    EXIT_STATUS.protocol,
    /interim responses without end/,
  ],
  'interim responses that drip': [
    (socket) => {
      drip(socket, () => 'HTTP/1.1 102 Processing\r\n\r\n', 1);
    },
    EXIT_STATUS.protocol,
    /interim responses without end/,
  ],
  'header lines without end': [
    (socket) => {
      socket.write(OK);
      writeForever(socket, (index) => `x-${index}: y\r\n`);
    },
    EXIT_STATUS.protocol,
    /headers of its response are too long/,
  ],
  'trailers without end': [
    (socket) => {
      socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n`);
      writeForever(socket, (index) => `x-${index}: y\r\n`);
    },
    EXIT_STATUS.protocol,
    /headers of its response are too long|not valid HTTP/,
  ],
  'a chunk extension without end': [
    (socket) => {
      socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n2;`);
      writeForever(socket, () => 'x'.repeat(1000));
    },
    EXIT_STATUS.protocol,
    /not valid HTTP/,
  ],
  'a chunk size without end': [
    (socket) => {
      socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
      // The parser reads a number of any length, so only the deadline ends this.
      writeForever(socket, () => '0'.repeat(1000));
    },
    EXIT_STATUS.unreachable,
    DEADLINE,
  ],
  'a reason phrase without end': [
    (socket) => {
      socket.write('HTTP/1.1 200 ');
      writeForever(socket, () => 'x'.repeat(1000));
    },
    EXIT_STATUS.protocol,
    /headers of its response are too long/,
  ],
  'responses of HTTP/1.0 one after the other': [
    (socket) => {
      writeForever(socket, () => 'HTTP/1.0 300 Multiple Choices\r\nContent-Length: 2\r\n\r\n{}');
    },
    EXIT_STATUS.protocol,
    /./,
  ],
};

for (const [name, [answer, status, says]] of Object.entries(SERVERS)) {
  await t.test(`a server that sends ${name}`, async (t) => {
    const server = await startRawServer(t, answer);
    const env = makeLoginSettings(`http://127.0.0.1:${server.port}/v3`);
    const { peak, ...result } = await runMeasured(t, env, says);
    checkFailure(t, result, status, { says: [says] });
    t.ok(peak > 0 && peak <= MAX_MIB, `memory peaks at ${peak} MiB`);
    await server.waitUntilClosed();
  });
}

await t.test('the webhook survives each of these servers', async (t) => {
  await meetPeers(t, SERVERS, (url) => ({ keystone: { url } }));
});
