/** The credential leaves this machine only over verified TLS, and a proxy sees only TLS. */
import { createPrivateKey } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { SecureVersion } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { makePki } from '../../scripts/lib/pki.ts';
import { respondRedirect } from '../support/stand-in-faults.ts';
import { EXIT_STATUS, PASSWORD } from '../support/check-run.ts';
import { checkFailure, checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { makeExecInfo } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { behindProxy, startConnectProxy } from '../support/proxy.ts';
import { runBundles } from '../support/run-bundles.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { ConnectProxy, ConnectProxyOptions } from '../support/proxy.ts';
import type { StandInKeystoneOptions } from '../support/stand-in-keystone.ts';
import { listenForTest } from '../support/listen-for-test.ts';

// A new object for each test, because tap changes it.
const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 8 });
const directory = t.testdir();
const pki = await makePki(join(directory, 'pki'));
const trusting = { OS_CACERT: pki.ca };
const keyOf = (cert: string): string => cert.replace(/\.crt$/, '.key');

/** Logs in once, on a new machine. */
function logInWith(t: Test, settings: EnvVars, ...args: readonly string[]): Promise<RunResult> {
  return setUp(t, { settings, runner: runBundles }).run(...args);
}

/** The same in a process of its own, because Node itself reads some of the variables. */
function logInAsProcess(t: Test, settings: EnvVars, ...args: readonly string[]): Promise<RunResult> {
  return setUp(t, { settings, runner: runPlugin }).run(...args);
}

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
  const port = await listenForTest(t, server);
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
  'the certificate is from another authority': {
    start: (t) => startServer(t, { tls: pki.untrusted.server }),
    says: 'its certificate is not trusted',
    hint: 'OS_CACERT (--cacert)',
  },
  'the certificate is self-signed': {
    start: (t) => startServer(t, { tls: { cert: pki.untrusted.ca, key: keyOf(pki.untrusted.ca) } }),
    says: 'its certificate is not trusted',
    hint: 'OS_CACERT (--cacert)',
  },
  'the certificate has expired': {
    start: (t) => startServer(t, { tls: pki.expired }),
    says: 'its certificate has expired',
    hint: 'check the clock',
  },
  'the certificate is for another host': {
    start: (t) => startServer(t, { tls: pki.wrongHost }),
    says: 'its certificate is for another host name',
    hint: 'OS_AUTH_URL',
  },
  'the certificate is for a client': {
    start: (t) => startServer(t, { tls: pki.client }),
    says: 'cannot be used: ',
    hint: 'certificate',
  },
  'the server supports TLS 1.0 only': {
    start: (t) => startOldServer(t, 'TLSv1'),
    says: 'does not support TLS 1.2 or newer',
    hint: 'enable TLS 1.2',
  },
  'the server supports TLS 1.1 only': {
    start: (t) => startOldServer(t, 'TLSv1.1'),
    says: 'does not support TLS 1.2 or newer',
    hint: 'enable TLS 1.2',
  },
  'the server does not use TLS': {
    start: async (t) => {
      const standIn = await startServer(t);
      return { ...standIn, url: standIn.url.replace('http:', 'https:') };
    },
    says: 'does not use TLS on this port',
    hint: 'check the port',
    status: EXIT_STATUS.protocol,
  },
  'the server requires a client certificate': {
    start: (t) => startServer(t, { tls: { ...pki.server, clientCa: pki.ca } }),
    says: 'requires a client certificate',
    hint: 'set OS_CERT and OS_KEY (--cert, --key)',
  },
};

