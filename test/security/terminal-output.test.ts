// Nothing that others write changes a terminal: every option, every key of clouds.yaml, every part of a kubeconfig,
// every text of a server, and names of files, in the output of every command and in prompts.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { isInCloudsYaml } from '../../src/plugin/config/option.ts';
import { escapeJson, makePrintable, renderJson, renderLines } from '../../src/shared/base/terminal-text.ts';
import { openLog } from '../../src/webhook/observability/log.ts';
import { answer, openTestTerminal } from '../support/answer-prompts.ts';
import { makeTerminalCommand, readStdout } from '../support/browser-login.ts';
import { makeExecInfo, makeTestHome } from '../support/home.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/stand-in-login.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import type { Terminal } from '../support/terminal.ts';

/** One of each kind. NUL is missing, because no argument, variable or file name can contain it. */
const KINDS = {
  'a title and a cleared screen': '\u001b]0;title\u0007\u001b[2J',
  'C1 controls': '\u0085\u009b2J\u009d',
  'other controls': '\b\r\n\t\u007f',
  'bidirectional characters': '\u200e\u202e\u2066\u061c',
  'zero-width characters': '\u200b\u200d\u2060\ufeff\u00ad\u034f\u180e',
  'separators of lines': '\u2028\u2029',
  'tags and variation selectors': '\u{e0001}\u{e0041}\u{e0100}\ufe0f',
  'fillers that are drawn as nothing': '\u3164\u115f\uffa0\u2800',
  'private, unassigned and annotation characters': '\ue000\u{10ffff}\ufff9',
};
const HOSTILE = `<${Object.values(KINDS).join('|')}>`;
/** What a file or JSON can also contain. */
const HOSTILE_IN_FILES = `${HOSTILE}\u0000\ud800`;

/** Written down again: the test must not share the list of the program. */
const FORBIDDEN =
  /[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Co}\p{Cn}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2028\u2029\u2800\u3164\ufe00-\ufe0f\uffa0]|[\u{e0000}-\u{e0fff}]/u;

const ESCAPED = String.raw`<\u{1b}]0;title\u{7}\u{1b}[2J|\u{85}\u{9b}2J`;

