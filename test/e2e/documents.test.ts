/** Every shell example of the documents and of `--help`, run as it stands there but for names of servers and secrets. */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { ALL_COMMANDS } from '../../src/plugin/commands/registry.ts';
import { POD_LINE, makeAliceSettings, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { makeKeyringCommand, KEYRING_MISSING } from '../support/keyring.ts';
import { PLUGIN_COMMAND, makeEnvironment, PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';
import { onProject } from '../support/login-settings.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

const NAME = 'client-keystone-auth';
const SHELL = ['/bin/bash', '--norc', '--noprofile', '-e', '-u', '-o', 'pipefail', '-c'] as const;
const DOCUMENTS = ['README.md', 'WEBHOOK.md', 'CONTRIBUTING.md', 'packaging/README.md', 'packaging/webhook/README.md'];
const POLICY = [
  {
    users: { projects: ['demo'], roles: ['member'] },
    resource_permissions: { "web/['pods', 'pods/*']": ['list'] },
  },
];

/** A block of ```sh, and where it stands. */
interface Block {
  readonly where: string;
  readonly script: string;
}

function listBlocks(document: string): Block[] {
  const blocks: Block[] = [];
  let open: string[] | undefined;
  for (const [index, line] of readFileSync(document, 'utf8').split('\n').entries()) {
    if (line.startsWith('```') && open !== undefined) {
      blocks.push({ where: `${document}:${index - open.length}`, script: open.join('\n') });
      open = undefined;
    } else if (/^```(?:sh|bash|shell|console)$/.test(line)) open = [];
    else open?.push(line);
  }
  return blocks;
}

/** What examples are run in: a shell with our programs and kubectl on its PATH, and files of the names that they use. */
interface DocumentsFixture {
  readonly kubectlFixture: KubectlFixture;
  readonly world: TestEnvironment;
  readonly run: (script: string) => Terminal;
  /** The same beside a keyring of its own. */
  readonly runWithKeyring: (script: string) => Terminal;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function install(folder: string, name: string, words: readonly string[]): void {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\nexec ${words.map(quote).join(' ')} "$@"\n`);
  chmodSync(file, 0o755);
}

async function setUpDocuments(t: Test, world: TestEnvironment, program: string): Promise<DocumentsFixture> {
  const kubectlFixture = await setUpKubectl(t, world, { program });
  const home = kubectlFixture.home.path;
  const bin = join(home, 'search');
  mkdirSync(bin, { recursive: true });
  install(bin, NAME, PLUGIN_COMMAND);
  install(bin, 'k8s-keystone-auth', [process.execPath, resolve('dist/k8s-keystone-auth.cjs')]);
  install(bin, 'kubectl', [program]);
  await kubectlFixture.writeKubeconfig({ command: NAME });
  const login = makeAliceSettings(world, kubectlFixture);
  const lines = Object.entries(login).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  writeFileSync(join(home, 'openrc.sh'), lines.join(''), { mode: 0o600 });
  const { alice } = world.tenancy.users;
  const auth = {
    auth_url: kubectlFixture.keystoneUrl,
    username: alice.name,
    password: alice.password,
    user_domain_name: world.tenancy.domain.name,
    project_name: world.tenancy.projects.demo.name,
    project_domain_name: world.tenancy.domain.name,
  };
  mkdirSync(join(home, '.config', 'openstack'), { recursive: true });
  writeFileSync(join(home, '.config', 'openstack', 'clouds.yaml'), JSON.stringify({ clouds: { prod: { auth } } }), {
    mode: 0o600,
  });
  writeFileSync(join(home, 'policy.json'), JSON.stringify(POLICY));
  cpSync(world.pki.server.cert, join(home, 'tls.crt'));
  cpSync(world.pki.server.key, join(home, 'tls.key'));
  const path = [bin, dirname(process.execPath), process.env['PATH']].join(':');
  const open = ([file, ...args]: readonly [string, ...string[]]): Terminal => {
    const env = makeEnvironment(kubectlFixture.home, { PATH: path, KUBECONFIG: join(home, 'kubeconfig') });
    const terminal = openTerminal({ file, args, env, cwd: home, cols: 200 });
    t.teardown(() => terminal.close());
    return terminal;
  };
  const shell = (script: string): [string, ...string[]] => [...SHELL, script];
  return {
    kubectlFixture,
    world,
    run: (script) => open(shell(script)),
    runWithKeyring: (script) => open(makeKeyringCommand('"$@"', shell(script))),
  };
}

/** Exchanges what no test can reach; what is to be exchanged must be there. */
function fill(script: string, exchanges: Readonly<Record<string, string>>): string {
  return Object.entries(exchanges).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`no longer in the document: ${from}`);
    return text.replaceAll(from, to);
  }, script);
}