await group('a server with bad TLS gets nothing', (t) =>
  Object.entries(badServers).flatMap(([name, { start, says, hint, status = EXIT_STATUS.unreachable }]) => [
    t.test(name, inParallel(), async (t) => {
      const server = await start(t);
      const result = await logInWith(t, { ...makeLoginSettings(`${server.url}/v3`), ...trusting });
      checkFailure(t, result, status, { says: [server.url, says, hint] });
      t.equal(server.countBytes(), 0, 'nothing reaches it');
    }),
    t.test(`${name}, and a kubeconfig turns off Node's verification`, inParallel(), async (t) => {
      const server = await start(t);
      const lax = {
        NODE_TLS_REJECT_UNAUTHORIZED: '0',
        NODE_OPTIONS: '--tls-min-v1.0 --tls-cipher-list=ALL@SECLEVEL=0',
      };
      const result = await logInAsProcess(t, { ...makeLoginSettings(`${server.url}/v3`), ...trusting, ...lax });
      checkFailure(t, result, status, { says: [server.url, says, hint] });
      t.equal(server.countBytes(), 0, 'nothing reaches it');
    }),
  ]),
);

await group('a certificate must be from an authority that is trusted', (t) => {
  const ours = join(directory, 'home with spaces');
  mkdirSync(ours);
  copyFileSync(pki.ca, join(ours, 'ca.pem'));
  const bundle = join(directory, 'bundle.pem');
  writeFileSync(bundle, `# a comment\n${readFileSync(pki.untrusted.ca, 'utf8')}\n${readFileSync(pki.ca, 'utf8')}`);
  interface Trust {
    readonly args?: readonly string[];
    readonly settings?: EnvVars;
    readonly folder?: string;
    /** Node reads this variable when it starts. */
    readonly isReadByNode?: true;
  }
  const good: Readonly<Record<string, Trust>> = {
    'OS_CACERT names it': { settings: trusting },
    '--cacert names it': { args: ['--cacert', pki.ca] },
    '--cacert takes precedence over OS_CACERT': {
      args: [`--cacert=${pki.ca}`],
      settings: { OS_CACERT: pki.untrusted.ca },
    },
    'the path is relative': { settings: { OS_CACERT: 'ca.pem' }, folder: ours },
    'the path is below home': { settings: { OS_CACERT: '~/ca.pem', HOME: ours } },
    'one file contains several authorities': { settings: { OS_CACERT: bundle } },
    // Other systems do not store the trusted authorities in a file.
    ...(process.platform === 'linux'
      ? { 'the system’s store contains it': { settings: { SSL_CERT_FILE: pki.ca }, isReadByNode: true } }
      : {}),
  };
  const bad: Readonly<Record<string, Trust>> = {
    'nothing names it': {},
    'OS_CACERT replaces the system’s authorities': {
      settings: { OS_CACERT: pki.untrusted.ca, SSL_CERT_FILE: pki.ca },
      isReadByNode: true,
    },
  };
  const run = (t: Test, url: string, { args = [], settings, folder, isReadByNode }: Trust): Promise<RunResult> => {
    const alice = setUp(t, {
      settings: { ...makeLoginSettings(`${url}/v3`), ...settings },
      runner: isReadByNode ? runPlugin : runBundles,
    });
    return (folder === undefined ? alice : alice.inFolder(folder)).run(...args);
  };
  return [
    ...Object.entries(good).map(([name, trust]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        checkSuccess(t, await run(t, keystone.url, trust));
        t.equal(keystone.countLogins(), 1);
      }),
    ),
    ...Object.entries(bad).map(([name, trust]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        checkFailure(t, await run(t, keystone.url, trust), EXIT_STATUS.unreachable, {
          says: ['certificate is not trusted'],
        });
        t.equal(keystone.requests.length, 0);
      }),
    ),
  ];
});