function checkOutput(t: Test, { stdout, stderr }: CommandOutput, name: string): void {
  for (const [stream, text] of Object.entries({ stdout, stderr })) {
    const found = FORBIDDEN.exec(text);
    if (found !== null) t.fail(`${name}: ${stream} has ${JSON.stringify(text.slice(found.index - 80).slice(0, 100))}`);
  }
  for (const line of stderr.split('\n').filter((text) => text !== '')) {
    if (!/^(?:client-keystone-auth: |\{)/.test(line)) t.fail(`${name}: a value starts a line: ${JSON.stringify(line)}`);
  }
}

interface HostileRun {
  readonly env?: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

/** Makes a folder that is home and current folder, and a function that runs a command in it. */
function setUpFolder(t: Test): { folder: string; run: (run: HostileRun) => Promise<CommandOutput> } {
  const folder = mkdtempSync(join(tmpdir(), 'cka-terminal-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const parts = {
    now: Date.now,
    cwd: folder,
    home: () => folder,
    uid: process.getuid?.(),
    stderrIsTerminal: () => true,
  };
  return { folder, run: ({ args, env = {} }) => runInProcess({ ...parts, argv: args, env }) };
}

void t.test('each kind of character is escaped by itself, in lines and in JSON', async (t) => {
  for (const [kind, characters] of Object.entries({ ...KINDS, 'half a pair and NUL': '\ud800\u0000' })) {
    for (const character of characters) {
      t.notMatch(makePrintable(character), FORBIDDEN, kind);
      t.notMatch(renderLines([[{ style: 'red', text: character }, character]]), FORBIDDEN, kind);
      t.notMatch(renderJson({ [character]: [character] }, 2), FORBIDDEN, kind);
      t.strictSame(JSON.parse(renderJson({ [character]: [character] })), { [character]: [character] });
    }
  }
  t.equal(renderLines(['a\nb']), 'a\\u{a}b\n', 'a line stays one line');
  const long = makePrintable(`${'a'.repeat(10_000_000)}; do this`);
  t.ok(long.length < 40_000 && long.endsWith('; do this'), 'a long line is cut in the middle');
});

void t.test('no option and no variable changes the terminal', async (t) => {
  const { run } = setUpFolder(t);
  let shown = 0;
  const count = (name: string, output: CommandOutput): void => {
    checkOutput(t, output, name);
    if ((output.stdout + output.stderr).includes(ESCAPED)) shown += 1;
  };
  const login = { OS_AUTH_URL: 'https://keystone.test/v3', OS_USERNAME: 'alice', OS_PASSWORD: 'x' };
  for (const option of OPTIONS) {
    // A secret of its own: its text is redacted from then on.
    const value = option.secret ? `secret ${HOSTILE}` : option.kind === 'file' ? `/nowhere/${HOSTILE}` : HOSTILE;
    for (const name of option.env ?? []) {
      count(name, await run({ args: ['explain'], env: { ...login, [name]: value } }));
    }
    if (option.flag !== false) {
      count(option.name, await run({ args: ['explain', '-vvv', `--${option.name}=${value}`], env: login }));
    }
  }
  const proxies = [
    'HTTPS_PROXY',
    'NO_PROXY',
    'KUBECONFIG',
    'KUBERNETES_EXEC_INFO',
    'XDG_CACHE_HOME',
    'HOME',
    'BROWSER',
  ];
  const env = Object.fromEntries(proxies.map((name) => [name, HOSTILE]));
  for (const { words, options } of COMMANDS) {
    for (const option of [...options, { name: HOSTILE }]) {
      const args = [...words, `--${option.name}=${HOSTILE}`];
      count(args.join(' '), await run({ args, env: { ...env, OS_CLOUD: HOSTILE } }));
    }
    count(words.join(' '), await run({ args: [...words, HOSTILE, HOSTILE, '--log-format=json'], env }));
  }
  for (const args of [[], ['get-token'], [HOSTILE], ['get-token', HOSTILE], [`--${HOSTILE}`]]) {
    for (const cloud of [{ OS_CLOUD: HOSTILE }, {}]) {
      count(`get-token ${args.join(' ')}`, await run({ args, env: { ...env, ...cloud } }));
    }
  }
  t.ok(shown > 60, `most of them are shown, escaped: ${shown}`);
});

void t.test('no key and no value of clouds.yaml changes the terminal', async (t) => {
  const { folder, run } = setUpFolder(t);
  const secretNames = new Set(OPTIONS.filter(({ secret }) => secret).map(({ name }) => name.replaceAll('-', '_')));
  const names = OPTIONS.filter(isInCloudsYaml).map(({ name }) => name.replaceAll('-', '_'));
  const keys = ['profile', 'region_name', 'regions', 'auth_type', 'auth_methods', HOSTILE_IN_FILES, ...names];
  let shown = 0;
  for (const key of keys) {
    const value = secretNames.has(key) ? `secret ${HOSTILE_IN_FILES}` : HOSTILE_IN_FILES;
    const cloud = { auth: { auth_url: 'https://keystone.test/v3', [key]: value }, [key]: value };
    writeFileSync(join(folder, 'clouds.yaml'), JSON.stringify({ clouds: { [HOSTILE]: cloud, b: cloud } }));
    for (const args of [['explain', '--os-cloud', HOSTILE], ['login'], ['complete', '--', '--os-cloud', '']]) {
      const output = await run({ args });
      checkOutput(t, output, `${key}: ${args.join(' ')}`);
      if ((output.stdout + output.stderr).includes(ESCAPED)) shown += 1;
    }
  }
  writeFileSync(join(folder, 'clouds.yaml'), `clouds: {"a": {"b": ${HOSTILE_IN_FILES}`);
  checkOutput(t, await run({ args: ['explain'] }), 'invalid YAML');
  t.ok(shown > names.length, `they are shown, escaped: ${shown}`);
});

void t.test('no part of a kubeconfig changes the terminal', async (t) => {
  const { folder, run } = setUpFolder(t);
  const file = join(folder, 'config');
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: `${HOSTILE_IN_FILES}/client-keystone-auth`,
    args: ['get-token', `--os-auth-url=https://k.test`, `--user-name=${HOSTILE_IN_FILES}`],
    env: [
      { name: HOSTILE_IN_FILES, value: HOSTILE_IN_FILES },
      { name: 'OS_PROJECT_NAME', value: HOSTILE_IN_FILES },
    ],
    interactiveMode: 'IfAvailable',
    installHint: HOSTILE_IN_FILES,
  };
  const provider = { name: 'openstack', config: { [HOSTILE_IN_FILES]: HOSTILE_IN_FILES } };
  const cluster = { server: `https://${HOSTILE_IN_FILES}`, 'tls-server-name': HOSTILE_IN_FILES, extensions: HOSTILE };
  const name = HOSTILE_IN_FILES;
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [
      { name, user: { exec, [HOSTILE_IN_FILES]: HOSTILE_IN_FILES } },
      { name: `old ${name}`, user: { 'auth-provider': provider } },
      { name: `older ${name}`, user: { exec: { ...exec, apiVersion: HOSTILE_IN_FILES } } },
    ],
    contexts: [
      { name, context: { cluster: name, user: name, namespace: name } },
      { name: `old ${name}`, context: { cluster: name, user: `old ${name}` } },
      { name: `older ${name}`, context: { cluster: `none ${name}`, user: `older ${name}` } },
    ],
    'current-context': name,
  };
  const login = { OS_AUTH_URL: 'https://keystone.test/v3', OS_USERNAME: 'alice', OS_PROJECT_NAME: HOSTILE };
  const write = (content: unknown): void => {
    writeFileSync(file, JSON.stringify(content, null, 2));
  };
  const commands = [
    ['show'],
    ['add', '--dry-run', '--command', `/bin/${HOSTILE}`],
    ['add', '--dry-run', '--name', HOSTILE, '--user', HOSTILE, '--server', 'https://a.test', '--cluster', HOSTILE],
    ['convert', '--dry-run', '--all'],
    ['remove', '--dry-run', HOSTILE],
    ['remove', '--dry-run', HOSTILE_IN_FILES],
    ['convert', HOSTILE],
    ['add', '--name', 'new'],
    ['convert', '--all'],
  ];
  let shown = 0;
  write(kubeconfig);
  for (const words of commands) {
    for (const format of ['text', 'json', 'yaml']) {
      const args = ['kubeconfig', ...words, '--kubeconfig', file, '-o', format];
      const output = await run({ args, env: login });
      checkOutput(t, output, args.join(' '));
      if (/\\u(?:\{1b\}|001b)\]0;title/.test(output.stdout + output.stderr)) shown += 1;
    }
  }
  t.equal(shown, commands.length * 3, 'each shows it, escaped');
  const complete = ['complete', '--'];
  for (const words of [
    ['doctor'],
    [...complete, '--context', ''],
    [...complete, 'kubeconfig', 'add', '--cluster', ''],
  ]) {
    checkOutput(t, await run({ args: words, env: { ...login, KUBECONFIG: file } }), words.join(' '));
  }
  const execInfo = { KUBERNETES_EXEC_INFO: makeExecInfo({ cluster: { server: HOSTILE_IN_FILES } }) };
  checkOutput(t, await run({ args: ['-vvv'], env: { ...login, ...execInfo } }), 'the server of the cluster');
  for (const section of ['clusters', 'users', 'contexts']) {
    write({ ...kubeconfig, [section]: [...kubeconfig.users.slice(0, 1), ...kubeconfig.users.slice(0, 1)] });
    checkOutput(t, await run({ args: ['kubeconfig', 'show', '--kubeconfig', file] }), `a name twice in ${section}`);
  }
});

