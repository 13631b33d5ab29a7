/** Explains responses without a token. The status and headers decide before the server's text does. */
import { AdditionalFactorRequired, AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../base/errors.ts';
import type { PluginError } from '../base/errors.ts';
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { AuthRequest } from './auth-request.ts';
import { KEYSTONE } from '../http/peer.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { redactAndTruncate } from '../base/text.ts';
import { listOfferedMethods, parseTokenId } from './token.ts';

/** What an explanation needs to know about the request. */
export type ExplainedRequest = Pick<AuthRequest, 'subject' | 'version' | 'otherKeystone' | 'statusExplanations'>;

interface Circumstances {
  readonly url: string;
  readonly response: HttpResponse;
  readonly body: JsonObject | undefined;
  readonly request: ExplainedRequest;
}

/** The server's text in any of the three formats of errors; empty if there is none. */
function serverMessage(body: JsonObject | undefined): string {
  const [first] = listAt(body, 'errors');
  const entry = isJsonObject(first) ? first : undefined;
  const text = textAt(objectAt(body, 'error'), 'message') ?? textAt(entry, 'detail') ?? textAt(entry, 'title') ?? '';
  return redactAndTruncate(text).replace(/\.$/, '');
}

function explainReceipt({ body, request }: Circumstances, receipt: string): PluginError {
  const acceptedMethods = listAt(objectAt(body, 'receipt'), 'methods');
  const missingMethodSets = listAt(body, 'required_auth_methods').map((rule) =>
    (Array.isArray(rule) ? (rule as unknown[]) : [])
      .filter((method) => typeof method === 'string')
      .filter((method) => !acceptedMethods.includes(method)),
  );
  const factors = redactAndTruncate(missingMethodSets.map((methods) => methods.join(' and ')).join(', or '));
  return new AdditionalFactorRequired(
    `Keystone requires another factor from ${request.subject}: ${factors}`,
    { id: parseTokenId(receipt), missingMethodSets },
    { hint: 'log in with an application credential, or pass a token with OS_TOKEN' },
  );
}

function explain401(circumstances: Circumstances): PluginError {
  const { response, body, request } = circumstances;
  const receipt = response.header('openstack-auth-receipt');
  if (receipt !== undefined) return explainReceipt(circumstances, receipt);
  const offered = listOfferedMethods(body);
  if (offered.length > 0) {
    return new AuthRejected('method-not-offered', 'Keystone does not offer this auth method', {
      hint: `it offers ${redactAndTruncate(offered.join(', '))}; set OS_AUTH_TYPE to one of them`,
    });
  }
  if (/\bpassword is expired\b/i.test(serverMessage(body))) {
    return new AuthRejected('password-expired', `the password of ${request.subject} has expired`, {
      hint: 'change it with "openstack user password set"',
    });
  }
  return new AuthRejected(
    'auth-rejected',
    `Keystone refused the login for ${request.subject}: wrong credentials, ` +
      'disabled or locked account, or no role in the scope (Keystone does not tell which)',
    { hint: 'check user, password, domain, and project or trust' },
  );
}

function explain400({ body }: Circumstances): PluginError {
  const text = serverMessage(body);
  const domain = /\bdomain in (user|project)\b/i.exec(text)?.[1]?.toUpperCase();
  return new AuthRejected('request-rejected', `Keystone rejected the request: ${text || 'it does not say why'}`, {
    hint: domain === undefined ? 'check the names and ids that you set' : `set OS_${domain}_DOMAIN_NAME`,
  });
}

function explain404({ url, body, request }: Circumstances): PluginError {
  if (objectAt(body, 'error') === undefined) {
    const { version = 'v3', otherKeystone: { peer } = { peer: KEYSTONE } } = request;
    return new KeystoneProtocolError('not-keystone', `no Keystone ${version} answers at ${url}`, {
      hint: version === 'v3' ? `check ${peer.setting}` : `check ${peer.setting}; only Rust Keystone has v4`,
    });
  }
  return new AuthRejected(
    'credential-unknown',
    `Keystone does not find what the request names: ${serverMessage(body)}`,
    {
      hint: 'check the names and ids that you set',
    },
  );
}

function explain403({ body, request }: Circumstances): PluginError {
  return new AuthRejected(
    'auth-rejected',
    `Keystone forbids the login for ${request.subject}: ${serverMessage(body)}`,
    {
      hint: 'ask its operator',
    },
  );
}

function explain409({ body }: Circumstances): PluginError {
  return new AuthRejected('request-rejected', `it already exists in Keystone: ${serverMessage(body)}`, {
    hint: 'choose another name',
  });
}

function explain429({ response }: Circumstances): PluginError {
  const after = response.header('retry-after');
  return new KeystoneUnreachable('rate-limited', 'Keystone limits the rate of logins', {
    hint:
      after === undefined
        ? 'try again later'
        : `try again ${/^\d+$/.test(after) ? `in ${after} s` : `at ${redactAndTruncate(after)}`}`,
  });
}

function explainUnavailable({ response, body }: Circumstances): PluginError {
  const after = response.header('retry-after');
  const who = body === undefined ? ' from a proxy in front of it' : '';
  return new KeystoneUnreachable('unavailable', `Keystone is unavailable (${String(response.status)}${who})`, {
    hint: after === undefined ? 'try again later' : `try again later; it says Retry-After: ${redactAndTruncate(after)}`,
  });
}

type Explainer = (circumstances: Circumstances) => PluginError;

const BY_STATUS: Readonly<Partial<Record<number, Explainer>>> = {
  400: explain400,
  401: explain401,
  403: explain403,
  404: explain404,
  409: explain409,
  429: explain429,
  502: explainUnavailable,
  503: explainUnavailable,
  504: explainUnavailable,
};

function explainOther({ url, response, body, request }: Circumstances): PluginError {
  const status = String(response.status);
  if (response.status >= 500) {
    return new KeystoneUnreachable('unavailable', `Keystone failed with error ${status}`, {
      hint: 'try again later, or ask its operator',
    });
  }
  const html = /\bhtml\b/i.test(response.header('content-type') ?? '');
  const what = html ? 'HTML' : response.status < 300 ? 'no JSON' : `status ${status}`;
  return new KeystoneProtocolError(
    'not-keystone',
    response.status >= 400 && body !== undefined
      ? `Keystone answered ${status}: ${serverMessage(body)}`
      : `${url} answered with ${what}, which is not Keystone`,
    {
      hint:
        `check ${(request.otherKeystone?.peer ?? KEYSTONE).setting}, ` +
        'and whether you must sign in to the network first',
    },
  );
}

/** Explains a response without the expected result; the explanation of the auth method takes precedence. */
export function explainResponse(request: ExplainedRequest, url: string, response: HttpResponse): PluginError {
  const body = parseJsonObject(response.body);
  const circumstances = { url, response, body, request };
  const explained = (BY_STATUS[response.status] ?? explainOther)(circumstances);
  const refusal = request.statusExplanations?.[response.status];
  const isReplaced = response.status < 300 || ['auth-rejected', 'credential-unknown'].includes(explained.code);
  const own =
    refusal !== undefined && isReplaced
      ? new AuthRejected(refusal.code, refusal.message, { hint: refusal.hint })
      : explained;
  const requestId = response.header('x-openstack-request-id');
  if (requestId !== undefined) own.requestId = redactAndTruncate(requestId);
  return own;
}
