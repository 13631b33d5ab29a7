/**
 * Runs every shell example of the documents (```sh blocks) and of `--help`. Only the names of servers, secrets and
 * paths are replaced. Blocks of ```console and ```text are transcripts and are not run.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { dirname, join, resolve } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { listMarkdownFiles } from '../../scripts/lib/markdown-files.ts';
import { ALL_COMMANDS } from '../../src/plugin/commands/registry.ts';
import { POD_LINE, makeAliceSettings, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { makeKeyringCommand, KEYRING_MISSING } from '../support/keyring.ts';
import { PLUGIN_COMMAND, PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';
import { makeEnvironment } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { listenForTest } from '../support/listen-for-test.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';

const PROGRAM_NAME = 'client-keystone-auth';
const SHELL = ['/bin/bash', '--norc', '--noprofile', '-e', '-u', '-o', 'pipefail', '-c'] as const;
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', ...['docs', 'packaging'].flatMap(listMarkdownFiles)];
const POLICY = [
  {
    users: { projects: ['demo'], roles: ['member'] },
    resource: { verbs: ['list'], resources: ['pods'], version: '', namespace: 'web' },
  },
];

/** A ```sh block and its position in a document. */
interface Block {
  /** `FILE:LINE`. */
  readonly position: string;
  readonly script: string;
}