const THEIR_KEYSTONE = 'https://keystone.example.com:5000/v3';

async function succeed(t: Test, terminal: Terminal, shows: string | RegExp): Promise<void> {
  const { exitCode } = await terminal.ended;
  t.equal(exitCode, 0, terminal.screen());
  t.match(terminal.screen(), shows);
}

/** That the settings of an example are what a method wants, where its servers belong to another test. */
async function explain(t: Test, { run }: DocumentsFixture, script: string, method: string): Promise<void> {
  const asked = script.replace(/\nkubectl get pods$/, '');
  const terminal = run(`${asked}\n${NAME} explain -o json`);
  await succeed(t, terminal, `"${method}"`);
}

type Perform = (t: Test, shop: DocumentsFixture, script: string) => Promise<void>;

/** The examples by how they begin, and what makes them work. */
const SCENES: Readonly<Record<string, Perform>> = {
  'kubectl config set-credentials': (t, { run }, script) =>
    succeed(t, run(`. ./openrc.sh\n${script}\nkubectl get pods`), POD_LINE),
  '. openrc.sh': (t, { run }, script) => succeed(t, run(fill(script, { '. openrc.sh': '. ./openrc.sh' })), POD_LINE),
  'export OS_AUTH_URL=https://keystone.example.com:5000/v3\n': (t, { kubectlFixture, world, run }, script) => {
    const { id, secret } = world.tenancy.applicationCredentials.valid;
    const exchanges = {
      [THEIR_KEYSTONE]: kubectlFixture.keystoneUrl,
      'ID=…': `ID=${id}`,
      'SECRET=…': `SECRET=${secret}`,
    };
    return succeed(t, run(fill(script, exchanges)), POD_LINE);
  },
  'OS_CLOUD=prod kubectl get pods': (t, { run }, script) => succeed(t, run(script), POD_LINE),
  [`${NAME} --keystone-url`]: async (t, { kubectlFixture, world, run }, script) => {
    const terminal = run(
      fill(script, { [THEIR_KEYSTONE]: kubectlFixture.keystoneUrl, alice: world.tenancy.users.alice.name }),
    );
    await terminal.waitFor(/domain/i);
    terminal.type(`${world.tenancy.domain.name}\r`);
    await terminal.waitFor(/Password/);
    terminal.type(`${world.tenancy.users.alice.password}\r`);
    await succeed(t, terminal, '"ExecCredential"');
  },
  'export OS_AUTH_URL=https://keystone.example.com:5000/v3 OS_PROJECT_NAME': (t, shop, script) =>
    explain(t, shop, script, 'v3oidcdeviceauthz'),
  'export OS_AUTH_TYPE=v3oauth2clientcredential': (t, shop, script) => {
    const { id, secret } = shop.world.tenancy.applicationCredentials.valid;
    return explain(
      t,
      shop,
      fill(script, { 'ID=…': `ID=${id}`, 'SECRET=…': `SECRET=${secret}` }),
      'v3oauth2clientcredential',
    );
  },
  'export OS_AUTH_TYPE=v3kerberos': (t, shop, script) => {
    const { OS_PROJECT_NAME: project = '', OS_PROJECT_DOMAIN_NAME: domain = '' } = onProject(
      shop.world.tenancy.projects.demo,
      shop.world.tenancy.domain,
    );
    return explain(
      t,
      shop,
      fill(script, { 'PROJECT_NAME=…': `PROJECT_NAME=${project}`, 'DOMAIN_NAME=…': `DOMAIN_NAME=${domain}` }),
      'v3kerberos',
    );
  },
  'npm run build\ndist/k8s-keystone-auth.cjs': async (t, { kubectlFixture, run }, script) => {
    const port = await findPort();
    const exchanges = {
      'npm run build\n': '',
      'dist/k8s-keystone-auth.cjs': `exec '${process.execPath}' '${resolve('dist/k8s-keystone-auth.cjs')}'`,
      '127.0.0.1:8443': `127.0.0.1:${port}`,
      [THEIR_KEYSTONE]: kubectlFixture.keystoneUrl,
    };
    const terminal = run(fill(script, exchanges));
    await terminal.waitFor(/listening/i);
    terminal.signal('SIGTERM');
    t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  },
  'k8s-keystone-auth policy test': (t, { run }, script) => succeed(t, run(script), /allow/),
  'npm run package -- --target linux-x64      #': async (t, { kubectlFixture, run }, script) => {
    const installed = script.split('\n').slice(1).join('\n');
    t.ok(checkNpm(t, script) > 0);
    if (PACKAGED_EXECUTABLE === undefined) return;
    const folder = join(kubectlFixture.home.path, 'search');
    const exchanges = { 'sudo install out/': `install ${resolve('out')}/`, '/usr/local/bin/': folder };
    await succeed(t, run(fill(installed, exchanges)), /\d+\.\d+\.\d+/);
  },
};

