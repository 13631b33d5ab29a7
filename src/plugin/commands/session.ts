import type { TokenRecord } from '../cache/cached-token.ts';
import { findToken } from '../login/get-token.ts';
import { openLogin } from '../login/login-context.ts';
import type { Login } from '../login/login-context.ts';
import { useToken } from '../login/ask-keystone.ts';
import type { Ask } from '../login/ask-keystone.ts';
import type { Call } from './command.ts';

/** A run that has a token, from the cache or from Keystone. */
export interface Session {
  readonly login: Login;
  readonly record: TokenRecord;
}

/**
 * Logs in as get-token does, with the same cache.
 *
 * @throws PluginError
 */
export async function openSession({ run }: Call): Promise<Session> {
  const login = await openLogin(run);
  return { login, record: await findToken(login) };
}

/**
 * Asks Keystone as the owner of the token of a run's settings.
 *
 * @throws PluginError
 */
export async function ask<T>(call: Call, use: (ask: Ask, session: Session) => Promise<T>): Promise<T> {
  const session = await openSession(call);
  return useToken(session.login, session.record, (question) => use(question, session));
}

/** What a token says of itself (Keystone API v3, "Validate and show information for token"), the member `token`. */
export function describeTokenQuestion({ record }: Session): Parameters<Ask>[0] {
  return {
    verb: 'GET',
    path: 'auth/tokens?nocatalog=true',
    headers: { 'x-subject-token': record.token },
    resource: 'what its token is for',
  };
}
