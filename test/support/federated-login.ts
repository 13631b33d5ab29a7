// Checks a login through the real identity provider, Apache and Keystone: the requests, what Keystone reports about the
// token, the files in the cache, and that the second run sends no request.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { describeRequest } from './request-log.ts';
import { summarizeToken } from './check-login.ts';
import type { ExpectedToken } from './check-login.ts';
import { federatedAuthPath, waitForRequests } from './federation.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import { runPlugin } from './run-plugin.ts';
import { makeTestHome } from './home.ts';
import type { Home, EnvVars } from './home.ts';
import type { RunResult } from './run-plugin.ts';
import { validateToken } from './tenancy.ts';
import { watchRequests, listRequests } from './request-log.ts';
import type { WatchedAddress } from './request-log.ts';
import type { TestEnvironment } from './test-environment.ts';

/** The addresses of one test, and the settings for them. */
export interface FederationFixture {
  readonly testEnvironment: TestEnvironment;
  readonly federation: FederationAddress;
  readonly keystone: WatchedAddress;
  readonly issuer: WatchedAddress;
  /** Settings for Keystone, the provider (with its discovery document), the CA of both, and the project demo. */
  readonly env: EnvVars;
  /** The same without Keystone. */
  readonly providerEnv: EnvVars;
}

export function setUpFederation(federation: FederationAddress, testEnvironment: TestEnvironment): FederationFixture {
  const keystone = watchRequests(federation.keystone);
  const issuer = watchRequests(federation.identityProvider);
  const providerEnv = {
    OS_CACERT: testEnvironment.pki.ca,
    OS_DISCOVERY_ENDPOINT: `${issuer.url}/.well-known/openid-configuration`,
  };
  const env = {
    ...providerEnv,
    OS_AUTH_URL: `${keystone.url}/v3`,
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_PROTOCOL: federation.protocol,
    OS_PROJECT_ID: testEnvironment.tenancy.projects.demo.id,
  };
  return { testEnvironment, federation, keystone, issuer, env, providerEnv };
}

export const DISCOVERY_REQUEST = 'GET /.well-known/openid-configuration 200';
export const TOKEN_REQUEST = 'POST /token 200';

/** The requests to Keystone: one with the provider's token, one for the scope. */
export function expectKeystoneRequests(federation: FederationAddress): readonly string[] {
  return [`POST ${federatedAuthPath(federation)} 201`, 'POST /v3/auth/tokens?nocatalog=true 201'];
}

/** Lists the requests to the provider as `METHOD PATH STATUS`. */
export function listIssuerRequests({ issuer }: FederationFixture): readonly string[] {
  return listRequests(issuer)
    .filter(({ path }) => !path.startsWith('/control/'))
    .map(describeRequest);
}

export async function listKeystoneRequests({ keystone }: FederationFixture): Promise<readonly string[]> {
  return (await waitForRequests(keystone)).map(describeRequest);
}

/** The token of a federated user who is a member of demo. */
export function expectDemoMember(user: string): ExpectedToken {
  return { user, project: 'demo', methods: ['openid', 'token'], roles: ['member', 'reader'] };
}

/** Reads all files of the cache folder. */
export function readCache(home: Home): string {
  return readdirSync(home.cache)
    .map((name) => readFileSync(join(home.cache, name), 'utf8'))
    .join('\n');
}

/** Checks that no secret of the federation environment is printed or stored. */
export function checkNoSecrets(t: Test, { federation }: FederationFixture, home: Home, result: RunResult): void {
  const { clients, users } = federation;
  const secrets = [
    ...Object.values(users).map(({ password }) => password),
    users.otto.otp,
    clients.confidential.secret,
    clients.awkward.secret,
  ];
  const all = [result.stdout, result.stderr, readCache(home)].join('\n');
  t.strictSame(
    secrets.filter((secret) => all.includes(secret)),
    [],
    'no secret is printed or stored',
  );
}

export interface FederatedLogin {
  readonly env: EnvVars;
  readonly expected: ExpectedToken;
  /** The requests to the provider. Default: discovery and one token request. */
  readonly issuer?: readonly string[];
  readonly keystone?: readonly string[];
  readonly warnings?: readonly (string | RegExp)[];
}

/** Logs in twice: first at the servers, then from the cache. */
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
  const home = makeTestHome(t);
  const run = { home, env: { ...fixture.env, ...login.env } };
  const before = { issuer: listIssuerRequests(fixture).length, keystone: (await listKeystoneRequests(fixture)).length };
  const first = await runPlugin(run);
  const credential = checkSuccess(t, first, warnings);
  t.strictSame(listIssuerRequests(fixture).slice(before.issuer), issuer, 'requests to the provider');
  t.strictSame((await listKeystoneRequests(fixture)).slice(before.keystone), keystone, 'requests to Keystone');
  t.strictSame(summarizeToken(await validateToken(testEnvironment.http, credential.token)), expected);

  const second = await runPlugin(run);
  t.strictSame(
    second,
    { status: 0, signal: null, stdout: first.stdout, stderr: '' },
    'the cache returns the same token',
  );
  t.equal(
    listIssuerRequests(fixture).length,
    before.issuer + issuer.length,
    'the second run sends no request to the provider',
  );
  t.equal(
    (await listKeystoneRequests(fixture)).length,
    before.keystone + keystone.length,
    'the second run sends no request to Keystone',
  );
  checkNoSecrets(t, fixture, home, first);
  return credential;
}

export interface FederatedFailure {
  readonly env: EnvVars;
  readonly says: readonly (string | RegExp)[];
  readonly status?: number;
  readonly issuer: readonly string[];
  readonly keystone?: readonly string[];
}

/** A login that must fail, and the requests that it causes. */
export async function checkFederatedFailure(
  t: Test,
  fixture: FederationFixture,
  refusal: FederatedFailure,
): Promise<void> {
  const { env, says, status = EXIT_STATUS.refused, issuer, keystone = [] } = refusal;
  const home = makeTestHome(t);
  const before = { issuer: listIssuerRequests(fixture).length, keystone: (await listKeystoneRequests(fixture)).length };
  const result = await runPlugin({ home, env: { ...fixture.env, ...env } });
  checkFailure(t, result, status, { says: ['; ', ...says] });
  t.notMatch(result.stderr, /[<>]/, 'no HTML');
  t.strictSame(listIssuerRequests(fixture).slice(before.issuer), issuer, 'requests to the provider');
  t.strictSame((await listKeystoneRequests(fixture)).slice(before.keystone), keystone, 'requests to Keystone');
  if (issuer.length > 0) checkNoSecrets(t, fixture, home, result);
}
