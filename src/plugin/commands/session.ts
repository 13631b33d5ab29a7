import type { TokenRecord } from '../cache/token-record.ts';
import { getTokenRecord } from '../login/get-token.ts';
import { openLoginContext } from '../login/open-login-context.ts';
import type { LoginContext } from '../login/login-context.ts';
import { withToken } from '../login/with-token.ts';
import type { AskKeystone } from '../login/with-token.ts';
import type { Invocation } from './command.ts';

/** A login and its token, from the cache or from Keystone. */
export interface Session {
  readonly login: LoginContext;
  readonly record: TokenRecord;
}

/**
 * Logs in as get-token does, with the same cache.
 *
 * @throws PluginError
 */
export async function openSession({ runContext }: Invocation): Promise<Session> {
  const login = await openLoginContext(runContext);
  return { login, record: await getTokenRecord(login) };
}

/**
 * Logs in, and calls Keystone with the token.
 *
 * @throws PluginError
 */
export async function withSession<T>(
  call: Invocation,
  use: (ask: AskKeystone, session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(call);
  return withToken(session.login, session.record, (ask) => use(ask, session));
}

/** Makes the request for the details of a token (Keystone API v3, "Validate and show information for token"). */
export function makeTokenDetailsCall({ record }: Session): Parameters<AskKeystone>[0] {
  return {
    verb: 'GET',
    path: 'auth/tokens?nocatalog=true',
    headers: { 'x-subject-token': record.token },
    resource: 'the details of its token',
  };
}
