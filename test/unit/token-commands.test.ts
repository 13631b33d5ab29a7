// Exec stanzas that print a Keystone token without this plugin: which are read, as what, and which are left alone.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { readTokenCommand } from '../../src/plugin/kubeconfig/token-command.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';
import { magnumUser } from '../support/kubeconfig-samples.ts';

const script = (text: string, command = '/bin/sh'): Record<string, unknown> => ({ command, args: ['-c', text] });
const PRINT = `echo '{"kind":"ExecCredential","status":{"token":"'"$OS_TOKEN"'"}}'`;

const magnumExec = (version: string): Record<string, unknown> => {
  const [{ user } = { user: { exec: {} } }] = parse(magnumUser('m', version)) as { user: { exec: object } }[];
  return { ...user.exec };
};

/** What a stanza says about the login; `plugin` are the arguments of the plugin. */
const READABLE: Readonly<Record<string, { exec: object; env?: Record<string, string>; plugin?: string[] }>> = {
  'Magnum, v1beta1': { exec: magnumExec('v1beta1') },
  'Magnum, v1alpha1': { exec: magnumExec('v1alpha1') },
  'a shell at another path': { exec: script(PRINT, '/usr/local/bin/zsh') },
  'a shell of Git for Windows': { exec: script(PRINT, 'C:\\Program Files\\Git\\bin\\bash.exe') },
  'a shell through env': {
    exec: { command: '/usr/bin/env', args: ['OS_CLOUD=prod', 'bash', '-ec', PRINT] },
    env: { OS_CLOUD: 'prod' },
  },
  'options of the shell': { exec: { command: 'bash', args: ['--norc', '-euo', 'pipefail', '-c', PRINT] } },
  fish: { exec: script(`if test -z "$OS_TOKEN"; exit 1; end; ${PRINT}`, 'fish') },
  'JSON in double quotes': { exec: script('printf "{\\"status\\": {\\"token\\": \\"${OS_TOKEN}\\"}}"') },
  'a default for the token': { exec: script('echo "${OS_TOKEN:-}"') },
  'a here-document': {
    exec: script(
      'cat <<EOF\n{"kind": "ExecCredential",\n "status": {"token": "$(openstack --os-cloud lab token issue -f value -c id)"}}\nEOF\n',
    ),
    env: { OS_CLOUD: 'lab' },
  },
  'openstack in a script': {
    exec: script(
      'TOKEN=$(openstack --os-cloud=prod token issue -f value -c id 2>/dev/null)\necho "{\\"token\\": \\"$TOKEN\\"}" | jq .',
    ),
    env: { OS_CLOUD: 'prod' },
  },
  'openstack in backquotes': { exec: script('echo `openstack token issue -fvalue -c id` # comment; source x') },
  'openstack alone': {
    exec: {
      command: '/opt/venv/bin/openstack',
      args: ['--os-auth-url', 'https://k.test/v3', '--insecure', 'token', 'issue', '-f', 'json'],
    },
    env: { OS_AUTH_URL: 'https://k.test/v3', OS_INSECURE: 'true' },
  },
  'variables that the script sets': {
    exec: script(
      `export OS_PROJECT_NAME="my project" OS_USERNAME='alice'; OS_REGION_NAME=r1 openstack token issue; ${PRINT}`,
    ),
    env: { OS_PROJECT_NAME: 'my project', OS_USERNAME: 'alice', OS_REGION_NAME: 'r1' },
  },
  'variables that are set one after the other': {
    exec: script(`set -e && export OS_CLOUD=lab && OS_REGION_NAME=r1 && ${PRINT}`),
    env: { OS_CLOUD: 'lab', OS_REGION_NAME: 'r1' },
  },
  'variables of fish': {
    exec: script(
      `set -gx OS_CLOUD lab; set -x TRACE; if test -t 0; echo; end; set -x OS_REGION_NAME r1; ${PRINT}`,
      'fish',
    ),
    env: { OS_CLOUD: 'lab', OS_REGION_NAME: 'r1' },
  },
  'a login of openstack under a condition': {
    exec: script(`[ -n "$OS_TOKEN" ] || OS_TOKEN=$(OS_CLOUD=lab openstack token issue -f value -c id)\n${PRINT}`),
    env: { OS_CLOUD: 'lab' },
  },
  'variables that stay as they are': {
    exec: script(`export OS_USERNAME=$OS_USERNAME OS_CLOUD="\${OS_CLOUD}"; ${PRINT}`),
  },
  'a variable that is set twice to one value': {
    exec: script(`export OS_CLOUD=lab; ${PRINT}; OS_CLOUD=lab openstack token issue`),
    env: { OS_CLOUD: 'lab' },
  },
  'openstack in a default': {
    exec: script('echo "${OS_TOKEN:-$(openstack --os-cloud lab token issue -f value -c id)}"'),
    env: { OS_CLOUD: 'lab' },
  },
  'a token from openstack': { exec: script(`OS_TOKEN=$(openstack token issue -f value -c id)\n${PRINT}`) },
  'the Go program in a script': {
    exec: script('exec client-keystone-auth --domain-name=Default --user-name "alice b"'),
    plugin: ['--domain-name=Default', '--user-name', 'alice b'],
  },
};

