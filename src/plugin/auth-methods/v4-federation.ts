import { listUnset } from '../config/resolve-config.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, findRescopeTarget, listScopeFields } from '../../shared/keystone/scope.ts';
import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import { parseJsonObject, textAt } from '../../shared/base/json.ts';
import { toScopeJson, serializeWithSecrets } from '../../shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import { replaceVersion } from '../../shared/keystone/discovery.ts';
import { explainResponse } from '../../shared/keystone/explain-response.ts';
import { explainOAuthError } from '../../shared/oidc/explain-oauth-error.ts';
import { Secret } from '../../shared/base/secret.ts';
import {
  BROWSER_OPTIONS,
  listenForCallback,
  logInWithBrowser,
  readRedirectPort,
  REDIRECT_PORT_OPTION,
} from './browser-login.ts';
import type { AuthMethod, MethodContext } from './auth-method.ts';
import { FEDERATION_OPTIONS } from './oidc.ts';

/** What Rust Keystone's own command line uses, so that what providers allow already will do. */
const USUAL_PORT = 8050;
const PATH = '/oidc/callback';

const readIdp = (config: ResolvedConfig): string => config.text('identity-provider') ?? '';

function protocolError(message: string): KeystoneProtocolError {
  return new KeystoneProtocolError('protocol', message, { hint: 'ask its operator' });
}

/** The parts of both requests that do not depend on which of them it is. */
function describeLogin(
  config: ResolvedConfig,
): Pick<AuthRequest, 'verb' | 'version' | 'subject' | 'expected' | 'announcesOwner'> {
  const scope = resolveScope(config);
  const subject = `the user in the browser of identity provider ${readIdp(config)} ${describeScope(scope)}`;
  return { verb: 'POST', version: 'v4', subject, expected: { scope }, announcesOwner: true };
}

/** Rust Keystone knows these three only; any other is asked for later, or not at all. */
function scopeOf(
  config: ResolvedConfig,
): Pick<AuthRequest, 'rescopeTarget'> & { scope?: ReturnType<typeof toScopeJson> } {
  const scope = findRescopeTarget(resolveScope(config));
  if (scope === undefined) return {};
  return scope.kind === 'trust' ? { rescopeTarget: scope } : { scope: toScopeJson(scope) };
}

/** Has Keystone prepare a login, which it keeps for 180 s. */
async function prepare(
  config: ResolvedConfig,
  { http }: MethodContext,
  redirectUri: string,
): Promise<{ loginUrl: string; state: string }> {
  const base = replaceVersion(readAuthUrl(config) ?? '', 'v4');
  const path = `federation/identity_providers/${encodeURIComponent(readIdp(config))}/auth`;
  const { scope } = scopeOf(config);
  const body = serializeWithSecrets({ redirect_uri: redirectUri, ...(scope === undefined ? {} : { scope }) });
  const answer = await http.send({ verb: 'POST', url: `${base}/${path}`, body });
  const given = answer.status >= 200 && answer.status <= 299 ? parseJsonObject(answer.body) : undefined;
  if (given === undefined) {
    const request: AuthRequest = {
      ...describeLogin(config),
      path,
      statusExplanations: {
        403: {
          code: 'auth-rejected',
          message: `Keystone forbids the login with identity provider "${readIdp(config)}": it is disabled, or does not allow ${redirectUri}`,
          hint: 'ask its operator, or choose another port with OS_REDIRECT_PORT (--redirect-port)',
        },
        404: {
          code: 'credential-unknown',
          message: `Keystone knows no identity provider "${readIdp(config)}"`,
          hint: 'check OS_IDENTITY_PROVIDER (--identity-provider)',
        },
      },
    };
    throw explainResponse(request, base, answer);
  }
  const loginUrl = textAt(given, 'auth_url') ?? '';
  const state = URL.canParse(loginUrl) ? new URL(loginUrl).searchParams.get('state') : null;
  if (!/^https?:\/\//.test(loginUrl)) throw protocolError('Keystone named no address to log in at');
  if (state === null || state === '') throw protocolError('Keystone named an address to log in at that lacks a state');
  return { loginUrl, state };
}

/** Rust Keystone, "/v4/federation": it is Keystone that is the provider's client, and we are its messenger. */
export const v4Federation: AuthMethod = {
  name: 'v4federation',
  aliases: [],
  summary: 'a browser, with an OpenID Connect provider that Rust Keystone itself knows',
  options: [
    ...FEDERATION_OPTIONS.filter(({ name }) => name === 'identity-provider'),
    REDIRECT_PORT_OPTION,
    ...BROWSER_OPTIONS,
  ],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: true,
  listMissing: (config) => [...listUnset(config, 'identity-provider'), ...listMissingScope(config)],
  identify: (config) => [config.text('identity-provider'), ...listScopeFields(resolveScope(config))],
  async prepareRequest(config, tools) {
    const listener = await listenForCallback(tools, {
      url: `http://localhost:${String(readRedirectPort(config, USUAL_PORT))}${PATH}`,
      verb: 'GET',
      portHint:
        'end it, or choose another port with OS_REDIRECT_PORT (--redirect-port) if your Keystone allows that too',
    });
    try {
      const { loginUrl, state } = await prepare(config, tools, listener.url);
      const login = describeLogin(config);
      const code = await logInWithBrowser(config, tools, {
        listener,
        loginUrl,
        state,
        accept(values) {
          // Without it, a page of somebody else's could end the login as somebody else (RFC 6749, 10.12).
          if (values.get('state') !== state) return undefined;
          const reason = values.get('error');
          if (reason !== undefined) throw explainOAuthError(reason, values.get('error_description'), login.subject);
          const found = values.get('code');
          return found === undefined || found === '' ? undefined : new Secret(found);
        },
      });
      const { rescopeTarget } = scopeOf(config);
      return {
        ...login,
        path: 'federation/oidc/callback',
        body: { code, state },
        isSingleUse: true,
        rescopeTarget,
        statusExplanations: {
          401: {
            code: 'auth-rejected',
            message: `Keystone refused the login for ${login.subject}: its mapping knows no such user, or there is no role there`,
            hint: 'check project or domain, or ask its operator for the mapping',
          },
          404: {
            code: 'auth-rejected',
            message: 'Keystone no longer knows the login that the browser finished',
            hint: 'log in again, within three minutes',
          },
        },
      };
    } finally {
      listener.close();
    }
  },
};
