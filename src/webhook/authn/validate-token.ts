/** Validates a token at Keystone with the token itself, so that the webhook needs no account of its own. */
import type { Clock } from '../../shared/base/clock.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { isJsonObject, numberAt, objectAt, parseJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { findV3Endpoint } from '../../shared/keystone/discovery.ts';
import type { HttpClient, SharedHttpClient } from '../../shared/http/http-client.ts';
import { limitExpiry } from '../../shared/http/http-message.ts';
import type { HttpResponse } from '../../shared/http/http-message.ts';
import { parseToken } from '../../shared/keystone/token.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { Refusal } from '../review/review.ts';
import { SharedQuestions } from './shared-questions.ts';
import { readKeystoneGroups, readTokenOwner } from './token-owner.ts';
import type { KeystoneGroup, TokenOwner } from './token-owner.ts';

/** A token that Keystone accepts. */
export interface ValidToken {
  readonly kind: 'valid';
  readonly owner: TokenOwner;
  readonly groups: readonly KeystoneGroup[];
  /** ms since 1970, UTC, by our clock. */
  readonly expiresAt: number;
  /** The same by Keystone's clock, ms since 1970, UTC, for others whose clocks are not ours. */
  readonly keystoneExpiresAt: number;
}

interface UnknownToken {
  readonly kind: 'unknown';
  readonly reason: string;
}

/** What Keystone says about a token; `unknown` if it does not say. */
export type ValidationResult = ValidToken | Refusal | UnknownToken;

export interface TokenValidatorSettings {
  readonly http: SharedHttpClient;
  /** Normalized. */
  readonly authUrl: string;
  readonly refusesAccessRules: boolean;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
  readonly clock: Clock;
  /** Receives the outcome of each validation and how long it took, for the metrics. */
  readonly recordOutcome: (outcome: string, seconds: number) => void;
}

export interface ValidationRequest {
  /** For all requests together, in ms. */
  readonly timeoutMs: number;
  /** The ID of the user to whom the token probably belongs, so that the groups can be requested early. */
  readonly probableUserId: string | undefined;
}

export type TokenValidator = (token: Secret, request: ValidationRequest) => Promise<ValidationResult>;

/** Without this header Keystone answers 404 for a token of an application credential that has access rules. */
const HEADERS = { 'openstack-identity-access-rules': '1.0' };

/** The time that a second attempt needs, in ms. */
const MIN_RETRY_MS = 500;

/**
 * When a validation that takes longer gets company from the request for the groups, in ms. A fast Keystone does not get
 * that request for tokens that it refuses.
 */
const GROUPS_BESIDE_MS = 250;

/**
 * 401 for X-Auth-Token, 404 for X-Subject-Token (Identity API v3, "Validate and show information for token"), 403 for a
 * token that may not validate itself, such as one of an impersonating trust.
 */
const REFUSALS: readonly number[] = [401, 403, 404];

/** A proxy in front of Keystone has mixed up the responses of two requests. */
const WRONG_RESPONSE = 'Keystone, or a proxy in front of it, sent the response to another request';

const unknown = (reason: string): UnknownToken => ({ kind: 'unknown', reason });

/** Whether Keystone itself wrote an error response, and not a proxy in front of it. */
const isFromKeystone = ({ status, body }: HttpResponse): boolean =>
  numberAt(objectAt(parseJsonObject(body), 'error'), 'code') === status;

function describeResponse(response: HttpResponse): string {
  const sender = isFromKeystone(response) ? 'Keystone' : 'Keystone or a proxy in front of it';
  return `${sender} answered ${response.status}`;
}

/** Whether access rules restrict the application credential behind the token; an empty list forbids everything. */
function hasAccessRules(details: JsonObject): boolean {
  const rules = objectAt(details, 'application_credential')?.['access_rules'];
  return Array.isArray(rules) || isJsonObject(rules);
}

type GetFromKeystone = (path: string, headers: Readonly<Record<string, Secret | string>>) => Promise<HttpResponse>;

/** What sends the GET requests about one token; close it at the end. */
interface Conversation {
  readonly get: GetFromKeystone;
  readonly close: () => void;
}

/**
 * Makes the function that starts a conversation with Keystone, whose endpoint it discovers once. The requests about a
 * token share a connection, and those about two tokens never do: what a proxy in front of Keystone mixes up there must
 * not say who somebody else is.
 */
function makeConversations({
  http,
  authUrl,
  now,
  clock,
  warn,
}: TokenValidatorSettings): (deadline: number) => Conversation {
  const discoveries = new SharedQuestions<string>(clock);
  let endpoint: string | undefined;

  async function findEndpoint(deadline: number): Promise<string> {
    endpoint ??= await discoveries.ask(authUrl, (onSent) => {
      onSent();
      return findV3Endpoint(http, authUrl, { wantsDiscovery: true, warn, deadlineMs: deadline - now() });
    });
    return endpoint;
  }

  return (deadline) => {
    const connection = http.separate();
    let isOver = false;
    const get: GetFromKeystone = async (path, headers) => {
      const url = `${await findEndpoint(deadline)}/${path}`;
      const send = (client: HttpClient): Promise<HttpResponse> =>
        client.send({
          verb: 'GET',
          url,
          headers: { ...HEADERS, ...headers },
          isSingleUse: true,
          deadlineMs: deadline - now(),
        });
      try {
        return await send(connection);
      } catch (error) {
        // A Keystone that restarts closes connections. Behind a balancer, another one answers.
        const isLost = error instanceof PluginError && error.code === 'unreachable';
        if (isOver || !isLost || deadline - now() <= MIN_RETRY_MS) throw error;
        return send(http);
      }
    };
    return {
      get,
      close: () => {
        isOver = true;
        connection.close();
      },
    };
  };
}

