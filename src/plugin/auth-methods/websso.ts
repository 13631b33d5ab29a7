import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, findRescopeTarget, listScopeFields } from '../../shared/keystone/scope.ts';
import { parseHeaderToken } from '../../shared/base/secret.ts';
import type { StatusExplanation } from '../../shared/keystone/auth-request.ts';
import {
  BROWSER_OPTIONS,
  listenForCallback,
  logInWithBrowser,
  readRedirectPort,
  REDIRECT_PORT_OPTION,
} from './browser-login.ts';
import type { AuthMethod } from './auth-method.ts';
import { buildValidationRequest } from './existing-token.ts';
import { FEDERATION_OPTIONS } from './oidc-options.ts';
import { USER_OPTIONS } from './user.ts';
import { readPathSegment } from './path-segment.ts';

/** The port of keystoneauth, which operators may trust already. */
const DEFAULT_PORT = 9990;

/** Keystone compares the whole address with its trusted dashboards, including the trailing slash. */
const PATH = '/auth/websso/';

const UNKNOWN_TOKEN: StatusExplanation = {
  code: 'auth-rejected',
  message: 'Keystone does not accept the token that the browser brought',
  hint: 'log in again, and check in the browser that you log in as yourself',
};

function makeLoginUrl(v3: string, config: ResolvedConfig, origin: string): string {
  const protocol = readPathSegment(config, 'protocol');
  const idp = readPathSegment(config, 'identity-provider');
  const path =
    idp === ''
      ? `auth/OS-FEDERATION/websso/${protocol}`
      : `auth/OS-FEDERATION/identity_providers/${idp}/protocols/${protocol}/websso`;
  return `${v3}/${path}?origin=${encodeURIComponent(origin)}`;
}

function describeBrowserUser(config: ResolvedConfig): string {
  const idp = config.text('identity-provider');
  return `the user in the browser${idp === undefined ? '' : ` of identity provider ${idp}`}`;
}

/**
 * Keystone API v3, "OS-FEDERATION", "Web Single Sign On": the login of dashboards, with the plugin as the dashboard.
 *
 * Keystone passes on no parameter that identifies this login, because it requires the exact origin that its operator
 * trusts. Therefore a page of an attacker can post the attacker's token while the listener waits, and the user would
 * act as the attacker. Several checks make this hard: the browser must show the page to the user (no hidden frame), the
 * page must not reveal its origin, and the token must have a role in the project that the user names. The plugin
 * announces the token owner, and with `--user-id` it accepts no other user.
 */
export const webSso: AuthMethod = {
  name: 'v3websso',
  aliases: [],
  use: 'Browser',
  summary: 'a browser login at the page that Keystone chooses, as for the dashboard',
  options: [
    ...FEDERATION_OPTIONS,
    ...USER_OPTIONS.filter(({ name }) => name === 'user-id'),
    REDIRECT_PORT_OPTION,
    ...BROWSER_OPTIONS,
  ],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: () => true,
  listMissing: (config) => [...listUnset(config, 'protocol'), ...listMissingScope(config)],
  identify: (config) => [
    config.text('identity-provider'),
    config.text('protocol'),
    config.text('user-id'),
    ...listScopeFields(resolveScope(config)),
  ],
  async prepareRequest(config, tools) {
    const scope = resolveScope(config);
    const v3 = await tools.findV3Endpoint();
    const listener = await listenForCallback(tools, {
      url: `http://localhost:${String(readRedirectPort(config, DEFAULT_PORT))}${PATH}`,
      verb: 'POST',
      origin: new URL(v3).origin,
      portHint:
        'stop it, or choose another port with OS_REDIRECT_PORT (--redirect-port) if your Keystone trusts that port too',
    });
    const token = await logInWithBrowser(config, tools, {
      listener,
      loginUrl: makeLoginUrl(v3, config, listener.url),
      accept: (values) => parseHeaderToken(values.get('token')),
      timeoutHint:
        'if the browser shows error 401, ' + `the Keystone operator must add ${listener.url} to trusted_dashboard`,
    });
    const id = config.text('user-id');
    return {
      ...buildValidationRequest(token),
      subject: `${describeBrowserUser(config)} ${describeScope(scope)}`,
      expected: { ...(id === undefined ? {} : { user: { id } }), scope },
      announcesOwner: true,
      rescopeTarget: findRescopeTarget(scope),
      statusExplanations: { 401: UNKNOWN_TOKEN, 404: UNKNOWN_TOKEN },
    };
  },
};
