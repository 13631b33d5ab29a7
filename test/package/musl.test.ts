/**
 * The executable for musl where nothing else is: no shell, no certificate authorities, no users, no temporary folder. Alpine
 * has more. The libraries are those of a current Alpine and Debian.
 */
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { startReleaseServer } from '../../scripts/release/installations/release-server.ts';
import { setUpAlice } from '../support/alice.ts';
import { answer, openTestTerminal } from '../support/answer-prompts.ts';
import { makeTerminalCommand, readStdout } from '../support/browser-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, readExecCredential } from '../support/check-run.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture, Needs, Runner } from '../support/fixture.ts';
import { makeEnvironment } from '../support/home.ts';
import { KEYRING_MISSING, listPluginLines, runWithKeyring } from '../support/keyring.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { GET_PODS_ARGS, makeAliceSettings, POD_LINE, setUpKubectl } from '../support/kubectl-fixture.ts';
import { requireKubectl } from '../support/missing-tools.ts';
import { PLUGIN, prepareMuslSystem } from '../support/musl-system.ts';
import type { Mounts } from '../support/musl-system.ts';
import { watchRequests } from '../support/request-log.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/stand-in-login.ts';
import { PATIENT, startProgram } from '../support/stress.ts';
import { runWithStty } from '../support/terminal.ts';
import { findTestEnvironment } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const musl = await prepareMuslSystem();
const kubectl = await requireKubectl('new');

/** Where OpenSSL, and Alpine, have the authorities of the system. */
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';

const makeCommand = (program: string, mounts?: Mounts): readonly string[] =>
  'skip' in musl ? [] : musl.makeCommand(program, mounts);

/** Runs the plugin in such a system, which has the home. */
const makeRunner =
  (mounts: Mounts = {}): Runner =>
  ({ home, args = [], env = {}, cwd = home.path }) =>
    startProgram(
      [...makeCommand(PLUGIN, { ...mounts, folders: [home.path] }), ...args],
      makeEnvironment(home, env),
      cwd,
    ).ended;

const setUpPerson = (t: Test, needs: Needs = {}): Fixture => setUp(t, { runner: makeRunner(), ...needs });

function testOnMusl(name: string, body: (t: Test) => Promise<void>, missing: string | false = false): void {
  void test(name, { skip: 'skip' in musl ? musl.skip : missing }, body);
}

function testOnMuslWithKeystone(
  name: string,
  body: (t: Test, environment: TestEnvironment) => Promise<void>,
  missing: string | false = false,
): void {
  const environment = findTestEnvironment();
  if ('missing' in environment) void test(name, { skip: environment.missing }, () => undefined);
  else testOnMusl(name, (t) => body(t, environment), missing);
}

testOnMusl('with musl, the plugin starts without /proc and without a home', async (t) => {
  for (const proc of [true, false])
    t.match(await startProgram([...makeCommand(PLUGIN, { proc }), '--version'], {}).ended, {
      status: 0,
      stdout: /^\d+\.\d+\.\d+\n$/,
      stderr: '',
    });
});

testOnMusl('with musl, the plugin logs in, and shares its cache with the executable for glibc', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUpPerson(t, { settings: makeLoginSettings(`${keystone.url}/v3`) });
  const token = await alice.getToken();
  t.equal(await alice.getToken(), token, 'the second run takes the token from the cache');
  const elsewhere = await runPlugin({ home: alice.home, env: alice.settings });
  t.equal(checkSuccess(t, elsewhere).token, token, 'and so does the executable for glibc');
  t.match(await alice.run('status'), { status: 0, stdout: /alice/, stderr: '' });
  t.equal(keystone.countLogins(), 1);
});

testOnMusl('with musl, many plugins at once log in once', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUpPerson(t, { settings: makeLoginSettings(`${keystone.url}/v3`) });
  const runs = await Promise.all(Array.from({ length: 12 }, () => alice.run(...PATIENT)));
  t.equal(new Set(runs.map((run) => checkSuccess(t, run).token)).size, 1, 'one token');
  t.equal(keystone.countLogins(), 1);
});

testOnMusl('with musl, the plugin trusts the authorities that it is given, and those of the system', async (t) => {
  const name = 'keystone.corp.example';
  const folder = t.testdir({ hosts: `127.0.0.1 ${name}\n` });
  const pki = await makePki(join(folder, 'pki'));
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const settings = makeLoginSettings(`${keystone.url}/v3`);
  const stranger = setUpPerson(t, { settings });
  checkFailure(t, await stranger.run(), EXIT_STATUS.unreachable, { says: ['not trusted'] });
  t.equal(keystone.countLogins(), 0);
  const alice = setUpPerson(t, { settings: { ...settings, OS_CACERT: 'ca.pem' } });
  alice.writeFile('ca.pem', readFileSync(pki.ca, 'utf8'));
  checkSuccess(t, await alice.run());
  const files = { [AUTHORITIES]: pki.ca, '/etc/hosts': join(folder, 'hosts') };
  const system = setUpPerson(t, { settings, runner: makeRunner({ files }) });
  checkSuccess(t, await system.with({ OS_AUTH_URL: `${keystone.url.replace('127.0.0.1', name)}/v3` }).run());
  t.equal(keystone.countLogins(), 2);
});