/** Adds the hostile text to every text of a response that is not an ID, a URL or a time. */
function poison(value: unknown, key = ''): unknown {
  if (typeof value === 'string') {
    return /^(?:id|url|href|expires_at|issued_at|domain_id|methods|interface)$/.test(key) ? value : value + HOSTILE;
  }
  if (Array.isArray(value)) return value.map((part) => poison(part, key));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, part]) => [name, poison(part, name)]);
  return Object.fromEntries(members) as unknown;
}

void t.test('no text of a server changes the terminal', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const { run } = setUpFolder(t);
  const login = makeLoginSettings(`${keystone.url}/v3`);
  const env = { ...login, CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' };
  keystone.answerAlways((_request, response, { makeDefaultResponse }) => {
    const { body, ...rest } = makeDefaultResponse();
    sendResponse(response, { ...rest, body: typeof body === 'string' ? body + HOSTILE : poison(body) });
  });
  const lists = {
    domains: [{ id: 'd1', name: HOSTILE, enabled: true }],
    catalog: [{ name: HOSTILE, type: HOSTILE, endpoints: [{ region: HOSTILE, interface: 'public', url: HOSTILE }] }],
  };
  for (const [name, list] of Object.entries(lists)) {
    keystone.answerAlways((_request, response) => {
      sendResponse(response, { status: 200, headers: {}, body: { [name]: list } });
    }, `GET /v3/auth/${name}`);
  }
  const commands = ['', 'token', 'whoami', 'projects', 'domains', 'catalog', 'login', 'doctor'].map((word) => [word]);
  const runs = commands.flatMap(([word = '']) =>
    word === '' || word === 'token' ? [[word, '-vvv']] : ['text', 'json', 'yaml'].map((format) => [word, '-o', format]),
  );
  let shown = 0;
  const runAll = async (): Promise<void> => {
    for (const args of runs.map((words) => words.filter((word) => word !== ''))) {
      const output = await run({ args, env });
      checkOutput(t, output, args.join(' '));
      if (/\\u(?:\{1b\}|001b)\]0;title/.test(output.stdout + output.stderr)) shown += 1;
    }
  };
  await runAll();
  t.ok(shown >= 12, `they are shown, escaped: ${shown}`);
  const fails = [
    { status: 401, body: { error: { message: HOSTILE, title: HOSTILE, code: 401 } } },
    { status: 300, body: HOSTILE },
    { status: 302, body: '', headers: { location: `https://a.test/${encodeURI(HOSTILE)}` } },
    { status: 503, body: HOSTILE, headers: { 'retry-after': '\u009b2J\u00ad' } },
    { status: 200, body: `{"${HOSTILE}"` },
  ];
  for (const { status, body, headers = {} } of fails) {
    keystone.answerAlways((_request, response) => {
      sendResponse(response, { status, body, headers: { 'x-openstack-request-id': 'req-\u009b2J', ...headers } });
    });
    for (const args of [['-vvv'], ['whoami', '--log-format=json'], ['doctor']]) {
      checkOutput(t, await run({ args, env }), `${status}: ${args.join(' ')}`);
    }
  }
});

