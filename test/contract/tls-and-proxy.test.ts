/** The credential leaves this machine only over verified TLS, and a proxy sees only TLS. */
import { createPrivateKey } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { SecureVersion } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { respondRedirect } from '../support/stand-in-faults.ts';
import { EXIT_STATUS, PASSWORD } from '../support/check-run.ts';
import { checkFailure, checkSuccess, makeLoginSettings, runInFreshHome } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { startConnectProxy } from '../support/proxy.ts';
import type { ConnectProxy, ConnectProxyOptions } from '../support/proxy.ts';
import type { StandInKeystoneOptions } from '../support/stand-in-keystone.ts';

t.setTimeout(90_000);

// A new object for each test, because tap changes it.
const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 4 });
const directory = t.testdir();
const pki = await makePki(join(directory, 'pki'));
const trusting = { OS_CACERT: pki.ca };
const keyOf = (cert: string): string => cert.replace(/\.crt$/, '.key');

/** Declares the tests of a group without waiting for each. tap waits for all. */
async function group(name: string, declare: (t: Test) => Promise<unknown>[]): Promise<void> {
  await t.test(name, inParallel(), async (t) => {
    await Promise.all(declare(t));
  });
}

interface Server {
  readonly url: string;
  /** The number of bytes that arrived from clients. */
  readonly countBytes: () => number;
}

async function startOldServer(t: Test, version: SecureVersion): Promise<Server> {
  let bytes = 0;
  const server = createServer(
    {
      cert: readFileSync(pki.server.cert),
      key: readFileSync(pki.server.key),
      minVersion: version,
      maxVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0',
    },
    (socket) => socket.on('error', () => undefined).on('data', (chunk: Buffer) => (bytes += chunk.length)),
  );
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `https://127.0.0.1:${String(port)}`, countBytes: () => bytes };
}

async function startServer(t: Test, options?: StandInKeystoneOptions): Promise<Server> {
  const standIn = await startKeystoneForTest(t, options);
  return { url: standIn.url, countBytes: () => JSON.stringify(standIn.requests).length - '[]'.length };
}

interface BadServer {
  readonly start: (t: Test) => Promise<Server>;
  readonly says: string;
  readonly hint: string;
  readonly status?: number;
}

const badServers: Readonly<Record<string, BadServer>> = {
  'another authority': {
    start: (t) => startServer(t, { tls: pki.untrusted.server }),
    says: 'its certificate is not trusted',
    hint: 'OS_CACERT (--cacert)',
  },
  'a self-signed certificate': {
    start: (t) => startServer(t, { tls: { cert: pki.untrusted.ca, key: keyOf(pki.untrusted.ca) } }),
    says: 'its certificate is not trusted',
    hint: 'OS_CACERT (--cacert)',
  },
  'an expired certificate': {
    start: (t) => startServer(t, { tls: pki.expired }),
    says: 'its certificate has expired',
    hint: 'check the clock',
  },
  'another host’s certificate': {
    start: (t) => startServer(t, { tls: pki.wrongHost }),
    says: 'its certificate is for another host name',
    hint: 'OS_AUTH_URL',
  },
  'a client’s certificate': {
    start: (t) => startServer(t, { tls: pki.client }),
    says: 'cannot be used: ',
    hint: 'certificate',
  },
  'TLS 1.0 only': {
    start: (t) => startOldServer(t, 'TLSv1'),
    says: 'does not support TLS 1.2 or newer',
    hint: 'enable TLS 1.2',
  },
  'TLS 1.1 only': {
    start: (t) => startOldServer(t, 'TLSv1.1'),
    says: 'does not support TLS 1.2 or newer',
    hint: 'enable TLS 1.2',
  },
  'no TLS': {
    start: async (t) => {
      const standIn = await startServer(t);
      return { ...standIn, url: standIn.url.replace('http:', 'https:') };
    },
    says: 'does not use TLS on this port',
    hint: 'check the port',
    status: EXIT_STATUS.protocol,
  },
  'a required client certificate': {
    start: (t) => startServer(t, { tls: { ...pki.server, clientCa: pki.ca } }),
    says: 'requires a client certificate',
    hint: 'set OS_CERT and OS_KEY (--cert, --key)',
  },
};

