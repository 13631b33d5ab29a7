// Checks a login at the real Keystone: the requests, what Keystone reports about the token, that no secret remains, and
// that the second run sends no request.

import type { Test } from 'tap';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import { setUp } from './fixture.ts';
import type { EnvVars } from './home.ts';
import { logInTwice } from './log-in-twice.ts';
import { listSecrets } from './login-settings.ts';
import { validateToken } from './tenancy.ts';
import type { TokenFacts } from './tenancy.ts';
import { watchRequests } from './request-log.ts';
import type { TestEnvironment } from './test-environment.ts';

/** What Keystone must report about the token. */
export interface ExpectedToken {
  readonly user: string;
  readonly project?: string;
  readonly domain?: string;
  readonly system?: true;
  readonly trust?: string;
  readonly methods?: readonly string[];
  readonly roles: readonly string[];
}

export interface LoginCase {
  /** The variables, or a function that makes them right before the login, such as a passcode. */
  readonly env: EnvVars | (() => EnvVars);
  /** Makes the arguments. `url` is the URL of the server. */
  readonly args?: (url: string) => readonly string[];
  readonly expected: ExpectedToken;
  readonly warnings?: readonly (string | RegExp)[];
  /** Default: Keystone without TLS. */
  readonly server?: Pick<KeystoneAddress, 'url' | 'accessLog'>;
  /** The path of OS_AUTH_URL. Default: `/v3`. */
  readonly path?: string;
  /** `METHOD PATH STATUS` of each request. Default: one POST. */
  readonly requests?: readonly string[];
  /** Secrets that the tenancy does not list. */
  readonly secrets?: readonly string[];
}

export const LOGIN_REQUEST = 'POST /v3/auth/tokens?nocatalog=true 201';
export const UNSCOPED_WARNING = 'the token has no scope';
export const PUBLIC_PASSWORD_WARNING = '--password can be read by every user of this machine; set OS_PASSWORD instead';

/** A member is also a reader. An application credential has only its own roles. */
export const memberAndReader = { roles: ['member', 'reader'] };
export const member = { roles: ['member'] };
export const reader = { roles: ['reader'] };

export function summarizeToken(facts: TokenFacts | undefined): ExpectedToken | undefined {
  if (facts === undefined) return undefined;
  const { user, project, domain, system, trust, methods, roles } = facts;
  return {
    user: user.name,
    ...(project === undefined ? {} : { project: project.name }),
    ...(domain === undefined ? {} : { domain: domain.name }),
    ...(system ? { system } : {}),
    ...(trust === undefined ? {} : { trust }),
    methods,
    roles,
  };
}

/** Logs in twice, at Keystone and from the cache, and asks Keystone about the token. */
export async function checkLogin(
  t: Test,
  environment: TestEnvironment,
  login: LoginCase,
): Promise<ExecCredentialStatus> {
  const {
    env,
    args: makeArgs,
    expected,
    warnings,
    server = environment.http,
    path,
    requests = [LOGIN_REQUEST],
    secrets = [],
  } = login;
  const user = setUp(t, {
    keystone: watchRequests(server),
    ...(path === undefined ? {} : { path }),
    settings: typeof env === 'function' ? env() : env,
  });
  const args = makeArgs?.(user.url) ?? [];
  const allSecrets = [...listSecrets(environment.tenancy), ...secrets];
  const credential = await logInTwice(t, user, { args, requests, secrets: allSecrets, ...(warnings && { warnings }) });
  const facts = await validateToken(environment.http, credential.token);
  t.strictSame(summarizeToken(facts), { methods: ['password'], ...expected });
  const ends = Date.parse(facts?.expiresAt ?? '');
  const reportedExpiry = Date.parse(credential.expirationTimestamp);
  t.ok(
    reportedExpiry <= ends && reportedExpiry > ends - 1000,
    `${credential.expirationTimestamp} equals ${facts?.expiresAt ?? ''}`,
  );
  return credential;
}

export async function checkLogins(
  t: Test,
  environment: TestEnvironment,
  logins: Readonly<Record<string, LoginCase>>,
): Promise<void> {
  for (const [name, login] of Object.entries(logins)) {
    await t.test(name, async (t) => {
      await checkLogin(t, environment, login);
    });
  }
}
