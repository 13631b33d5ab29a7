/**
 * Every option that names a file, of both programs, with files that must not be read: what a program reads has a kind
 * and a size. Otherwise, a pipe keeps it waiting forever, and a device fills its memory. The options come from the
 * registries, so that a new one is tested too.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { readRegularFile, describeReadFailure } from '../../src/shared/base/read-file.ts';
import { checkSystemAuthorities } from '../../src/shared/http/system-authorities.ts';
import { readTrustedOrigins } from '../../src/shared/http/trusted-origins.ts';
import { WEBHOOK_OPTIONS } from '../../src/webhook/cli/options.ts';
import { fakeHost } from '../support/fake-host.ts';
import { runInProcess } from '../support/run-in-process.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/stand-in-login.ts';
import { runWebhookCommand } from '../support/webhook.ts';

const isOnLinux = process.platform === 'linux';

/** Paths, and what a message says about them. */
type Paths = Readonly<Record<string, RegExp>>;

/** Makes one file of each kind that must not be read, and a link to each. */
async function makeUnsuitableFiles(t: Test): Promise<Paths> {
  t.testdir();
  // Short, because the path of a socket has at most 107 characters.
  const folder = mkdtempSync(join(tmpdir(), 'cka-'));
  const at = (name: string): string => join(folder, name);
  execFileSync('mkfifo', [at('pipe'), at('idle-pipe')]);
  // A program has this pipe open for writing, and writes nothing.
  const fd = openSync(at('idle-pipe'), constants.O_RDWR);
  const server = createServer().listen(at('socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  t.teardown(() => {
    closeSync(fd);
    server.close();
    rmSync(folder, { recursive: true });
  });
  mkdirSync(at('folder'));
  writeFileSync(at('sparse'), '');
  truncateSync(at('sparse'), 10 * 1024 ** 3);
  const paths: Record<string, RegExp> = {
    [at('pipe')]: /it is a pipe/,
    [at('idle-pipe')]: /it is a pipe/,
    [at('socket')]: /it is a socket/,
    [at('folder')]: /it is a folder/,
    [at('sparse')]: /it is larger than \d+ [KM]iB/,
    '/dev/zero': /it is a device/,
    '/dev/full': /it is a device/,
  };
  const links = Object.entries(paths).map(([path, message], index) => {
    const link = at(`link-${index}`);
    symlinkSync(path, link);
    return [link, message] as const;
  });
  return { ...paths, ...Object.fromEntries(links) };
}

