import type { TokenRecord } from '../cache/token-record.ts';
import { PluginError } from '../../shared/base/errors.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { callKeystone } from '../../shared/keystone/client.ts';
import type { KeystoneCall } from '../../shared/keystone/client.ts';
import { Secret } from '../../shared/base/secret.ts';
import { withHttp } from './request-token.ts';
import type { LoginContext } from './login-context.ts';

/** Asks Keystone questions, one after the other, as whoever a token is for; undefined where an answer has no body. */
export type AskKeystone = (question: KeystoneCall) => Promise<JsonObject | undefined>;

/**
 * Uses a token to ask Keystone.
 *
 * @throws PluginError where the token is no Keystone's, and what Keystone's answers amount to
 */
export async function withToken<T>(
  login: LoginContext,
  record: TokenRecord,
  use: (ask: AskKeystone) => Promise<T>,
): Promise<T> {
  const { endpoint } = record;
  if (endpoint === undefined) {
    throw new PluginError('unsupported', "the token is an identity provider's own, which Keystone knows nothing of", {
      hint: 'leave --token-kind (CLIENT_KEYSTONE_AUTH_TOKEN_KIND) unset for this',
    });
  }
  const owner = { endpoint, token: new Secret(record.token) };
  return withHttp(login, login.deadlineMs, (http) => use((question) => callKeystone(http, owner, question)));
}
