import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import { readTrustedOrigins } from '../../../shared/http/trusted-origins.ts';
import { getTokenRecord } from '../../login/get-token.ts';
import type { TokenRecord } from '../../cache/token-record.ts';
import { AuthRejected } from '../../../shared/base/errors.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { isPlaintextRemote, KEYSTONE } from '../../../shared/http/peer.ts';
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { findV3Endpoint } from '../../../shared/keystone/discovery.ts';
import { explainUntrustedOrigin } from '../../../shared/http/explain-network-error.ts';
import { MIN_SKEW_MS, readClockDifference } from '../../../shared/http/http-message.ts';
import type { HttpResponse } from '../../../shared/http/http-message.ts';
import { withHttp } from '../../login/http-context.ts';
import { usesDiscovery } from '../../login/request-token.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { withToken } from '../../login/with-token.ts';
import { formatDuration } from '../format-time.ts';
import { redactAndTruncate } from '../../../shared/base/text.ts';
import { describeEntity, describeTokenScope, listEntityNames, readTokenScope } from '../keystone-entity.ts';
import { makeTokenDetailsCall } from '../session.ts';
import type { TokenFlaw } from './api-server.ts';
import type { NetworkTarget } from './network.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** A larger skew can make a valid token or certificate look expired. */
const MAX_SKEW_MS = 5 * 60_000;

const MINUTE_MS = 60_000;
const MIN_LIFETIME_MS = 10 * MINUTE_MS;

/**
 * Checks the URL of Keystone.
 *
 * @throws ConfigError when it is not among the trusted origins
 */
export function checkAuthUrl({ config, host, method }: LoginContext): CheckOutcome<URL> {
  const text = readAuthUrl(config);
  if (text === undefined && method.worksWithoutKeystoneUrl?.(config) === true)
    return pass('this login does not need one');
  if (text === undefined)
    return fail('it is not set', 'set OS_AUTH_URL (--keystone-url), or OS_CLOUD to a cloud of clouds.yaml');
  const url = new URL(text);
  const trusted = readTrustedOrigins(host);
  if (trusted?.origins.has(url.origin) === false) throw explainUntrustedOrigin(url, KEYSTONE, trusted);
  if (isPlaintextRemote(url)) return warn(`${text} is not encrypted`, 'use https:// and remove --allow-http', url);
  return pass(`${text} (${config.origin('keystone-url')})`, url);
}

/** Keystone's response to the request for its versions, which needs no token. */
interface VersionResponse {
  readonly response: HttpResponse;
  readonly endpoint: string;
}

function readVersion({ status, body }: HttpResponse): string | undefined {
  const parsed = status === 200 || status === 300 ? parseJsonObject(body) : undefined;
  const id = textAt(objectAt(parsed, 'version'), 'id');
  const versions = [...listAt(objectAt(parsed, 'versions'), 'values'), ...listAt(parsed, 'versions')];
  const ids = [id, ...versions.filter(isJsonObject).map((entry) => textAt(entry, 'id'))];
  return ids.find((version) => version?.startsWith('v3'));
}

/**
 * Checks that Keystone v3 answers.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkVersion(
  login: LoginContext,
  { url }: NetworkTarget,
): Promise<CheckOutcome<VersionResponse>> {
  const { config, method, deadlineMs } = login;
  const text = readAuthUrl(config) ?? url.href;
  return withHttp(login, deadlineMs, async (http) => {
    const endpoint = await findV3Endpoint(http, text, {
      wantsDiscovery: usesDiscovery(config, method),
      warn: login.reporter.warn,
    });
    const response = await http.send({ verb: 'GET', url: endpoint });
    const version = readVersion(response);
    const value = { response, endpoint };
    if (version !== undefined) return pass(`${version} answers at ${endpoint}`, value);
    const summary = `${endpoint} answers ${response.status}, but not as Keystone v3 does`;
    return fail(summary, `check ${config.origin('keystone-url')}`, { code: 'not-keystone', value });
  });
}

/** A login with a method that no Keystone has. Keystone rejects it and lists the methods that it accepts. */
const UNKNOWN_METHOD = { auth: { identity: { methods: ['none'], none: {} } } };

/**
 * Asks Keystone which authentication methods it accepts.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkMethods(login: LoginContext, { endpoint }: VersionResponse): Promise<CheckOutcome<never>> {
  return withHttp(login, login.deadlineMs, async (http) => {
    const request = { verb: 'POST', url: `${endpoint}/auth/tokens`, body: JSON.stringify(UNKNOWN_METHOD) } as const;
    const error = objectAt(parseJsonObject((await http.send(request)).body), 'error');
    const names = listAt(objectAt(error, 'identity'), 'methods').filter((name) => typeof name === 'string');
    return pass(names.length === 0 ? 'Keystone does not list them' : redactAndTruncate(names.join(', ')));
  });
}

/** Compares the clocks of this machine and of a server, Keystone by default. */
export function checkClock({ response }: Pick<VersionResponse, 'response'>, name = 'Keystone'): CheckOutcome<never> {
  const serverAheadMs = readClockDifference(response.header('date'), response.respondedAt);
  if (serverAheadMs === undefined) {
    return warn(`${name} does not send its time`, 'if tokens expire too early, compare the clocks yourself');
  }
  if (Math.abs(serverAheadMs) <= MIN_SKEW_MS) return pass(`the clocks of this machine and ${name} agree`);
  const roundedMs = Math.round(Math.abs(serverAheadMs) / 1000) * 1000;
  const direction = serverAheadMs > 0 ? 'behind' : 'ahead of';
  const summary = `this machine's clock is ${formatDuration(roundedMs)} ${direction} ${name === 'Keystone' ? "Keystone's" : `that of ${name}`}`;
  const fix = 'set the clock of this machine, or let NTP set it; if it is correct, tell the operator of ' + name;
  return Math.abs(serverAheadMs) > MAX_SKEW_MS ? fail(summary, fix, { code: 'protocol' }) : warn(summary, fix);
}

