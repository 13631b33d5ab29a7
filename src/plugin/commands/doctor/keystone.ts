import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import { readTrustedOrigins } from '../../../shared/http/trusted-origins.ts';
import { getTokenRecord } from '../../login/get-token.ts';
import type { TokenRecord } from '../../cache/token-record.ts';
import { AuthRejected } from '../../../shared/base/errors.ts';
import { isPlaintextRemote } from '../../../shared/base/url.ts';
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { findV3Endpoint } from '../../../shared/keystone/discovery.ts';
import { explainUntrustedOrigin } from '../../../shared/http/explain-network-error.ts';
import { KEYSTONE } from '../../../shared/http/http-client.ts';
import type { HttpResponse } from '../../../shared/http/http-client.ts';
import { withHttp } from '../../login/http-context.ts';
import { usesDiscovery } from '../../login/request-token.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { withToken } from '../../login/with-token.ts';
import { formatDuration } from '../format-time.ts';
import { redactAndTruncate } from '../../../shared/base/quote.ts';
import { listEntityNames } from '../keystone-entity.ts';
import { makeTokenDetailsCall } from '../session.ts';
import type { TokenFlaw } from './api-server.ts';
import type { NetworkTarget } from './network.ts';
import { findProxy } from '../find-proxy.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** Beyond this a token may seem over when it is not, and a certificate too. */
const WORST_SKEW_MS = 5 * 60_000;

const NAME = 'client-keystone-auth';

const MINUTE_MS = 60_000;
const SHORT_MS = 10 * MINUTE_MS;

/** @throws ConfigError where the user's own list of servers does not have it */
export function checkAuthUrl({ config, host, method }: LoginContext): CheckOutcome<NetworkTarget> {
  const text = readAuthUrl(config);
  if (text === undefined && method.worksWithoutKeystoneUrl?.(config) === true) return pass('none is needed');
  if (text === undefined)
    return fail('not set', 'set OS_AUTH_URL (--keystone-url), or OS_CLOUD to a cloud of clouds.yaml');
  const url = new URL(text);
  const trusted = readTrustedOrigins(host);
  if (trusted?.origins.has(url.origin) === false) throw explainUntrustedOrigin(url, KEYSTONE, trusted);
  const target = { url, proxy: findProxy(host, url) };
  if (isPlaintextRemote(url)) return warn(`${text} is not encrypted`, 'use https:// and drop --allow-http', target);
  return pass(`${text} (${config.origin('keystone-url')})`, target);
}

/** What Keystone answered to a question that needs no token. */
interface Greeting {
  readonly answer: HttpResponse;
  readonly endpoint: string;
}

function versionOf({ status, body }: HttpResponse): string | undefined {
  const parsed = status === 200 || status === 300 ? parseJsonObject(body) : undefined;
  const single = textAt(objectAt(parsed, 'version'), 'id');
  const listed = [...listAt(objectAt(parsed, 'versions'), 'values'), ...listAt(parsed, 'versions')];
  const ids = [single, ...listed.filter(isJsonObject).map((entry) => textAt(entry, 'id'))];
  return ids.find((id) => id?.startsWith('v3'));
}

/**
 * Asks which versions there are.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkVersion(login: LoginContext, { url }: NetworkTarget): Promise<CheckOutcome<Greeting>> {
  const { config, method, deadlineMs } = login;
  const text = readAuthUrl(config) ?? url.href;
  return withHttp(login, deadlineMs, async (http) => {
    const endpoint = await findV3Endpoint(http, text, {
      wantsDiscovery: usesDiscovery(config, method),
      warn: login.reporter.warn,
    });
    const answer = await http.send({ verb: 'GET', url: endpoint });
    const version = versionOf(answer);
    if (version !== undefined) return pass(`${version} answers at ${endpoint}`, { answer, endpoint });
    const found = `${endpoint} answers ${answer.status}, and not as Keystone v3 does`;
    return fail(found, `check ${config.origin('keystone-url')}`, { code: 'not-keystone', value: { answer, endpoint } });
  });
}

/** A method that no Keystone has: to it, Keystone answers with those that it has, and nobody is logged in. */
const NO_METHOD = { auth: { identity: { methods: ['none'], none: {} } } };