/** What cannot be read without running it, and why. */
const UNREADABLE: Readonly<Record<string, { exec: object; problem: RegExp }>> = {
  'an openrc': { exec: script(`. ~/openrc.sh; ${PRINT}`), problem: /^reads other files$/ },
  'an openrc, with source': {
    exec: script('source /etc/openrc && openstack token issue'),
    problem: /^reads other files$/,
  },
  'a token that is exchanged': {
    exec: script('curl -H "X-Auth-Token: $OS_TOKEN" https://broker.test'),
    problem: /^runs other programs$/,
  },
  'a program from a variable': { exec: script(`$HELPER; ${PRINT}`), problem: /^runs other programs$/ },
  'a program in a substitution': { exec: script(`echo "$(helper "$OS_TOKEN")"`), problem: /^runs other programs$/ },
  'a variable that is computed': { exec: script(`OS_CLOUD=$(cat ~/cloud); ${PRINT}`), problem: /^computes OS_CLOUD$/ },
  'an option that is computed': {
    exec: script('openstack --os-cloud "$1" token issue'),
    problem: /^computes OS_CLOUD$/,
  },
  'a program in a default': { exec: script('echo "${OS_TOKEN:-$(helper)}"'), problem: /^runs other programs$/ },
  'a program in a default, in backquotes': {
    exec: script('echo ${OS_TOKEN-`helper`}'),
    problem: /^runs other programs$/,
  },
  'a variable that depends on a condition': {
    exec: script(`if test -t 0; then export OS_CLOUD=lab; else export OS_CLOUD=prod; fi; ${PRINT}`),
    problem: /^sets OS_CLOUD under a condition$/,
  },
  'a variable that is set in one case only': {
    exec: script(`if [ -z "$OS_CLOUD" ]; then OS_CLOUD=lab; fi; ${PRINT}`),
    problem: /^sets OS_CLOUD under a condition$/,
  },
  'a variable that is set in a loop': {
    exec: script(`while test -t 0; do export OS_CLOUD=lab; done; ${PRINT}`),
    problem: /^sets OS_CLOUD under a condition$/,
  },
  'a variable that is set after a test': {
    exec: script(`[ -z "$OS_CLOUD" ] && export OS_CLOUD=lab; ${PRINT}`),
    problem: /^sets OS_CLOUD under a condition$/,
  },
  'a variable that is set after a test on another line': {
    exec: script(`[[ -n $OS_CLOUD ]] ||\n  OS_CLOUD=lab\n${PRINT}`),
    problem: /^sets OS_CLOUD under a condition$/,
  },
  'a variable that is set at the end of a list with a test': {
    exec: script(`test "$(date)" && export OS_USERNAME=$OS_USERNAME && export OS_CLOUD=lab; ${PRINT}`),
    problem: /^sets OS_CLOUD under a condition$/,
  },
  'a variable that depends on a condition in fish': {
    exec: script(`if test -z "$OS_CLOUD"; set -gx OS_CLOUD lab; end; ${PRINT}`, 'fish'),
    problem: /^sets OS_CLOUD under a condition$/,
  },
  'a list of values in fish': {
    exec: script(`set -x OS_CLOUD lab prod; ${PRINT}`, 'fish'),
    problem: /^computes OS_CLOUD$/,
  },
  'a variable that is set twice': {
    exec: script(`export OS_CLOUD=lab; OS_CLOUD=prod; ${PRINT}`),
    problem: /^sets OS_CLOUD to different values$/,
  },
  'a cloud that an option changes': {
    exec: script('OS_CLOUD=lab openstack --os-cloud prod token issue'),
    problem: /^sets OS_CLOUD to different values$/,
  },
  'another command of openstack': {
    exec: script(`openstack server list; ${PRINT}`),
    problem: /other commands of "openstack"$/,
  },
  'an unknown option of openstack': {
    exec: script('openstack --canary token issue'),
    problem: /an option that is not known/,
  },
};

