/** Does not send again what was refused, and lets each prompt be answered once for each kubectl command. */
import { AuthRejected, PluginError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import { SubjectTokenRejected } from '../../shared/oidc/exchange-request.ts';
import { FACTOR_OPTIONS } from '../auth-methods/multifactor.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import type { LoginFailure, Refusal, SentCredential } from '../cache/refusals.ts';
import type { DigestField } from '../cache/sha256.ts';
import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { UserCanceled } from '../terminal/terminal.ts';
import { AnswerRejected } from './additional-factors.ts';
import type { LoginContext } from './login-context.ts';

/** Refusals that do not depend on what the user does in a browser: the settings are wrong. */
const REFUSED_SETTINGS: readonly PluginErrorCode[] = ['credential-unknown', 'method-not-offered', 'request-rejected'];

const isLasting = ({ singleUse }: Option): boolean => singleUse !== true;

function listFields(config: ResolvedConfig, options: readonly Option[]): DigestField[] {
  return options.flatMap(({ name }) => [name, config.secret(name)?.reveal()]);
}

/** Makes what is sent with the secrets of these options; the files that prove the identity belong to it. */
function describeSent(
  config: ResolvedConfig,
  options: readonly Option[],
  files: readonly DigestField[],
): SentCredential[] {
  const secrets = options.filter(({ secret, name }) => secret && config.has(name));
  const lasting = secrets.filter(isLasting);
  const hasBoth = lasting.length > 0 && lasting.length < secrets.length;
  return [
    { isLastingPart: false, fields: [...listFields(config, secrets), ...files] },
    ...(hasBoth ? [{ isLastingPart: true, fields: [...listFields(config, lasting), ...files] }] : []),
  ];
}

/** What a login sends. */
interface SentParts {
  /** At first. */
  readonly first: readonly SentCredential[];
  /** If Keystone requires more factors. */
  readonly withFactors: readonly SentCredential[];
}

/** Undefined if a later run cannot compare it with what it sends itself: a ticket that is in no file, for example. */
function listSent({ method, fileStamps }: LoginContext, config: ResolvedConfig): SentParts | undefined {
  const needsFiles = method.listIdentityFiles !== undefined;
  if (needsFiles && fileStamps === undefined) return undefined;
  // A renewed file or ticket is another credential.
  const files = needsFiles ? (fileStamps ?? []).map(({ stamp }) => stamp) : [];
  const all = [...new Set([...method.options, ...FACTOR_OPTIONS])];
  const [withFactors] = describeSent(config, all, files);
  return {
    first: describeSent(config, method.options, files),
    withFactors: withFactors === undefined ? [] : [{ ...withFactors, fields: ['factors', ...withFactors.fields] }],
  };
}

/** Formats a duration (ms) as text for messages: "12 s", "20 min". */
function formatRoughly(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** What can be refused, in messages: as such, and what is sent for it. */
interface RefusedRequest {
  readonly name: string;
  readonly proof: string;
}

const LOGIN: RefusedRequest = { name: 'login', proof: 'credential' };
const EXCHANGE: RefusedRequest = { name: 'token exchange', proof: 'Keystone token' };

function explainRefusal(refusal: Refusal, now: number, { name, proof }: RefusedRequest): PluginError {
  const { code, message, hint, requestId, refusedAt, nextAt } = refusal;
  const ago = `${formatRoughly(now - refusedAt)} ago`;
  const remedy = hint === undefined ? '' : `${hint}; `;
  if (code === 'canceled') {
    return new PluginError('canceled', `${message} ${ago}`, { hint: 'run the command again to answer' });
  }
  const next =
    nextAt === undefined
      ? 'the next command tries again'
      : `another ${proof} is tried immediately, the same one in ${formatRoughly(nextAt - now)} or with --force-refresh`;
  return new AuthRejected('refused-before', `this ${name} was refused ${ago}, and is not tried again yet: ${message}`, {
    hint: `${remedy}${next}`,
    requestId,
  });
}

/**
 * Checks before a login that it was not refused a moment ago.
 *
 * @param config the settings, before the user answers a prompt
 * @throws AuthRejected | UserCanceled with the reason of the refusal
 */
export function rejectRefusedLogin(login: LoginContext, config: ResolvedConfig): void {
  if (login.config.isOn('force-refresh')) return;
  const isComplete = findMissingOptions(config, login.method).length === 0;
  const parts = isComplete ? listSent(login, config) : undefined;
  const sent = parts === undefined ? [] : [...parts.first, ...parts.withFactors];
  const now = login.host.now();
  const refusal = login.cache.findRefusal(login.cacheKey, sent);
  if (refusal !== undefined) throw explainRefusal(refusal, now, LOGIN);
}

function toFailure({ code, message, hint, requestId }: PluginError): LoginFailure {
  return { code, message, hint, requestId };
}

/** Whether a failure is about what the user typed or did elsewhere, and not about the settings. */
function isAboutUser({ method }: LoginContext, config: ResolvedConfig, error: PluginError): boolean {
  if (error instanceof UserCanceled || error instanceof AnswerRejected) return true;
  if (findMissingOptions(config, method).length > 0) return true;
  return method.waitsForUser?.(config) === true && !REFUSED_SETTINGS.includes(error.code);
}

/**
 * Remembers a failed login, if the same login would fail again. What the user answered counts for one kubectl command.
 *
 * @param config the settings, before the user answered a prompt
 */
export function rememberFailedLogin(login: LoginContext, config: ResolvedConfig, error: unknown): void {
  if (!(error instanceof AuthRejected) && !(error instanceof UserCanceled)) return;
  const { cache, cacheKey } = login;
  const failure = toFailure(error);
  // What was saved in the keyring may be forgotten now, so that the next run of the same command lacks it.
  const isOfCommand = isAboutUser(login, config, error) || config !== login.config;
  const parts = isAboutUser(login, config, error) ? undefined : listSent(login, config);
  if (isOfCommand || parts === undefined) cache.rememberRefusal(cacheKey, 'command', failure);
  if (parts === undefined) return;
  cache.rememberRefusal(cacheKey, error.code === 'factor-refused' ? parts.withFactors : parts.first, failure);
}

const describeRefreshToken = (refreshToken: string): SentCredential => ({
  isLastingPart: false,
  fields: ['refresh token', refreshToken],
});

/** Whether this refresh token was refused, and is not sent again yet. */
export function isRefreshTokenRefused({ cache, cacheKey, config }: LoginContext, refreshToken: string): boolean {
  if (config.isOn('force-refresh')) return false;
  return cache.findRefusal(cacheKey, [describeRefreshToken(refreshToken)]) !== undefined;
}

/** Remembers that a refresh token, or the tokens that it leads to, are refused. */
export function rememberRefusedRefreshToken(
  { cache, cacheKey }: LoginContext,
  refreshToken: string,
  error: AuthRejected,
): void {
  cache.rememberRefusal(cacheKey, [describeRefreshToken(refreshToken)], toFailure(error));
}

const describeSubjectToken = (token: string): SentCredential => ({
  isLastingPart: false,
  fields: ['subject token', token],
});

/**
 * Checks before an exchange that it was not refused a moment ago.
 *
 * @param key of the JWT
 * @throws SubjectTokenRejected | AuthRejected with the reason of the refusal
 */
export function rejectRefusedExchange({ cache, config, host }: LoginContext, key: string, token: string): void {
  if (config.isOn('force-refresh')) return;
  const refusal = cache.findRefusal(key, [describeSubjectToken(token)]);
  if (refusal === undefined) return;
  const { code, message, hint, requestId } = explainRefusal(refusal, host.now(), EXCHANGE);
  throw new (refusal.code === 'credential-unknown' ? SubjectTokenRejected : AuthRejected)(code, message, {
    hint,
    requestId,
  });
}

/**
 * Remembers that the issuer refused to exchange a Keystone token.
 *
 * @param key of the JWT
 */
export function rememberRefusedExchange(
  { cache }: LoginContext,
  key: string,
  token: string,
  error: AuthRejected,
): void {
  cache.rememberRefusal(key, [describeSubjectToken(token)], toFailure(error));
}
