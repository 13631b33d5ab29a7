// Checks a login through the real identity provider, Apache and Keystone: the requests, what Keystone reports about the
// token, the files in the cache, and that the second run sends no request.

import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { summarizeToken } from './check-login.ts';
import type { ExpectedToken } from './check-login.ts';
import { federatedAuthPath, waitForRequests } from './federation.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import { setUp } from './fixture.ts';
import type { Fixture } from './fixture.ts';
import type { EnvVars } from './home.ts';
import { describeRequest, watchRequests } from './request-log.ts';
import type { WatchedAddress } from './request-log.ts';
import type { RunResult } from './run-plugin.ts';
import { validateToken } from './tenancy.ts';
import type { TestEnvironment } from './test-environment.ts';

/** The servers of one test, and someone with settings for them. */
export interface FederationFixture {
  readonly testEnvironment: TestEnvironment;
  readonly federation: FederationAddress;
  readonly keystone: WatchedAddress;
  readonly issuer: WatchedAddress;
  /** Has settings for Keystone, the provider (with its discovery document), the CA of both, and the project demo. */
  readonly user: Fixture;
  /** The settings without Keystone. */
  readonly providerSettings: EnvVars;
}

export function setUpFederation(
  t: Test,
  federation: FederationAddress,
  testEnvironment: TestEnvironment,
): FederationFixture {
  const keystone = watchRequests(federation.keystone);
  const issuer = watchRequests(federation.identityProvider);
  const providerSettings = {
    OS_CACERT: testEnvironment.pki.ca,
    OS_DISCOVERY_ENDPOINT: `${issuer.url}/.well-known/openid-configuration`,
  };
  const settings = {
    ...providerSettings,
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_PROTOCOL: federation.protocol,
    OS_PROJECT_ID: testEnvironment.tenancy.projects.demo.id,
  };
  const user = setUp(t, { keystone, settings });
  return { testEnvironment, federation, keystone, issuer, user, providerSettings };
}

export const DISCOVERY_REQUEST = 'GET /.well-known/openid-configuration 200';
export const TOKEN_REQUEST = 'POST /token 200';

/** The requests to Keystone: one with the provider's token, one for the scope. */
export function expectKeystoneRequests(federation: FederationAddress): readonly string[] {
  return [`POST ${federatedAuthPath(federation)} 201`, 'POST /v3/auth/tokens?nocatalog=true 201'];
}

/** Lists the requests to the provider as `METHOD PATH STATUS`. */
export function listIssuerRequests({ issuer }: Pick<FederationFixture, 'issuer'>): readonly string[] {
  return issuer.listRequests().filter((line) => !/^\S+ \/control\//.test(line));
}

/** Waits for `count` requests to Keystone, and lists all as `METHOD PATH STATUS`. */
export async function listKeystoneRequests(
  { keystone, testEnvironment }: Pick<FederationFixture, 'keystone' | 'testEnvironment'>,
  count: number,
): Promise<readonly string[]> {
  const log = { address: keystone, ca: testEnvironment.pki.ca };
  return (await waitForRequests(log, count)).map(describeRequest);
}

/** The token of a federated user who is a member of demo. */
export function expectDemoMember(user: string): ExpectedToken {
  return { user, project: 'demo', methods: ['openid', 'token'], roles: ['member', 'reader'] };
}

/** Checks that no secret of the federation environment is printed or stored. */
export function checkNoSecrets(t: Test, { federation }: FederationFixture, user: Fixture, result: RunResult): void {
  const { clients, users } = federation;
  const secrets = [
    ...Object.values(users).map(({ password }) => password),
    users.otto.otp,
    clients.confidential.secret,
    clients.awkward.secret,
  ];
  const all = [result.stdout, result.stderr, user.readCache()].join('\n');
  t.strictSame(
    secrets.filter((secret) => all.includes(secret)),
    [],
    'no secret is printed or stored',
  );
}

/** Notes the requests so far, and returns a function that lists the later ones. */
async function noteRequests(fixture: FederationFixture): Promise<{
  issuer: () => readonly string[];
  keystone: (count: number) => Promise<readonly string[]>;
}> {
  const issuerCount = listIssuerRequests(fixture).length;
  const keystoneCount = (await listKeystoneRequests(fixture, 0)).length;
  return {
    issuer: () => listIssuerRequests(fixture).slice(issuerCount),
    keystone: async (count) => (await listKeystoneRequests(fixture, keystoneCount + count)).slice(keystoneCount),
  };
}

export interface FederatedLogin {
  /** Changes of the settings. */
  readonly env: EnvVars;
  readonly expected: ExpectedToken;
  /** The requests to the provider. Default: discovery and one token request. */
  readonly issuer?: readonly string[];
  readonly keystone?: readonly string[];
  readonly warnings?: readonly (string | RegExp)[];
}

/** Logs in twice on a new machine: first at the servers, then from the cache, in a process of its own. */
export async function checkFederatedLogin(
  t: Test,
  fixture: FederationFixture,
  login: FederatedLogin,
): Promise<ExecCredentialStatus> {
  const { federation, testEnvironment } = fixture;
  const {
    expected,
    warnings,
    issuer = [DISCOVERY_REQUEST, TOKEN_REQUEST],
    keystone = expectKeystoneRequests(federation),
  } = login;
  const user = fixture.user.onNewMachine().with(login.env);
  const later = await noteRequests(fixture);
  const first = await user.run();
  const credential = checkSuccess(t, first, warnings);
  t.strictSame(later.issuer(), issuer, 'requests to the provider');
  t.strictSame(await later.keystone(keystone.length), keystone, 'requests to Keystone');
  t.strictSame(summarizeToken(await validateToken(testEnvironment.http, credential.token)), expected);

  const second = await user.asProcess().run();
  t.strictSame(
    second,
    { status: 0, signal: null, stdout: first.stdout, stderr: '' },
    'the cache returns the same token',
  );
  t.equal(later.issuer().length, issuer.length, 'the second run sends no request to the provider');
  t.equal(
    (await later.keystone(keystone.length)).length,
    keystone.length,
    'the second run sends no request to Keystone',
  );
  checkNoSecrets(t, fixture, user, first);
  return credential;
}

export interface FederatedFailure {
  /** Changes of the settings. */
  readonly env: EnvVars;
  readonly says: readonly (string | RegExp)[];
  readonly status?: number;
  readonly issuer: readonly string[];
  readonly keystone?: readonly string[];
}

/** A login on a new machine that must fail, and the requests that it causes. */
export async function checkFederatedFailure(
  t: Test,
  fixture: FederationFixture,
  refusal: FederatedFailure,
): Promise<void> {
  const { env, says, status = EXIT_STATUS.refused, issuer, keystone = [] } = refusal;
  const user = fixture.user.onNewMachine().with(env);
  const later = await noteRequests(fixture);
  const result = await user.run();
  checkFailure(t, result, status, { says: ['; ', ...says] });
  t.notMatch(result.stderr, /[<>]/, 'no HTML');
  t.strictSame(later.issuer(), issuer, 'requests to the provider');
  t.strictSame(await later.keystone(keystone.length), keystone, 'requests to Keystone');
  if (issuer.length > 0) checkNoSecrets(t, fixture, user, result);
}
