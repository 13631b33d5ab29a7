/** A proxy, as a variable or a kubeconfig names it. */
import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { getSocketHost } from './socket-address.ts';

/** The kinds of proxies, and their ports where none is named, as in Go. */
const DEFAULT_PORTS = { http: 80, https: 443, socks5: 1080, socks5h: 1080 } as const;

type ProxyScheme = keyof typeof DEFAULT_PORTS;

/** A proxy that a connection goes through. */
export interface Proxy {
  readonly scheme: ProxyScheme;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  readonly credentials: { readonly user: string; readonly password: Secret } | undefined;
  /** The setting that names it, such as `HTTPS_PROXY`. */
  readonly origin: string;
}

/** The longest name and password in bytes that SOCKS5 can send (RFC 1929). */
const MAX_SOCKS_BYTES = 255;

const isScheme = (text: string): text is ProxyScheme => Object.hasOwn(DEFAULT_PORTS, text);

/** Whether the proxy speaks SOCKS5. */
export const isSocks = ({ scheme }: Pick<Proxy, 'scheme'>): boolean => scheme.startsWith('socks');

/** Decodes a part of a URL; a "%" that encodes nothing stands for itself. */
function decode(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (bytes) => {
    try {
      return decodeURIComponent(bytes);
    } catch {
      return bytes;
    }
  });
}

/** Parses what follows the scheme; undefined if it names no host, or if a character of the password cut it short. */
function parseAuthority(text: string): { url: URL; port: string } | undefined {
  // A URL drops the default port of its scheme, and SOCKS has no scheme that Node knows.
  const [url, other] = [`http://${text}`, `https://${text}`].map((each) => URL.parse(each) ?? undefined);
  if (url === undefined || other === undefined || url.port === '0') return undefined;
  return (url.pathname + url.search + url.hash).includes('@') ? undefined : { url, port: url.port || other.port };
}

function readCredentials({ username, password }: URL): Proxy['credentials'] {
  if (username === '' && password === '') return undefined;
  return { user: decode(username), password: new Secret(decode(password)) };
}

/**
 * Parses the value of a setting that names a proxy. Without a scheme, it is an http proxy.
 *
 * @param origin the setting, for messages
 * @throws ConfigError that names the setting and never its value
 */
export function parseProxy(value: string, origin: string): Proxy {
  const text = value.trim();
  const [, named = 'http', rest = text] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  const scheme = named.toLowerCase();
  const hint = `set ${origin} to http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT, or unset it`;
  if (!isScheme(scheme)) {
    throw new ConfigError(`${origin} names a kind of proxy that is not supported (${scheme}://)`, { hint });
  }
  const authority = parseAuthority(rest);
  if (authority === undefined) {
    throw new ConfigError(`${origin} is not the URL of a proxy`, {
      hint: `${hint}; write special characters of its password as %XX`,
    });
  }
  const { url, port } = authority;
  const credentials = readCredentials(url);
  const { user = '', password } = credentials ?? {};
  const lengths = [user, password?.reveal() ?? ''].map((part) => Buffer.byteLength(part));
  if (isSocks({ scheme }) && lengths.some((length) => length > MAX_SOCKS_BYTES)) {
    throw new ConfigError(`${origin} has a user name or a password of more than 255 bytes, which SOCKS5 cannot send`, {
      hint: `correct ${origin}`,
    });
  }
  return {
    scheme,
    host: getSocketHost(url),
    port: port === '' ? DEFAULT_PORTS[scheme] : Number(port),
    credentials,
    origin,
  };
}

/** Returns the URL of a proxy without its user name and password. */
export function describeProxy({ scheme, host, port }: Proxy): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