void t.test('the log of the webhook stays JSON, with escapes', async (t) => {
  const lines: string[] = [];
  openLog('info', (line) => lines.push(escapeJson(line))).info({ user: HOSTILE_IN_FILES }, HOSTILE);
  t.notMatch(lines.join(''), FORBIDDEN);
  t.match(JSON.parse(lines[0] ?? ''), { msg: HOSTILE });
});

/** What the terminal layer itself writes: colors, the cursor, cleared lines. */
const OWN_SEQUENCES = /\x1b\[(?:\d*(?:;\d+)*m|\d*[A-GJK]|\?25[hl])/g;

function checkTerminal(t: Test, terminal: Terminal): void {
  // The terminal driver writes CR before each LF, and the prompts clear lines and move the cursor.
  const raw = terminal
    .raw()
    .replaceAll(OWN_SEQUENCES, '')
    .replaceAll(/\r(?=\n)/g, '');
  const found = FORBIDDEN.exec(raw);
  t.equal(found, null, JSON.stringify(raw.slice((found?.index ?? 0) - 50).slice(0, 100)));
  t.match(terminal.screen(), ESCAPED);
  t.notMatch(terminal.raw(), /\x1b\[2J|\x1b\]0/);
}

void t.test('prompts on a terminal show names of clouds, domains, clusters and projects with escapes', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const home = makeTestHome(t);
  const folder = join(home.path, 'checkout');
  mkdirSync(folder);
  const auth = { auth_url: `${keystone.url}/v3`, user_domain_name: `acme${HOSTILE}` };
  const clouds = { [HOSTILE]: { auth }, [`b${HOSTILE}`]: { auth } };
  writeFileSync(join(folder, 'clouds.yaml'), JSON.stringify({ clouds }));
  const info = makeExecInfo({ interactive: true, cluster: { server: `https://${HOSTILE}` } });
  const getToken = { OS_CLOUD: HOSTILE, KUBERNETES_EXEC_INFO: info };

  const first = openTestTerminal(t, { ...makeTerminalCommand({ home, settings: getToken }), cwd: folder });
  await answer(first, '? User name', 'alice');
  await answer(first, '? Project', 'web');
  await answer(first, '? Domain of the project', '');
  await answer(first, '? Password', PASSWORD);
  await first.ended;
  checkTerminal(t, first);
  t.match(
    keystone.requests.at(-1)?.body,
    { auth: { scope: { project: { domain: { name: `acme${HOSTILE}` } } } } },
    'a suggestion that is accepted is the name itself',
  );

  keystone.answerAlways((_request, response, { makeDefaultResponse }) => {
    const { body, ...rest } = makeDefaultResponse();
    sendResponse(response, { ...rest, body: poison(body) });
  }, 'GET /v3/auth/projects');
  const settings = { ...makeLoginSettings(`${keystone.url}/v3`), OS_PROJECT_NAME: undefined };
  const second = openTestTerminal(t, {
    ...makeTerminalCommand({ home, settings: { ...settings, OS_PROJECT_DOMAIN_NAME: undefined } }, 'login'),
    cwd: home.path,
  });
  await answer(second, '? Project:', '');
  await second.ended;
  checkTerminal(t, second);
  t.notMatch(readStdout({ home }), FORBIDDEN);

  const third = openTestTerminal(t, { ...makeTerminalCommand({ home, settings: {} }, 'login'), cwd: folder });
  await answer(third, '? Cloud:', '');
  await third.waitFor('? How to log in:');
  third.type('\x03');
  await third.ended;
  checkTerminal(t, third);
});