await group('a certificate is not checked on demand, with a warning on each run', (t) => {
  const ways: Readonly<Record<string, { args?: string[]; settings?: EnvVars; named: string }>> = {
    'OS_INSECURE is set': { settings: { OS_INSECURE: 'yes' }, named: 'OS_INSECURE' },
    'OS_VERIFY is false': { settings: { OS_VERIFY: 'false' }, named: 'OS_VERIFY' },
    '--insecure is given': { args: ['--insecure'], named: '--insecure' },
    'OS_CACERT is ignored': { settings: { OS_CACERT: '/nowhere', OS_INSECURE: '1' }, named: 'OS_INSECURE' },
  };
  return [
    ...Object.entries(ways).map(([name, { args = [], settings = {}, named }]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.wrongHost });
        const alice = setUp(t, { settings: makeLoginSettings(`${keystone.url}/v3`) });
        const warning = `Keystone's certificate is not checked, because of ${named}`;
        const first = checkSuccess(t, await alice.with(settings).run(...args), [warning]);
        const second = checkSuccess(t, await alice.with(settings).run(...args), [warning]);
        t.strictSame(second, first, 'a cache hit also prints the warning');
        t.equal(keystone.countLogins(), 1);

        checkFailure(t, await alice.with(trusting).run(), EXIT_STATUS.unreachable, { says: ['another host name'] });
      }),
    ),
    t.test('OS_INSECURE=false and OS_VERIFY=true mean that it is checked', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const env = { ...makeLoginSettings(`${keystone.url}/v3`), OS_INSECURE: 'false', OS_VERIFY: 'true' };
      checkFailure(t, await logInWith(t, env), EXIT_STATUS.unreachable, { says: ['certificate is not trusted'] });
      checkSuccess(t, await logInWith(t, { ...env, ...trusting }));
    }),
    t.test('another value of OS_INSECURE is an error', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const env = { ...makeLoginSettings(`${keystone.url}/v3`), OS_INSECURE: 'perhaps' };
      checkFailure(t, await logInWith(t, env), EXIT_STATUS.config, { says: ['OS_INSECURE must be true or false'] });
    }),
  ];
});

