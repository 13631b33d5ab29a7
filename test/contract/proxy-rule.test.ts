/**
 * Which proxy a URL gets, compared with Go, curl and Node. The table says where one of them differs, and why; every
 * difference must still exist.
 */
import { execFileSync, spawn } from 'node:child_process';
import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { createServer, Socket } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import type { Test } from 'tap';
import { findGo } from '../../scripts/lib/go.ts';
import { chooseProxy } from '../../src/shared/http/choose-proxy.ts';
import { buildGoProxyRule } from '../support/go-proxy-rule.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PROXY_TABLE } from '../support/proxy-table.ts';
import type { ProxyRow, Resolver } from '../support/proxy-table.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const describe = ({ url, env }: ProxyRow): string => `${url} with ${JSON.stringify(env)}`;

function expectAnswer(t: Test, row: ProxyRow, resolver: Resolver, answer: string): void {
  const { expected, differs } = row;
  t.equal(answer, differs?.[resolver] ?? expected, describe(row));
  t.not(differs?.[resolver], expected, 'a difference differs');
}

function nameProxy(text: string): string {
  const name = /\b(one|two)\.test\b/.exec(text)?.[1];
  return name ?? (text.includes(':') ? 'other' : text);
}

function choose({ url, env }: Pick<ProxyRow, 'url' | 'env'>): string {
  try {
    const { proxy } = chooseProxy(env, new URL(url));
    return proxy === undefined ? 'direct' : nameProxy(proxy.host);
  } catch {
    return 'error';
  }
}

await t.test('the table', async (t) => {
  t.ok(PROXY_TABLE.length >= 60);
  for (const row of PROXY_TABLE) t.equal(choose(row), row.expected, describe(row));
});

const go = findGo();
await t.test('Go', { skip: skipWithout('Go', () => go !== undefined) }, async (t) => {
  const ask = buildGoProxyRule(go ?? '', t.testdir());
  await t.test('the table', async (t) => {
    const answers = ask(PROXY_TABLE);
    for (const [index, row] of PROXY_TABLE.entries()) {
      const answer = nameProxy(answers[index] ?? '');
      if (answer === row.olderGo) t.pass(`${describe(row)}: an older Go`);
      else expectAnswer(t, row, 'go', answer);
    }
  });

  await t.test('random lists', async (t) => {
    const label = fc.constantFrom('a', 'b', 'corp', 'example', 'Corp', 'xn--bcher-kva', 'bücher', 'localhost');
    const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
    const octet = fc.constantFrom('0', '1', '10', '127', '192', '255');
    const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
    const ipv6 = fc.constantFrom('::1', '::', 'fd00::1', 'FD00:0::1', 'fd00::2', '::ffff:10.0.0.1', '::ffff:127.0.0.1');
    const port = fc.constantFrom('', ':', ':443', ':5000');
    const bits = fc.constantFrom('', '', '/0', '/8', '/08', '/24', '/31', '/64', '/96', '/104', '/128', '/129', '/x');
    const prefix = fc.constantFrom('', '', '.', '*.', '*', '..');
    const suffix = fc.constantFrom('', '', '', '.', ' ', '/');
    const entry = fc.oneof(
      fc.tuple(prefix, name, suffix, port).map((parts) => parts.join('')),
      fc.tuple(ipv4, bits, port).map((parts) => parts.join('')),
      fc.tuple(ipv6, bits).map((parts) => parts.join('')),
      fc.tuple(ipv6, port).map(([address, number]) => `[${address}]${number}`),
      fc.constantFrom('', ' ', '.', '*', ':', ':443', '[]', '[]:443', '[', ']:1', 'a:b:c', '[a]:443', '%zz'),
    );
    const host = fc.oneof(
      name,
      ipv4,
      ipv6.map((address) => `[${address}]`),
    );
    const cases = fc.sample(
      fc.record({
        host,
        port: fc.constantFrom('', ':443', ':5000'),
        list: fc.array(entry, { maxLength: 3 }).map((entries) => entries.join(',')),
      }),
      { numRuns: 5_000, seed: 20_261_127 },
    );
    const questions = cases.map(({ host, port, list }) => ({
      // As this program passes it on: in lower case, in ASCII, with short addresses.
      url: new URL(`https://${host}${port}`).href,
      env: { HTTPS_PROXY: 'http://one.test:3128', NO_PROXY: list },
    }));
    const answers = ask(questions);
    const wrong = questions.filter((question, index) => choose(question) !== nameProxy(answers[index] ?? ''));
    t.strictSame(wrong.slice(0, 5), []);
    const direct = questions.filter((question) => choose(question) === 'direct').length;
    t.ok(direct > 500 && direct < 4_500, `${direct} of ${questions.length} are excluded`);
  });
});

