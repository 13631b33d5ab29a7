/**
 * Every command with hostile values for any variable: it ends with a documented status, prints one document or nothing on
 * stdout, no stack trace and no secret, and writes below its home folder only.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { COMMANDS, GET_TOKEN_COMMAND } from '../../src/plugin/commands/registry.ts';
import type { CommandDescription } from '../../src/plugin/commands/command.ts';
import { EXIT } from '../../src/plugin/cli/exit-status.ts';
import { LOCATION_VARIABLES } from '../../src/plugin/fast-path/fingerprint-inputs.ts';
import { isPrintable } from '../../src/shared/base/terminal-text.ts';
import { PASSWORD } from '../support/check-run.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeExecInfo } from '../support/home.ts';
import { checkProperty } from '../support/property.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { startProgram } from '../support/stress.ts';

// --- Commands ---

/** Values for arguments that have no choices. */
const ARGUMENTS: Readonly<Record<string, string>> = { URL: 'http://127.0.0.1:1/kube-config' };

/** A deadline, so that a run does not wait for a server for long. */
const DEADLINE = ['--timeout', '3'];

/** They print their report whatever happens. */
const REPORTERS = ['doctor', 'logout', 'cache clean'];
/** They print the token. */
const PRINTS_TOKEN = ['get-token', 'token'];

interface CommandLine {
  readonly name: string;
  readonly args: readonly string[];
  readonly isJson: boolean;
}

function makeCommandLine({ words, arguments: own = [], options }: CommandDescription): CommandLine {
  const required = own.filter((argument) => argument.required === true);
  const values = required.map(({ name, choices }) => choices?.[0] ?? ARGUMENTS[name] ?? name.toLowerCase());
  const isJson = options.some(({ name }) => name === 'output');
  return {
    name: words.join(' '),
    args: [...words, ...values, ...(isJson ? ['-o', 'json'] : []), ...DEADLINE],
    isJson: isJson || words[0] === 'get-token',
  };
}

const COMMAND_LINES = [GET_TOKEN_COMMAND, ...COMMANDS].map(makeCommandLine);

// --- Variables ---

/**
 * Variables that the program or its libraries read without an option. Those of Node itself are not among them, nor LC_ALL
 * and LANG: Node crashes if they name no locale, before it runs any code.
 */
const MORE_VARIABLES = [
  ...['BROWSER', 'DBUS_SESSION_BUS_ADDRESS', 'DISPLAY', 'KUBECONFIG', 'KUBECTL_KUBERC', 'KUBERC', 'NO_COLOR', 'PATH'],
  ...['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy', 'NO_PROXY', 'no_proxy'],
  ...['REQUEST_METHOD', 'KUBERNETES_EXEC_INFO', 'TERM'],
  ...['TZ', 'TMPDIR', 'COLUMNS', 'FORCE_COLOR', 'XDG_RUNTIME_DIR', 'WAYLAND_DISPLAY', 'SSH_TTY'],
];

const VARIABLES = [
  ...new Set([
    ...OPTIONS.flatMap(({ env = [], legacyEnv = [] }) => [...env, ...legacyEnv]),
    ...COMMANDS.flatMap(({ options }) => options.flatMap(({ env = [] }) => env)),
    ...LOCATION_VARIABLES,
    ...MORE_VARIABLES,
  ]),
];

/** What is in the folder of traps besides the home folder. */
const TRAPS = ['pipe', 'folder', 'secret', 'link'];
const SECRET = 'canary-of-a-file';
const SPRUNG = 'sprung';

