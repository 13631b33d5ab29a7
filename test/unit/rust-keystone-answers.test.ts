/**
 * Replays every recorded answer of three versions of Rust Keystone to the code that would receive it. The verdicts are
 * part of the recordings: `CKA_WRITE_VERDICTS=1` writes them, and a person reads the difference.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { buildValidationRequest } from '../../src/plugin/auth-methods/existing-token.ts';
import { PluginError } from '../../src/shared/base/errors.ts';
import { objectAt, textAt } from '../../src/shared/base/json.ts';
import type { JsonObject } from '../../src/shared/base/json.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import type { AuthRequest } from '../../src/shared/keystone/auth-request.ts';
import { authenticate, callKeystone, isTokenValid, revokeToken } from '../../src/shared/keystone/client.ts';
import { findV3Endpoint } from '../../src/shared/keystone/discovery.ts';
import { findTokenMismatch } from '../../src/shared/keystone/verify-token.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import type { TerminalUser } from '../../src/plugin/terminal/terminal-user.ts';
import { makeUnsignedJwt } from '../support/login-samples.ts';
import type { EnvVars } from '../support/home.ts';
import { resolveRequest } from '../support/resolve-request.ts';
import { scriptHttp } from '../support/scripted-http.ts';
import type { ScriptedHttp, ScriptedResponse } from '../support/scripted-http.ts';

interface Exchange {
  readonly label: string;
  readonly count: number;
  /** Method and path. */
  readonly request: string;
  readonly sent?: JsonObject;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | object | null;
  verdict?: string;
}

interface BrowserLogin {
  /** The request that finishes it. */
  readonly request: AuthRequest;
  readonly loginUrl: string;
}

interface Circumstances {
  readonly jwtFile: string;
  /** The beginning of the browser login that the exchange finishes. */
  readonly begun: Exchange | undefined;
}

const FOLDER = join(import.meta.dirname, '../fixtures/rust-keystone');
const WRITES_VERDICTS = process.env['CKA_WRITE_VERDICTS'] === '1';
const ENDPOINT = 'http://127.0.0.1/v3';
const TOKEN = new Secret('gAAAA-of-this-test');
/** Before every recorded token expires. */
const RECORDED_AT = Date.parse('2026-11-26T12:30:00Z');
const JWT = makeUnsignedJwt({ sub: 'system:serviceaccount:ci:builder' });

/** Sets an entity by ID, or by name. */
function refer(prefix: string, entity: JsonObject | undefined): EnvVars {
  const domain = objectAt(entity, 'domain');
  return {
    [`${prefix}_ID`]: textAt(entity, 'id'),
    [`${prefix}_NAME`]: textAt(entity, 'name'),
    [`${prefix}_DOMAIN_ID`]: textAt(domain, 'id'),
    [`${prefix}_DOMAIN_NAME`]: textAt(domain, 'name'),
  };
}

function toScopeSettings(auth: JsonObject | undefined): EnvVars {
  const scope = objectAt(auth, 'scope');
  return {
    ...refer('OS_PROJECT', objectAt(scope, 'project')),
    ...refer('OS_DOMAIN', objectAt(scope, 'domain')),
    OS_SYSTEM_SCOPE: objectAt(scope, 'system') === undefined ? undefined : 'all',
    OS_TRUST_ID: textAt(objectAt(scope, 'OS-TRUST:trust'), 'id'),
  };
}