function listBlocks(document: string): Block[] {
  const blocks: Block[] = [];
  let lines: string[] | undefined;
  for (const [index, line] of readFileSync(document, 'utf8').split('\n').entries()) {
    if (line.startsWith('```') && lines !== undefined) {
      blocks.push({ position: `${document}:${index - lines.length}`, script: lines.join('\n') });
      lines = undefined;
    } else if (/^```(?:sh|bash|shell)$/.test(line)) lines = [];
    else lines?.push(line);
  }
  return blocks;
}

/** Runs examples in a shell that finds both programs, kubectl and the files that the examples name. */
interface DocumentsFixture {
  readonly kubectlFixture: KubectlFixture;
  readonly environment: TestEnvironment;
  readonly run: (script: string) => Terminal;
  /** Like `run`, with a keyring of its own. */
  readonly runWithKeyring: (script: string) => Terminal;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function install(folder: string, name: string, words: readonly string[]): void {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\nexec ${words.map(quote).join(' ')} "$@"\n`);
  chmodSync(file, 0o755);
}

async function setUpDocuments(t: Test, environment: TestEnvironment, program: string): Promise<DocumentsFixture> {
  const kubectlFixture = await setUpKubectl(t, environment, { program });
  const home = kubectlFixture.home.path;
  const bin = join(home, 'search');
  mkdirSync(bin, { recursive: true });
  install(bin, PROGRAM_NAME, PLUGIN_COMMAND);
  install(bin, 'k8s-keystone-auth', [process.execPath, resolve('dist/k8s-keystone-auth.cjs')]);
  install(bin, 'kubectl', [program]);
  await kubectlFixture.writeKubeconfig({ command: PROGRAM_NAME });
  const login = makeAliceSettings(environment, kubectlFixture);
  const lines = Object.entries(login).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  writeFileSync(join(home, 'openrc.sh'), lines.join(''), { mode: 0o600 });
  const { alice } = environment.tenancy.users;
  const auth = {
    auth_url: kubectlFixture.keystoneUrl,
    username: alice.name,
    password: alice.password,
    user_domain_name: environment.tenancy.domain.name,
    project_name: environment.tenancy.projects.demo.name,
    project_domain_name: environment.tenancy.domain.name,
  };
  mkdirSync(join(home, '.config', 'openstack'), { recursive: true });
  writeFileSync(join(home, '.config', 'openstack', 'clouds.yaml'), JSON.stringify({ clouds: { prod: { auth } } }), {
    mode: 0o600,
  });
  writeFileSync(join(home, 'policy.json'), JSON.stringify(POLICY));
  cpSync(environment.pki.server.cert, join(home, 'tls.crt'));
  cpSync(environment.pki.server.key, join(home, 'tls.key'));
  const path = [bin, dirname(process.execPath), process.env['PATH']].join(':');
  const open = ([file, ...args]: readonly [string, ...string[]]): Terminal => {
    const env = makeEnvironment(kubectlFixture.home, {
      PATH: path,
      KUBECONFIG: join(home, 'kubeconfig'),
      SHELL: '/bin/bash',
    });
    const terminal = openTerminal({ file, args, env, cwd: home, cols: 200 });
    t.teardown(() => terminal.close());
    return terminal;
  };
  const shell = (script: string): [string, ...string[]] => [...SHELL, script];
  return {
    kubectlFixture,
    environment,
    run: (script) => open(shell(script)),
    runWithKeyring: (script) => open(makeKeyringCommand('"$@"', shell(script))),
  };
}

/**
 * Replaces what a test cannot reach.
 *
 * @throws Error when the script does not contain a text that is to be replaced
 */
function replaceTexts(script: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the example no longer contains: ${from}`);
    return text.replaceAll(from, to);
  }, script);
}

const EXAMPLE_KEYSTONE_URL = 'https://keystone.example.com:5000/v3';

async function checkSuccess(t: Test, terminal: Terminal, output: string | RegExp): Promise<void> {
  const { exitCode } = await terminal.ended;
  t.equal(exitCode, 0, terminal.screen());
  t.match(terminal.screen(), output);
}

/** Checks that the settings of an example select a method. The servers of that method belong to another test. */
async function checkMethod(t: Test, { run }: DocumentsFixture, script: string, method: string): Promise<void> {
  const settings = script.replace(/\nkubectl get pods$/, '');
  const terminal = run(`${settings}\n${PROGRAM_NAME} explain -o json`);
  await checkSuccess(t, terminal, `"${method}"`);
}

type RunExample = (t: Test, fixture: DocumentsFixture, script: string) => Promise<void>;

/** How to run each example, by the text that it starts with. The longest match counts. */
const EXAMPLES: Readonly<Record<string, RunExample>> = {
  'kubectl config set-credentials': (t, { run }, script) =>
    checkSuccess(t, run(`. ./openrc.sh\n${script}\nkubectl get pods`), POD_LINE),
  '. openrc.sh': (t, { run }, script) =>
    checkSuccess(t, run(replaceTexts(script, { '. openrc.sh': '. ./openrc.sh' })), POD_LINE),
  'export OS_AUTH_URL=https://keystone.example.com:5000/v3\n': (t, { kubectlFixture, environment, run }, script) => {
    const { id, secret } = environment.tenancy.applicationCredentials.valid;
    const replacements = {
      [EXAMPLE_KEYSTONE_URL]: kubectlFixture.keystoneUrl,
      'ID=…': `ID=${id}`,
      'SECRET=…': `SECRET=${secret}`,
    };
    return checkSuccess(t, run(replaceTexts(script, replacements)), POD_LINE);
  },
  'OS_CLOUD=prod kubectl get pods': (t, { run }, script) => checkSuccess(t, run(script), POD_LINE),
  [`${PROGRAM_NAME} --keystone-url`]: async (t, { kubectlFixture, environment, run }, script) => {
    const terminal = run(
      replaceTexts(script, {
        [EXAMPLE_KEYSTONE_URL]: kubectlFixture.keystoneUrl,
        alice: environment.tenancy.users.alice.name,
      }),
    );
    await terminal.waitFor(/domain/i);
    terminal.type(`${environment.tenancy.domain.name}\r`);
    await terminal.waitFor(/Password/);
    terminal.type(`${environment.tenancy.users.alice.password}\r`);
    await checkSuccess(t, terminal, '"ExecCredential"');
  },
  'export OS_AUTH_URL=https://keystone.example.com:5000/v3 OS_PROJECT_NAME': (t, fixture, script) =>
    checkMethod(t, fixture, script, 'v3oidcdeviceauthz'),
  'export OS_AUTH_TYPE=v3oauth2clientcredential': (t, fixture, script) => {
    const { id, secret } = fixture.environment.tenancy.applicationCredentials.valid;
    return checkMethod(
      t,
      fixture,
      replaceTexts(script, { 'ID=…': `ID=${id}`, 'SECRET=…': `SECRET=${secret}` }),
      'v3oauth2clientcredential',
    );
  },
  'export OS_AUTH_TYPE=v3samlpassword': (t, fixture, script) => checkMethod(t, fixture, script, 'v3samlpassword'),
  'export OS_AUTH_TYPE=v3kerberos': (t, fixture, script) => {
    const { OS_PROJECT_NAME: project = '', OS_PROJECT_DOMAIN_NAME: domain = '' } = onProject(
      fixture.environment.tenancy.projects.demo,
      fixture.environment.tenancy.domain,
    );
    return checkMethod(
      t,
      fixture,
      replaceTexts(script, { 'PROJECT_NAME=…': `PROJECT_NAME=${project}`, 'DOMAIN_NAME=…': `DOMAIN_NAME=${domain}` }),
      'v3kerberos',
    );
  },
  'npm run build\ndist/k8s-keystone-auth.cjs': async (t, { kubectlFixture, run }, script) => {
    const port = await findFreePort();
    const replacements = {
      'npm run build\n': '',
      'dist/k8s-keystone-auth.cjs': `exec '${process.execPath}' '${resolve('dist/k8s-keystone-auth.cjs')}'`,
      '127.0.0.1:8443': `127.0.0.1:${port}`,
      [EXAMPLE_KEYSTONE_URL]: kubectlFixture.keystoneUrl,
    };
    const terminal = run(replaceTexts(script, replacements));
    await terminal.waitFor(/listening/i);
    terminal.signal('SIGTERM');
    t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  },
  'k8s-keystone-auth policy test': (t, { run }, script) => checkSuccess(t, run(script), /allow/),
  'npm run package -- --target linux-x64      #': async (t, { kubectlFixture, run }, script) => {
    const afterBuild = script.split('\n').slice(1).join('\n');
    t.ok(checkNpm(t, script) > 0);
    if (PACKAGED_EXECUTABLE === undefined) return;
    const folder = join(kubectlFixture.home.path, 'search');
    const replacements = { 'sudo install out/': `install ${resolve('out')}/`, '/usr/local/bin/': folder };
    await checkSuccess(t, run(replaceTexts(afterBuild, replacements)), /\d+\.\d+\.\d+/);
  },
};

/**
 * Checks that npm commands name scripts and test files that exist. Other steps of CI run these commands.
 *
 * @returns the number of npm commands
 */
function checkNpm(t: Test, script: string): number {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const lines = script.split('\n').filter((line) => line.startsWith('npm '));
  for (const line of lines) {
    const [, name = line] = /^npm (?:run )?([\w:]+)/.exec(line) ?? [];
    t.ok(name === 'install' || name in scripts, line);
    const [file] = /test\/\S+\.ts/.exec(line) ?? [];
    t.ok(file === undefined || existsSync(file), line);
  }
  return lines.length;
}

const blocks = DOCUMENTS.flatMap(listBlocks);

t.ok(blocks.length >= 16, `${blocks.length} examples were found`);

testWithKubectl(
  'the examples of the documents work',
  async (t, environment, program) => {
    const usedStarts = new Set<string>();
    for (const { position, script } of blocks) {
      await t.test(position, async (t) => {
        const [match] = Object.entries(EXAMPLES)
          .filter(([start]) => script.startsWith(start))
          .toSorted(([one], [other]) => other.length - one.length);
        if (match === undefined) {
          const lines = script.split('\n').filter((line) => !line.startsWith(`${PROGRAM_NAME} --version`));
          t.equal(checkNpm(t, script), lines.length, `EXAMPLES has no entry for this example:\n${script}`);
          return;
        }
        const [start, runExample] = match;
        usedStarts.add(start);
        await runExample(t, await setUpDocuments(t, environment, program), script);
      });
    }
    t.strictSame([...usedStarts].toSorted(), Object.keys(EXAMPLES).toSorted(), 'every entry of EXAMPLES is used');
  },
  ['new'],
);

const EXAMPLE_SERVICE_URL = 'https://kubeconfigs.example.com';

/** The file that an example of `kubeconfig add` names. */
const CLUSTERS = JSON.stringify({ clusters: [{ name: 'prod', server: 'https://192.0.2.1:6443' }] });

/** Starts a service that returns a kubeconfig for the cluster of a fixture. */
async function serveKubeconfig(t: Test, { api }: KubectlFixture): Promise<string> {
  const name = 'served';
  const kubeconfig = {
    clusters: [{ name, cluster: { server: api.url } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    users: [{ name, user: { token: 'of-an-hour' } }],
    'current-context': name,
  };
  const service = createHttpServer((request, response) => {
    response.writeHead(request.headers.authorization?.startsWith('Bearer ') === true ? 200 : 401);
    response.end(JSON.stringify(kubeconfig));
  });
  return `http://127.0.0.1:${await listenForTest(t, service)}`;
}

testWithKubectl(
  'the examples of the commands work',
  async (t, environment, program) => {
    for (const { words, examples } of ALL_COMMANDS) {
      await t.test(words.join(' '), async (t) => {
        const fixture = await setUpDocuments(t, environment, program);
        if (words[0] === 'login' && KEYRING_MISSING !== false) {
          t.comment(KEYRING_MISSING);
          return;
        }
        const service = await serveKubeconfig(t, fixture.kubectlFixture);
        for (const { line } of examples) {
          const reachable = line.replaceAll(EXAMPLE_SERVICE_URL, service);
          const run = KEYRING_MISSING === false ? fixture.runWithKeyring : fixture.run;
          // On a terminal, a login ends with a question.
          const output = words[0] === 'login' ? ' >output && cat output' : '';
          const files = `printf %s '${CLUSTERS}' >clusters.yaml`;
          await checkSuccess(t, run(`. ./openrc.sh\n${files}\n${PROGRAM_NAME} ${reachable}${output}`), /\S/);
        }
      });
    }
  },
  ['new'],
);