function findPort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        done(typeof address === 'object' ? (address?.port ?? 0) : 0);
      });
    });
  });
}

/**
 * Running the whole of these takes the rest of CI, which does it; here it is that they name what there is.
 *
 * @returns how many there are
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

t.ok(blocks.length >= 14, 'the examples are found');

testWithKubectl(
  'the examples of the documents',
  async (t, world, program) => {
    const used = new Set<string>();
    for (const { where, script } of blocks) {
      await t.test(where, async (t) => {
        const [found] = Object.entries(SCENES)
          .filter(([start]) => script.startsWith(start))
          .toSorted(([one], [other]) => other.length - one.length);
        if (found === undefined) {
          const lines = script.split('\n').filter((line) => !line.startsWith(`${NAME} --version`));
          t.equal(checkNpm(t, script), lines.length, `nothing says how to run this:\n${script}`);
          return;
        }
        used.add(found[0]);
        await found[1](t, await setUpDocuments(t, world, program), script);
      });
    }
    t.strictSame([...used].toSorted(), Object.keys(SCENES).toSorted(), 'every scene has its example');
  },
  ['new'],
);

const THEIR_SERVICE = 'https://kubeconfigs.example.com';

/** A service that hands out a kubeconfig for the cluster of a desk. */
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
  await new Promise<void>((done) => service.listen(0, '127.0.0.1', done));
  t.teardown(() => {
    service.closeAllConnections();
    service.close();
  });
  const address = service.address();
  return `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
}

testWithKubectl(
  'the examples of the commands',
  async (t, world, program) => {
    for (const { words, examples } of ALL_COMMANDS) {
      await t.test(words.join(' '), async (t) => {
        const shop = await setUpDocuments(t, world, program);
        if (words[0] === 'login' && KEYRING_MISSING !== false) {
          t.comment(KEYRING_MISSING);
          return;
        }
        const service = await serveKubeconfig(t, shop.kubectlFixture);
        for (const { line } of examples) {
          const reachable = line.replaceAll(THEIR_SERVICE, service);
          const run = KEYRING_MISSING === false ? shop.runWithKeyring : shop.run;
          await succeed(t, run(`. ./openrc.sh\n${NAME} ${reachable}`), /\S/);
        }
      });
    }
  },
  ['new'],
);