await group('a client certificate and its key are checked before they are used', (t) => {
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
    'they are in two files': { OS_CERT: cert, OS_KEY: key },
    'they are in one file': { OS_CERT: both },
    'they are in one file, and the key comes first': { OS_CERT: reversed },
    'they are in one file that is named twice': { OS_CERT: both, OS_KEY: both },
  };
  const bad: Readonly<Record<string, readonly [Record<string, string>, ...string[]]>> = {
    'the key belongs to another certificate': [
      { OS_CERT: cert, OS_KEY: pki.server.key },
      'OS_CERT and OS_KEY do not belong together',
    ],
    'the key is encrypted': [
      { OS_CERT: cert, OS_KEY: locked('pkcs8') },
      'OS_KEY: the key in ',
      'protected by a passphrase',
    ],
    'the key is encrypted in the old format': [
      { OS_CERT: cert, OS_KEY: locked('sec1') },
      'OS_KEY: the key in ',
      'passphrase',
    ],
    'there is no key': [{ OS_CERT: cert }, `OS_CERT: ${cert} does not contain a PEM private key`],
    'the certificate is invalid': [{ OS_CERT: key, OS_KEY: key }, `OS_CERT: ${key} does not contain a PEM certificate`],
    'the key is invalid': [{ OS_CERT: cert, OS_KEY: cert }, `OS_KEY: ${cert} does not contain a PEM private key`],
    'the certificate file is missing': [
      { OS_CERT: '/nowhere', OS_KEY: key },
      'OS_CERT: /nowhere cannot be read (ENOENT)',
    ],
    'the key file is missing': [{ OS_CERT: cert, OS_KEY: '/nowhere' }, 'OS_KEY: /nowhere cannot be read (ENOENT)'],
    'the CA file is missing': [{ OS_CACERT: '/nowhere' }, 'OS_CACERT: /nowhere cannot be read (ENOENT)'],
    'the CA file is a folder': [
      { OS_CACERT: directory },
      'OS_CACERT: ',
      'cannot be read (it is a folder without hashed',
    ],
    'the CA file is invalid': [{ OS_CACERT: key }, `OS_CACERT: ${key} does not contain a PEM certificate`],
    // root can read every file.
    ...(isRoot ? {} : { 'the key file is forbidden': [{ OS_CERT: cert, OS_KEY: forbidden }, 'OS_KEY: ', '(EACCES)'] }),
  };
  return [
    ...Object.entries(good).map(([name, env]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
        checkSuccess(t, await logInWith(t, { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting, ...env }));
        t.equal(keystone.countLogins(), 1);
      }),
    ),
    ...Object.entries(bad).map(([name, [env, ...says]]) =>
      t.test(name, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        const result = await logInWith(t, { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting, ...env });
        checkFailure(t, result, EXIT_STATUS.config, { says });
        t.notMatch(result.stderr, /BEGIN [A-Z ]*PRIVATE|sesame/, 'no part of a key is printed');
        t.equal(keystone.requests.length, 0);
      }),
    ),
    t.test('a key without a certificate is not used', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const result = await logInWith(t, {
        ...makeLoginSettings(`${keystone.url}/v3`),
        ...trusting,
        OS_KEY: '/nowhere',
      });
      t.match(result, { status: 0, stderr: /OS_KEY is not used, because no certificate is set/ });
    }),
    t.test('a folder and a variable of other programs name the CA too', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const hashed = join(directory, 'hashed');
      mkdirSync(hashed);
      copyFileSync(pki.ca, join(hashed, '0a1b2c3d.0'));
      const login = makeLoginSettings(`${keystone.url}/v3`);
      const others = { REQUESTS_CA_BUNDLE: hashed, CURL_CA_BUNDLE: '/nowhere' };
      for (const env of [{ OS_CACERT: hashed }, { OS_VERIFY: pki.ca }, others, { CURL_CA_BUNDLE: pki.ca }]) {
        checkSuccess(t, await logInWith(t, { ...login, ...env }));
      }
      const wrong = { ...login, REQUESTS_CA_BUNDLE: pki.untrusted.ca };
      checkFailure(t, await logInWith(t, wrong), EXIT_STATUS.unreachable, { says: ['certificate is not trusted'] });
    }),
    t.test('Keystone does not trust the certificate', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
      const { cert: OS_CERT, key: OS_KEY } = pki.untrusted.server;
      const settings = { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting, OS_CERT, OS_KEY };
      const result = await logInWith(t, settings);
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

/** The tunnels of a run with discovery: the login has a connection of its own. */
const discoveryAndLogin = (url: string): readonly string[] => [url, url];

await group('a proxy sees only TLS', (t) => {
  const canary = 'canary-of-the-proxy';
  return [
    ...['HTTPS_PROXY', 'https_proxy'].map((name) =>
      t.test(`${name} names the proxy`, inParallel(), async (t) => {
        const [keystone, proxy] = [await startKeystoneForTest(t, { tls: pki.server }), await startProxy(t)];
        const env = { ...makeLoginSettings(behindProxy(keystone.url)), ...trusting, [name]: proxy.url };
        checkSuccess(t, await logInWith(t, env));
        t.equal(keystone.countLogins(), 1);
        checkTunnels(t, proxy, discoveryAndLogin(behindProxy(keystone.url)));
        t.ok((proxy.tunnels[0]?.bytesFromClient ?? 0) > 0);
      }),
    ),
    ...['NO_PROXY', 'no_proxy'].map((name) =>
      t.test(`${name} excludes Keystone`, inParallel(), async (t) => {
        const [keystone, proxy] = [await startKeystoneForTest(t, { tls: pki.server }), await startProxy(t)];
        const env = {
          // An address of this machine that is not a loopback address.
          ...makeLoginSettings(keystone.url.replace('127.0.0.1', '0.0.0.0')),
          ...trusting,
          HTTPS_PROXY: proxy.url,
          [name]: 'example.com,0.0.0.0/8',
        };
        checkSuccess(t, await logInWith(t, env));
        checkTunnels(t, proxy, []);
      }),
    ),
    // A process of its own, because the authorities for such a proxy are those of the whole process.
    t.test('an https:// proxy must have a trusted certificate', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const proxy = await startProxy(t, { tls: pki.server });
      const env = { ...makeLoginSettings(behindProxy(keystone.url)), HTTPS_PROXY: proxy.url };
      checkFailure(t, await logInAsProcess(t, env), EXIT_STATUS.unreachable, { says: ['certificate'] });
      checkTunnels(t, proxy, []);
      checkSuccess(t, await logInAsProcess(t, { ...env, ...trusting }));
      checkTunnels(t, proxy, discoveryAndLogin(behindProxy(keystone.url)));
    }),
    t.test('the certificate of Keystone is checked behind the proxy', inParallel(), async (t) => {
      const [keystone, proxy] = [await startKeystoneForTest(t, { tls: pki.wrongHost }), await startProxy(t)];
      const env = { ...makeLoginSettings(behindProxy(keystone.url)), ...trusting, HTTPS_PROXY: proxy.url };
      checkFailure(t, await logInWith(t, env), EXIT_STATUS.unreachable, {
        says: ['certificate is for another host name'],
      });
      t.equal(keystone.requests.length, 0);
      checkTunnels(t, proxy, [behindProxy(keystone.url)]);
    }),
    ...([canary, 'wrong'] as const).map((password) =>
      t.test(
        `the proxy requires a password, and it is ${password === canary ? 'correct' : 'wrong'}`,
        inParallel(),
        async (t) => {
          const keystone = await startKeystoneForTest(t, { tls: pki.server });
          const proxy = await startProxy(t, { credentials: { user: 'squid', password: canary } });
          const HTTPS_PROXY = proxy.url.replace('//', `//squid:${password}-and-more@`);
          const right = proxy.url.replace('//', `//squid:${canary}@`);
          const env = {
            ...makeLoginSettings(behindProxy(keystone.url)),
            ...trusting,
            HTTPS_PROXY: password === canary ? right : HTTPS_PROXY,
          };
          const result = await logInWith(t, env);
          t.notMatch(result.stderr, /squid|canary-of|and-more/, 'its credentials are not printed');
          const verbose = await logInWith(t, env, '--verbose');
          t.notMatch(verbose.stderr, /squid|canary-of|and-more/, 'its credentials are not printed');
          if (password === canary) checkSuccess(t, result);
          else
            checkFailure(t, result, EXIT_STATUS.unreachable, {
              says: ['the proxy refuses the connection, because its credentials are wrong', 'HTTPS_PROXY'],
            });
          const run = password === canary ? discoveryAndLogin(behindProxy(keystone.url)) : [behindProxy(keystone.url)];
          checkTunnels(t, proxy, [...run, ...run]);
        },
      ),
    ),
    ...['HTTPS_PROXY', 'all_proxy'].map((name) =>
      t.test(`the proxy in ${name} requires a password, and there is none`, inParallel(), async (t) => {
        const proxy = await startProxy(t, { credentials: { user: 'squid', password: canary } });
        const env = { ...makeLoginSettings('https://keystone.example.test:5000/v3'), [name]: proxy.url };
        const says = [`because its credentials are missing; check the user name and the password in ${name}`];
        checkFailure(t, await logInWith(t, env), EXIT_STATUS.unreachable, { says });
        checkTunnels(t, proxy, ['https://keystone.example.test:5000']);
      }),
    ),
    ...Object.entries({
      'NO_PROXY excludes Keystone': { HTTPS_PROXY: 'socks4://p:1', NO_PROXY: '0.0.0.0/8' },
      'it is for http://': { HTTP_PROXY: 'http://user:pass/word@p', all_proxy: '' },
      'another one takes precedence': { ALL_PROXY: 'nonsense://', HTTPS_PROXY: 'http://', no_proxy: '*' },
    }).map(([reason, unused]) =>
      t.test(`a proxy that is not used cannot fail a run: ${reason}`, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t, { tls: pki.server });
        const url = keystone.url.replace('127.0.0.1', '0.0.0.0');
        const env = { ...makeLoginSettings(url), ...trusting, ...unused };
        checkSuccess(t, await logInWith(t, env));
        const doctor = await logInWith(t, env, 'doctor', '--no-cluster');
        t.match(doctor.stdout, /✓ proxy +none is used/);
        t.match((await logInWith(t, env, 'explain')).stdout, /Proxy +none/);
      }),
    ),
    ...['socks4://squid:canary@p:1', 'http://squid:can/ary@p', 'p:port'].map((value) =>
      t.test(`a proxy that would be used and cannot: ${value}`, inParallel(), async (t) => {
        const env = { ...makeLoginSettings('https://keystone.example.test:5000/v3'), HTTPS_PROXY: value };
        const result = await logInWith(t, env);
        checkFailure(t, result, EXIT_STATUS.config, {
          says: [/HTTPS_PROXY (names a kind|is not the URL)/, 'socks5h://'],
        });
        t.notMatch(result.stderr, /squid|can.?ary/);
        const doctor = await logInWith(t, env, 'doctor', '--no-cluster');
        t.match(doctor.stdout, /HTTPS_PROXY (names a kind|is not the URL)/);
      }),
    ),
    t.test('the proxy refuses the connection', inParallel(), async (t) => {
      const proxy = await startProxy(t);
      const env = { ...makeLoginSettings('https://keystone.example.test:5000/v3'), HTTPS_PROXY: proxy.url };
      const says = ['https://keystone.example.test:5000', 'the proxy refuses the connection', 'NO_PROXY'];
      checkFailure(t, await logInWith(t, env), EXIT_STATUS.unreachable, { says });
      checkTunnels(t, proxy, ['https://keystone.example.test:5000']);
    }),
    t.test('only the proxy can resolve the host', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.wrongHost });
      const proxy = await startProxy(t, { loopbackNames: ['wrong.example'] });
      const url = `https://wrong.example:${String(keystone.port)}`;
      checkSuccess(t, await logInWith(t, { ...makeLoginSettings(url), ...trusting, HTTPS_PROXY: proxy.url }));
      checkTunnels(t, proxy, discoveryAndLogin(url));
    }),
    t.test('the proxy is not running', inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t, { tls: pki.server });
      const HTTPS_PROXY = `http://squid:${canary}@127.0.0.1:${await findFreePort()}`;
      const result = await logInWith(t, { ...makeLoginSettings(behindProxy(keystone.url)), ...trusting, HTTPS_PROXY });
      checkFailure(t, result, EXIT_STATUS.unreachable, {
        says: ['the proxy cannot be reached', 'HTTPS_PROXY', 'NO_PROXY'],
      });
      t.notMatch(result.stderr, /squid|canary-of/);
      t.equal(keystone.requests.length, 0);
    }),
  ];
});

