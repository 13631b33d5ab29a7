/**
 * With a list of trusted servers, nothing turns off the check of certificates, and authorities come from the system or
 * from the list. Each attack first succeeds without a list.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, makeLoginSettings } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { makeTestHome } from '../support/home.ts';
import type { EnvVars, Home } from '../support/home.ts';
import { behindProxy, PROXIED_HOST, startConnectProxy } from '../support/proxy.ts';
import { runBundles } from '../support/run-bundles.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const pki = await makePki(join(t.testdir(), 'pki'));
const evilPki = pki.untrusted;

// The plugin finds the list through the system's accounts, which a test cannot change.
const accountHome = join(t.testdirName, 'account-home.cjs');
writeFileSync(
  accountHome,
  "const os = require('node:os'); const { userInfo } = os;\n" +
    'os.userInfo = () => ({ ...userInfo(), homedir: process.env.HOME });\n',
);

/** Writes the list of trusted servers, and returns its path. */
function writeList(home: Home, ...lines: string[]): string {
  const file = join(home.path, '.config', 'client-keystone-auth', 'trusted-origins');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  return file;
}

type Run = (home: Home, env: EnvVars, args?: readonly string[]) => Promise<RunResult>;

/** Runs the plugin with `home` as the home in the system's accounts. */
const runProcess: Run = (home, env, args = []) =>
  runPlugin({ home, env: { ...env, NODE_OPTIONS: `--require ${accountHome}` }, args });

/** The same in the process of the test, in which Node does not see the variables of a run. */
const run: Run = (home, env, args = []) => runBundles({ home, env, args }, { accountHome: home.path });

/** Starts a proxy that connects to `port`, whatever it is asked for, and returns its URL. */
async function startHostileProxy(t: Test, port: number): Promise<string> {
  const server = createServer((client) => {
    client
      .on('error', () => undefined)
      .once('data', () => {
        const upstream = connect(port, '127.0.0.1').on('error', () => undefined);
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(upstream).pipe(client);
      });
  });
  return `http://127.0.0.1:${await listenForTest(t, server)}`;
}

function makeHashedFolder(t: Test, ca: string): string {
  const folder = t.testdir();
  const hash = execFileSync('openssl', ['x509', '-hash', '-noout', '-in', ca], { encoding: 'utf8' }).trim();
  copyFileSync(ca, join(folder, `${hash}.0`));
  return folder;
}

const CLOUD = (extra: string): string => `clouds:\n  c:\n    auth: {}\n    ${extra}\n`;

/** How a kubeconfig weakens TLS: variables, arguments, and a `clouds.yaml` that a variable names. */
interface Weakening {
  readonly env?: EnvVars;
  readonly args?: readonly string[];
  readonly cloud?: string;
  /** The setting that the message names; undefined if the server is not trusted as a result. */
  readonly says?: string;
}

const WEAKENINGS: Readonly<Record<string, (t: Test) => Weakening>> = {
  OS_INSECURE: () => ({ env: { OS_INSECURE: 'true' }, says: 'OS_INSECURE' }),
  OS_VERIFY: () => ({ env: { OS_VERIFY: 'false' }, says: 'OS_VERIFY' }),
  '--insecure': () => ({ args: ['--insecure'], says: '--insecure' }),
  OS_CACERT: () => ({ env: { OS_CACERT: evilPki.ca }, says: 'OS_CACERT' }),
  '--cacert': () => ({ args: ['--cacert', evilPki.ca], says: '--cacert' }),
  'verify in clouds.yaml': () => ({ cloud: 'verify: false', says: 'verify' }),
  'insecure in clouds.yaml': () => ({ cloud: 'insecure: true', says: 'insecure' }),
  'cacert in clouds.yaml': () => ({ cloud: `cacert: ${evilPki.ca}`, says: 'cacert' }),
  SSL_CERT_FILE: () => ({ env: { SSL_CERT_FILE: evilPki.ca } }),
  SSL_CERT_DIR: (t) => ({ env: { SSL_CERT_DIR: makeHashedFolder(t, evilPki.ca) } }),
};