await group('bad TLS', (t) =>
  Object.entries(badServers).flatMap(([name, { start, says, hint, status = EXIT_STATUS.unreachable }]) => [
    t.test(name, inParallel(), async (t) => {
      const server = await start(t);
      const result = await runInFreshHome({ env: { ...makeLoginSettings(`${server.url}/v3`), ...trusting } });
      checkFailure(t, result, status, { says: [server.url, says, hint] });
      t.equal(server.countBytes(), 0, 'nothing reaches it');
    }),
    t.test(`${name}, with a kubeconfig that turns off Node's verification`, inParallel(), async (t) => {
      const server = await start(t);
      const lax = {
        NODE_TLS_REJECT_UNAUTHORIZED: '0',
        NODE_OPTIONS: '--tls-min-v1.0 --tls-cipher-list=ALL@SECLEVEL=0',
      };
      const result = await runInFreshHome({ env: { ...makeLoginSettings(`${server.url}/v3`), ...trusting, ...lax } });
      checkFailure(t, result, status, { says: [server.url, says, hint] });
      t.equal(server.countBytes(), 0, 'nothing reaches it');
    }),
  ]),
);

await group('whom to trust', (t) => {
  const ours = join(directory, 'home with spaces');
  mkdirSync(ours);
  copyFileSync(pki.ca, join(ours, 'ca.pem'));
  const bundle = join(directory, 'bundle.pem');
  writeFileSync(bundle, `# a comment\n${readFileSync(pki.untrusted.ca, 'utf8')}\n${readFileSync(pki.ca, 'utf8')}`);
  type Case = Pick<Parameters<typeof runInFreshHome>[0], 'args' | 'env' | 'cwd'>;
  const good: Readonly<Record<string, Case>> = {
    OS_CACERT: { env: trusting },
    '--cacert': { args: ['--cacert', pki.ca] },
    '--cacert over OS_CACERT': { args: [`--cacert=${pki.ca}`], env: { OS_CACERT: pki.untrusted.ca } },
    'a relative path': { env: { OS_CACERT: 'ca.pem' }, cwd: ours },
    'a path below home': { env: { OS_CACERT: '~/ca.pem', HOME: ours } },
    'several authorities in one file': { env: { OS_CACERT: bundle } },
    // Other systems do not store the trusted authorities in a file.
    ...(process.platform === 'linux' ? { 'the system’s store': { env: { SSL_CERT_FILE: pki.ca } } } : {}),
  };
  const bad: Readonly<Record<string, Case>> = {
    nothing: {},
    'OS_CACERT instead of the system’s CAs': { env: { OS_CACERT: pki.untrusted.ca, SSL_CERT_FILE: pki.ca } },
  };
  return [
    ...Object.entries(good).map(([name, run]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        checkSuccess(
          t,
          await runInFreshHome({ ...run, env: { ...makeLoginSettings(`${keystone.url}/v3`), ...run.env } }),
        );
        t.equal(keystone.countLogins(), 1);
      }),
    ),
    ...Object.entries(bad).map(([name, run]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        const result = await runInFreshHome({
          ...run,
          env: { ...makeLoginSettings(`${keystone.url}/v3`), ...run.env },
        });
        checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['certificate is not trusted'] });
        t.equal(keystone.requests.length, 0);
      }),
    ),
  ];
});

await group('no checks, on demand', (t) => {
  const ways: Readonly<Record<string, { args?: string[]; env?: Record<string, string>; named: string }>> = {
    OS_INSECURE: { env: { OS_INSECURE: 'yes' }, named: 'OS_INSECURE' },
    'OS_VERIFY=false': { env: { OS_VERIFY: 'false' }, named: 'OS_VERIFY' },
    '--insecure': { args: ['--insecure'], named: '--insecure' },
    'an ignored authority': { env: { OS_CACERT: '/nowhere', OS_INSECURE: '1' }, named: 'OS_INSECURE' },
  };
  return [
    ...Object.entries(ways).map(([name, { args = [], env = {}, named }]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.wrongHost });
        const home = makeHome();
        t.teardown(() => home.remove());
        const run = { home, args, env: { ...makeLoginSettings(`${keystone.url}/v3`), ...env } };
        const warning = `Keystone's certificate is not checked, because of ${named}`;
        const first = checkSuccess(t, await runPlugin(run), [warning]);
        t.strictSame(checkSuccess(t, await runPlugin(run), [warning]), first, 'a cache hit also prints the warning');
        t.equal(keystone.countLogins(), 1);

        const checked = await runPlugin({ home, env: { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting } });
        checkFailure(t, checked, EXIT_STATUS.unreachable, { says: ['another host name'] });
      }),
    ),
    t.test('OS_INSECURE=false and OS_VERIFY=true', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const env = { ...makeLoginSettings(`${keystone.url}/v3`), OS_INSECURE: 'false', OS_VERIFY: 'true' };
      checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.unreachable, { says: ['certificate is not trusted'] });
      checkSuccess(t, await runInFreshHome({ env: { ...env, ...trusting } }));
    }),
    t.test('other values', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const env = { ...makeLoginSettings(`${keystone.url}/v3`), OS_INSECURE: 'perhaps' };
      checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.config, {
        says: ['OS_INSECURE must be true or false'],
      });
    }),
  ];
});

