import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import { parseJsonObject, textAt } from '../../shared/base/json.ts';
import { serializeWithSecrets, toScopeJson } from '../../shared/keystone/auth-request.ts';
import type { AuthRequest, StatusExplanations } from '../../shared/keystone/auth-request.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { replaceVersion } from '../../shared/keystone/discovery.ts';
import { explainResponse } from '../../shared/keystone/explain-response.ts';
import { describeScope, findRescopeTarget, listScopeFields } from '../../shared/keystone/scope.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import type { AuthMethod, MethodContext } from './auth-method.ts';
import {
  BROWSER_OPTIONS,
  listenForCallback,
  logInWithBrowser,
  readAuthorizationCode,
  readRedirectPort,
  REDIRECT_PORT_OPTION,
} from './browser-login.ts';
import { IDENTITY_PROVIDER_OPTION } from './oidc-options.ts';
import { explainReasonedStatuses } from './presented-jwt.ts';
import { readPathSegment } from './path-segment.ts';

/** The port of the Rust Keystone command line, which providers may allow already. */
const DEFAULT_PORT = 8050;
const PATH = '/oidc/callback';

const readIdp = (config: ResolvedConfig): string => config.text('identity-provider') ?? '';

function explainPreparation(idp: string, redirectUri: string): StatusExplanations {
  const hint = 'ask its operator, or choose another port with OS_REDIRECT_PORT (--redirect-port)';
  return {
    ...explainReasonedStatuses({ message: `Keystone refused to begin a login with identity provider "${idp}"`, hint }),
    403: {
      code: 'auth-rejected',
      message:
        `Keystone forbids the login with identity provider "${idp}": ` +
        `it is disabled, or does not allow ${redirectUri}`,
      hint,
    },
    404: {
      code: 'credential-unknown',
      message: `Keystone has no identity provider "${idp}"`,
      hint: 'check OS_IDENTITY_PROVIDER (--identity-provider)',
    },
  };
}

function explainCompletion(subject: string): StatusExplanations {
  const message = `Keystone refused the login for ${subject}`;
  const hint = 'check project or domain, or ask the Keystone operator about the mapping';
  return {
    ...explainReasonedStatuses({ message, hint }),
    401: {
      code: 'auth-rejected',
      message: `${message}: its mapping does not match the user, or the user has no role in the scope`,
      hint,
    },
    404: {
      code: 'auth-rejected',
      message: 'Keystone no longer knows the login that the browser finished',
      hint: 'log in again, within three minutes',
    },
  };
}

/** The parts that both requests have in common. */
function describeLogin(
  config: ResolvedConfig,
): Pick<AuthRequest, 'verb' | 'version' | 'subject' | 'expected' | 'announcesOwner'> {
  const scope = resolveScope(config);
  const subject = `the user in the browser of identity provider ${readIdp(config)} ${describeScope(scope)}`;
  return { verb: 'POST', version: 'v4', subject, expected: { scope }, announcesOwner: true };
}

/** Rust Keystone accepts a project, a domain or the system here; a trust needs a second request. */
function splitScope(
  config: ResolvedConfig,
): Pick<AuthRequest, 'rescopeTarget'> & { scope?: ReturnType<typeof toScopeJson> } {
  const scope = findRescopeTarget(resolveScope(config));
  if (scope === undefined) return {};
  return scope.kind === 'trust' ? { rescopeTarget: scope } : { scope: toScopeJson(scope) };
}

function protocolError(message: string): KeystoneProtocolError {
  return new KeystoneProtocolError('protocol', message, { hint: 'ask its operator' });
}

/** Asks Keystone to prepare a login, which stays valid for 180 s. */
async function prepareLogin(
  config: ResolvedConfig,
  { http }: MethodContext,
  redirectUri: string,
): Promise<{ loginUrl: string; state: string }> {
  const base = replaceVersion(readAuthUrl(config) ?? '', 'v4');
  const path = `federation/identity_providers/${readPathSegment(config, 'identity-provider')}/auth`;
  const { scope } = splitScope(config);
  const body = serializeWithSecrets({ redirect_uri: redirectUri, ...(scope === undefined ? {} : { scope }) });
  const response = await http.send({ verb: 'POST', url: `${base}/${path}`, body });
  const login = response.status >= 200 && response.status <= 299 ? parseJsonObject(response.body) : undefined;
  if (login === undefined) {
    const statusExplanations = explainPreparation(readIdp(config), redirectUri);
    throw explainResponse({ ...describeLogin(config), statusExplanations }, base, response);
  }
  const loginUrl = textAt(login, 'auth_url') ?? '';
  const state = URL.parse(loginUrl)?.searchParams.get('state') ?? null;
  if (!/^https?:\/\//.test(loginUrl)) throw protocolError('Keystone returned no login address');
  if (state === null || state === '') throw protocolError('Keystone returned a login address without a state');
  return { loginUrl, state };
}

/** Rust Keystone, "/v4/federation": Keystone is the client of the provider, and the plugin passes on the result. */
export const v4Federation: AuthMethod = {
  name: 'v4federation',
  aliases: [],
  use: 'Browser',
  summary: 'a browser, with an OpenID Connect provider that Rust Keystone is a client of',
  options: [IDENTITY_PROVIDER_OPTION, REDIRECT_PORT_OPTION, ...BROWSER_OPTIONS],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: () => true,
  listMissing: (config) => [...listUnset(config, 'identity-provider'), ...listMissingScope(config)],
  identify: (config) => [config.text('identity-provider'), ...listScopeFields(resolveScope(config))],
  async prepareRequest(config, tools) {
    const listener = await listenForCallback(tools, {
      url: `http://localhost:${String(readRedirectPort(config, DEFAULT_PORT))}${PATH}`,
      verb: 'GET',
      portHint:
        'stop it, or choose another port with OS_REDIRECT_PORT (--redirect-port) if your Keystone allows that port too',
    });
    try {
      const { loginUrl, state } = await prepareLogin(config, tools, listener.url);
      const login = describeLogin(config);
      const code = await logInWithBrowser(config, tools, {
        listener,
        loginUrl,
        state,
        accept: (values) => readAuthorizationCode(values, { state, subject: login.subject }),
      });
      return {
        ...login,
        path: 'federation/oidc/callback',
        body: { code, state },
        isSingleUse: true,
        rescopeTarget: splitScope(config).rescopeTarget,
        statusExplanations: explainCompletion(login.subject),
      };
    } finally {
      listener.close();
    }
  },
};