/** The settings that lead to a request like the recorded one. */
function toSettings({ request, sent }: Exchange, jwtFile: string): { args: string[]; env: EnvVars } {
  if (request.includes('/k8s_auth/')) {
    const role = textAt(sent, 'role_name') ?? textAt(sent, 'rule_name');
    const env = { OS_AUTH_TYPE: 'v4k8s', OS_K8S_AUTH_INSTANCE_ID: 'i', OS_K8S_AUTH_TOKEN_FILE: jwtFile };
    return { args: [], env: { ...env, OS_K8S_AUTH_ROLE: role } };
  }
  if (request.endsWith('/jwt')) {
    return { args: [], env: { OS_AUTH_TYPE: 'v4jwt', OS_IDENTITY_PROVIDER: 'idp', OS_JWT: JWT } };
  }
  const auth = objectAt(sent, 'auth');
  const identity = objectAt(auth, 'identity');
  const scope = toScopeSettings(auth);
  const isUnscoped = auth?.['scope'] === 'unscoped' || objectAt(objectAt(auth, 'scope'), 'unscoped') !== undefined;
  const args = isUnscoped ? ['--unscoped'] : [];
  if (objectAt(identity, 'application_credential') !== undefined) {
    const id = { OS_APPLICATION_CREDENTIAL_ID: 'a', OS_APPLICATION_CREDENTIAL_SECRET: 's' };
    return { args, env: { OS_AUTH_TYPE: 'v3applicationcredential', ...id } };
  }
  if (objectAt(identity, 'token') !== undefined) {
    return { args, env: { OS_AUTH_TYPE: 'v3token', OS_TOKEN: 'gAAAA-token', ...scope } };
  }
  const user = objectAt(objectAt(identity, 'password') ?? objectAt(identity, 'totp'), 'user');
  const { OS_USER_NAME: name, ...others } = refer('OS_USER', user);
  const named = { OS_USERNAME: user === undefined ? 'alice' : name, ...others };
  return { args, env: { OS_AUTH_TYPE: 'v3password', OS_PASSWORD: 'p', ...named, ...scope } };
}

/** Goes through a browser login with an answer to its beginning, and pastes what the provider would say at the end. */
async function finishBrowserLogin(t: Test, exchange: Exchange, answer: ScriptedResponse): Promise<BrowserLogin> {
  const scripted = scriptHttp(answer);
  const scope = objectAt(exchange.sent, 'scope');
  const env = {
    ...{ OS_AUTH_URL: ENDPOINT, OS_AUTH_TYPE: 'v4federation', OS_IDENTITY_PROVIDER: 'idp' },
    ...{ OS_REDIRECT_PORT: String(await findFreePort()), CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER: 'true' },
    ...toScopeSettings(exchange.sent),
  };
  let loginUrl = '';
  const user: TerminalUser = {
    cannotPromptReason: undefined,
    requirePresence: () => undefined,
    tell: () => undefined,
    notify(message) {
      loginUrl = /https?:\S+/.exec(message)?.[0] ?? '';
    },
    prompt: () => {
      const state = new URL(loginUrl).searchParams.get('state') ?? '';
      return Promise.resolve(`http://localhost/oidc/callback?code=c&state=${state}`);
    },
    promptForChoice: () => Promise.resolve(undefined),
  };
  const tools = { http: scripted.http, user, detail: () => undefined };
  const { request } = await resolveRequest([], env, {}, tools);
  const sent = JSON.parse(String(scripted.requests[0]?.body)) as JsonObject;
  // A trust is not asked for here, and other versions of the absence of a scope are not what the plugin sends.
  if (scope !== undefined && !['unscoped', 'OS-TRUST:trust'].some((name) => name in scope))
    t.strictSame(sent['scope'], scope);
  return { request, loginUrl };
}

/** Puts a token in the place of a replaced one. */
const fillIn = (value: string): string =>
  value.replace(/^<.* of (\d+)>$/, (_, length: string) => 'g'.repeat(Number(length)));

/** Says what the code makes of a login's answer. */
async function logIn({ http, requests }: ScriptedHttp, request: AuthRequest): Promise<string> {
  try {
    const { token } = await authenticate(http, ENDPOINT, request);
    const mismatch = findTokenMismatch(request.expected, token.details);
    const scope = token.isScoped ? 'a token' : 'a token without a scope';
    if (mismatch === undefined) return scope;
    return `${scope} ${mismatch.unknown === undefined ? 'for another' : 'that does not name the'} ${mismatch.part}`;
  } catch (error) {
    if (requests.length < 2) throw error;
    const scope = objectAt(JSON.parse(String(requests[1]?.body)) as JsonObject, 'auth')?.['scope'];
    return `asks again, ${scope === undefined ? 'with no scope' : `with the scope ${JSON.stringify(scope)}`}`;
  }
}

