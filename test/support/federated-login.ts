// A login through the real identity provider, Apache and Keystone as every such method's test checks it: what each of them
// was asked, whose the token is by Keystone's own word, what is left behind, and that the second run asks nobody.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { describeRequest, homeFor, summarise } from './check-login.ts';
import type { Settings, Wanted } from './check-login.ts';
import { federatedAuthPath, requestsThrough } from './federation.ts';
import { checkFailure, checkSuccess, EXIT } from './login.ts';
import type { Credential } from './login.ts';
import { runPlugin } from './plugin.ts';
import type { Home, Ran } from './plugin.ts';
import { validateToken } from './tenancy.ts';
import { markRequests, requestsSince } from './test-environment.ts';
import type { Mark, World } from './test-environment.ts';

/** One test's own addresses, and the settings that lead to them. */
export interface Lane {
  readonly world: World;
  readonly federation: FederationAddress;
  readonly keystone: Mark;
  readonly issuer: Mark;
  /** Keystone, the provider by its discovery document, the authority of both, and the project demo. */
  readonly env: Settings;
  /** As {@link Lane.env}, without Keystone. */
  readonly providerEnv: Settings;
}

export function openLane(federation: FederationAddress, world: World): Lane {
  const keystone = markRequests(federation.keystone);
  const issuer = markRequests(federation.identityProvider);
  const providerEnv = {
    OS_CACERT: world.pki.ca,
    OS_DISCOVERY_ENDPOINT: `${issuer.url}/.well-known/openid-configuration`,
  };
  const env = {
    ...providerEnv,
    OS_AUTH_URL: `${keystone.url}/v3`,
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_PROTOCOL: federation.protocol,
    OS_PROJECT_ID: world.tenancy.projects.demo.id,
  };
  return { world, federation, keystone, issuer, env, providerEnv };
}

export const DISCOVERY = 'GET /.well-known/openid-configuration 200';
export const TOKEN = 'POST /token 200';

/** What Keystone is asked: the provider's token, then the scope. */
export function exchanged(federation: FederationAddress): readonly string[] {
  return [`POST ${federatedAuthPath(federation)} 201`, 'POST /v3/auth/tokens?nocatalog=true 201'];
}

/** `METHOD PATH STATUS` of what the provider was asked. */
export function askedOfIssuer({ issuer }: Lane): readonly string[] {
  return requestsSince(issuer)
    .filter(({ path }) => !path.startsWith('/control/'))
    .map(describeRequest);
}

export async function askedOfKeystone({ keystone }: Lane): Promise<readonly string[]> {
  return (await requestsThrough(keystone)).map(describeRequest);
}

/** On demo, as a federated user who is a member there. */
export function onDemo(user: string): Wanted {
  return { user, project: 'demo', methods: ['openid', 'token'], roles: ['member', 'reader'] };
}

/** Everything in the cache folder. */
export function readCache(home: Home): string {
  return readdirSync(home.cache)
    .map((name) => readFileSync(join(home.cache, name), 'utf8'))
    .join('\n');
}

/** No secret of the lane's is printed or kept. */
export function checkNoSecrets(t: Test, { federation }: Lane, home: Home, ran: Ran): void {
  const { clients, people } = federation;
  const secrets = [
    ...Object.values(people).map(({ password }) => password),
    people.otto.otp,
    clients.confidential.secret,
    clients.awkward.secret,
  ];
  const all = [ran.stdout, ran.stderr, readCache(home)].join('\n');
  t.strictSame(
    secrets.filter((secret) => all.includes(secret)),
    [],
    'no secret is printed or kept',
  );
}

export interface FederatedLogin {
  readonly env: Settings;
  readonly wanted: Wanted;
  /** What the provider is asked; discovery and one token where nothing is said. */
  readonly issuer?: readonly string[];
  readonly keystone?: readonly string[];
  readonly warnings?: readonly (string | RegExp)[];
}

/** Logs in twice: once with everybody's help, once without. */
export async function checkFederated(t: Test, lane: Lane, login: FederatedLogin): Promise<Credential> {
  const { federation, world } = lane;
  const { wanted, warnings, issuer = [DISCOVERY, TOKEN], keystone = exchanged(federation) } = login;
  const home = homeFor(t);
  const run = { home, env: { ...lane.env, ...login.env } };
  const before = { issuer: askedOfIssuer(lane).length, keystone: (await askedOfKeystone(lane)).length };
  const first = await runPlugin(run);
  const credential = checkSuccess(t, first, warnings);
  t.strictSame(askedOfIssuer(lane).slice(before.issuer), issuer, 'what the provider was asked');
  t.strictSame((await askedOfKeystone(lane)).slice(before.keystone), keystone, 'what Keystone was asked');
  t.strictSame(summarise(await validateToken(world.http, credential.token)), wanted);

  const second = await runPlugin(run);
  t.strictSame(second, { status: 0, signal: null, stdout: first.stdout, stderr: '' }, 'the cache says the same');
  t.equal(askedOfIssuer(lane).length, before.issuer + issuer.length, 'the second run does not ask the provider');
  t.equal((await askedOfKeystone(lane)).length, before.keystone + keystone.length, 'nor Keystone');
  checkNoSecrets(t, lane, home, first);
  return credential;
}

export interface FederatedRefusal {
  readonly env: Settings;
  readonly says: readonly (string | RegExp)[];
  readonly status?: number;
  readonly issuer: readonly string[];
  readonly keystone?: readonly string[];
}

/** A login that must fail, with the requests that it may take until then. */
export async function checkFederatedRefusal(t: Test, lane: Lane, refusal: FederatedRefusal): Promise<void> {
  const { env, says, status = EXIT.refused, issuer, keystone = [] } = refusal;
  const home = homeFor(t);
  const before = { issuer: askedOfIssuer(lane).length, keystone: (await askedOfKeystone(lane)).length };
  const ran = await runPlugin({ home, env: { ...lane.env, ...env } });
  checkFailure(t, ran, status, { says: ['; ', ...says] });
  t.notMatch(ran.stderr, /[<>]/, 'no HTML');
  t.strictSame(askedOfIssuer(lane).slice(before.issuer), issuer, 'what the provider was asked');
  t.strictSame((await askedOfKeystone(lane)).slice(before.keystone), keystone, 'what Keystone was asked');
  if (issuer.length > 0) checkNoSecrets(t, lane, home, ran);
}