/** Listens on loopback, ends each connection, and tells which of the servers had the first one. */
async function startListeners(t: Test): Promise<{ ports: Record<string, number>; takeFirst: () => string }> {
  const ports: Record<string, number> = {};
  let reached: string[] = [];
  for (const name of ['one', 'two', 'direct']) {
    const server = createServer((socket) => {
      reached.push(name);
      socket.on('error', () => undefined).destroy();
    });
    ports[name] = await listenForTest(t, server);
  }
  return {
    ports,
    takeFirst() {
      const [first = 'error'] = reached;
      reached = [];
      return first;
    },
  };
}

/** The rule of curl changes from version to version; the table has that of Debian 12. */
const CURL = 'curl 7.88';
const isCurl = (): boolean =>
  canRun('curl', '--version') && execFileSync('curl', ['--version'], { encoding: 'utf8' }).startsWith(`${CURL}.`);

await t.test(CURL, { skip: skipWithout(CURL, isCurl) }, async (t) => {
  const { ports, takeFirst } = await startListeners(t);
  for (const row of PROXY_TABLE) {
    const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' };
    for (const [name, value = ''] of Object.entries(row.env)) {
      env[name] = value.replaceAll(
        /\b(one|two)\.test:3128/g,
        (_all, proxy: string) => `127.0.0.1:${ports[proxy] ?? 0}`,
      );
    }
    const options = ['-q', '-s', '-g', '-o', '/dev/null', '--connect-to', `::127.0.0.1:${ports['direct'] ?? 0}`];
    const child = spawn('curl', [...options, row.url], { env, stdio: 'ignore' });
    await new Promise((resolve) => child.once('close', resolve));
    expectAnswer(t, row, 'curl', takeFirst());
  }
});

interface SocketOptions {
  readonly host?: string;
}

/** What Node connects to first. Nothing is sent, because no socket connects. */
async function askNode({ url, env }: ProxyRow): Promise<string> {
  const original = Object.getOwnPropertyDescriptor(Socket.prototype, 'connect') ?? {};
  const hosts: string[] = [];
  function record(this: Socket, ...[first]: [SocketOptions | SocketOptions[]]): Socket {
    const options = Array.isArray(first) ? first[0] : first;
    hosts.push(String(options?.host));
    process.nextTick(() => this.destroy(new Error('not connected')));
    return this;
  }
  Object.assign(Socket.prototype, { connect: record });
  try {
    const isTls = url.startsWith('https:');
    // The types are older than this option.
    const options = { proxyEnv: env } as object;
    const agent = new (isTls ? HttpsAgent : HttpAgent)(options);
    await new Promise((resolve) => {
      (isTls ? requestHttps : requestHttp)(url, { agent }).once('error', resolve).end();
    });
  } catch {
    return 'error';
  } finally {
    Object.defineProperty(Socket.prototype, 'connect', original);
  }
  const [host = 'error'] = hosts;
  return host.endsWith('.test') ? nameProxy(host) : 'direct';
}

await t.test('Node', async (t) => {
  for (const row of PROXY_TABLE) expectAnswer(t, row, 'node', await askNode(row));
});
