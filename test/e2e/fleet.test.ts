// The examples for fleets in packaging/fleet: the built plugin, clients in Python and TypeScript, Ansible, and the script
// of cloud-init. Servers are stand-ins on loopback.

import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { dirname, join, resolve } from 'node:path';
import { load } from 'js-yaml';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { findFleetClients } from '../support/fleet-clients.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { PLUGIN_PATH } from '../support/run-plugin.ts';
import { startStandInApiServer } from '../support/stand-in-api-server.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const FLEET = resolve('packaging/fleet');
const packages = await findFleetClients();
const skip = 'missing' in packages ? skipBecause(packages.missing) : false;
const python = 'missing' in packages ? '' : packages.python;
const pki = await makePki(t.testdir());

interface Run {
  readonly status: number;
  readonly output: string;
}

/** Runs a program beside this process, which has the servers. */
function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Promise<Run> {
  return new Promise((done) => {
    execFile(file, [...args], { env, cwd }, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : 1, output: stdout + stderr });
    });
  });
}

interface Client {
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** The users whose requests the cluster answered. */
  readonly listUsers: () => readonly (string | undefined)[];
  readonly countLogins: () => number;
}

/** A machine with the plugin on its PATH, and a kubeconfig that `kubeconfig add` has written. */
async function setUpClient(t: Test): Promise<Client> {
  const keystone = await startKeystoneForTest(t);
  const api = await startStandInApiServer({
    ...pki.server,
    authenticate: (token) => Promise.resolve(keystone.sessions.get(token)?.user.name),
  });
  t.teardown(() => api.close());
  const home = makeTestHome(t);
  const search = join(home.path, 'search');
  mkdirSync(search);
  symlinkSync(PLUGIN_PATH, join(search, 'client-keystone-auth'));
  const env = makeEnvironment(home, {
    ...makeLoginSettings(`${keystone.url}/v3`),
    PATH: `${search}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    KUBECONFIG: join(home.path, 'kubeconfig'),
  });
  const args = ['kubeconfig', 'add', '--server', api.url, '--certificate-authority', pki.ca];
  const added = await run(join(search, 'client-keystone-auth'), args, env, home.path);
  t.equal(added.status, 0, added.output);
  return {
    env,
    folder: home.path,
    listUsers: () => api.requests.filter(({ status }) => status === 200).map(({ user }) => user),
    countLogins: () => keystone.countLogins(),
  };
}

void t.test('the example in Python lists pods with the stanza that kubeconfig add writes', { skip }, async (t) => {
  const client = await setUpClient(t);
  const { status, output } = await run(python, [join(FLEET, 'list_pods.py')], client.env, client.folder);
  t.equal(status, 0, output);
  t.match(output, /^web-0$/m);
  t.strictSame([...new Set(client.listUsers())], ['alice']);
  t.equal(client.countLogins(), 1);
});

/** A release with one archive, whose program prints its version. */
async function serveRelease(t: Test): Promise<{ readonly url: string; readonly sum: string }> {
  const folder = t.testdir();
  writeFileSync(join(folder, 'client-keystone-auth'), '#!/bin/sh\necho 1.2.3\n');
  chmodSync(join(folder, 'client-keystone-auth'), 0o755);
  execFileSync('tar', ['-czf', 'archive.tar.gz', 'client-keystone-auth'], { cwd: folder });
  const archive = readFileSync(join(folder, 'archive.tar.gz'));
  const tls = { cert: readFileSync(pki.server.cert), key: readFileSync(pki.server.key) };
  const server = createServer(tls, (request, response) => {
    response.writeHead(request.url?.endsWith('.tar.gz') === true ? 200 : 404).end(archive);
  });
  const port = await listenForTest(t, server);
  return { url: `https://127.0.0.1:${port}`, sum: createHash('sha256').update(archive).digest('hex') };
}

void t.test('the Ansible role installs the program, once, and only with the right checksum', { skip }, async (t) => {
  const { url, sum } = await serveRelease(t);
  const home = makeTestHome(t);
  const target = join(home.path, 'bin');
  mkdirSync(target);
  const env = makeEnvironment(home, {
    PATH: process.env['PATH'] ?? '',
    SSL_CERT_FILE: pki.ca,
    LC_ALL: 'C.UTF-8',
    // The role needs no facts about the machine, and gathering them takes as long as the rest.
    ANSIBLE_GATHERING: 'explicit',
    ANSIBLE_LOCALHOST_WARNING: 'false',
    ANSIBLE_NOCOLOR: '1',
  });
  const play = async (checksum: string): Promise<Run> => {
    const vars = {
      ansible_connection: 'local',
      ansible_become: false,
      ansible_python_interpreter: python,
      client_keystone_auth_url: `${url}/archive.tar.gz`,
      client_keystone_auth_checksum: checksum,
      client_keystone_auth_folder: target,
      client_keystone_auth_cache: join(home.path, 'cache'),
    };
    const playbook = join(FLEET, 'ansible/playbook.yml');
    const args = ['-m', 'ansible.cli.playbook', '-i', 'localhost,', '-e', JSON.stringify(vars), playbook];
    return run(python, args, env, home.path);
  };
  const wrong = await play(`sha256:${'0'.repeat(64)}`);
  t.not(wrong.status, 0);
  t.match(wrong.output, /checksum/);
  t.match((await play('')).output, /Set client_keystone_auth_url and client_keystone_auth_checksum/);
  const installed = await play(`sha256:${sum}`);
  t.equal(installed.status, 0, installed.output);
  t.equal(execFileSync(join(target, 'client-keystone-auth'), { encoding: 'utf8' }), '1.2.3\n');
  t.match((await play(`sha256:${sum}`)).output, /changed=0 .*failed=0/, 'a second run changes nothing');
});

void t.test('the script of cloud-init installs the program only with the right checksum', async (t) => {
  const { url, sum } = await serveRelease(t);
  const home = makeTestHome(t);
  const text = readFileSync(join(FLEET, 'cloud-init.yaml'), 'utf8');
  t.match(text, /^#cloud-config\n/);
  const { write_files: files, runcmd } = load(text) as {
    readonly write_files: readonly { readonly path: string; readonly permissions: string; readonly content: string }[];
    readonly runcmd: readonly (readonly string[])[];
  };
  t.strictSame(runcmd, [[files[0]?.path]]);
  const install = async (checksum: string): Promise<Run> => {
    const script = (files[0]?.content ?? '')
      .replace('https://downloads.example.com/client-keystone-auth', url)
      .replace('REPLACE-WITH-THE-CHECKSUM', checksum)
      .replace('/usr/local/bin/client-keystone-auth', join(home.path, 'client-keystone-auth'));
    const path = join(home.path, 'install');
    writeFileSync(path, script);
    const env = makeEnvironment(home, { PATH: process.env['PATH'] ?? '', CURL_CA_BUNDLE: pki.ca });
    return run('/bin/sh', [path], env, home.path);
  };
  t.not((await install('0'.repeat(64))).status, 0);
  t.throws(() => readFileSync(join(home.path, 'client-keystone-auth')));
  const { status, output } = await install(sum);
  t.equal(status, 0, output);
  t.equal(execFileSync(join(home.path, 'client-keystone-auth'), { encoding: 'utf8' }), '1.2.3\n');
});

void t.test('the other examples have the stanza that kubeconfig add writes, and no secret', (t) => {
  const terraform = readFileSync(join(FLEET, 'terraform.tf'), 'utf8');
  t.match(terraform, /api_version = "client\.authentication\.k8s\.io\/v1"\n/);
  t.match(terraform, /command +=.*"client-keystone-auth"\n/);
  const gitlab = load(readFileSync(join(FLEET, 'gitlab-ci.yml'), 'utf8')) as { readonly deploy: object };
  t.match(gitlab.deploy, { variables: { OS_AUTH_TYPE: 'v3applicationcredential' } });
  t.notMatch(JSON.stringify(gitlab), /SECRET/);
  t.type(load(readFileSync(join(FLEET, 'github-workflow.yml'), 'utf8')), Object);
  t.end();
});