/** What is about something else, or is not readable at all. */
const OTHER: Readonly<Record<string, object>> = {
  'another program': { command: 'aws', args: ['eks', 'get-token'] },
  'another script': script('aws eks get-token'),
  'the name of the token only': script("echo '$OS_TOKEN'"),
  'a longer name': script('echo "$OS_TOKEN_FILE"'),
  'a file': { command: 'bash', args: ['/usr/local/bin/token.sh'] },
  'a quote without end': script(`echo "$OS_TOKEN`),
  'a substitution without end': script('echo $(openstack token issue'),
  'a here-document without end': script('cat <<EOF\n$OS_TOKEN\n'),
  'no script': { command: 'bash', args: ['-c'] },
  'a huge script': script(`${PRINT}\n${'# \n'.repeat(50_000)}`),
  'deep substitutions': script(`${'$('.repeat(5_000)}openstack token issue${')'.repeat(5_000)}`),
};

void t.test('commands that print a Keystone token are read', async (t) => {
  for (const [name, { exec, env = {}, plugin }] of Object.entries(READABLE)) {
    t.strictSame(readTokenCommand({ ...exec }), { env, pluginArguments: plugin }, name);
  }
});

void t.test('commands that decide about the login in another way are not guessed', async (t) => {
  for (const [name, { exec, problem }] of Object.entries(UNREADABLE)) {
    const command = readTokenCommand({ ...exec });
    t.match(command !== undefined && 'problem' in command ? command.problem : '', problem, name);
  }
  for (const [name, exec] of Object.entries(OTHER)) t.equal(readTokenCommand({ ...exec }), undefined, name);
});

interface Stanza {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: string[];
  readonly env?: unknown;
  readonly interactiveMode: string;
}

/** Writes a kubeconfig with one context for each user. */
function writeUsers(t: Test, users: Readonly<Record<string, object>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'cka-token-commands-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config');
  const names = Object.keys(users);
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'demo', cluster: { server: 'https://10.0.0.1:6443' } }],
    contexts: names.map((user) => ({ name: `on ${user}`, context: { cluster: 'demo', user } })),
    users: names.map((name) => ({ name, user: users[name] })),
  };
  writeFileSync(file, JSON.stringify(kubeconfig, null, 2));
  return file;
}

const LOGIN = { OS_AUTH_URL: 'https://keystone.test/v3', OS_USERNAME: 'alice', OS_PROJECT_NAME: 'demo' };

const run = (file: string, ...argv: string[]): Promise<CommandOutput> =>
  runInProcess({
    argv: ['kubeconfig', ...argv, '--kubeconfig', file, '--command', 'client-keystone-auth'],
    env: LOGIN,
  });

function readStanza(file: string, user: string): Stanza | undefined {
  const { users } = parse(readFileSync(file, 'utf8')) as { users: { name: string; user?: { exec?: Stanza } }[] };
  return users.find(({ name }) => name === user)?.user?.exec;
}

void t.test('convert keeps what the command says about the login, and no secret', async (t) => {
  const file = writeUsers(t, {
    magnum: { exec: magnumExec('v1alpha1'), 'client-certificate': '/c.pem' },
    cloud: {
      exec: {
        ...READABLE['openstack in a script']?.exec,
        interactiveMode: 'Never',
        env: [{ name: 'OS_REGION_NAME', value: 'r' }],
      },
    },
    go: { exec: READABLE['the Go program in a script']?.exec },
    secret: { exec: script('OS_PASSWORD=canary-password openstack --os-username bob token issue') },
  });
  const converted = await run(file, 'convert', '--all');
  t.match(converted, {
    status: 0,
    stdout: /^Converted: magnum, cloud, go, secret\.\nSecrets were left out: OS_PASSWORD\./,
    stderr: '',
  });
  t.notMatch(readFileSync(file, 'utf8'), 'canary');
  t.match(readStanza(file, 'magnum'), {
    // The stanza is of v1alpha1, so an old kubectl must be able to read the new one.
    apiVersion: /\/v1beta1$/,
    command: 'client-keystone-auth',
    args: ['get-token'],
    env: undefined,
    interactiveMode: undefined,
  });
  t.match(readStanza(file, 'cloud'), {
    args: ['get-token', '--os-cloud=prod'],
    env: [{ name: 'OS_REGION_NAME', value: 'r' }],
    interactiveMode: 'Never',
  });
  t.match(readStanza(file, 'go')?.args, ['get-token', '--domain-name=Default', '--user-name=alice b']);
  t.match(readStanza(file, 'secret')?.args, ['get-token', '--user-name=bob']);
  t.match(await run(file, 'convert', '--all'), { status: 0, stdout: /No user had to be converted/ }, 'once is enough');
});

