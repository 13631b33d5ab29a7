/**
 * The published Rust Keystone for a test file, with a real API server whose service accounts it knows and whose webhook
 * asks it about tokens.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Test } from 'tap';
import { findKubernetes } from '../../scripts/kubernetes/find-kubernetes.ts';
import type { KubernetesPrograms } from '../../scripts/kubernetes/find-kubernetes.ts';
import { makeAdminToken, renderKubeconfig, startKubeApiserver } from '../../scripts/kubernetes/kube-apiserver.ts';
import type { KubeApiserver } from '../../scripts/kubernetes/kube-apiserver.ts';
import { findKeystone } from '../../scripts/keystone/find-keystone.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { findRustKeystone } from '../../scripts/rust-keystone/find-rust-keystone.ts';
import type { RustKeystonePrograms } from '../../scripts/rust-keystone/find-rust-keystone.ts';
import { findNetworkProblem, startRustKeystone } from '../../scripts/rust-keystone/rust-keystone.ts';
import type { RustKeystone } from '../../scripts/rust-keystone/rust-keystone.ts';
import { listenForTest } from './listen-for-test.ts';
import { skipBecause } from './missing-tools.ts';
import { makeIssuerKey, signJwt } from './stand-in-issuer.ts';
import type { IssuerKey } from './stand-in-issuer.ts';
import { callKeystone, createTenancy, findId, listRoles, logInAsAdmin } from './tenancy.ts';
import type { NamedEntity, Tenancy } from './tenancy.ts';
import type { WebhookClient } from './webhook-client.ts';
import { startWebhookProcess } from './webhook-process.ts';
import { makeTestFolder, PATIENT_REVIEWS } from './webhook-settings.ts';

interface Programs {
  readonly rust: RustKeystonePrograms;
  readonly kubernetes: Exclude<KubernetesPrograms, { missing: string }>;
}

/** A running Rust Keystone, its users, and a cluster. */
export interface RustCluster {
  readonly keystone: RustKeystone;
  readonly tenancy: Tenancy;
  readonly pki: Pki;
  readonly cluster: KubeApiserver;
  readonly webhook: WebhookClient;
  /** A kubeconfig of the administrator of the cluster. */
  readonly adminKubeconfig: string;
  /** What Rust Keystone calls the cluster. */
  readonly instanceId: string;
  /** A cluster that is disabled. */
  readonly disabledInstanceId: string;
  /** What Rust Keystone calls the identity provider of {@link RustCluster.signJwt}, which has a mapping `ci`. */
  readonly providerId: string;
  /** Makes a JWT of an identity provider whose keys Rust Keystone can read. */
  signJwt(claims: object): string;
  /** Gives a user the role `member` on the project demo, or takes it away. */
  setMembership(verb: 'DELETE' | 'PUT', userId: string): Promise<void>;
  /** Makes a token of a service account with TokenRequest, as the kubelet does for a pod. */
  requestToken(account: ServiceAccount, audiences?: readonly string[]): Promise<string>;
}

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
}

/** The service account that the role `deployer` of the cluster maps to alice on the project demo. */
export const DEPLOYER: ServiceAccount = { namespace: 'ci', name: 'deployer' };

/** How long the API server and the webhook remember answers, in seconds. */
const CACHE_SECONDS = 2;

/**
 * Finds the programs, or returns why the tests are skipped.
 *
 * @throws Error in CI if they are missing for another reason than a build that is not finished
 */
export async function findPrograms(): Promise<Programs | { readonly missing: string }> {
  const rust = await findRustKeystone(() => undefined);
  if ('missing' in rust) return { missing: rust.isBeingBuilt ? rust.missing : skipBecause(rust.missing) };
  const [kubernetes, python, problem] = [
    await findKubernetes(() => undefined),
    await findKeystone(),
    await findNetworkProblem(),
  ];
  if ('missing' in kubernetes) return { missing: skipBecause(kubernetes.missing) };
  if ('missing' in python) return { missing: skipBecause(python.missing) };
  return problem === undefined ? { rust, kubernetes } : { missing: skipBecause(problem) };
}

