/** The cookies of the session that a SAML service provider opens (RFC 6265, section 4). */
import { Secret } from '../../shared/base/secret.ts';
import type { HttpResponse } from '../../shared/http/http-message.ts';

/** What any HTTP header can carry. Attributes do not matter: all requests go to one origin, and the session is short. */
const COOKIE = /^\s*([\w!#$%&'*+.^`|~-]+)=([\x21-\x3a\x3c-\x7e]{1,4096})\s*(?:;|$)/;

/** More than any service provider sets. */
const MAX_COOKIES = 30;

/** Cookies by name. */
export type Cookies = ReadonlyMap<string, string>;

/** Adds the cookies that a response sets. */
export function addCookies(cookies: Cookies, { setCookies }: Pick<HttpResponse, 'setCookies'>): Cookies {
  const all = new Map(cookies);
  for (const line of setCookies) {
    const [, name, value] = COOKIE.exec(line) ?? [];
    if (name !== undefined && value !== undefined && all.size < MAX_COOKIES) all.set(name, value);
  }
  return all;
}

/** Makes the headers that send the cookies. */
export function makeCookieHeaders(cookies: Cookies): Readonly<Record<string, Secret>> {
  if (cookies.size === 0) return {};
  return { cookie: new Secret([...cookies].map(([name, value]) => `${name}=${value}`).join('; ')) };
}