/** Every kind of user, and what its context needs before the plugin logs it in. */
const USERS: Readonly<Record<string, object>> = {
  magnum: { exec: magnumExec('v1beta1') },
  sourced: { exec: UNREADABLE['an openrc']?.exec },
  foreign: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'aws', args: ['eks'] } },
  gcp: { 'auth-provider': { name: 'gcp' } },
  openstack: { 'auth-provider': { name: 'openstack' } },
  old: { exec: { apiVersion: 'client.authentication.k8s.io/v1beta1', command: 'client-keystone-auth' } },
  static: { token: 'canary-token' },
  certificate: { 'client-certificate': '/c.pem', 'client-key': '/k.pem' },
  nobody: {},
};

/** Splits the command that a message quotes as a shell does. */
function readQuotedCommand(text: string): string[] | undefined {
  const command = /"client-keystone-auth kubeconfig ([^"]+)"/.exec(text)?.[1];
  return command?.match(/(?:'[^']*'|[^\s'])+/g)?.map((word) => word.replaceAll("'", ''));
}

void t.test('the way that a message names leads to a login, in one step', async (t) => {
  for (const [name, user] of Object.entries(USERS)) {
    for (const first of [
      ['convert', `on ${name}`],
      ['add', '--name=new', `--user=${name}`],
    ]) {
      const file = writeUsers(t, { [name]: user });
      const what = `${name}: ${first.join(' ')}`;
      const answer = await run(file, ...first);
      t.notMatch(answer.stdout + answer.stderr, 'canary', what);
      if (answer.status === 0) {
        t.match(readStanza(file, name)?.command, 'client-keystone-auth', what);
        continue;
      }
      t.match(answer, { status: 3, stdout: '', stderr: /^[^\n]+\n$/ }, what);
      const next = readQuotedCommand(answer.stderr) ?? ['add', '--name=new', '--user=new'];
      if (next[0] === 'add' && next.at(-1) === '--user=new')
        t.match(answer.stderr, 'give another name with --user', what);
      const followed = await run(file, ...next);
      t.match(followed, { status: 0, stderr: '' }, `${what}, then ${next.join(' ')}`);
      t.match(readFileSync(file, 'utf8'), /"command": "client-keystone-auth"/, what);
    }
  }
});

void t.test('a context that logs in in another way keeps its user', async (t) => {
  const replaced: string[] = [];
  for (const [name, user] of Object.entries(USERS)) {
    for (const more of [[], ['--user=new']]) {
      const file = writeUsers(t, { [name]: user });
      const before = readFileSync(file, 'utf8');
      const answer = await run(file, 'add', `--name=on ${name}`, ...more);
      if (answer.status === 0) {
        replaced.push([name, ...more].join(' '));
        continue;
      }
      const says = /^[^\n]*has a context "on \w+" that logs in in another way; give another name with --name[^\n]*\n$/;
      t.match(answer, { status: 3, stdout: '', stderr: says }, name);
      t.equal(readFileSync(file, 'utf8'), before, `${name} is unchanged`);
    }
  }
  t.strictSame(replaced, ['old', 'old --user=new', 'nobody', 'nobody --user=new']);
});

void t.test('convert --all says which commands it leaves alone only if they are named', async (t) => {
  const file = writeUsers(t, USERS);
  t.match(await run(file, 'convert', '--all'), { status: 0, stdout: /^Converted: magnum, openstack, old\.\n/ });
  const sourced = await run(file, 'convert', 'on sourced');
  t.match(sourced, {
    status: 3,
    stderr:
      /user "sourced" logs in with a command that reads other files, so it cannot be converted; add another context/,
  });
});

void t.test('a key that the file has twice is read as kubectl reads it, with a warning', async (t) => {
  const file = writeUsers(t, { hidden: {} });
  const first = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    `${first.replace(/\}\s*$/, ',')}"users": [{"name": "last", "user": ${JSON.stringify(USERS['old'])}}]}`,
  );
  const shown = await run(file, 'convert', '--all');
  t.match(shown, { status: 0, stdout: /^Converted: last\.\n/ });
  t.match(
    shown.stderr,
    /^client-keystone-auth: warning: [^\n]*config has the key "users" in line \d+ and again in line \d+; kubectl uses only the last one[^\n]*\n$/,
  );
  t.match(readFileSync(file, 'utf8'), /"name": "hidden"/, 'what kubectl ignores stays');
});
