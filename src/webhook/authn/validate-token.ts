/** Validates a token at Keystone with the token itself, so that the webhook needs no account of its own. */
import { PluginError } from '../../shared/base/errors.ts';
import { isJsonObject, objectAt, parseJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { findV3Endpoint } from '../../shared/keystone/discovery.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import { limitExpiry } from '../../shared/http/http-message.ts';
import type { HttpResponse } from '../../shared/http/http-message.ts';
import { parseToken } from '../../shared/keystone/token.ts';
import type { Secret } from '../../shared/base/secret.ts';
import { readKeystoneGroups, readTokenOwner } from './token-owner.ts';
import type { KeystoneGroup, TokenOwner } from './token-owner.ts';

/** A token that Keystone accepts. */
export interface ValidToken {
  readonly kind: 'valid';
  readonly owner: TokenOwner;
  readonly groups: readonly KeystoneGroup[];
  /** ms since 1970, UTC, by our clock. */
  readonly expiresAt: number;
}

interface UnknownToken {
  readonly kind: 'unknown';
  readonly reason: string;
}

/** What Keystone says about a token; `unknown` if it does not say. */
export type ValidationResult = ValidToken | { readonly kind: 'refused'; readonly reason: string } | UnknownToken;

export interface TokenValidatorSettings {
  readonly http: HttpClient;
  /** Normalized. */
  readonly authUrl: string;
  readonly refusesAccessRules: boolean;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
  /** Receives the outcome of each validation, for the metrics. */
  readonly countOutcome: (outcome: string) => void;
}

export type TokenValidator = (token: Secret, timeoutMs: number) => Promise<ValidationResult>;

/** Without this header Keystone answers 404 for a token of an application credential that has access rules. */
const HEADERS = { 'openstack-identity-access-rules': '1.0' };

/** The time that a second attempt needs, in ms. */
const MIN_RETRY_MS = 500;

const unknown = (reason: string): UnknownToken => ({ kind: 'unknown', reason });

/** Whether Keystone itself wrote the response, and not a proxy in front of it. */
const isFromKeystone = (body: JsonObject | undefined): boolean => objectAt(body, 'error') !== undefined;

function describeResponse(response: HttpResponse): string {
  const sender = isFromKeystone(parseJsonObject(response.body)) ? 'Keystone' : 'Keystone or a proxy in front of it';
  return `${sender} answered ${response.status}`;
}

/** Whether access rules restrict the application credential behind the token; an empty list forbids everything. */
function hasAccessRules(details: JsonObject): boolean {
  const rules = objectAt(details, 'application_credential')?.['access_rules'];
  return Array.isArray(rules) || isJsonObject(rules);
}

type GetFromKeystone = (
  path: string,
  headers: Readonly<Record<string, Secret | string>>,
  deadline: number,
) => Promise<HttpResponse>;

/** Makes the function that sends GET requests to Keystone, whose endpoint it discovers once. */
function makeGet({ http, authUrl, now, warn }: TokenValidatorSettings): GetFromKeystone {
  let endpoint: Promise<string> | undefined;

  function findEndpoint(): Promise<string> {
    endpoint ??= findV3Endpoint(http, authUrl, { wantsDiscovery: true, warn }).catch((error: unknown) => {
      // The next token tries again.
      endpoint = undefined;
      throw error;
    });
    return endpoint;
  }

  return async (path, headers, deadline) => {
    const url = `${await findEndpoint()}/${path}`;
    const send = (): Promise<HttpResponse> =>
      http.send({
        verb: 'GET',
        url,
        headers: { ...HEADERS, ...headers },
        isSingleUse: true,
        deadlineMs: deadline - now(),
      });
    try {
      return await send();
    } catch (error) {
      // An idle connection that Keystone has just closed looks like an outage.
      const canRetry = error instanceof PluginError && error.code === 'unreachable' && deadline - now() > MIN_RETRY_MS;
      if (!canRetry) throw error;
      return send();
    }
  };
}

async function fetchGroups(
  get: GetFromKeystone,
  token: Secret,
  userId: string,
  deadline: number,
): Promise<readonly KeystoneGroup[] | UnknownToken> {
  const response = await get(`users/${encodeURIComponent(userId)}/groups`, { 'x-auth-token': token }, deadline);
  if (response.status === 200) return readKeystoneGroups(parseJsonObject(response.body));
  // A user who may not list groups, or who exists only by federation, has none here; groups only add permissions.
  if (response.status === 403 || response.status === 404) return [];
  return unknown(describeResponse(response));
}

/** Makes the function that validates tokens. */
export function makeTokenValidator(settings: TokenValidatorSettings): TokenValidator {
  const { refusesAccessRules, now, countOutcome } = settings;
  const get = makeGet(settings);

  async function validate(token: Secret, deadline: number): Promise<ValidationResult> {
    const headers = { 'x-auth-token': token, 'x-subject-token': token };
    const response = await get('auth/tokens?nocatalog=true', headers, deadline);
    const body = parseJsonObject(response.body);
    // 401 for X-Auth-Token, 404 for X-Subject-Token (Identity API v3, "Validate and show information for token").
    if ((response.status === 401 || response.status === 404) && isFromKeystone(body)) {
      return { kind: 'refused', reason: 'Keystone does not accept the token' };
    }
    if (response.status !== 200) return unknown(describeResponse(response));
    const { details, expiresAt: expiresAtByKeystone } = parseToken(token, body);
    const expiresAt = limitExpiry(expiresAtByKeystone - response.serverAheadMs, response.respondedAt);
    const owner = readTokenOwner(details);
    if (typeof owner === 'string') return { kind: 'refused', reason: owner };
    if (refusesAccessRules && hasAccessRules(details)) {
      return { kind: 'refused', reason: 'access rules restrict its application credential' };
    }
    if (expiresAt <= now()) return { kind: 'refused', reason: 'the token has expired' };
    const groups = await fetchGroups(get, token, owner.user.id, deadline);
    return 'kind' in groups ? groups : { kind: 'valid', owner, groups, expiresAt };
  }

  return async (token, timeoutMs) => {
    try {
      const result = await validate(token, now() + timeoutMs);
      countOutcome(result.kind);
      return result;
    } catch (error) {
      countOutcome('unknown');
      if (!(error instanceof PluginError)) throw error;
      // The message may quote a response in which a hostile server repeats the token.
      return unknown(error.message.replaceAll(token.reveal(), '[redacted]'));
    }
  };
}
