/**
 * A kubeconfig can set any variable for its plugin. No such variable chooses a program, a library, a socket or a file of
 * the programs that the plugin starts. Each test first shows that the trap works when the person sets it, where a person
 * may.
 */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { collectResult } from '../../scripts/lib/child-result.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, makeLoginSettings } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeExecInfo, makeTestHome } from '../support/home.ts';
import type { EnvVars, Home } from '../support/home.ts';
import { makeIsolatedCommand, PACKAGED_EXECUTABLE, PLUGIN_COMMAND, PLUGIN_PATH } from '../support/run-plugin.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makePatient } from '../support/keyring.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { openTerminal } from '../support/terminal.ts';
import type { TerminalCommand } from '../support/terminal.ts';
import { listenForTest } from '../support/listen-for-test.ts';
import { waitUntil } from '../support/wait-until.ts';

const skip = process.platform === 'linux' ? false : 'Linux only';

/** A folder with programs that leave a file when they run. */
interface Trap {
  readonly folder: string;
  /** The file that a program in the trap, or a command in a variable, leaves. */
  readonly canary: string;
  /** Makes a program that writes its environment into the canary. */
  readonly addProgram: (name: string, output?: string) => string;
  readonly isSprung: () => boolean;
  readonly reset: () => void;
}

function setTrap(t: Test): Trap {
  const folder = makeTestHome(t).path;
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const canary = join(folder, 'canary');
  return {
    folder: bin,
    canary,
    addProgram(name, output = '') {
      const file = join(bin, name);
      const script = `/usr/bin/env >'${canary}.new'; /bin/mv '${canary}.new' '${canary}'\n/bin/cat <<'EOF'\n${output}\nEOF`;
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
      return file;
    },
    isSprung: () => existsSync(canary),
    reset: () => {
      rmSync(canary, { force: true });
    },
  };
}

interface KubectlCommand extends TerminalCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface KubectlRun {
  readonly home: Home;
  /** The person's variables, which kubectl was started with. */
  readonly shell?: EnvVars;
  /** `env` of the exec stanza. */
  readonly stanza: EnvVars;
  readonly args?: readonly string[];
}

/** Makes the command of a run by kubectl: its parent has the variables of the shell, the plugin those of the stanza too. */
function makeKubectlCommand({ home, shell = {}, stanza, args = [] }: KubectlRun, interactive = false): KubectlCommand {
  const info = { KUBERNETES_EXEC_INFO: makeExecInfo({ interactive }) };
  const added = Object.entries({ ...stanza, ...info }).map(([name, value]) => `${name}=${value}`);
  // The shell waits, and so stays the parent.
  const script = '/usr/bin/env "$@"; exit $?';
  return {
    file: '/bin/sh',
    args: ['-c', script, 'kubectl', ...added, ...PLUGIN_COMMAND, ...args],
    env: makeEnvironment(home, shell),
    cwd: home.path,
  };
}

