import { listUnset } from '../config/resolve-config.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
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
import { FEDERATION_OPTIONS } from './oidc.ts';
import { USER_OPTIONS } from './user.ts';

/** keystoneauth's, so that what operators trust already will do. */
const USUAL_PORT = 9990;

/** Keystone compares all of it with its list of trusted dashboards, the last slash included. */
const PATH = '/auth/websso/';

const UNKNOWN: StatusExplanation = {
  code: 'auth-rejected',
  message: 'Keystone does not know the token that the browser brought',
  hint: 'log in again, and see in the browser that it is you who logs in',
};

function websso(v3: string, config: ResolvedConfig, origin: string): string {
  const protocol = encodeURIComponent(config.text('protocol') ?? '');
  const idp = config.text('identity-provider');
  const path =
    idp === undefined
      ? `auth/OS-FEDERATION/websso/${protocol}`
      : `auth/OS-FEDERATION/identity_providers/${encodeURIComponent(idp)}/protocols/${protocol}/websso`;
  return `${v3}/${path}?origin=${encodeURIComponent(origin)}`;
}

function describeUser(config: ResolvedConfig): string {
  const idp = config.text('identity-provider');
  return `the user in the browser${idp === undefined ? '' : ` of identity provider ${idp}`}`;
}

/**
 * Keystone API v3, "OS-FEDERATION", "Web Single Sign On": what dashboards do, with this program in a dashboard's place.
 *
 * Keystone passes on nothing that could tell this login from another: the origin must be the one that its operator
 * trusts, to the letter. So a page of somebody else's can post a token of its own while the listener waits, and the
 * user would act as somebody else without knowing. It would have to come as a page that the user sees (no hidden
 * frame), must not show where it comes from, and its token must have a role in the very project that the user names;
 * whose token it is, is said; and with `--user-id` no other user's is taken.
 */
export const webSso: AuthMethod = {
  name: 'v3websso',
  aliases: [],
  summary: 'a browser that logs in where Keystone sends it, as at the dashboard',
  options: [
    ...FEDERATION_OPTIONS,
    ...USER_OPTIONS.filter(({ name }) => name === 'user-id'),
    REDIRECT_PORT_OPTION,
    ...BROWSER_OPTIONS,
  ],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: true,
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
      url: `http://localhost:${String(readRedirectPort(config, USUAL_PORT))}${PATH}`,
      verb: 'POST',
      origin: new URL(v3).origin,
      portHint:
        'end it, or choose another port with OS_REDIRECT_PORT (--redirect-port) if your Keystone trusts that too',
    });
    const token = await logInWithBrowser(config, tools, {
      listener,
      loginUrl: websso(v3, config, listener.url),
      accept: (values) => parseHeaderToken(values.get('token')),
      timeoutHint: `if the browser ended at an error 401, Keystone's operator must add ${listener.url} to trusted_dashboard`,
    });
    const id = config.text('user-id');
    return {
      verb: 'GET',
      path: 'auth/tokens?nocatalog=true',
      headers: { 'x-auth-token': token, 'x-subject-token': token },
      existingToken: token,
      subject: `${describeUser(config)} ${describeScope(scope)}`,
      expected: { ...(id === undefined ? {} : { user: { id } }), scope },
      announcesOwner: true,
      rescopeTarget: findRescopeTarget(scope),
      statusExplanations: { 401: UNKNOWN, 404: UNKNOWN },
    };
  },
};