for (const [name, weaken] of Object.entries(WEAKENINGS)) {
  await t.test(`a hostile proxy and ${name}`, async (t) => {
    const evil = await startKeystoneForTest(t, { tls: evilPki.server });
    const HTTPS_PROXY = await startHostileProxy(t, evil.port);
    const url = `https://${PROXIED_HOST}:5000`;
    const { env = {}, args = [], cloud, says } = weaken(t);
    const attack = async (home: Home, words: readonly string[] = [], start = runProcess): Promise<RunResult> => {
      const file = join(home.path, 'hostile.yaml');
      if (cloud !== undefined) writeFileSync(file, CLOUD(cloud));
      const files = cloud === undefined ? {} : { OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: 'c' };
      return start(home, { ...makeLoginSettings(`${url}/v3`), ...files, HTTPS_PROXY, ...env }, [...words, ...args]);
    };
    t.equal((await attack(makeTestHome(t))).status, 0, 'without a list, the attack succeeds');
    t.equal(evil.countLogins(), 1);

    const home = makeTestHome(t);
    const list = writeList(home, url);
    const result = await attack(home);
    if (says === undefined) {
      checkFailure(t, result, EXIT_STATUS.unreachable, {
        says: ['certificate is not trusted', `write ca=PATH with its PEM file after ${url} in ${list}`],
      });
    } else {
      checkFailure(t, result, EXIT_STATUS.config, { says: [says, list, 'ca=PATH'] });
    }
    // Node reads the variables of OpenSSL itself.
    const runner = says === undefined ? runProcess : run;
    for (const command of ['whoami', 'projects', 'doctor --no-cluster', 'kubeconfig fetch --cluster c']) {
      t.not((await attack(home, command.split(' '), runner)).status, 0, command);
    }
    t.equal(evil.countLogins(), 1, 'with a list, no password is sent');
    t.equal(evil.requests.filter(({ method }) => method === 'POST').length, 1, 'nor anything else');
  });
}

await t.test('the list names a private authority', async (t) => {
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const login = makeLoginSettings(`${keystone.url}/v3`);
  const home = makeTestHome(t);

  for (const ca of [pki.ca, 'private.pem', `~/private.pem`]) {
    await t.test(ca === pki.ca ? 'absolute' : ca, async (t) => {
      const list = writeList(home, `${keystone.url} ca=${ca}   # at work`);
      copyFileSync(pki.ca, join(dirname(list), 'private.pem'));
      copyFileSync(pki.ca, join(home.path, 'private.pem'));
      checkSuccess(t, await run(home, login, ['--force-refresh']));
      checkSuccess(t, await run(home, { ...login, OS_CACERT: pki.ca }, ['--force-refresh']));
      const explained = await run(home, login, ['explain']);
      t.match(explained.stdout, /private\.pem|ca\.crt/);
      t.match(explained.stdout, `those in ${list}`);
      t.match((await run(home, login, ['doctor', '--no-cluster'])).stdout, `(${list}), certificates in it: 1`);
    });
  }

  await t.test('another one does not count', async (t) => {
    const list = writeList(home, `${keystone.url} ca=${evilPki.ca}`);
    checkFailure(t, await run(home, login, ['--force-refresh']), EXIT_STATUS.unreachable, {
      says: ['certificate is not trusted', list],
    });
    checkFailure(t, await run(home, { ...login, OS_CACERT: pki.ca }), EXIT_STATUS.config, {
      says: ['OS_CACERT cannot replace', evilPki.ca, list],
    });
  });

  const broken: Readonly<Record<string, readonly [line: string, says: string]>> = {
    'no file': ['ca=/nowhere/ca.pem', '/nowhere/ca.pem cannot be read'],
    'no certificate': [`ca=${pki.server.key}`, 'does not contain a PEM certificate'],
    'no path': ['ca=', 'is not an origin'],
    'another word': ['insecure', 'is not an origin'],
  };
  for (const [name, [line, says]] of Object.entries(broken)) {
    await t.test(name, async (t) => {
      const list = writeList(home, `${keystone.url} ${line}`);
      checkFailure(t, await run(home, login), EXIT_STATUS.config, { says: [`${list}: line 1`, says] });
    });
  }

  await t.test('a file that others can write', async (t) => {
    const ca = join(home.path, 'open.pem');
    copyFileSync(pki.ca, ca);
    execFileSync('chmod', ['666', ca]);
    writeList(home, `${keystone.url} ca=${ca}`);
    checkFailure(t, await run(home, login), EXIT_STATUS.config, { says: [`${ca} can be written by other users`] });
  });
});

await t.test('an https:// proxy is checked by the same authorities', async (t) => {
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const proxy = await startConnectProxy({ tls: evilPki.server });
  t.teardown(() => proxy.close());
  const home = makeTestHome(t);
  const url = behindProxy(keystone.url);
  writeList(home, `${url} ca=${pki.ca}`);
  const env = { ...makeLoginSettings(`${url}/v3`), HTTPS_PROXY: proxy.url, SSL_CERT_FILE: evilPki.ca };
  checkFailure(t, await runProcess(home, env), EXIT_STATUS.unreachable, {
    says: ['the TLS of the proxy is not accepted'],
  });
  t.strictSame(proxy.tunnels, []);
});

await t.test('a cached token of an unchecked server does not survive the list', async (t) => {
  const evil = await startKeystoneForTest(t, { tls: evilPki.server });
  const home = makeTestHome(t);
  const env = { ...makeLoginSettings(`${evil.url}/v3`), OS_INSECURE: 'true' };
  t.equal((await run(home, env)).status, 0);
  writeList(home, evil.url);
  t.not((await run(home, env)).status, 0);
  t.not((await run(home, makeLoginSettings(`${evil.url}/v3`))).status, 0);
});