/**
 * Asks Keystone which methods it takes.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkMethods(login: LoginContext, { endpoint }: Greeting): Promise<CheckOutcome<never>> {
  return withHttp(login, login.deadlineMs, async (http) => {
    const request = { verb: 'POST', url: `${endpoint}/auth/tokens`, body: JSON.stringify(NO_METHOD) } as const;
    const error = objectAt(parseJsonObject((await http.send(request)).body), 'error');
    const names = listAt(objectAt(error, 'identity'), 'methods').filter((name) => typeof name === 'string');
    return pass(names.length === 0 ? 'it does not say which' : redactAndTruncate(names.join(', ')));
  });
}

/** Compares the clocks. */
export function checkClock({ answer }: Greeting): CheckOutcome<never> {
  const { serverAheadMs } = answer;
  if (answer.header('date') === undefined) {
    return warn('Keystone does not tell its time', 'compare the clocks by hand if tokens end too early');
  }
  if (serverAheadMs === 0) return pass("this machine's and Keystone's agree");
  const roundedMs = Math.round(Math.abs(serverAheadMs) / 1000) * 1000;
  const found = `this machine's clock is ${formatDuration(roundedMs)} ${serverAheadMs > 0 ? 'behind' : 'ahead of'} Keystone's`;
  const fix = 'set the clock of this machine, or have NTP do it; if it is right, tell the operator of Keystone';
  return Math.abs(serverAheadMs) > WORST_SKEW_MS ? fail(found, fix, { code: 'protocol' }) : warn(found, fix);
}

/** Keystone does not say whether it was the project; one may find out without another login by this command. */
function explainRefusal(error: unknown, { config }: LoginContext): unknown {
  if (!(error instanceof AuthRejected) || error.code !== 'auth-rejected' || !config.has('project-name')) return error;
  const origin = config.origin('project-name');
  const more = `if "${NAME} projects" works with ${origin} unset, it is the project: choose one that it lists`;
  const hint = error.hint === undefined ? more : `${error.hint}; ${more}`;
  const explained = new AuthRejected(error.code, error.message, { hint, cause: error });
  explained.requestId = error.requestId;
  return explained;
}

/**
 * Logs in, once, unless a token is kept.
 *
 * @throws PluginError
 */
export async function checkLogin(login: LoginContext, heard: readonly string[]): Promise<CheckOutcome<TokenRecord>> {
  const before = heard.length;
  try {
    const record = await getTokenRecord(login);
    const kept = record.receivedAt < login.startedAt;
    const found = kept
      ? 'the cache holds a token, so there was no login'
      : `Keystone gave a token (${login.method.name})`;
    const warnings = heard.slice(before).filter((line) => !line.includes('has no scope'));
    if (warnings.length === 0) return pass(found, record);
    return warn(`${found}; ${warnings.join('; ')}`, `see what "${NAME} explain" says`, record);
  } catch (error) {
    throw explainRefusal(error, login);
  }
}

function describeNamed(named: JsonObject): string {
  const name = textAt(named, 'name') ?? textAt(named, 'id') ?? '?';
  const domain = textAt(objectAt(named, 'domain'), 'name');
  return domain === undefined ? name : `${name} (domain ${domain})`;
}

/** Whether a cluster has a reason to refuse the token. */
export interface ScopeResult {
  readonly flaw: TokenFlaw | undefined;
}

const NO_PROVIDER: TokenFlaw = {
  message: "the cluster does not take this identity provider's tokens",
  fix: 'ask the administrator of the cluster whether --oidc-issuer-url and --oidc-client-id of kube-apiserver are for this provider',
};

const SET_PROJECT = 'set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME (--project-name, --project-domain-name)';

function judgeScope(facts: JsonObject): CheckOutcome<ScopeResult> {
  const project = objectAt(facts, 'project');
  if (project !== undefined) {
    return pass(`project ${describeNamed(project)}, as ${listEntityNames(facts, 'roles').join(', ') || 'nothing'}`, {
      flaw: undefined,
    });
  }
  const domain = objectAt(facts, 'domain');
  const what =
    domain !== undefined
      ? `the token is for domain ${describeNamed(domain)}`
      : objectAt(facts, 'system') !== undefined
        ? 'the token is for the whole system'
        : 'the token has no scope';
  const flaw = { message: `${what}, which k8s-keystone-auth refuses`, fix: SET_PROJECT };
  return warn(flaw.message, flaw.fix, { flaw });
}

/**
 * Asks Keystone what the token is for.
 *
 * @throws PluginError where Keystone no longer knows it
 */
export async function checkScope(login: LoginContext, record: TokenRecord): Promise<CheckOutcome<ScopeResult>> {
  if (record.endpoint === undefined) return pass("an identity provider's own token has none", { flaw: NO_PROVIDER });
  return withToken(login, record, async (question) => {
    const body = await question(makeTokenDetailsCall({ login, record }));
    return judgeScope(objectAt(body, 'token') ?? {});
  });
}

/** How long the token lives. */
export function checkLifetime({ receivedAt, expiresAt }: TokenRecord, now: number): CheckOutcome<never> {
  // What Keystone gives in whole minutes has lost a second on its way.
  const wholeMs = Math.round((expiresAt - receivedAt) / MINUTE_MS) * MINUTE_MS;
  const found = `${formatDuration(wholeMs)}, of which ${formatDuration(expiresAt - now)} are left`;
  if (wholeMs >= SHORT_MS) return pass(found);
  const fix = "ask Keystone's operator for tokens that live longer, or use a credential that does not end so soon";
  return warn(`${found}: long commands may outlive it`, fix);
}
