import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import { objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { redactAndTruncate } from '../../shared/base/text.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import type { IssuedToken } from '../../shared/keystone/client.ts';
import { nameAt } from '../../shared/keystone/token.ts';
import type { Token } from '../../shared/keystone/token.ts';
import { findTokenMismatch } from '../../shared/keystone/verify-token.ts';
import type { ProviderToken } from '../auth-methods/auth-method.ts';
import type { TokenOwner } from '../cache/token-metadata.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import type { LoginContext, Reporter } from './login-context.ts';
import { describeTlsTrust } from './tls-trust.ts';

/** A new token as the cache stores it, its owner, and whether it may be cached. */
export interface ReceivedToken {
  readonly record: TokenRecord;
  readonly owner: TokenOwner;
  readonly cacheable: boolean;
}

/**
 * Compares a token with the request.
 *
 * @returns whether it may be cached: false if only names differ, or if Keystone does not name what was asked for
 * @throws KeystoneProtocolError if it is not the token that was asked for
 */
function verifyToken({ expected, subject, mismatchHint }: AuthRequest, token: Token, reporter: Reporter): boolean {
  const mismatch = findTokenMismatch(expected, token.details);
  if (mismatch === undefined) return true;
  if (mismatch.unknown !== undefined) {
    const { id, setting } = mismatch.unknown;
    reporter.warn(
      `Keystone does not name the ${mismatch.part} of its token${id === undefined ? '' : ` (id ${redactAndTruncate(id)})`}, ` +
        `so it cannot be compared with yours, and the token is not cached; set ${setting}, which decides`,
    );
    return false;
  }
  if (mismatchHint !== undefined) {
    // The request did not contain this name, so Keystone cannot have matched it ignoring case.
    const message = `Keystone's token for ${subject} is for another ${mismatch.part} than the one that is set`;
    throw new KeystoneProtocolError('protocol', message, { hint: mismatchHint });
  }
  const message = `Keystone gave ${subject} a token for another ${mismatch.part}`;
  if (mismatch.isCertain)
    throw new KeystoneProtocolError('protocol', message, { hint: 'ask the operator of Keystone' });
  reporter.warn(`${message} (the names differ); the token is not cached`);
  return false;
}

function describeUser({ details }: Token): string {
  const { user, domain } = readTokenOwner(details);
  return redactAndTruncate(domain === undefined ? user : `${user} (domain ${domain})`);
}

/**
 * Verifies a token that Keystone issued and prepares it for the cache.
 *
 * @param v3Endpoint where the token can be validated and revoked
 * @throws KeystoneProtocolError if it is not the token that was asked for
 */
export function acceptToken(
  { reporter, user, method, tls, isInterim }: LoginContext,
  request: AuthRequest,
  v3Endpoint: string,
  { token, receivedAt, expiresAt }: IssuedToken,
): ReceivedToken {
  // The user may be logged in to the browser under another name.
  if (request.announcesOwner) user.tell(`Keystone knows you as ${describeUser(token)}`);
  const cacheable = verifyToken(request, token, reporter);
  if (!token.isScoped && isInterim !== true) {
    const remedy =
      request.mismatchHint === undefined
        ? 'set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME'
        : 'only Keystone can change that';
    reporter.warn(`the token has no scope, which k8s-keystone-auth rejects; ${remedy}`);
  }
  return {
    record: {
      token: token.id.reveal(),
      receivedAt,
      expiresAt,
      endpoint: v3Endpoint,
      refresh: request.refreshToken?.reveal(),
    },
    owner: {
      ...readTokenOwner(token.details),
      method: method.name,
      keystone: v3Endpoint,
      ...(request.existingToken === undefined ? {} : { isExistingToken: true }),
      trust: describeTlsTrust(tls),
    },
    cacheable,
  };
}

/**
 * Prepares an identity provider's own token for the cache.
 *
 * @param receivedAt ms since 1970, UTC
 */
export function acceptProviderToken(
  { method }: LoginContext,
  { token, expiresAt, refreshToken, subject }: ProviderToken,
  receivedAt: number,
): ReceivedToken {
  return {
    record: { token: token.reveal(), receivedAt, expiresAt, endpoint: undefined, refresh: refreshToken?.reveal() },
    owner: { user: subject, scope: "the identity provider's own token", method: method.name },
    cacheable: true,
  };
}

const nameOf = (entity: JsonObject | undefined): string | undefined => nameAt(entity) ?? textAt(entity, 'id');

function describeWithDomain(entity: JsonObject): string {
  const domain = nameOf(objectAt(entity, 'domain'));
  return `${nameOf(entity) ?? '?'}${domain === undefined ? '' : ` (${domain})`}`;
}

/** The scopes of a token, the narrowest first: a trust has a project, too. */
const SCOPES: readonly (readonly [member: string, describe: (scope: JsonObject) => string])[] = [
  ['OS-TRUST:trust', (trust) => `trust ${textAt(trust, 'id') ?? '?'}`],
  ['project', (project) => `project ${describeWithDomain(project)}`],
  ['domain', (domain) => `domain ${nameOf(domain) ?? '?'}`],
  ['system', () => 'the system'],
];

/**
 * Reads the owner of a token and its scope (Keystone API v3, "token").
 *
 * @param details the member `token` of the response body
 */
function readTokenOwner(details: JsonObject): Pick<TokenOwner, 'user' | 'domain' | 'scope'> {
  const user = objectAt(details, 'user');
  const [scope = 'no scope'] = SCOPES.flatMap(([member, describe]) => {
    const value = objectAt(details, member);
    return value === undefined ? [] : [describe(value)];
  });
  return { user: nameOf(user) ?? 'an unnamed user', domain: nameOf(objectAt(user, 'domain')), scope };
}
