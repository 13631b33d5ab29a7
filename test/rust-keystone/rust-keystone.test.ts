/**
 * Against: the published Rust Keystone 0.1.1, a real kube-apiserver and the webhook. Skipped by name where Rust Keystone
 * is not built, except in CI.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { collectResult } from '../../scripts/lib/child-result.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { damageEnd } from '../support/damaged-token.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeEnvironment } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { asAliceOnDemo, asApplicationCredential, asUser, asUserById } from '../support/login-settings.ts';
import { canRun, requireKubectl, skipWithout } from '../support/missing-tools.ts';
import { runBundles } from '../support/run-bundles.ts';
import { makeIsolatedCommand, PLUGIN_PATH } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { checkTableColumn, WEBHOOK_ROW } from '../support/rust-keystone-table.ts';
import { DEPLOYER, findPrograms, startRustCluster } from '../support/rust-cluster.ts';
import type { RustCluster } from '../support/rust-cluster.ts';
import type { NamedEntity } from '../support/tenancy.ts';
import { waitUntil } from '../support/wait-until.ts';

interface TokenFacts {
  readonly user: NamedEntity;
  readonly project?: NamedEntity;
  readonly domain?: NamedEntity;
  readonly system?: object;
  readonly methods: readonly string[];
}

const PAGE = join(import.meta.dirname, '../../docs/auth/kubernetes.md');

/** Returns the YAML examples of a page, without their indentation in a list. */
function readExamples(path: string): string[] {
  const blocks = [...readFileSync(path, 'utf8').matchAll(/^( *)```yaml\n(.*?)^\1```$/gms)];
  return blocks.map(([, indentation = '', text = '']) => text.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''));
}

/** Sets up someone who logs in to Rust Keystone. */
const setUpUser = (t: Test, { keystone }: RustCluster, settings: EnvVars): Fixture =>
  setUp(t, { runner: runBundles, settings: { OS_AUTH_URL: `${keystone.url}/v3`, ...settings } });

/** Asks Rust Keystone about a token, as its owner. */
async function validate({ keystone }: RustCluster, token: string): Promise<TokenFacts | undefined> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const response = await fetch(`${keystone.url}/v3/auth/tokens?nocatalog=true`, { headers });
  if (!response.ok) return undefined;
  return ((await response.json()) as { token: TokenFacts }).token;
}

/** Returns what Rust Keystone says about the token of a run. */
async function readFacts(
  t: Test,
  rust: RustCluster,
  result: RunResult,
  warnings: readonly RegExp[] = [],
): Promise<TokenFacts | undefined> {
  return validate(rust, checkSuccess(t, result, warnings).token);
}