interface Outcome {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function checkRefusal(t: Test, outcome: Outcome, option: string, [path, reason]: [string, RegExp]): void {
  const isOneLine = /^[^\n]+\n$/;
  t.match(outcome, { status: 3, stdout: '', stderr: isOneLine }, `${option} ${path}`);
  for (const expected of [path, reason, option]) t.match(outcome.stderr, expected, `${option} ${path}`);
}

/** Runs a command with a home of the test. */
function run(t: Test, argv: readonly string[], env: Readonly<Record<string, string>>, cwd?: string): Promise<Outcome> {
  const home = join(t.testdirName, 'home');
  mkdirSync(home, { recursive: true });
  return runInProcess({ argv, env, cwd: cwd ?? home, home: () => home, uid: process.geteuid?.() });
}

const NOTHING_LISTENS = 'https://127.0.0.1:9/v3';
const LOGIN = { OS_AUTH_URL: NOTHING_LISTENS, OS_USERNAME: 'alice', OS_PASSWORD: 'x' };

/** What an option of a login needs, so that its file is read. */
const NEEDS: Readonly<Record<string, (folder: string) => Readonly<Record<string, string>>>> = {
  'client-config-file': () => ({ OS_CLOUD: 'c' }),
  'client-secure-file': (folder) => ({ OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: join(folder, 'clouds.yaml') }),
  key: (folder) => ({ ...LOGIN, OS_CERT: join(folder, 'pki', 'client.pem') }),
  'k8s-auth-token-file': () => ({ OS_AUTH_URL: NOTHING_LISTENS, OS_AUTH_TYPE: 'v4k8s' }),
  'token-exchange-cacert': () => ({
    ...LOGIN,
    OS_TOKEN_EXCHANGE_URL: 'https://127.0.0.1:9',
    OS_TOKEN_EXCHANGE_AUDIENCE: 'a',
  }),
  'jwt-file': () => ({ OS_AUTH_URL: NOTHING_LISTENS, OS_AUTH_TYPE: 'v4jwt' }),
};

void t.test('a file of a login is a regular file with a limit, or an error names the option', async (t) => {
  const paths = await makeUnsuitableFiles(t);
  writeFileSync(join(t.testdirName, 'clouds.yaml'), `clouds: {c: {auth: {auth_url: "${NOTHING_LISTENS}"}}}`);
  const { client } = await makePki(join(t.testdirName, 'pki'));
  copyFileSync(client.cert, join(t.testdirName, 'pki', 'client.pem'));
  const options = OPTIONS.filter(({ kind }) => kind === 'file' || kind === 'switch or file');
  t.ok(options.length >= 7, 'the registry lists them');
  for (const { name, env = [], flag } of options) {
    const settings = NEEDS[name]?.(t.testdirName) ?? LOGIN;
    for (const entry of Object.entries(paths)) {
      const [path] = entry;
      for (const variable of env) {
        checkRefusal(t, await run(t, ['explain'], { ...settings, [variable]: path }), variable, entry);
      }
      if (flag !== false) checkRefusal(t, await run(t, ['explain', `--${name}=${path}`], settings), name, entry);
    }
  }
});

void t.test('a file in the current folder cannot make a run wait', async (t) => {
  const paths = await makeUnsuitableFiles(t);
  const cwd = join(t.testdirName, 'checkout');
  mkdirSync(cwd);
  for (const [path, reason] of Object.entries(paths)) {
    for (const option of ['cacert', 'cert', 'verify']) {
      const cloud = { auth: { auth_url: NOTHING_LISTENS, username: 'u', password: 'p' }, [option]: path };
      writeFileSync(join(cwd, 'clouds.yaml'), JSON.stringify({ clouds: { c: cloud } }));
      const { status, stderr } = await run(t, ['explain'], { OS_CLOUD: 'c' }, cwd);
      t.equal(status, 3);
      t.match(stderr, new RegExp(`${option} .*${reason.source}`), path);
    }
  }
});

void t.test('the files that are searched for are regular files with a limit', async (t) => {
  for (const [path, reason] of Object.entries(await makeUnsuitableFiles(t))) {
    for (const name of ['clouds.yaml', 'secure.yml', 'clouds-public.json']) {
      const cwd = join(t.testdirName, `${path.replaceAll('/', '-')}-${name}`);
      mkdirSync(cwd);
      writeFileSync(join(cwd, 'clouds.yaml'), 'clouds: {c: {profile: p, auth: {auth_url: "https://127.0.0.1:9/v3"}}}');
      if (name !== 'clouds.yaml') symlinkSync(path, join(cwd, name));
      else execFileSync('ln', ['-sf', path, join(cwd, name)]);
      const { status, stderr } = await run(t, ['explain'], { OS_CLOUD: 'c' }, cwd);
      t.equal(status, 3, `${name} is a link to ${path}`);
      t.match(stderr, name);
      t.match(stderr, reason);
    }
  }
});

/** Further arguments of a command, or of one of its options, so that it reads the file of the option. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  login: ['--kubeconfig-add', '--server=https://127.0.0.1:9', '--cluster=c'],
  'kubeconfig add': ['--server=https://127.0.0.1:9', '--cluster=c'],
  'kubeconfig add --from-list': [],
  'kubeconfig fetch': ['http://127.0.0.1:9/kubeconfig'],
  'kubeconfig remove': ['c'],
};

void t.test('a file of a command is a regular file with a limit, or an error names the option', async (t) => {
  const paths = await makeUnsuitableFiles(t);
  const keystone = await startKeystoneForTest(t);
  const env = { ...makeLoginSettings(`${keystone.url}/v3`), KUBECONFIG: join(t.testdirName, 'absent') };
  let count = 0;
  for (const { words, options } of COMMANDS) {
    const command = words.join(' ');
    for (const { name } of options.filter(({ kind }) => kind === 'file' || kind === 'switch or file')) {
      for (const entry of Object.entries(paths)) {
        const others = ARGUMENTS[`${command} --${name}`] ?? ARGUMENTS[command] ?? [];
        const outcome = await run(t, [...words, ...others, `--${name}=${entry[0]}`], env);
        count += 1;
        // This command reports all problems together.
        if (command === 'doctor') t.match(outcome.stdout, entry[1], `doctor ${name} ${entry[0]}`);
        else checkRefusal(t, outcome, name, entry);
      }
    }
  }
  t.ok(count > 0, 'the registry lists them');
});

void t.test('a file of the webhook is a regular file with a limit, or an error names the option', async (t) => {
  const paths = await makeUnsuitableFiles(t);
  const pki = await makePki(join(t.testdirName, 'pki'));
  const needed = {
    TLS_CERT_FILE: pki.server.cert,
    TLS_PRIVATE_KEY_FILE: pki.server.key,
    OS_AUTH_URL: NOTHING_LISTENS,
  };
  const issuer = { KEYSTONE_OIDC_ISSUER_URL: 'https://127.0.0.1:9', KEYSTONE_OIDC_CLIENT_ID: 'c' };
  const configMap = { KEYSTONE_POLICY_CONFIGMAP_NAME: 'policy' };
  for (const option of WEBHOOK_OPTIONS.filter(({ kind }) => kind === 'file' || kind === 'switch or file')) {
    const env = { ...needed, ...issuer, ...(option.name === 'kubeconfig' ? configMap : {}) };
    for (const entry of Object.entries(paths)) {
      const run = async (argv: string[], variables: Readonly<Record<string, string>>): Promise<Outcome> => {
        const { ended, output } = runWebhookCommand(['--listen=127.0.0.1:0', ...argv], { ...env, ...variables });
        return { status: await ended, ...output };
      };
      for (const variable of option.env ?? []) {
        checkRefusalOfWebhook(t, await run([], { [variable]: entry[0] }), variable, entry);
      }
      checkRefusalOfWebhook(t, await run([`--${option.name}=${entry[0]}`], {}), option.name, entry);
    }
  }
  for (const entry of Object.entries(paths)) {
    const { ended, output } = runWebhookCommand(['policy', 'lint', `--keystone-policy-file=${entry[0]}`]);
    checkRefusalOfWebhook(t, { status: await ended, ...output }, '--keystone-policy-file', entry);
  }
});

function checkRefusalOfWebhook(t: Test, outcome: Outcome, option: string, [path, reason]: [string, RegExp]): void {
  t.ok(outcome.status !== undefined && outcome.status !== 0, `${option} ${path}: status`);
  t.equal(outcome.stdout, '', `${option} ${path}: stdout`);
  for (const expected of [option, path, reason]) t.match(outcome.stderr, expected, `${option} ${path}`);
}

void t.test('the list of trusted servers and its authorities are regular files with a limit', async (t) => {
  const uid = process.geteuid?.();
  for (const [path, reason] of Object.entries(await makeUnsuitableFiles(t))) {
    const home = join(t.testdirName, path.replaceAll('/', '-'));
    const folder = join(home, '.config', 'client-keystone-auth');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'trusted-origins');
    const host = fakeHost({ uid, accountHome: () => home });
    writeFileSync(file, `https://keystone.example.com ca=${path}\n`);
    chmodSync(file, 0o600);
    // The devices of the machine are open to every user, which is a reason too.
    const reasons = new RegExp(`${reason.source}|can be written by other users`);
    t.throws(() => readTrustedOrigins(host), { code: 'config-invalid', message: reasons }, path);
    execFileSync('ln', ['-sf', path, file]);
    t.throws(() => readTrustedOrigins(host), { code: 'config-invalid', message: reasons }, path);
  }
});

void t.test('variables cannot name an authority of the system that Node would wait for', async (t) => {
  const paths = await makeUnsuitableFiles(t);
  for (const path of Object.keys(paths).filter((path) => !/folder|link/.test(path))) {
    t.throws(
      () => {
        checkSystemAuthorities({ SSL_CERT_FILE: path });
      },
      { code: 'config-invalid', message: /^SSL_CERT_FILE: / },
      path,
    );
  }
  t.throws(
    () => {
      checkSystemAuthorities({ SSL_CERT_DIR: `/nowhere:${dirname(Object.keys(paths)[0] ?? '')}` });
    },
    { message: /^SSL_CERT_DIR: / },
  );
  checkSystemAuthorities({ SSL_CERT_DIR: '/nowhere', SSL_CERT_FILE: '/nowhere/ca.pem' });
  checkSystemAuthorities({ SSL_CERT_DIR: '', SSL_CERT_FILE: '' });
});

void t.test('a file is read up to its limit, whatever its size is said to be', (t) => {
  const path = join(t.testdir(), 'file');
  for (const size of [0, 1, 4096, 4097, 100_000]) {
    writeFileSync(path, 'x'.repeat(size));
    t.equal(readRegularFile(path, 100_000).bytes.length, size);
  }
  writeFileSync(path, 'x'.repeat(100_001));
  t.throws(() => readRegularFile(path, 100_000));
  if (isOnLinux) t.match(readRegularFile('/proc/self/status', 64 * 1024).bytes.toString(), /^Name:/, 'of size 0');
  try {
    readRegularFile('/proc/self/status', 10);
    t.fail('the limit does not apply to a file of size 0');
  } catch (error) {
    t.match(describeReadFailure(error), isOnLinux ? 'it is larger than' : 'ENOENT');
  }
  t.end();
});