await group('a client certificate', (t) => {
  const { cert, key } = pki.client;
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const texts = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  const both = file('both.pem', texts.cert + texts.key);
  const reversed = file('reversed.pem', texts.key + texts.cert);
  const lock = { cipher: 'aes-256-cbc', passphrase: 'open sesame', format: 'pem' } as const;
  const locked = (type: 'pkcs8' | 'sec1'): string =>
    file(
      `locked-${type}.key`,
      createPrivateKey(texts.key)
        .export({ ...lock, type })
        .toString(),
    );
  const forbidden = file('forbidden.key', texts.key);
  chmodSync(forbidden, 0);
  const isRoot = process.getuid?.() === 0;

  const good: Readonly<Record<string, Record<string, string>>> = {
    'in two files': { OS_CERT: cert, OS_KEY: key },
    'in one file': { OS_CERT: both },
    'in one file, the key first': { OS_CERT: reversed },
    'in one file, named twice': { OS_CERT: both, OS_KEY: both },
  };
  const bad: Readonly<Record<string, readonly [Record<string, string>, ...string[]]>> = {
    'the key of another certificate': [
      { OS_CERT: cert, OS_KEY: pki.server.key },
      'OS_CERT and OS_KEY do not belong together',
    ],
    'an encrypted key': [
      { OS_CERT: cert, OS_KEY: locked('pkcs8') },
      'OS_KEY: the key in ',
      'protected by a passphrase',
    ],
    'an encrypted key in the old format': [
      { OS_CERT: cert, OS_KEY: locked('sec1') },
      'OS_KEY: the key in ',
      'passphrase',
    ],
    'no key': [{ OS_CERT: cert }, `OS_CERT: ${cert} does not contain a PEM private key`],
    'no certificate': [{ OS_KEY: key }, 'OS_KEY is set without a certificate', 'OS_CERT (--cert)'],
    'an invalid certificate': [{ OS_CERT: key, OS_KEY: key }, `OS_CERT: ${key} does not contain a PEM certificate`],
    'an invalid key': [{ OS_CERT: cert, OS_KEY: cert }, `OS_KEY: ${cert} does not contain a PEM private key`],
    'a missing certificate file': [{ OS_CERT: '/nowhere', OS_KEY: key }, 'OS_CERT: /nowhere cannot be read (ENOENT)'],
    'a missing key file': [{ OS_CERT: cert, OS_KEY: '/nowhere' }, 'OS_KEY: /nowhere cannot be read (ENOENT)'],
    'a missing CA file': [{ OS_CACERT: '/nowhere' }, 'OS_CACERT: /nowhere cannot be read (ENOENT)'],
    'a CA file that is a folder': [{ OS_CACERT: directory }, 'OS_CACERT: ', 'cannot be read (EISDIR)'],
    'an invalid CA file': [{ OS_CACERT: key }, `OS_CACERT: ${key} does not contain a PEM certificate`],
    // root can read every file.
    ...(isRoot ? {} : { 'a key that is forbidden': [{ OS_CERT: cert, OS_KEY: forbidden }, 'OS_KEY: ', '(EACCES)'] }),
  };
  return [
    ...Object.entries(good).map(([name, env]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
        checkSuccess(
          t,
          await runInFreshHome({ env: { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting, ...env } }),
        );
        t.equal(keystone.countLogins(), 1);
      }),
    ),
    ...Object.entries(bad).map(([name, [env, ...says]]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        const result = await runInFreshHome({
          env: { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting, ...env },
        });
        checkFailure(t, result, EXIT_STATUS.config, { says });
        t.notMatch(result.stderr, /BEGIN [A-Z ]*PRIVATE|sesame/, 'no part of a key is printed');
        t.equal(keystone.requests.length, 0);
      }),
    ),
    t.test('a certificate that Keystone does not trust', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
      const { cert: OS_CERT, key: OS_KEY } = pki.untrusted.server;
      const result = await runInFreshHome({
        env: { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting, OS_CERT, OS_KEY },
      });
      checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['cannot be used'] });
      t.equal(keystone.requests.length, 0);
    }),
  ];
});

async function startProxy(t: Test, options?: ConnectProxyOptions): Promise<ConnectProxy> {
  const proxy = await startConnectProxy(options);
  t.teardown(() => proxy.close());
  return proxy;
}