async function runAsKubectl(run: KubectlRun): Promise<RunResult> {
  const { file, args, env, cwd } = makeKubectlCommand(run);
  const [program, words, options] = makeIsolatedCommand(file, args, env);
  const child = spawn(program, words, { ...options, cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  return collectResult(child);
}

/** A command for a value of `unixexec`, whose bytes are escaped as the D-Bus Specification says. */
function makeUnixExec(canary: string): string {
  const command = `echo sprung >'${canary}'`.replaceAll(/[^-\w/.]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`);
  return `unixexec:path=/bin/sh,argv0=sh,argv1=-c,argv2=${command}`;
}

await t.test('the bus of the keyring runs no program and connects to no other machine', { skip }, async (t) => {
  const { canary, isSprung, folder, addProgram } = setTrap(t);
  addProgram('dbus-launch');
  const standIn = await startKeystoneForTest(t);
  let connections = 0;
  const listener = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  const foreignSocket = join(dirname(canary), 'bus');
  await new Promise<void>((resolve) => void listener.listen(foreignSocket, resolve));
  const tcp = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  t.teardown(() => listener.close());
  const port = await listenForTest(t, tcp);
  const addresses: Readonly<Record<string, EnvVars>> = {
    unixexec: { DBUS_SESSION_BUS_ADDRESS: makeUnixExec(canary) },
    'unixexec after others': { DBUS_SESSION_BUS_ADDRESS: `unix:path=/nowhere;${makeUnixExec(canary)}` },
    'unixexec in capitals': { DBUS_SESSION_BUS_ADDRESS: makeUnixExec(canary).replace('unixexec', 'UNIXEXEC') },
    tcp: { DBUS_SESSION_BUS_ADDRESS: `tcp:host=127.0.0.1,port=${port}` },
    'nonce-tcp': { DBUS_SESSION_BUS_ADDRESS: `nonce-tcp:host=127.0.0.1,port=${port},noncefile=${canary}` },
    autolaunch: { DBUS_SESSION_BUS_ADDRESS: 'autolaunch:', DISPLAY: ':77', PATH: `${folder}:/usr/bin:/bin` },
    'no address': { DISPLAY: ':77', PATH: `${folder}:/usr/bin:/bin`, XDG_RUNTIME_DIR: folder },
    'another type': { DBUS_SESSION_BUS_ADDRESS: 'launchd:env=PATH', DBUS_STARTER_ADDRESS: makeUnixExec(canary) },
    'a key that lists': { DBUS_SESSION_BUS_ADDRESS: 'unix:dir=/tmp' },
  };
  const login = { ...makeLoginSettings(`${standIn.url}/v3`), CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'keyring' };
  for (const [name, env] of Object.entries(addresses)) {
    await t.test(name, async (t) => {
      const warnings = [/the keyring cannot be used; the next run will log in again/];
      const home = makeTestHome(t);
      const byPerson = await runPlugin({ home, env: { ...login, ...env, ...makePatient(home) } });
      checkSuccess(t, byPerson, warnings);
      const other = makeTestHome(t);
      const shell = makePatient(other);
      const byKubeconfig = await runAsKubectl({ home: other, shell, stanza: { ...login, ...env } });
      checkSuccess(t, byKubeconfig, warnings);
    });
  }
  await t.test('a socket that only the kubeconfig names is not used', async (t) => {
    const env = { ...login, DBUS_SESSION_BUS_ADDRESS: `unix:path=${foreignSocket}` };
    await runAsKubectl({ home: makeTestHome(t), stanza: env });
    t.equal(connections, 0);
    await runPlugin({ home: makeTestHome(t), env });
    t.ok(connections > 0, 'the person may name it');
  });
  t.notOk(isSprung(), 'no program ran');
});

await t.test('the keyring helper does nothing for a kubeconfig that starts it', { skip }, async (t) => {
  const { canary, isSprung } = setTrap(t);
  const home = makeTestHome(t);
  const helper =
    PACKAGED_EXECUTABLE === undefined
      ? join(dirname(PLUGIN_PATH), 'keyring.cjs')
      : join(PACKAGED_EXECUTABLE, 'keyring.cjs');
  const [program] = PLUGIN_COMMAND;
  const env = makeEnvironment(home, { DBUS_SESSION_BUS_ADDRESS: makeUnixExec(canary) });
  for (const info of [{}, { KUBERNETES_EXEC_INFO: makeExecInfo() }]) {
    const [file, words, options] = makeIsolatedCommand(program, [helper], { ...env, ...info });
    const child = spawn(file, words, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined).end(JSON.stringify({ key: 'key' }));
    const status = await new Promise((resolve) => child.once('close', resolve));
    t.equal(status, 1);
    t.equal(stderr, 'client-keystone-auth: the keyring helper is for the plugin itself\n');
  }
  t.notOk(isSprung(), 'no program ran');
});

const HOSTILE_NAMES = [
  'BASH_ENV',
  'CURL_CA_BUNDLE',
  'CURL_HOME',
  'CURL_SSL_BACKEND',
  'DBUS_SYSTEM_BUS_ADDRESS',
  'ENV',
  'GCONV_PATH',
  'GIO_EXTRA_MODULES',
  'GIO_USE_VFS',
  'GNUTLS_SYSTEM_PRIORITY_FILE',
  'GSSAPI_PLUGINS',
  'GSS_MECH_CONFIG',
  'HOSTALIASES',
  'KRB5RCACHEDIR',
  'KRB5RCACHENAME',
  'KRB5_KDC_PROFILE',
  'KRB5_KTNAME',
  'KRB5_TRACE',
  'LOCPATH',
  'NETRC',
  'NLSPATH',
  'OPENSSL_MODULES',
  'P11_KIT_STRICT',
  'PKCS11_PROVIDER_MODULE',
  'PYTHONSTARTUP',
  'RES_OPTIONS',
  'SSLKEYLOGFILE',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'TMPDIR',
  'XDG_CONFIG_HOME',
  'XDG_DATA_DIRS',
  'http_proxy',
  'ALL_PROXY',
  'OS_PASSWORD',
];

/** Variables that a shell script adds to its own environment. */
const OF_THE_SHELL = ['PWD', 'OLDPWD', 'SHLVL', '_'];

const listNames = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => /^(\w+)=/.exec(line)?.[1] ?? [])
    .filter((name) => !OF_THE_SHELL.includes(name))
    .toSorted();

await t.test('a kubeconfig does not choose curl, klist or what they load', { skip }, async (t) => {
  const standIn = await startKeystoneForTest(t);
  const kerberos = { OS_AUTH_TYPE: 'v3kerberos', OS_AUTH_URL: `${standIn.url}/v3`, OS_UNSCOPED: 'true' };
  for (const name of ['curl', 'klist']) {
    await t.test(`${name} is not chosen by the PATH of a kubeconfig`, async (t) => {
      const trap = setTrap(t);
      trap.addProgram(name);
      const PATH = `${trap.folder}:/usr/bin:/bin`;
      await runPlugin({ home: makeTestHome(t), env: { ...kerberos, PATH } });
      t.ok(trap.isSprung(), 'the person may choose it');
      trap.reset();
      await runAsKubectl({ home: makeTestHome(t), stanza: { ...kerberos, PATH } });
      t.notOk(trap.isSprung(), 'a kubeconfig may not');
      await runAsKubectl({ home: makeTestHome(t), shell: { PATH }, stanza: { ...kerberos, PATH: '/nowhere' } });
      t.ok(trap.isSprung(), "kubectl's own PATH counts");
    });

    await t.test(`${name} gets only what Kerberos needs`, async (t) => {
      const trap = setTrap(t);
      trap.addProgram(name);
      const canaries = Object.fromEntries(HOSTILE_NAMES.map((hostile) => [hostile, join(trap.folder, hostile)]));
      const personal = { KRB5CCNAME: 'FILE:/nowhere', KRB5_CONFIG: '/etc/krb5.conf', KRB5_CLIENT_KTNAME: '/nowhere' };
      const env = { ...canaries, ...kerberos, ...personal, PATH: `${trap.folder}:/usr/bin:/bin` };
      await runPlugin({ home: makeTestHome(t), env });
      t.strictSame(listNames(trap.canary), ['HOME', 'KRB5CCNAME', 'KRB5_CLIENT_KTNAME', 'KRB5_CONFIG', 'LC_ALL']);
      t.strictSame(readdirSync(trap.folder), [name], 'no other file was written');
    });
  }

  for (const name of ['KRB5CCNAME', 'KRB5_CONFIG', 'KRB5_CLIENT_KTNAME']) {
    await t.test(`${name} of a kubeconfig is an error`, async (t) => {
      const trap = setTrap(t);
      for (const program of ['curl', 'klist']) trap.addProgram(program);
      const shell = { PATH: `${trap.folder}:/usr/bin:/bin` };
      const stanza = { ...kerberos, [name]: trap.canary };
      const result = await runAsKubectl({ home: makeTestHome(t), shell, stanza });
      checkFailure(t, result, EXIT_STATUS.config, { says: [`${name} must not come from a kubeconfig`, 'shell'] });
      t.notOk(trap.isSprung(), 'nothing was started');
      await runAsKubectl({ home: makeTestHome(t), shell: { ...shell, [name]: trap.canary }, stanza });
      t.ok(trap.isSprung(), 'it may be what the person has set');
    });
  }
});

await t.test('the system curl writes no trace and reads no hostile configuration', { skip }, async (t) => {
  const standIn = await startKeystoneForTest(t);
  const { folder } = setTrap(t);
  const kerberos = { OS_AUTH_TYPE: 'v3kerberos', OS_AUTH_URL: `${standIn.url}/v3`, OS_UNSCOPED: 'true' };
  const canaries = Object.fromEntries(HOSTILE_NAMES.map((name) => [name, join(folder, name)]));
  for (const run of [
    runPlugin({ home: makeTestHome(t), env: { ...canaries, ...kerberos } }),
    runAsKubectl({ home: makeTestHome(t), stanza: { ...canaries, ...kerberos } }),
  ]) {
    t.not((await run).status, 0, 'there is no ticket');
  }
  t.strictSame(readdirSync(folder), []);
});

await t.test('a kubeconfig does not choose the browser', { skip }, async (t) => {
  const standIn = await startKeystoneForTest(t);
  const makeLogin = async (): Promise<EnvVars> => ({
    OS_AUTH_TYPE: 'v3websso',
    OS_AUTH_URL: `${standIn.url}/v3`,
    OS_IDENTITY_PROVIDER: 'idp',
    OS_PROTOCOL: 'openid',
    OS_REDIRECT_PORT: String(await findFreePort()),
    OS_UNSCOPED: 'true',
  });
  /** Waits until nobody has logged in: by then the browser has been started. */
  const waitForEnd = async (t: Test, command: TerminalCommand): Promise<string> => {
    const terminal = openTerminal({ ...command, cols: 200 });
    t.teardown(() => terminal.close());
    await terminal.ended;
    return terminal.screen();
  };
  const args = ['--login-timeout=1'];
  const { addProgram, canary, isSprung, reset, folder } = setTrap(t);
  const browser = addProgram('browser');
  addProgram('xdg-open');
  const waitForCanary = (): Promise<boolean> => waitUntil('the browser', isSprung);
  const desktop = { DISPLAY: ':77', PATH: '/nowhere' };
  const hostile: Readonly<Record<string, EnvVars>> = {
    'a command in BROWSER': { BROWSER: `${browser} %s`, DISPLAY: ':77' },
    'a shell in BROWSER': { BROWSER: `/bin/sh ${browser} %s`, DISPLAY: ':77' },
    'a name on the PATH': { BROWSER: 'browser', DISPLAY: ':77', PATH: `${folder}:/usr/bin:/bin` },
    'xdg-open on the PATH': { DISPLAY: ':77', PATH: `${folder}:/usr/bin:/bin` },
  };
  for (const [name, env] of Object.entries(hostile)) {
    await t.test(name, async (t) => {
      const stanza = { ...(await makeLogin()), ...env };
      const screen = await waitForEnd(
        t,
        makeKubectlCommand({ home: makeTestHome(t), shell: desktop, stanza, args }, true),
      );
      t.match(screen, /Open this address in your browser/, 'the address is shown');
      t.notOk(isSprung(), 'a kubeconfig may not choose it');
      const shell = { ...desktop, ...env };
      await waitForEnd(t, makeKubectlCommand({ home: makeTestHome(t), shell, stanza, args }, true));
      t.ok(await waitForCanary(), 'the person may choose it, also for kubectl');
      reset();
    });
  }
  await t.test('the variables of a kubeconfig do not reach the browser', async (t) => {
    const stanza = {
      ...(await makeLogin()),
      LD_LIBRARY_PATH: '/hostile',
      XDG_DATA_DIRS: '/hostile',
      BROWSER: '/hostile',
    };
    const shell = { ...desktop, BROWSER: browser };
    await waitForEnd(t, makeKubectlCommand({ home: makeTestHome(t), shell, stanza, args }, true));
    await waitForCanary();
    t.notMatch(readFileSync(canary, 'utf8'), /hostile|KUBERNETES_EXEC_INFO|^OS_/m);
    reset();
  });
  await t.test('a wrapper that kubectl starts does not count as the person', async (t) => {
    const stanza = { ...(await makeLogin()), BROWSER: browser, DISPLAY: ':77' };
    const info = { KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: true }) };
    const command = makeKubectlCommand({ home: makeTestHome(t), shell: { ...stanza, ...info }, stanza, args }, true);
    await waitForEnd(t, command);
    t.notOk(isSprung());
  });
  await t.test('doctor does not start what the kubeconfig names', async (t) => {
    const home = makeTestHome(t);
    const kubeconfig = join(home.path, 'config');
    const stanza = { ...(await makeLogin()), BROWSER: browser, DISPLAY: ':77', PATH: `${folder}:/usr/bin:/bin` };
    const variables = Object.entries(stanza).map(([name, value]) => ({ name, value }));
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'client-keystone-auth', env: variables };
    const document = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'u', user: { exec: { ...exec, interactiveMode: 'IfAvailable' } } }],
    };
    writeFileSync(kubeconfig, JSON.stringify(document));
    const [file, ...words] = PLUGIN_COMMAND;
    const screen = await waitForEnd(t, {
      file,
      args: [...words, 'doctor', '--kubeconfig', kubeconfig, ...args],
      env: makeEnvironment(home, desktop),
      cwd: home.path,
    });
    t.match(screen, /with the settings of the kubeconfig/);
    t.notOk(isSprung());
  });
});