async function replay(t: Test, exchange: Exchange, { jwtFile, begun }: Circumstances): Promise<string> {
  const { request, status, body } = exchange;
  const headers = Object.fromEntries(Object.entries(exchange.headers).map(([name, value]) => [name, fillIn(value)]));
  const answer = { status, headers, body: body ?? '', respondedAt: RECORDED_AT };
  const scripted = scriptHttp(answer);
  const { http } = scripted;
  const [verb = '', target = ''] = request.split(' ');
  const path = target.replace(/^\/+(?:v3\/?)?/, '').replace(/\?.*/, '');
  if (path === '')
    return `v3 at ${await findV3Endpoint(http, 'http://k.test', { wantsDiscovery: true, warn: (text) => t.fail(text) })}`;
  if (verb === 'HEAD') return (await isTokenValid(http, ENDPOINT, TOKEN)) ? 'valid' : 'not valid';
  if (verb === 'DELETE') return (await revokeToken(http, ENDPOINT, TOKEN)) ? 'revoked' : 'not known any more';
  if (verb === 'GET' && path === 'auth/tokens') {
    return logIn(scripted, { ...buildValidationRequest(TOKEN), subject: 'the owner', expected: {} });
  }
  if (verb === 'GET') {
    const owner = { endpoint: ENDPOINT, token: TOKEN };
    const result = await callKeystone(http, owner, { verb, path, resource: `the ${path.replace(/.*\//, '')}` });
    return `a list of ${String(Object.values(result ?? {}).flat().length)}`;
  }
  if (/\/federation\/.*\/auth$/.test(request)) {
    const { loginUrl } = await finishBrowserLogin(t, exchange, answer);
    return `opens ${loginUrl.replace(/\?.*/, '')}`;
  }
  if (request.endsWith('/federation/oidc/callback')) {
    const beginning = { status: 200, body: { auth_url: 'http://idp.test/auth?state=s' } };
    const { request: login } = await finishBrowserLogin(t, begun ?? exchange, beginning);
    return logIn(scripted, login);
  }
  const { args, env } = toSettings(exchange, jwtFile);
  const { request: login } = await resolveRequest(args, { OS_AUTH_URL: ENDPOINT, ...env });
  return logIn(scripted, login);
}

async function judge(t: Test, exchange: Exchange, circumstances: Circumstances): Promise<string> {
  try {
    return await replay(t, exchange, circumstances);
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    return `${error.code}: ${error.message}; ${error.hint ?? ''}`;
  }
}

async function replayVersion(t: Test, version: string): Promise<void> {
  const file = join(FOLDER, `${version}.json`);
  const exchanges = JSON.parse(readFileSync(file, 'utf8')) as Exchange[];
  const jwtFile = join(t.testdir({ jwt: JWT }), 'jwt');
  for (const exchange of exchanges) {
    const begun = exchanges.find(({ label, request }) => label === exchange.label && request.endsWith('/auth'));
    const verdict = await judge(t, exchange, { jwtFile, begun });
    if (WRITES_VERDICTS) exchange.verdict = verdict;
    t.equal(verdict, exchange.verdict, `${exchange.label}: ${exchange.request} is answered with ${exchange.status}`);
  }
  if (WRITES_VERDICTS) writeFileSync(file, `${JSON.stringify(exchanges, null, 2)}\n`);
}

for (const version of ['0.1.1', 'june', 'august']) {
  void t.test(`the answers of version ${version} have their verdicts`, async (t) => replayVersion(t, version));
}