/** Adds a hint to a rejected login: Keystone does not tell whether the project is wrong, but a command can. */
function addProjectHint(error: unknown, { config }: LoginContext): unknown {
  if (!(error instanceof AuthRejected) || error.code !== 'auth-rejected' || !config.has('project-name')) return error;
  const origin = config.origin('project-name');
  const command = `"${PROGRAM_NAME} projects"`;
  const projectHint = `if ${command} works with ${origin} unset, the project is wrong: choose one that it lists`;
  const hint = error.hint === undefined ? projectHint : `${error.hint}; ${projectHint}`;
  const explained = new AuthRejected(error.code, error.message, { hint, cause: error });
  explained.requestId = error.requestId;
  return explained;
}

/**
 * Logs in once, unless the cache holds a token.
 *
 * @param warnings the captured warnings of this run; more are added during the login
 * @throws PluginError
 */
export async function checkLogin(login: LoginContext, warnings: readonly string[]): Promise<CheckOutcome<TokenRecord>> {
  const countBefore = warnings.length;
  try {
    const record = await getTokenRecord(login);
    const isFromCache = record.receivedAt < login.startedAt;
    const summary = isFromCache
      ? 'the cache holds a token, so no login was needed'
      : `Keystone issued a token (${login.method.name})`;
    // The check "scope" reports a token without a scope, and the check "cache" a folder that is not used.
    const folderProblem = login.cache.problem?.message;
    const ownWarnings = warnings
      .slice(countBefore)
      .filter((line) => !line.includes('has no scope'))
      .filter((line) => folderProblem === undefined || !line.startsWith(folderProblem));
    if (ownWarnings.length === 0) return pass(summary, record);
    return warn(`${summary}; ${ownWarnings.join('; ')}`, `run "${PROGRAM_NAME} explain"`, record);
  } catch (error) {
    throw addProjectHint(error, login);
  }
}

/** What the scope of a token means for the cluster. */
export interface ScopeResult {
  /** Undefined if the cluster has no reason to reject the token. */
  readonly flaw: TokenFlaw | undefined;
}

const UNTRUSTED_PROVIDER: TokenFlaw = {
  message: 'the cluster does not accept the tokens of this identity provider',
  fix:
    'ask the administrator of the cluster whether --oidc-issuer-url and --oidc-client-id of ' +
    'kube-apiserver name this provider',
};

const SET_PROJECT = 'set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME (--project-name, --project-domain-name)';

function judgeScope(tokenDetails: JsonObject): CheckOutcome<ScopeResult> {
  const { kind, entity } = readTokenScope(tokenDetails);
  if (kind === 'project') {
    const roles = listEntityNames(tokenDetails, 'roles').join(', ');
    return pass(`project ${describeEntity(entity) ?? ''}, ${roles === '' ? 'without a role' : `as ${roles}`}`, {
      flaw: undefined,
    });
  }
  const summary =
    kind === 'none' ? 'the token has no scope' : `the token is for ${describeTokenScope(tokenDetails) ?? ''}`;
  const flaw = { message: `${summary}, which k8s-keystone-auth rejects`, fix: SET_PROJECT };
  return warn(flaw.message, flaw.fix, { flaw });
}

/**
 * Checks that the token has a scope that k8s-keystone-auth accepts.
 *
 * @throws PluginError when Keystone no longer accepts the token
 */
export async function checkScope(login: LoginContext, record: TokenRecord): Promise<CheckOutcome<ScopeResult>> {
  if (record.endpoint === undefined)
    return pass('the token of an identity provider has no scope', { flaw: UNTRUSTED_PROVIDER });
  return withToken(login, record, async (ask) => {
    const body = await ask(makeTokenDetailsCall({ login, record }));
    return judgeScope(objectAt(body, 'token') ?? {});
  });
}

/**
 * Checks that the token is valid long enough.
 *
 * @param now ms since 1970, UTC
 */
export function checkLifetime({ receivedAt, expiresAt }: TokenRecord, now: number): CheckOutcome<never> {
  // A lifetime of whole minutes looks a second shorter here, because of the time that the response takes.
  const wholeMs = Math.round((expiresAt - receivedAt) / MINUTE_MS) * MINUTE_MS;
  const summary = `${formatDuration(wholeMs)}, of which ${formatDuration(expiresAt - now)} are left`;
  if (wholeMs >= MIN_LIFETIME_MS) return pass(summary);
  const fix = 'ask the operator of Keystone for a longer lifetime, or use a credential that expires later';
  return warn(`${summary}: the token may expire during a long command`, fix);
}