testOnMusl('with musl, the plugin prompts for the password on a terminal, and Ctrl-C restores it', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const settings = { ...makeLoginSettings(`${keystone.url}/v3`), OS_PASSWORD: undefined };
  const { home } = setUpPerson(t);
  const command = makeTerminalCommand({ home, settings, command: makeCommand(PLUGIN, { folders: [home.path] }) });
  const canceled = await runWithStty(command, async (terminal) => {
    await terminal.waitFor('? Password');
    terminal.type('half\x03');
  });
  t.equal(canceled.exitCode, EXIT_STATUS.canceled);
  t.equal(canceled.after, canceled.before, 'the terminal is as it was');
  t.equal(keystone.countLogins(), 0);

  const terminal = openTestTerminal(t, command);
  await answer(terminal, '? Password of alice (domain acme)', PASSWORD);
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  t.notOk(terminal.raw().includes(PASSWORD), 'the password is not shown');
  readExecCredential(t, readStdout({ home }));
});

testOnMuslWithKeystone('with musl, doctor finds nothing wrong with a real Keystone', async (t, environment) => {
  const alice = setUpAlice(t, environment, {
    keystone: watchRequests(getTlsKeystone()),
    path: '',
    settings: { OS_CACERT: 'ca.pem' },
    files: { 'ca.pem': readFileSync(environment.pki.ca, 'utf8') },
    runner: makeRunner(),
  });
  const { stdout } = await alice.run('doctor', '--no-cluster', '-o', 'json');
  const findings = JSON.parse(stdout) as DoctorCheck[];
  t.strictSame(
    findings.filter(({ result }) => result !== 'good'),
    [],
  );
  await alice.getToken();
  t.equal(alice.countLogins(), 2, 'a request for the methods, and one login');
});

testOnMusl('with musl, install.sh installs the executable for musl, from a server', async (t) => {
  if ('skip' in musl) return;
  const server = await startReleaseServer('out/release');
  t.teardown(() => server.stop());
  const folder = t.testdir({ 'install.sh': readFileSync('out/install.sh', 'utf8'), tools: {}, prefix: {}, tmp: {} });
  const [tools, prefix] = [join(folder, 'tools'), join(folder, 'prefix')];
  symlinkSync(musl.linker, join(tools, 'ldd'));
  // The link leads out of the folder that is visible there.
  const linker = dirname(musl.linker);
  const command = [...musl.makeMixedCommand('/bin/sh', [folder, linker]), join(folder, 'install.sh')];
  const words = ['--base-url', server.url, '--prefix', prefix];
  const env = { PATH: `${tools}:/usr/bin:/bin`, HOME: folder, TMPDIR: join(folder, 'tmp') };
  const { status, stdout, stderr } = await startProgram([...command, ...words], env).ended;
  t.match({ status, stdout }, { status: 0, stdout: /^installed client-keystone-auth \d+\.\d+\.\d+ in / }, stderr);
  const installed = readFileSync(join(prefix, 'bin/client-keystone-auth'));
  t.ok(installed.equals(readFileSync(musl.executable)), 'the one for musl');
});

testOnMusl('with musl and without a keyring, login says so before it saves a secret', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUpPerson(t, { keystone, settings: makeLoginSettings(`${keystone.url}/v3`) });
  checkFailure(t, await alice.run('login', '--save-secret'), EXIT_STATUS.config, {
    says: [/the keyring cannot be used, so no secret can be saved; unlock the keyring, or start one/],
  });
  t.equal(keystone.requests.length, 0);
});

testOnMusl(
  'with musl, the keyring keeps a saved secret',
  async (t) => {
    const keystone = await startKeystoneForTest(t);
    const settings = { ...makeLoginSettings(`${keystone.url}/v3`), OS_PASSWORD: undefined };
    const alice = setUpPerson(t, { settings });
    // The socket of the bus is in the temporary folder.
    const command = makeCommand(PLUGIN, { folders: [tmpdir()] });
    const script = 'OS_PASSWORD="$PASSWORD" "$@" login --save-secret; part; "$@" --force-refresh';
    const { parts, stderr } = await runWithKeyring(alice, script, { command, env: { PASSWORD } });
    t.strictSame(listPluginLines(stderr), []);
    t.match(parts[0], /^In the keyring +the password of alice/m);
    readExecCredential(t, parts[1] ?? '');
    t.equal(keystone.countLogins(), 2);
  },
  KEYRING_MISSING,
);

testOnMuslWithKeystone(
  'with musl, kubectl runs the plugin',
  async (t, environment) => {
    const program = join(t.testdir({}), 'kubectl');
    // A variable of the shell: the fixture makes the home.
    const command = makeCommand('/kubectl', {
      folders: ['$HOME'],
      files: { '/kubectl': 'path' in kubectl ? kubectl.path : '' },
    });
    writeFileSync(program, `#!/bin/sh\nexec ${command.map((word) => `"${word}"`).join(' ')} "$@"\n`, { mode: 0o755 });
    const fixture = await setUpKubectl(t, environment, { program });
    await fixture.writeKubeconfig({ command: PLUGIN, env: makeAliceSettings(environment, fixture) });
    for (const run of ['the first', 'the second'])
      t.match(await fixture.kubectl(GET_PODS_ARGS), { status: 0, stdout: POD_LINE, stderr: '' }, run);
    t.equal(fixture.countLogins(), 1);
  },
  'missing' in kubectl && kubectl.missing,
);