await group('http:// is for this machine only, unless it is allowed', (t) => {
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
      t.test(`a login at ${host} never goes through a proxy`, inParallel(), async (t) => {
        const [keystone, proxy] = [await startKeystoneForTest(t), await startProxy(t)];
        const env = { ...makeLoginSettings(`http://${host}:${String(keystone.port)}/v3`), ...everyProxy(proxy) };
        checkSuccess(t, await logInAsProcess(t, env));
        t.equal(keystone.countLogins(), 1);
        checkTunnels(t, proxy, []);
      }),
    ),
    t.test('a redirect to https is followed', inParallel(), async (t) => {
      const [plain, keystone] = [await startKeystoneForTest(t), await startKeystoneForTest(t, { tls: pki.server })];
      plain.answerAlways(respondRedirect(308, `${keystone.url}/v3/auth/tokens`));
      checkSuccess(t, await logInWith(t, { ...makeLoginSettings(`${plain.url}/v3`), ...trusting }));
      t.equal(keystone.countLogins(), 1);
    }),
    t.test('a redirect to http is not followed', inParallel(), async (t) => {
      const [plain, keystone] = [await startKeystoneForTest(t), await startKeystoneForTest(t, { tls: pki.server })];
      keystone.answerAlways(respondRedirect(308, `${plain.url}/v3/auth/tokens`));
      const settings = { ...makeLoginSettings(`${keystone.url}/v3`), ...trusting };
      const result = await logInWith(t, settings, '--allow-http');
      checkFailure(t, result, EXIT_STATUS.protocol, { says: [`redirects to ${plain.url}`] });
      t.equal(plain.requests.length, 0);
    }),
    // An address that leads to this machine but is not a loopback address.
    t.test('a login at another machine needs --allow-http', inParallel(), async (t) => {
      const [keystone, proxy] = [await startKeystoneForTest(t), await startProxy(t)];
      const env = { ...makeLoginSettings(`http://0.0.0.0:${String(keystone.port)}/v3`), ...everyProxy(proxy) };
      const says = ['OS_AUTH_URL is http://', 'unencrypted', '--allow-http'];
      checkFailure(t, await logInAsProcess(t, env), EXIT_STATUS.config, { says });
      t.equal(keystone.requests.length, 0, 'nothing is sent');

      checkSuccess(t, await logInAsProcess(t, { ...env, NO_PROXY: '0.0.0.0' }, '--allow-http'));
      t.equal(keystone.countLogins(), 1);
      checkTunnels(t, proxy, []);
    }),
    ...(['http', 'https'] as const).map((scheme) =>
      t.test(
        `a login at another machine uses the person’s ${scheme} proxy, which can read it`,
        inParallel(),
        async (t) => {
          const keystone = await startKeystoneForTest(t);
          const tls = scheme === 'https' ? { tls: pki.server } : {};
          const proxy = await startProxy(t, { ...tls, credentials: { user: 'squid', password: 'canary' } });
          const url = `http://0.0.0.0:${String(keystone.port)}`;
          const http_proxy = proxy.url.replace('//', '//squid:canary@');
          const env = { ...makeLoginSettings(`${url}/v3`), ...trusting, HTTPS_PROXY: 'http://127.0.0.1:1' };
          checkSuccess(t, await logInAsProcess(t, { ...env, http_proxy }, '--allow-http'));
          t.equal(keystone.countLogins(), 1);
          const [request] = proxy.plainRequests;
          t.match(request, { method: 'POST', url: new RegExp(`^${url}/v3/auth/tokens`) });
          t.equal(request?.headers.host, new URL(url).host);
          t.strictSame(proxy.tunnels, []);

          for (const [HTTP_PROXY, says] of [
            [proxy.url, 'credentials are missing'],
            [proxy.url.replace('//', '//squid:wrong-canary@'), 'credentials are wrong'],
          ] as const) {
            const result = await logInAsProcess(t, { ...env, HTTP_PROXY }, '--allow-http');
            checkFailure(t, result, EXIT_STATUS.unreachable, { says: [says, 'HTTP_PROXY'] });
            t.notMatch(result.stderr, /squid|canary/);
          }
          t.equal(keystone.countLogins(), 1);
        },
      ),
    ),
    t.test('a kubeconfig names no proxy for http://', inParallel(), async (t) => {
      const [keystone, proxy] = [await startKeystoneForTest(t), await startProxy(t)];
      for (const [name, value] of Object.entries({ HTTP_PROXY: proxy.url, ALL_PROXY: proxy.url })) {
        const env = {
          ...makeLoginSettings(`http://0.0.0.0:${String(keystone.port)}/v3`),
          // kubectl sets this variable; what the kubeconfig sets is not in the environment of kubectl.
          KUBERNETES_EXEC_INFO: makeExecInfo(),
          [name]: value,
        };
        const warning = `the proxy in ${name} is not used: a kubeconfig may have set it`;
        checkSuccess(t, await logInAsProcess(t, env, '--allow-http'), [warning]);
      }
      t.equal(keystone.countLogins(), 2);
      checkTunnels(t, proxy, []);
    }),
    ...['localhost.example.test', '127.0.0.1.example.test', '127.example.test', '10.0.0.1', '[::2]'].map((host) =>
      t.test(`a login at ${host} is an error`, inParallel(), async (t) => {
        const result = await logInWith(t, makeLoginSettings(`http://${host}/v3`));
        checkFailure(t, result, EXIT_STATUS.config, { says: ['OS_AUTH_URL is http://'] });
      }),
    ),
    ...['http://alice:pw@127.0.0.1/v3', 'ftp://127.0.0.1/', 'keystone.example.test', 'https://'].map((url) =>
      t.test(`${url} is not a valid URL`, inParallel(), async (t) => {
        const result = await logInWith(t, makeLoginSettings(url));
        checkFailure(t, result, EXIT_STATUS.config, { says: [/OS_AUTH_URL (is not a URL|must )/] });
        t.notMatch(result.stderr, 'alice');
      }),
    ),
  ];
});
