/** Someone who uses the plugin with the tokens of a real identity provider, without Keystone. */
import type { Test } from 'tap';
import { EXIT_STATUS } from './check-run.ts';
import { setUp } from './fixture.ts';
import type { Fixture } from './fixture.ts';
import type { EnvVars } from './home.ts';
import { runBundles } from './run-bundles.ts';
import type { HostParts } from './run-bundles.ts';

/** A public client that can log in in every way. */
export const PUBLIC_CLIENT = 'kubectl';

export interface ProviderUser {
  /** Changes of the settings. */
  readonly env?: EnvVars;
  /** The clock of the plugin, and more. */
  readonly host?: HostParts;
}

/** What a user needs to know about a provider. */
export interface ProviderAddress {
  readonly issuer: string;
  /** Path of the CA of the server. */
  readonly ca: string;
}

/** Makes someone who uses the plugin with a token of this issuer. The plugin runs in the process of the test. */
export function setUpProviderUser(
  t: Test,
  { issuer, ca }: ProviderAddress,
  { env = {}, host }: ProviderUser = {},
): Fixture {
  return setUp(t, {
    settings: {
      OS_CACERT: ca,
      OS_DISCOVERY_ENDPOINT: `${issuer}/.well-known/openid-configuration`,
      OS_CLIENT_ID: PUBLIC_CLIENT,
      CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token',
      ...env,
    },
    runner: (run) => runBundles(run, host),
  });
}

/** Returns the settings for a login with a password. */
export function asPasswordUser({ name, password }: { readonly name: string; readonly password: string }): EnvVars {
  return { OS_AUTH_TYPE: 'v3oidcpassword', OS_USERNAME: name, OS_PASSWORD: password };
}

/** Reads the claims of a JWT. */
export function readClaims(token: string): Readonly<Record<string, unknown>> {
  const [, claims = ''] = token.split('.');
  return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Readonly<Record<string, unknown>>;
}

/** Checks that a login without a password cannot be renewed, for this reason, and that the password is asked for. */
export async function checkNotRenewed(t: Test, user: Fixture, reason: string): Promise<void> {
  const result = await user.run('--force-refresh', '-v');
  t.equal(result.status, EXIT_STATUS.interaction, result.stderr);
  t.match(result.stderr, `the last login cannot be renewed: `);
  t.match(result.stderr, reason);
  t.match(result.stderr, /password is not set .*OS_PASSWORD/);
}