async function fetchGroups(
  get: GetFromKeystone,
  token: Secret,
  userId: string,
): Promise<readonly KeystoneGroup[] | UnknownToken> {
  const response = await get(`users/${encodeURIComponent(userId)}/groups`, { 'x-auth-token': token });
  if (response.status === 200) {
    return readKeystoneGroups(parseJsonObject(response.body), userId) ?? unknown(WRONG_RESPONSE);
  }
  // A user who may not list groups, or who exists only by federation, has none here; groups only add permissions.
  if (response.status === 403 || response.status === 404) return [];
  return unknown(describeResponse(response));
}

type GroupsResult = Awaited<ReturnType<typeof fetchGroups>>;

/** Starts a request later, unless that is canceled before. */
function startLater(
  clock: Clock,
  ms: number,
  request: () => Promise<GroupsResult>,
): { readonly cancel: () => void; readonly result: () => Promise<GroupsResult> | undefined } {
  let result: Promise<GroupsResult> | undefined;
  const cancel = clock.startTimer(ms, () => {
    result = request();
    // Whoever needs it awaits it.
    result.catch(() => undefined);
  });
  return { cancel, result: () => result };
}

/** A larger difference between two clocks is a mistake that matters, in ms. */
const MAX_SKEW_MS = 60_000;

/** Makes the function that says when Keystone's clock and ours begin to differ, and when they agree again. */
function makeClockWatch(warn: (message: string) => void): (serverAheadMs: number) => void {
  let isSkewed = false;
  return (serverAheadMs) => {
    if (Math.abs(serverAheadMs) > MAX_SKEW_MS === isSkewed) return;
    isSkewed = !isSkewed;
    const direction = serverAheadMs > 0 ? 'behind' : 'ahead of';
    const seconds = Math.round(Math.abs(serverAheadMs) / 1_000);
    warn(
      isSkewed
        ? `the clock of this machine is ${seconds} s ${direction} Keystone's; synchronize both, for example with NTP`
        : "the clock of this machine agrees with Keystone's again",
    );
  };
}

/** Makes the function that validates tokens. */
export function makeTokenValidator(settings: TokenValidatorSettings): TokenValidator {
  const { refusesAccessRules, now, clock, recordOutcome } = settings;
  const startConversation = makeConversations(settings);
  const watchClock = makeClockWatch(settings.warn);

  /** Reads the response to a validation; the groups are not in it. */
  function readValidation(token: Secret, response: HttpResponse): ValidationResult {
    if (REFUSALS.includes(response.status) && isFromKeystone(response)) {
      return { kind: 'refused', cause: 'not-accepted', reason: 'Keystone does not accept the token' };
    }
    if (response.status !== 200) return unknown(describeResponse(response));
    // Rust Keystone sends no such header.
    const subject = response.header('x-subject-token');
    if (subject !== undefined && subject !== token.reveal()) return unknown(WRONG_RESPONSE);
    watchClock(response.serverAheadMs);
    const { details, expiresAt: expiresAtByKeystone } = parseToken(token, parseJsonObject(response.body));
    const expiresAt = limitExpiry(expiresAtByKeystone - response.serverAheadMs, response.respondedAt);
    const owner = readTokenOwner(details);
    if (typeof owner === 'string') return { kind: 'refused', cause: 'scope', reason: owner };
    if (refusesAccessRules && hasAccessRules(details)) {
      return { kind: 'refused', cause: 'access-rules', reason: 'access rules restrict its application credential' };
    }
    if (expiresAt <= now()) return { kind: 'refused', cause: 'expired', reason: 'the token has expired' };
    return { kind: 'valid', owner, groups: [], expiresAt, keystoneExpiresAt: expiresAtByKeystone };
  }

  async function validate(
    token: Secret,
    probableUserId: string | undefined,
    get: GetFromKeystone,
  ): Promise<ValidationResult> {
    const fetchGroupsOf = (userId: string): Promise<GroupsResult> => fetchGroups(get, token, userId);
    const early =
      probableUserId === undefined
        ? undefined
        : startLater(clock, GROUPS_BESIDE_MS, () => fetchGroupsOf(probableUserId));
    const headers = { 'x-auth-token': token, 'x-subject-token': token };
    const response = await get('auth/tokens?nocatalog=true', headers).finally(() => early?.cancel());
    const result = readValidation(token, response);
    if (result.kind !== 'valid') return result;
    const userId = result.owner.user.id;
    const earlyGroups = userId === probableUserId ? early?.result() : undefined;
    const groups = await (earlyGroups ?? fetchGroupsOf(userId));
    return 'kind' in groups ? groups : { ...result, groups };
  }

  return async (token, { timeoutMs, probableUserId }) => {
    const { get, close } = startConversation(now() + timeoutMs);
    const startedAt = clock.monotonicMs();
    const record = (outcome: string): void => {
      recordOutcome(outcome, (clock.monotonicMs() - startedAt) / 1_000);
    };
    try {
      const result = await validate(token, probableUserId, get);
      record(result.kind);
      return result;
    } catch (error) {
      record('unknown');
      if (!(error instanceof PluginError)) throw error;
      // The message may quote a response in which a hostile server repeats the token.
      return unknown(error.message.replaceAll(token.reveal(), '[redacted]'));
    } finally {
      close();
    }
  };
}