/** Starts everything. It ends with the test. */
export async function startRustCluster(t: Test, { rust, kubernetes }: Programs): Promise<RustCluster> {
  const folder = makeTestFolder(t);
  // PostgreSQL may run as another user.
  chmodSync(folder, 0o711);
  const [pki, port, adminToken] = [await makePki(join(folder, 'pki')), await findFreePort(), makeAdminToken()];
  const issuer = await startIssuer(t);
  const reachablePorts = [port, issuer.port];
  const keystone = await startRustKeystone({ programs: rust, dir: join(folder, 'rust'), reachablePorts });
  t.teardown(async () => {
    if (!t.passing()) t.comment(await keystone.readLog());
    await keystone.stop();
  });
  const tenancy = await createTenancy(keystone.python);
  const policy = join(folder, 'policy.json');
  const entry = { users: { projects: ['demo'] }, resource_permissions: { 'default/pods': ['get', 'list'] } };
  writeFileSync(policy, JSON.stringify([entry]));
  const webhook = await startWebhookProcess(t, {
    keystone,
    pki,
    args: [
      ...['--keystone-policy-file', policy, '--cache-ttl', String(CACHE_SECONDS), ...PATIENT_REVIEWS],
      ...['--allowed-colon-names', 'repo:acme/*'],
    ],
  });
  t.teardown(() => {
    if (!t.passing()) t.comment(webhook.readOutput());
  });
  const cluster = await startKubeApiserver(
    {
      ...{ programs: kubernetes, dir: join(folder, 'cluster'), pki, port },
      ...{ webhookPort: webhook.port, cacheSeconds: CACHE_SECONDS },
    },
    adminToken,
  );
  t.teardown(() => cluster.stop());
  const create = async (path: string, body: object): Promise<unknown> => {
    const response = await cluster.request(path, { method: 'POST', body });
    if (response.status !== 201) throw new Error(`POST ${path} gave ${response.status}`);
    return response.body;
  };
  await create('/api/v1/namespaces', { metadata: { name: DEPLOYER.namespace } });
  for (const name of [DEPLOYER.name, 'stranger'])
    await create(`/api/v1/namespaces/${DEPLOYER.namespace}/serviceaccounts`, { metadata: { name } });
  const adminKubeconfig = join(folder, 'admin-kubeconfig');
  writeFileSync(adminKubeconfig, renderKubeconfig(cluster.url, pki.ca, adminToken), { mode: 0o600 });
  const instances = await registerCluster(keystone, tenancy, { url: cluster.url, ca: readFileSync(pki.ca, 'utf8') });
  const providerId = await registerIssuer(keystone, tenancy, issuer.url);
  return {
    ...{ keystone, tenancy, pki, cluster, webhook, adminKubeconfig, ...instances, providerId },
    signJwt(claims) {
      const now = Math.floor(Date.now() / 1000);
      return signJwt({ iss: issuer.url, aud: 'keystone', iat: now, exp: now + 600, ...claims }, issuer.key);
    },
    async setMembership(verb, userId) {
      const token = await logInAsAdmin(keystone.python);
      const role = findId(await listRoles(keystone.python, token), 'member');
      const path = `/v3/projects/${tenancy.projects.demo.id}/users/${userId}/roles/${role}`;
      await callKeystone(keystone.python, path, { method: verb, token });
    },
    async requestToken({ namespace, name }, audiences = []) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
      const body = await create(path, { spec: { audiences, expirationSeconds: 3600 } });
      return (body as { status: { token: string } }).status.token;
    },
  };
}

/** Serves the keys of an identity provider, on loopback and without TLS. */
async function startIssuer(t: Test): Promise<{ url: string; port: number; key: IssuerKey }> {
  const key = makeIssuerKey('first');
  const keys = [{ ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, use: 'sig', alg: 'RS256' }];
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
  });
  const port = await listenForTest(t, server);
  return { url: `http://127.0.0.1:${port}`, port, key };
}

/** Logs in to Rust Keystone as the administrator. */
async function logInAsRustAdmin({ url, python }: RustKeystone): Promise<string> {
  const domain = { name: 'Default' };
  const user = { name: 'admin', domain, password: python.adminPassword };
  const identity = { methods: ['password'], password: { user } };
  const body = JSON.stringify({ auth: { identity, scope: { system: { all: true } } } });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/v3/auth/tokens`, { method: 'POST', headers, body });
  const token = response.headers.get('x-subject-token');
  if (token === null) throw new Error(`logging in gave ${response.status}: ${await response.text()}`);
  return token;
}

/** Creates something in Rust Keystone. */
async function createIn(keystone: RustKeystone, path: string, member: string, content: object): Promise<NamedEntity> {
  const token = await logInAsRustAdmin(keystone);
  const server = { url: keystone.url, adminPassword: keystone.python.adminPassword };
  const response = await callKeystone(server, path, { method: 'POST', token, body: { [member]: content } });
  return (response as Record<string, NamedEntity>)[member] ?? { id: '', name: '' };
}

/** Tells Rust Keystone about an identity provider, whose JWTs become users of the domain. */
async function registerIssuer(keystone: RustKeystone, { domain }: Tenancy, url: string): Promise<string> {
  const provider = await createIn(keystone, '/v4/federation/identity_providers', 'identity_provider', {
    ...{ name: 'ci', domain_id: domain.id, enabled: true, jwks_url: `${url}/keys`, bound_issuer: url },
  });
  await createIn(keystone, '/v4/federation/mappings', 'mapping', {
    ...{ name: 'ci', domain_id: domain.id, idp_id: provider.id, type: 'jwt', enabled: true },
    ...{ user_id_claim: 'sub', user_name_claim: 'sub' },
  });
  return provider.id;
}

/** Tells Rust Keystone about the cluster, and which user the service account becomes. */
async function registerCluster(
  keystone: RustKeystone,
  { domain, users, projects }: Tenancy,
  cluster: { readonly url: string; readonly ca: string },
): Promise<Pick<RustCluster, 'instanceId' | 'disabledInstanceId'>> {
  const roles = await listRoles(keystone.python, await logInAsAdmin(keystone.python));
  const domainId = domain.id;
  const restriction = await createIn(keystone, '/v4/tokens/restrictions', 'restriction', {
    ...{ domain_id: domainId, user_id: users.alice.id, project_id: projects.demo.id },
    roles: [{ id: findId(roles, 'member'), name: 'member' }],
    ...{ allow_renew: true, allow_rescope: true },
  });
  const createInstance = (name: string, enabled: boolean): Promise<NamedEntity> =>
    createIn(keystone, '/v4/k8s_auth/instances', 'instance', {
      ...{ name, enabled, domain_id: domainId, host: cluster.url, ca_cert: cluster.ca, disable_local_ca_jwt: true },
    });
  const [instance, disabled] = [await createInstance('main', true), await createInstance('off', false)];
  // This version checks first whether a cluster is enabled, and has each name of a role once for each domain.
  await createIn(keystone, `/v4/k8s_auth/instances/${instance.id}/roles`, 'role', {
    ...{ name: DEPLOYER.name, enabled: true, token_restriction_id: restriction.id },
    bound_service_account_names: [DEPLOYER.name],
    bound_service_account_namespaces: [DEPLOYER.namespace],
  });
  return { instanceId: instance.id, disabledInstanceId: disabled.id };
}