/** Values for any variable. Paths are below TRAP, or cannot be created. Addresses are loopback only. */
const VALUES = [
  ...['', ' ', '\n', '\t', 'a', 'true', 'false', '0', '-1', '1e9', '99999999999999999999', 'NaN', 'null', 'all', 'v3'],
  ...['\u001b]0;title\u0007', '\u001b[2J', '\u202eb', '\u00e4', 'a\u0308', '\ufffd', '\u{1f600}', 'a'.repeat(100_000)],
  ...[
    '%s%n%x',
    '${HOME}',
    '$HOME',
    `$(touch ${SPRUNG})`,
    `\`touch ${SPRUNG}\``,
    `; touch ${SPRUNG}`,
    '-o',
    '--',
    '--help',
  ],
  ...['/dev/null', '/dev/zero', '/dev/full', '/dev/stdin', '/dev/null/x', '/proc/self/environ', '/proc/self/mem', '..'],
  ...TRAPS.map((name) => `TRAP/${name}`),
  ...['TRAP/secret/x', 'TRAP/absent/x', '~', '~/x', './x', 'C:\\x', '\\\\host\\share', 'file:///etc/passwd'],
  ...[
    'http://127.0.0.1:1',
    'https://127.0.0.1:1/v3',
    'https://[::1]:1',
    'http://[::1',
    'https://',
    '//127.0.0.1:1',
    ':0',
  ],
  ...['https://u:p@127.0.0.1:1', 'http://127.0.0.1:99999', 'javascript:1', 'data:,x', 'unix:path=/dev/null'],
  ...[`unixexec:path=/bin/sh,argv1=-c,argv2=touch ${SPRUNG}`, 'tcp:host=127.0.0.1,port=1', `sh -c "touch ${SPRUNG}"`],
  ...['{', '[]', '{}', '"', '{"a":1}', '['.repeat(10_000), '{"__proto__":{"a":1}}', 'a: &a [*a]', '!!js/function x'],
  ...[makeExecInfo(), makeExecInfo({ interactive: true, cluster: { server: 'https://127.0.0.1:1' } })],
  ...['FILE:TRAP/secret', 'DIR:TRAP/folder', 'KEYRING:x', 'keyring', 'none', 'file', 'v3password,v3totp', 'token-1'],
  ...OPTIONS.flatMap(({ choices = [] }) => choices),
  ...['password', 'v3oidcpassword', 'v3websso', 'v3kerberos', 'v4k8s', 'v4jwt', 'v3oidcauthcode', 'v3oidcdeviceauthz'],
];

type Settings = Readonly<Record<string, string>>;

/** Without a usable HOME, the home folder is the one of the account, which a test must not write to. */
const isHarmless = ([name, value]: readonly [string, string]): boolean => name !== 'HOME' || value.startsWith('TRAP/');

const settings: fc.Arbitrary<Settings> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...VARIABLES), fc.constantFrom(...VALUES)).filter(isHarmless), {
    minLength: 1,
    maxLength: 4,
    selector: ([name]) => name,
  })
  .map((pairs) => Object.fromEntries(pairs));

// --- Runs ---

/** Lists what is below a folder, with the content of small files, without the home folder. */
function takeInventory(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name !== 'home' && !name.startsWith('home/'))
    .map((name) => {
      const stats = lstatSync(join(root, name));
      const content = stats.isFile() ? readFileSync(join(root, name), 'utf8').slice(0, 200) : '';
      return `${name} ${stats.mode.toString(8)} ${content}`;
    })
    .toSorted();
}

function makeMachine(folder: string): string {
  const root = mkdtempSync(join(folder, 'machine-'));
  for (const name of ['home/.config/openstack', 'work', 'trap/folder'])
    mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, 'trap', 'secret'), `${SECRET}\n`, { mode: 0o600 });
  execFileSync('mkfifo', [join(root, 'trap', 'pipe')]);
  execFileSync('ln', ['-s', '/dev/null/absent', join(root, 'trap', 'link')]);
  const clouds = { clouds: { one: { auth: { password: SECRET, auth_url: 'http://127.0.0.1:1' } } } };
  writeFileSync(join(root, 'home/.config/openstack/clouds.yaml'), JSON.stringify(clouds));
  return root;
}

/** Variables that say where the plugin may write. */
const PLACES = ['CLIENT_KEYSTONE_AUTH_CACHE_DIR', 'XDG_CACHE_HOME', 'HOME', 'KUBECONFIG'];