/** Runs a program in the environment of a user, and in the folders of a pod if it has a token. */
async function runInPod(user: Fixture, command: readonly string[], token?: string): Promise<RunResult> {
  const bin = join(user.home.path, 'bin');
  mkdirSync(bin, { recursive: true });
  execFileSync('ln', ['-sfn', PLUGIN_PATH, join(bin, 'client-keystone-auth')]);
  const env = makeEnvironment(user.home, { PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` });
  const mounts = `mount -t tmpfs tmpfs /run
    folder=/var/run/secrets/kubernetes.io/serviceaccount
    mkdir -p "$folder"
    cat >"$folder/token"
    exec "$@" </dev/null`;
  const words = token === undefined ? command : ['unshare', ...MOUNT_NAMESPACE, 'sh', '-ec', mounts, 'sh', ...command];
  const [file, args, options] = makeIsolatedCommand(words[0] ?? '', words.slice(1), env);
  const child = spawn(file, args, { ...options, cwd: user.home.path, detached: true, stdio: 'pipe' });
  const result = collectResult(child);
  child.stdin.end(token);
  return result;
}

/** Asks the API server, which asks the webhook, who a token belongs to. */
async function review({ cluster }: RustCluster, token: string): Promise<unknown> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  return waitUntil('a review', async () => {
    const response = await cluster.request('/apis/authentication.k8s.io/v1/tokenreviews', { method: 'POST', body });
    const { status } = response.body as { status: { authenticated?: boolean; user?: object } };
    return status.authenticated === true && status.user;
  });
}

/** What works, by the rows of the table in the page. */
const shown = new Map<string, boolean>();

/** Remembers what a test shows about rows of the table, if it passes. */
function show(t: Test, works: boolean, ...rows: readonly string[]): void {
  if (t.passing()) for (const row of rows) shown.set(row, works);
}

const MOUNT_NAMESPACE = ['--map-root-user', '--mount'];

async function testLogins(t: Test, rust: RustCluster): Promise<void> {
  const { tenancy, keystone } = rust;
  const { domain, projects, users } = tenancy;
  const alice = setUpUser(t, rust, asUser(users.alice, domain));
  const onDemo = { user: { name: 'alice' }, project: { id: projects.demo.id }, methods: ['password'] };

  await t.test('a password gets a token for a project by name and by ID', async (t) => {
    t.match(await readFacts(t, rust, await setUpUser(t, rust, asAliceOnDemo(tenancy)).run()), onDemo);
    const byId = { ...asUserById(users.alice), OS_PROJECT_ID: projects.demo.id };
    t.match(await readFacts(t, rust, await setUpUser(t, rust, byId).run()), onDemo);
    show(t, true, 'a password, on a project');
  });

  await t.test('a URL without a version leads to v3', async (t) => {
    const settings = { ...asAliceOnDemo(tenancy), OS_AUTH_URL: keystone.url };
    t.match(await readFacts(t, rust, await setUpUser(t, rust, settings).run()), onDemo);
  });

  await t.test('a password gets a token for the domain and for the system', async (t) => {
    const onDomain = await alice.onNewMachine().with({ OS_DOMAIN_NAME: domain.name }).run();
    t.match(await readFacts(t, rust, onDomain), { domain: { id: domain.id } });
    const onSystem = await alice.onNewMachine().with({ OS_SYSTEM_SCOPE: 'all' }).run();
    t.match(await readFacts(t, rust, onSystem), { system: { all: true } });
    show(t, true, 'a password, on the system');
  });

  await t.test('--unscoped gets a token without a scope', async (t) => {
    const facts = await readFacts(t, rust, await alice.onNewMachine().run('--unscoped'), [/the token has no scope/]);
    t.match(facts, { user: { name: 'alice' }, project: undefined, domain: undefined, system: undefined });
    show(t, true, '--unscoped');
  });

  await t.test('a wrong password is refused', async (t) => {
    const wrong = setUpUser(t, rust, { ...asAliceOnDemo(tenancy), OS_PASSWORD: 'not-hers' });
    checkFailure(t, await wrong.run(), EXIT_STATUS.refused, { says: ['Keystone refused the login for alice'] });
  });

  await t.test('no role, and a domain that does not exist, are refusals', async (t) => {
    const stranger = setUpUser(t, rust, { ...asUser(users.mallory, domain), OS_PROJECT_ID: projects.demo.id });
    checkFailure(t, await stranger.run(), EXIT_STATUS.refused, { says: ['the user has no role there'] });
    const lost = setUpUser(t, rust, { ...asAliceOnDemo(tenancy), OS_USER_DOMAIN_NAME: 'nosuch' });
    checkFailure(t, await lost.run(), EXIT_STATUS.refused, { says: ['domain nosuch not found'] });
  });

  await t.test('this version asks for no second factor', async (t) => {
    const mfa = setUpUser(t, rust, { ...asUser(users.mfa, domain), OS_PROJECT_ID: projects.demo.id });
    t.match(await readFacts(t, rust, await mfa.run()), { user: { name: 'mfa' }, methods: ['password'] });
    show(t, false, 'a second factor that a rule requires');
  });

  await t.test('a token is exchanged for a project, and a revoked one is refused as such', async (t) => {
    const unscoped = await alice.onNewMachine().getToken('--unscoped');
    const bearer = setUpUser(t, rust, {
      ...{ OS_AUTH_TYPE: 'v3token', OS_TOKEN: unscoped, OS_PROJECT_ID: projects.demo.id },
    });
    t.match(await readFacts(t, rust, await bearer.run()), { project: { id: projects.demo.id } });
    const headers = { 'x-auth-token': unscoped, 'x-subject-token': unscoped };
    const { status } = await fetch(`${keystone.url}/v3/auth/tokens`, { method: 'DELETE', headers });
    t.equal(status, 204);
    checkFailure(t, await bearer.onNewMachine().run(), EXIT_STATUS.refused, {
      says: ['Keystone does not accept the token in OS_TOKEN', 'revoked'],
    });
    checkFailure(t, await bearer.onNewMachine().with({ OS_TOKEN: 'gAAAA-none' }).run(), EXIT_STATUS.refused, {
      says: ['Keystone does not accept the token in OS_TOKEN'],
    });
    show(t, true, 'a token, exchanged for a project');
  });

  await t.test('an application credential and a trust are refused', async (t) => {
    const { applicationCredentials, trust } = tenancy;
    const credential = await setUpUser(t, rust, asApplicationCredential(applicationCredentials.valid)).run();
    checkFailure(t, credential, EXIT_STATUS.refused, { says: [/application credential/] });
    const trusted = await setUpUser(t, rust, { ...asUser(users.bob, domain), OS_TRUST_ID: trust.id }).run();
    checkFailure(t, trusted, EXIT_STATUS.refused, { says: ['this Keystone has no trusts'] });
    show(t, false, 'an application credential', 'a trust');
  });

  await t.test('a method that this Keystone does not have is named', async (t) => {
    const federated = setUpUser(t, rust, {
      ...{ OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_ACCESS_TOKEN: 'canary', OS_PROJECT_ID: projects.demo.id },
      ...{ OS_IDENTITY_PROVIDER: 'corp', OS_PROTOCOL: 'openid' },
    });
    checkFailure(t, await federated.run(), EXIT_STATUS.protocol, {
      says: ['it has no v3/OS-FEDERATION/identity_providers/corp/protocols/openid/auth', 'v4federation and v4jwt'],
    });
  });

  await t.test('the commands say what this Keystone has', async (t) => {
    const user = setUpUser(t, rust, asAliceOnDemo(tenancy));
    const whoami = await user.run('whoami', '-o', 'json');
    t.match(JSON.parse(whoami.stdout), {
      user: { id: users.alice.id, name: 'alice' },
      project: { id: projects.demo.id, name: 'demo' },
      groups: [],
      roles: ['member', 'reader'],
    });
    t.match(await user.run('catalog'), { status: 0, stderr: '', stdout: /^keystone +identity/m });
    t.match(await user.run('status'), { status: 0, stderr: '', stdout: /demo/ });
    t.match(await user.run('projects'), {
      status: 0,
      stderr: '',
      stdout: new RegExp(`^demo +${projects.demo.id}`, 'm'),
    });
    checkFailure(t, await user.run('domains'), EXIT_STATUS.protocol, {
      says: ['this Keystone does not list the domains: it has no v3/auth/domains'],
    });
    show(t, true, 'whoami', 'catalog', 'projects');
    show(t, false, 'domains');
  });

  await t.test('logout revokes the token', async (t) => {
    const user = setUpUser(t, rust, asAliceOnDemo(tenancy));
    const token = await user.getToken();
    const { status, stderr } = await user.run('logout');
    t.equal(status, 0, stderr);
    t.equal(await validate(rust, token), undefined);
    t.strictSame(await rust.webhook.reviewToken(token), { authenticated: false });
    show(t, true, 'logout revokes the token');
  });
}

async function testPods(t: Test, rust: RustCluster, kubectl: string): Promise<void> {
  const { keystone, tenancy, pki, cluster, instanceId } = rust;
  const [kubeconfig = '', binding = ''] = readExamples(PAGE);
  const pod = setUpUser(t, rust, {
    ...{ OS_AUTH_TYPE: 'v4k8s', OS_K8S_AUTH_INSTANCE_ID: instanceId, OS_K8S_AUTH_ROLE: DEPLOYER.name },
    OS_K8S_AUTH_TOKEN_FILE: 'token',
  });
  const file = pod.writeFile('token', await rust.requestToken(DEPLOYER));
  const user = pod.with({ OS_K8S_AUTH_TOKEN_FILE: file });
  const says = ['Keystone refused the token of service account ci/deployer', 'ClusterRole system:auth-delegator'];

  await t.test('without the ClusterRoleBinding, the message names it', async (t) => {
    checkFailure(t, await user.run(), EXIT_STATUS.refused, { says });
  });

  await t.test('with the ClusterRoleBinding of the page, a pod logs in', async (t) => {
    const path = pod.writeFile('binding.yaml', binding);
    const apply = [kubectl, '--kubeconfig', rust.adminKubeconfig, 'apply', '--validate=false', '-f', path];
    const applied = await runInPod(pod, apply);
    t.equal(applied.status, 0, applied.stderr);
    const result = await waitUntil('RBAC knows the binding', async () => {
      const attempt = await user.onNewMachine().run();
      return attempt.status === 0 && attempt;
    });
    const { token } = checkSuccess(t, result);
    t.match(await validate(rust, token), {
      user: { name: 'alice' },
      project: { id: tenancy.projects.demo.id },
      methods: ['mapped'],
    });
  });

  await t.test('the webhook accepts the token', async (t) => {
    const token = await user.onNewMachine().getToken();
    t.match(await review(rust, token), { username: 'alice', uid: tenancy.users.alice.id });
    const forged = await rust.webhook.reviewToken(`${token.slice(0, -8)}AAAAAAA=`);
    t.strictSame(forged, { authenticated: false }, 'and not one that is changed');
    show(t, true, 'v4k8s', `v4k8s ${WEBHOOK_ROW}`);
  });

  await t.test('a token with the audience keystone is refused, and the message names the audience', async (t) => {
    const path = pod.writeFile('projected', await rust.requestToken(DEPLOYER, ['keystone']));
    const projected = user.onNewMachine().with({ OS_K8S_AUTH_TOKEN_FILE: path });
    checkFailure(t, await projected.run(), EXIT_STATUS.refused, { says: [...says, "the API server's own audience"] });
  });

  await t.test('other accounts, roles and instances are refused with a hint', async (t) => {
    const fails = async (changes: EnvVars, says: readonly (string | RegExp)[]): Promise<void> => {
      checkFailure(t, await user.onNewMachine().with(changes).run(), EXIT_STATUS.refused, { says });
    };
    const stranger = await rust.requestToken({ ...DEPLOYER, name: 'stranger' });
    await fails({ OS_K8S_AUTH_TOKEN_FILE: pod.writeFile('stranger', stranger) }, ['service account ci/stranger']);
    await fails({ OS_K8S_AUTH_ROLE: 'nosuch' }, ['has no role "nosuch"', 'set OS_K8S_AUTH_ROLE']);
    await fails({ OS_K8S_AUTH_ROLE: undefined }, ['requires the name of a role', 'set OS_K8S_AUTH_ROLE']);
    await fails({ OS_K8S_AUTH_INSTANCE_ID: 'nosuch' }, ['has no Kubernetes auth instance nosuch']);
    await fails({ OS_K8S_AUTH_INSTANCE_ID: rust.disabledInstanceId }, [/check that instance \S+ is enabled/]);
    await fails({ OS_K8S_AUTH_TOKEN_FILE: pod.writeFile('forged', damageEnd(stranger)) }, ['refused']);
  });

  const skip = skipWithout('a mount namespace', () => canRun('unshare', ...MOUNT_NAMESPACE, 'true'));
  await t.test('kubectl in a pod reaches the other cluster with the kubeconfig of the page', { skip }, async (t) => {
    const config = kubeconfig
      .replace('https://kube.example.com:6443', cluster.url)
      .replace('/etc/other-cluster/ca.crt', pki.ca)
      .replace('https://keystone.example.com:5000', keystone.url)
      .replace('7d1f0c3a9b5e4f68', instanceId);
    t.notMatch(config, /example\.com|7d1f0c3a/, 'everything that depends on the site is replaced');
    const path = pod.writeFile('kubeconfig', config);
    const token = await rust.requestToken(DEPLOYER);
    const get = (namespace: string): Promise<RunResult> =>
      runInPod(pod, [kubectl, '--kubeconfig', path, 'get', 'pods', '-n', namespace], token);
    const allowed = await waitUntil('an answer of the cluster', async () => {
      const result = await get('default');
      return !/Unauthorized|must be logged in/.test(result.stderr) && result;
    });
    t.match(allowed, { status: 0, stderr: /^No resources found in default namespace\.\n$/ });
    t.match(await get('ci'), { status: 1, stderr: /User "alice" cannot list resource "pods".*namespace "ci"/ });
  });
}

async function testJobs(t: Test, rust: RustCluster): Promise<void> {
  const { tenancy, providerId } = rust;
  const { demo } = tenancy.projects;
  const job = setUpUser(t, rust, {
    ...{ OS_AUTH_TYPE: 'v4jwt', OS_IDENTITY_PROVIDER: providerId, OS_ATTRIBUTE_MAPPING_NAME: 'ci' },
    OS_JWT: rust.signJwt({ sub: 'repo:acme/app' }),
  });

  await t.test('a JWT gets a token without a scope, and the webhook accepts one for a project', async (t) => {
    const facts = await readFacts(t, rust, await job.run(), [/the token has no scope/]);
    t.match(facts, { user: { name: 'repo:acme/app' }, project: undefined, methods: ['openid'] });
    const onDemo = job.onNewMachine().with({ OS_PROJECT_ID: demo.id });
    checkFailure(t, await onDemo.run(), EXIT_STATUS.refused, {
      says: ['Keystone refused the login for repo:acme/app on project', 'the user has no role there'],
    });
    await rust.setMembership('PUT', facts?.user.id ?? '');
    const scoped = checkSuccess(t, await onDemo.onNewMachine().run());
    const unseen = await onDemo.onNewMachine().getToken();
    t.match(await validate(rust, scoped.token), { user: { id: facts?.user.id }, project: { id: demo.id } });
    t.match(await review(rust, scoped.token), { username: 'repo:acme/app' });
    await rust.setMembership('DELETE', facts?.user.id ?? '');
    t.strictSame(await rust.webhook.reviewToken(unseen), { authenticated: false }, 'without the role, it is refused');
    show(t, true, 'v4jwt', `v4jwt ${WEBHOOK_ROW}`);
  });

  await t.test('a JWT that is forged, and a missing mapping, are refused with the reason', async (t) => {
    const fails = async (changes: EnvVars, says: readonly (string | RegExp)[]): Promise<void> => {
      checkFailure(t, await job.onNewMachine().with(changes).run(), EXIT_STATUS.refused, { says });
    };
    const forged = damageEnd(job.settings['OS_JWT'] ?? '');
    await fails({ OS_JWT: forged }, ['Keystone refused the JWT', 'Signature verification failed']);
    await fails({ OS_ATTRIBUTE_MAPPING_NAME: undefined }, ['requires the name of a mapping']);
    await fails({ OS_ATTRIBUTE_MAPPING_NAME: 'nosuch' }, ['has no mapping "nosuch"']);
    await fails({ OS_IDENTITY_PROVIDER: 'nosuch' }, ['has no identity provider nosuch']);
  });
}

const programs = await findPrograms();
const kubectl = await requireKubectl('new');
const missing = 'missing' in programs ? programs.missing : 'missing' in kubectl ? kubectl.missing : false;

await t.test('Rust Keystone 0.1.1', { skip: missing }, async (t) => {
  if ('missing' in programs || 'missing' in kubectl) return;
  const rust = await startRustCluster(t, programs);
  await t.test('users log in with v3', async (t) => testLogins(t, rust));
  await t.test('pods log in with v4', async (t) => testPods(t, rust, kubectl.path));
  await t.test('jobs log in with v4', async (t) => testJobs(t, rust));
  await t.test('the table of the page says what these tests show', (t) => {
    checkTableColumn(t, 'Rust 0.1.1', shown);
    t.end();
  });
});
