import type { TokenRecord } from '../cache/record.ts';
import { readAuthUrl } from '../config/auth-url.ts';
import { readProxy } from '../config/proxy.ts';
import type { ResolvedConfig } from '../config/resolve.ts';
import { KeystoneProtocolError } from '../errors.ts';
import type { AuthRequest } from '../keystone/auth-request.ts';
import { authenticate, isAlive } from '../keystone/client.ts';
import { findV3 } from '../keystone/discovery.ts';
import { findMismatch } from '../keystone/granted.ts';
import { openHttp } from '../keystone/http.ts';
import type { Http } from '../keystone/http.ts';
import type { Token } from '../keystone/token.ts';
import { Secret } from '../secret.ts';
import type { Login, Reporter } from './login.ts';

const LIVENESS_MS = 5_000;

async function withKeystone<T>(login: Login, deadlineMs: number, use: (http: Http) => Promise<T>): Promise<T> {
  const { host, tls, userAgent, reporter } = login;
  const http = await openHttp({ host, tls, proxy: readProxy(host.env), userAgent, deadlineMs, log: reporter.detail });
  try {
    return await use(http);
  } finally {
    http.close();
  }
}

/** A token that is not the one that was asked for is refused, or given but not kept where only its names differ. */
function judge({ asked, subject }: AuthRequest, token: Token, reporter: Reporter): boolean {
  const mismatch = findMismatch(asked, token.facts);
  if (mismatch === undefined) return true;
  const said = `Keystone gave ${subject} a token for another ${mismatch.what}`;
  if (mismatch.certain) throw new KeystoneProtocolError('protocol', said, { hint: 'ask its operator' });
  reporter.warn(`${said}, by its name; the token is not kept`);
  return false;
}

/** A token as it came, and whether it may be kept. */
export interface Received {
  readonly record: TokenRecord;
  readonly keep: boolean;
}

/**
 * Exchanges a complete configuration for a token.
 *
 * @throws AuthRejected | AdditionalFactorRequired | KeystoneUnreachable | KeystoneProtocolError
 */
export async function exchange(login: Login, config: ResolvedConfig): Promise<Received> {
  const { method, reporter, deadlineMs } = login;
  const request = method.request(config);
  reporter.detail(`logging in ${request.subject} (${method.names[0] ?? ''})`);
  // keystoneauth's v3 types take the URL as it is.
  const ask = !(config.text('auth-type') ?? method.names[0] ?? '').startsWith('v3');
  return withKeystone(login, deadlineMs, async (http) => {
    const endpoint = await findV3(http, readAuthUrl(config) ?? '', ask);
    const { token, receivedAt, expiresAt } = await authenticate(http, endpoint, request);
    if (!token.scoped) {
      reporter.warn(
        'the token has no scope, which k8s-keystone-auth refuses; set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME',
      );
    }
    const keep = judge(request, token, reporter);
    return { record: { token: token.id.reveal(), receivedAt, expiresAt, endpoint }, keep };
  });
}

/**
 * Whether a token of the cache can be given. The same kubectl asking for a token that it has just got means that the
 * cluster may have refused it; then Keystone is asked, once.
 */
export async function isStillGood(login: Login, { token, endpoint }: TokenRecord): Promise<boolean> {
  const { cache, reporter } = login;
  if (cache.handOut(token) !== 'token') return true;
  const alive = await withKeystone(login, LIVENESS_MS, (http) => isAlive(http, endpoint, new Secret(token)));
  reporter.detail(alive ? 'Keystone confirms the token' : 'Keystone no longer knows the token');
  if (alive) cache.confirm(token);
  return alive;
}