function checkTunnels(t: Test, proxy: ConnectProxy, expected: readonly string[]): void {
  t.strictSame(
    proxy.log,
    expected.map((url) => `CONNECT ${new URL(url).host}`),
  );
  t.strictSame(proxy.plainRequests, [], 'nothing that the proxy can read');
  for (const { plaintext, headers } of proxy.tunnels) {
    t.equal(plaintext, '', 'only TLS in the tunnel');
    t.notOk(JSON.stringify(headers).includes(PASSWORD));
  }
}

await group('a proxy', (t) => {
  const canary = 'canary-of-the-proxy';
  return [
    ...['HTTPS_PROXY', 'https_proxy'].map((name) =>
      t.test(name, inParallel(), async (t) => {
        const [keystone, proxy] = [await startKeystoneForTest(t, { tls: pki.server }), await startProxy(t)];
        const env = { ...makeLoginSettings(keystone.url), ...trusting, [name]: proxy.url };
        checkSuccess(t, await runInFreshHome({ env }));
        t.equal(keystone.countLogins(), 1);
        // Discovery and login share a tunnel.
        checkTunnels(t, proxy, [keystone.url]);
        t.ok((proxy.tunnels[0]?.bytesFromClient ?? 0) > 0);
      }),
    ),
    ...['NO_PROXY', 'no_proxy'].map((name) =>
      t.test(name, inParallel(), async (t) => {
        const [keystone, proxy] = [await startKeystoneForTest(t, { tls: pki.server }), await startProxy(t)];
        const env = {
          ...makeLoginSettings(keystone.url),
          ...trusting,
          HTTPS_PROXY: proxy.url,
          [name]: 'example.com,127.0.0.1',
        };
        checkSuccess(t, await runInFreshHome({ env }));
        checkTunnels(t, proxy, []);
      }),
    ),
    t.test('an https:// proxy', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const proxy = await startProxy(t, { tls: pki.server });
      const env = { ...makeLoginSettings(keystone.url), HTTPS_PROXY: proxy.url };
      checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.unreachable, { says: ['certificate'] });
      checkTunnels(t, proxy, []);
      checkSuccess(t, await runInFreshHome({ env: { ...env, ...trusting } }));
      checkTunnels(t, proxy, [keystone.url]);
    }),
    t.test('invalid TLS behind the proxy', inParallel(), async (t) => {
      const [keystone, proxy] = [await startKeystoneForTest(t, { tls: pki.wrongHost }), await startProxy(t)];
      const env = { ...makeLoginSettings(keystone.url), ...trusting, HTTPS_PROXY: proxy.url };
      checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.unreachable, {
        says: ['certificate is for another host name'],
      });
      t.equal(keystone.requests.length, 0);
      checkTunnels(t, proxy, [keystone.url]);
    }),
    ...([canary, 'wrong'] as const).map((password) =>
      t.test(`with ${password === canary ? 'the correct' : 'a wrong'} password`, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        const proxy = await startProxy(t, { credentials: { user: 'squid', password: canary } });
        const HTTPS_PROXY = proxy.url.replace('//', `//squid:${password}-and-more@`);
        const right = proxy.url.replace('//', `//squid:${canary}@`);
        const env = {
          ...makeLoginSettings(keystone.url),
          ...trusting,
          HTTPS_PROXY: password === canary ? right : HTTPS_PROXY,
        };
        const result = await runInFreshHome({ env });
        t.notMatch(result.stderr, /squid|canary-of|and-more/, 'its credentials are not printed');
        const verbose = await runInFreshHome({ env, args: ['--verbose'] });
        t.notMatch(verbose.stderr, /squid|canary-of|and-more/, 'its credentials are not printed');
        if (password === canary) checkSuccess(t, result);
        else
          checkFailure(t, result, EXIT_STATUS.unreachable, {
            says: ['the proxy refuses the connection', 'HTTPS_PROXY'],
          });
        checkTunnels(t, proxy, [keystone.url, keystone.url]);
      }),
    ),
    t.test('a proxy that refuses', inParallel(), async (t) => {
      const proxy = await startProxy(t);
      const env = { ...makeLoginSettings('https://keystone.example.test:5000/v3'), HTTPS_PROXY: proxy.url };
      const says = ['https://keystone.example.test:5000', 'the proxy refuses the connection', 'NO_PROXY'];
      checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.unreachable, { says });
      checkTunnels(t, proxy, ['https://keystone.example.test:5000']);
    }),
    t.test('a host that only the proxy can resolve', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.wrongHost });
      const proxy = await startProxy(t, { loopbackNames: ['wrong.example'] });
      const url = `https://wrong.example:${String(keystone.port)}`;
      checkSuccess(
        t,
        await runInFreshHome({ env: { ...makeLoginSettings(url), ...trusting, HTTPS_PROXY: proxy.url } }),
      );
      checkTunnels(t, proxy, [url]);
    }),
    t.test('a proxy that is not running', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const gone = await startConnectProxy();
      await gone.close();
      const HTTPS_PROXY = gone.url.replace('//', `//squid:${canary}@`);
      const result = await runInFreshHome({ env: { ...makeLoginSettings(keystone.url), ...trusting, HTTPS_PROXY } });
      checkFailure(t, result, EXIT_STATUS.unreachable, {
        says: ['the proxy cannot be reached', 'HTTPS_PROXY', 'NO_PROXY'],
      });
      t.notMatch(result.stderr, /squid|canary-of/);
      t.equal(keystone.requests.length, 0);
    }),
  ];
});

