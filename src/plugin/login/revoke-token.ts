/** Giving a token back to the Keystone that it came from. */
import type { About } from '../cache/token-metadata.ts';
import type { TokenRecord } from '../cache/cached-token.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { isPlaintextRemote } from '../../shared/base/url.ts';
import { revokeToken } from '../../shared/keystone/client.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { Secret } from '../../shared/base/secret.ts';
import { withHttp } from './request-token.ts';
import type { Way } from './request-token.ts';
import type { Login } from './login-context.ts';
import { recallTrust } from './tls-trust.ts';

/** What became of a token. */
export type Fate =
  /** Keystone has ended it. */
  | { readonly kind: 'revoked' }
  /** It was over, or Keystone did not know it any more. */
  | { readonly kind: 'ended' }
  /** It was given to us and is not ours to end. */
  | { readonly kind: 'given' }
  /** It is an identity provider's, which Keystone knows nothing of. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'not-revoked'; readonly because: string };

/** A token to give back. */
export interface Returning {
  readonly record: TokenRecord;
  /** Undefined where nothing is known of whose it is. */
  readonly about: About | undefined;
  /** The present settings, if they can be followed. */
  readonly login: Login | undefined;
  /** Whether the token is what these settings lead to. */
  readonly present: boolean;
  readonly way: Omit<Way, 'tls'>;
  /** That Keystone is waited for. */
  readonly deadlineMs: number;
}

const notRevoked = (because: string): Fate => ({ kind: 'not-revoked', because });

/** Whether a token was given to us; undefined where nobody knows. */
function isGiven({ record, about, login, present }: Returning): boolean | undefined {
  const isSetting = OPTIONS.some(({ name }) => login?.given.secret(name)?.reveal() === record.token);
  if (isSetting || about?.given === true) return true;
  return about !== undefined || present ? false : undefined;
}

/** How Keystone is believed, or why it is not: a token goes nowhere over a way that its own login would not have taken. */
function chooseTrust({ about, login, present, way }: Returning, endpoint: URL): TlsSettings | string {
  const url = login === undefined ? undefined : readAuthUrl(login.given);
  const sameOrigin = url !== undefined && new URL(url).origin === endpoint.origin;
  if (isPlaintextRemote(endpoint) && !(sameOrigin && login?.given.isOn('allow-http') === true)) {
    return 'it would cross the network unencrypted';
  }
  if (present && login !== undefined) return login.tls;
  const own = about?.trust === undefined ? undefined : recallTrust(about.trust, way.host);
  if (own !== undefined) return own;
  if (sameOrigin && login !== undefined) return login.tls;
  return about?.trust?.insecure === true
    ? 'the certificate of its Keystone was not checked when it came'
    : 'the certificates that its Keystone was reached with are not what they were';
}

/**
 * Has Keystone end a token, if that is ours to ask and can be asked safely; it goes to the endpoint that it came from and
 * to no other.
 */
export async function giveBack(returning: Returning): Promise<Fate> {
  const { record, way, deadlineMs } = returning;
  const { endpoint, expiresAt, token } = record;
  if (endpoint === undefined) return { kind: 'foreign' };
  const given = isGiven(returning);
  if (given === true) return { kind: 'given' };
  if (expiresAt <= way.host.now()) return { kind: 'ended' };
  if (given === undefined) return notRevoked('nothing is known of where it is from');
  try {
    const tls = chooseTrust(returning, new URL(endpoint));
    if (typeof tls === 'string') return notRevoked(tls);
    const done = await withHttp({ ...way, tls }, deadlineMs, (http) => revokeToken(http, endpoint, new Secret(token)));
    return { kind: done ? 'revoked' : 'ended' };
  } catch (error) {
    if (error instanceof PluginError) return notRevoked(error.message);
    throw error;
  }
}