/** Checks that nothing has changed, and that everything new is where a variable says. */
function checkInventory(root: string, before: readonly string[], hostile: Settings): void {
  const after = takeInventory(root);
  const changed = before.filter((entry) => !after.includes(entry));
  assert.deepEqual(changed, [], 'nothing is changed outside of the home folder');
  const places = PLACES.flatMap((name) => hostile[name] ?? []).map((path) => resolve(root, 'work', path));
  // A place, what is below it or next to it with a longer name, and the folders that lead to it.
  const isAtPlace = (path: string): boolean =>
    places.some((place) => path.startsWith(place) || place.startsWith(`${path}/`));
  const added = after.filter((entry) => !before.includes(entry) && !isAtPlace(join(root, entry.replace(/ .*$/s, ''))));
  assert.deepEqual(added, [], 'nothing is written outside of the home folder');
}

/** One document as JSON, or any text without control characters. */
function checkDocument(stdout: string, isJson: boolean): void {
  if (isJson) JSON.parse(stdout);
  for (const line of stdout.split('\n')) assert.ok(isPrintable(line), 'stdout is printable');
}

const STATUSES: readonly (number | null)[] = Object.values(EXIT);

function checkResult({ name, isJson }: CommandLine, { status, signal, stdout, stderr }: RunResult): void {
  assert.equal(signal, null, 'it ends by itself');
  assert.ok(STATUSES.includes(status), `status ${String(status)} is documented`);
  assert.doesNotMatch(stderr, /internal error|^\s+at .*[:(]\d+:\d+/m, 'no crash');
  for (const line of stderr.split('\n')) assert.ok(isPrintable(line), `stderr is printable: ${JSON.stringify(line)}`);
  const output = stdout + stderr;
  for (const secret of [PASSWORD, SECRET]) assert.ok(!output.includes(secret), 'no secret');
  if (!PRINTS_TOKEN.includes(name)) assert.doesNotMatch(output, /gAAAA/, 'no token');
  assert.doesNotMatch(stderr, /gAAAA/, 'no token in a message');
  if (status === 0) checkDocument(stdout, isJson);
  else if (!REPORTERS.includes(name)) assert.equal(stdout, '', 'a failure prints nothing on stdout');
  if (status !== 0 && !REPORTERS.includes(name)) assert.notEqual(stderr, '', 'a failure says why');
}

await t.test('no variable makes a command crash, hang, leak a secret or write elsewhere', async (t) => {
  const folder = t.testdir();
  const keystone = await startKeystoneForTest(t);
  const login = makeLoginSettings(`${keystone.url}/v3`);
  const statuses = new Map<number | null, number>();
  const check = async (line: CommandLine, hostile: Settings): Promise<void> => {
    const root = makeMachine(folder);
    const home = { path: join(root, 'home'), cache: '', remove: () => undefined };
    const inPlace = Object.entries(hostile).map(([name, value]) => [name, value.replace('TRAP', join(root, 'trap'))]);
    const variables = Object.fromEntries(inPlace) as Settings;
    const env = makeEnvironment(home, { ...login, ...variables });
    const before = takeInventory(root);
    const result = await startProgram([...PLUGIN_COMMAND, ...line.args], env, join(root, 'work')).ended;
    checkResult(line, result);
    checkInventory(root, before, variables);
    statuses.set(result.status, (statuses.get(result.status) ?? 0) + 1);
    rmSync(root, { recursive: true, force: true });
  };
  const property = fc.asyncProperty(fc.constantFrom(...COMMAND_LINES), settings, check);
  await checkProperty(t, property, 16, 0);
  t.ok(statuses.has(EXIT.ok), 'some runs succeed');
  const counts = [...statuses].map(([status, count]) => `${count} with status ${String(status)}`);
  t.comment(`${VARIABLES.length} variables, ${COMMAND_LINES.length} commands: ${counts.join(', ')}`);
});