await group('http://', (t) => {
  const everyProxy = ({ url }: ConnectProxy): Record<string, string> => ({
    HTTP_PROXY: url,
    http_proxy: url,
    HTTPS_PROXY: url,
    ALL_PROXY: url,
    NODE_USE_ENV_PROXY: '1',
    // Node warns about this variable before it runs the plugin.
    NODE_NO_WARNINGS: '1',
  });
  return [
    ...['127.0.0.1', 'localhost'].map((host) =>
      t.test(`to ${host}, never through a proxy`, inParallel(), async (t) => {
        const [keystone, proxy] = [await startKeystoneForTest(t), await startProxy(t)];
        const env = { ...makeLoginSettings(`http://${host}:${String(keystone.port)}/v3`), ...everyProxy(proxy) };
        checkSuccess(t, await runInFreshHome({ env }));
        t.equal(keystone.countLogins(), 1);
        checkTunnels(t, proxy, []);
      }),
    ),
    t.test('a redirect to https', inParallel(), async (t) => {
      const [plain, keystone] = [await startKeystoneForTest(t), await startKeystoneForTest(t, { tls: pki.server })];
      plain.answerAlways(respondRedirect(308, `${keystone.url}/v3/auth/tokens`));
      checkSuccess(t, await runInFreshHome({ env: { ...makeLoginSettings(`${plain.url}/v3`), ...trusting } }));
      t.equal(keystone.countLogins(), 1);
    }),
    t.test('a redirect to http', inParallel(), async (t) => {
      const [plain, keystone] = [await startKeystoneForTest(t), await startKeystoneForTest(t, { tls: pki.server })];
      keystone.answerAlways(respondRedirect(308, `${plain.url}/v3/auth/tokens`));
      const result = await runInFreshHome({
        env: { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting },
        args: ['--allow-http'],
      });
      checkFailure(t, result, EXIT_STATUS.protocol, { says: [`redirects to ${plain.url}`] });
      t.equal(plain.requests.length, 0);
    }),
    // An address that leads to this machine but is not a loopback address.
    t.test('to another machine', inParallel(), async (t) => {
      const [keystone, proxy] = [await startKeystoneForTest(t), await startProxy(t)];
      const env = { ...makeLoginSettings(`http://0.0.0.0:${String(keystone.port)}/v3`), ...everyProxy(proxy) };
      const says = ['OS_AUTH_URL is http://', 'unencrypted', '--allow-http'];
      checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.config, { says });
      t.equal(keystone.requests.length, 0, 'nothing is sent');

      checkSuccess(t, await runInFreshHome({ env, args: ['--allow-http'] }));
      t.equal(keystone.countLogins(), 1);
      checkTunnels(t, proxy, []);
    }),
    ...['localhost.example.test', '127.0.0.1.example.test', '127.example.test', '10.0.0.1', '[::2]'].map((host) =>
      t.test(`to ${host}`, inParallel(), async (t) => {
        const result = await runInFreshHome({ env: makeLoginSettings(`http://${host}/v3`) });
        checkFailure(t, result, EXIT_STATUS.config, { says: ['OS_AUTH_URL is http://'] });
      }),
    ),
    ...['http://alice:pw@127.0.0.1/v3', 'ftp://127.0.0.1/', 'keystone.example.test', 'https://'].map((url) =>
      t.test(`an invalid URL: ${url}`, inParallel(), async (t) => {
        const result = await runInFreshHome({ env: makeLoginSettings(url) });
        checkFailure(t, result, EXIT_STATUS.config, { says: [/OS_AUTH_URL (is not a URL|must )/] });
        t.notMatch(result.stderr, 'alice');
      }),
    ),
  ];
});
