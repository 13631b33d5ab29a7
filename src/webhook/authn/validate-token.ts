/** Asking Keystone whose token it is: the token asks about itself, so that the webhook needs no account of its own. */
import { PluginError } from '../../shared/base/errors.ts';
import { isJsonObject, objectAt, parseJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { findV3Endpoint } from '../../shared/keystone/discovery.ts';
import type { HttpClient, HttpResponse } from '../../shared/http/http-client.ts';
import { parseToken } from '../../shared/keystone/token.ts';
import type { Secret } from '../../shared/base/secret.ts';
import { readKeystoneGroups, readTokenOwner } from './user-info.ts';
import type { KeystoneGroup, TokenOwner } from './user-info.ts';

/** What Keystone says of a token. */
export type ValidationResult =
  | {
      readonly kind: 'valid';
      readonly owner: TokenOwner;
      readonly groups: readonly KeystoneGroup[];
      /** ms since 1970, UTC, by our clock. */
      readonly expiresAt: number;
    }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface TokenValidatorSettings {
  readonly http: HttpClient;
  /** In its normal form. */
  readonly authUrl: string;
  readonly refusesAccessRules: boolean;
  readonly now: () => number;
  readonly warn: (message: string) => void;
  /** Takes the outcome of each request to Keystone, for the metrics. */
  readonly countOutcome: (outcome: string) => void;
}

export type TokenValidator = (token: Secret, deadlineMs: number) => Promise<ValidationResult>;

/** Says that we know of access rules; without it, Keystone answers 404 for the token of a credential that has them. */
const HEADERS = { 'openstack-identity-access-rules': '1.0' };

/** What a second try must have left, in ms. */
const WORTH_TRYING_MS = 500;

const unknown = (reason: string): ValidationResult => ({ kind: 'unknown', reason });

/** Whether it is Keystone that speaks, and not something in front of it. */
const isKeystones = (body: JsonObject | undefined): boolean => objectAt(body, 'error') !== undefined;

function describe(answer: HttpResponse): string {
  return `Keystone answered ${answer.status}${isKeystones(parseJsonObject(answer.body)) ? '' : ', or something in front of it did'}`;
}

/** Whether access rules restrict the application credential behind the token, an empty list being the strictest. */
function hasAccessRules(facts: JsonObject): boolean {
  const rules = objectAt(facts, 'application_credential')?.['access_rules'];
  return Array.isArray(rules) || isJsonObject(rules);
}

/** Makes what judges tokens. */
export function makeTokenValidator(settings: TokenValidatorSettings): TokenValidator {
  const { http, authUrl, refusesAccessRules, now, warn, countOutcome } = settings;
  let endpoint: Promise<string> | undefined;

  function findEndpoint(): Promise<string> {
    endpoint ??= findV3Endpoint(http, authUrl, { wantsDiscovery: true, warn }).catch((error: unknown) => {
      // Asked again for the next token.
      endpoint = undefined;
      throw error;
    });
    return endpoint;
  }

  /** A connection that Keystone has just closed for being idle looks like an outage, and is none. */
  async function ask(
    path: string,
    headers: Readonly<Record<string, Secret | string>>,
    until: number,
  ): Promise<HttpResponse> {
    const url = `${await findEndpoint()}/${path}`;
    const send = (): Promise<HttpResponse> =>
      http.send({
        verb: 'GET',
        url,
        headers: { ...HEADERS, ...headers },
        isSingleUse: true,
        deadlineMs: until - now(),
      });
    try {
      return await send();
    } catch (error) {
      const mayWork = error instanceof PluginError && error.code === 'unreachable' && until - now() > WORTH_TRYING_MS;
      if (!mayWork) throw error;
      return send();
    }
  }

  async function findGroups(
    token: Secret,
    userId: string,
    until: number,
  ): Promise<readonly KeystoneGroup[] | ValidationResult> {
    const answer = await ask(`users/${encodeURIComponent(userId)}/groups`, { 'x-auth-token': token }, until);
    if (answer.status === 200) return readKeystoneGroups(parseJsonObject(answer.body));
    // Who may not list them, or is known to Keystone by a federation only, has none here; groups only ever give.
    if (answer.status === 403 || answer.status === 404) return [];
    return unknown(describe(answer));
  }

  async function judge(token: Secret, until: number): Promise<ValidationResult> {
    const answer = await ask('auth/tokens?nocatalog=true', { 'x-auth-token': token, 'x-subject-token': token }, until);
    const body = parseJsonObject(answer.body);
    // 401 as the one who asks, 404 as the one asked about (Keystone API v3, "Validate and show information for token").
    if ((answer.status === 401 || answer.status === 404) && isKeystones(body)) {
      return { kind: 'refused', reason: 'Keystone does not accept the token' };
    }
    if (answer.status !== 200) return unknown(describe(answer));
    const { details, expiresAt } = parseToken(token, body);
    const ends = expiresAt - answer.serverAheadMs;
    const owner = readTokenOwner(details);
    if (typeof owner === 'string') return { kind: 'refused', reason: owner };
    if (refusesAccessRules && hasAccessRules(details)) {
      return { kind: 'refused', reason: 'access rules restrict its application credential' };
    }
    if (ends <= now()) return { kind: 'refused', reason: 'the token has expired' };
    const groups = await findGroups(token, owner.user.id, until);
    return 'kind' in groups ? groups : { kind: 'valid', owner, groups, expiresAt: ends };
  }

  return async (token, deadlineMs) => {
    try {
      const judgement = await judge(token, now() + deadlineMs);
      countOutcome(judgement.kind);
      return judgement;
    } catch (error) {
      countOutcome('unknown');
      if (!(error instanceof PluginError)) throw error;
      // A hostile server may have said the token back to us.
      return unknown(error.message.replaceAll(token.reveal(), '[redacted]'));
    }
  };
}
