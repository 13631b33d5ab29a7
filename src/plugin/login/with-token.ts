import { PluginError } from '../../shared/base/errors.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { Secret } from '../../shared/base/secret.ts';
import { callKeystone } from '../../shared/keystone/client.ts';
import type { KeystoneCall } from '../../shared/keystone/client.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { withHttp } from './http-context.ts';
import type { LoginContext } from './login-context.ts';

/** Calls Keystone as the owner of a token; undefined if the response has no body. */
export type AskKeystone = (call: KeystoneCall) => Promise<JsonObject | undefined>;

/**
 * Calls Keystone with a token.
 *
 * @throws PluginError `unsupported` if the token is an identity provider's own, or as Keystone's responses require
 */
export async function withToken<T>(
  login: LoginContext,
  { endpoint, token }: TokenRecord,
  use: (ask: AskKeystone) => Promise<T>,
): Promise<T> {
  if (endpoint === undefined) {
    throw new PluginError('unsupported', "the token is an identity provider's own, which Keystone does not know", {
      hint: 'unset --token-kind (CLIENT_KEYSTONE_AUTH_TOKEN_KIND) for this command',
    });
  }
  const owner = { endpoint, token: new Secret(token) };
  return withHttp(login, login.deadlineMs, (http) => use((call) => callKeystone(http, owner, call)));
}
