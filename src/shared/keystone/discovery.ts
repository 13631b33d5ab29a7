import { KeystoneProtocolError } from '../base/errors.ts';
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { KEYSTONE } from '../http/peer.ts';
import type { HttpClient } from '../http/http-client.ts';
import type { Peer } from '../http/peer.ts';
import { redactAndTruncate, removeTrailingSlashes } from '../base/text.ts';

const VERSION_SEGMENT = /^v\d+(\.\d+)?$/;
const V3_ID = /^v3(?:\.(\d+))?$/;
const USABLE = ['stable', 'current', 'supported', 'deprecated'];

interface Version {
  readonly minor: number;
  readonly deprecated: boolean;
  readonly path: string | undefined;
}

/** Splits the last segment off the path of a normalized URL. */
function splitLast(authUrl: string): { base: string; last: string } {
  const slash = authUrl.lastIndexOf('/');
  return { base: authUrl.slice(0, slash), last: authUrl.slice(slash + 1) };
}

/** Returns only the path of the self link: the host in it must not decide where the credential goes. */
function selfPath(version: JsonObject, authUrl: string): string | undefined {
  for (const link of listAt(version, 'links')) {
    const href = isJsonObject(link) && textAt(link, 'rel') === 'self' ? textAt(link, 'href') : undefined;
    if (href === undefined || !URL.canParse(href, authUrl)) continue;
    const { pathname } = new URL(href, authUrl);
    // Appended to an origin, the path of "x:@evil.example" would turn the origin into a user name.
    // Rust Keystone's links have two slashes before the version.
    if (pathname.startsWith('/')) return removeTrailingSlashes(pathname.replaceAll(/\/{2,}/g, '/'));
  }
  return undefined;
}

/** Returns the endpoint of a version: replaces the version at the end of a normalized auth URL, or appends one. */
export function replaceVersion(authUrl: string, version: 'v3' | 'v4'): string {
  const { base, last } = splitLast(authUrl);
  return `${VERSION_SEGMENT.test(last) ? base : authUrl}/${version}`;
}

function listVersions(body: JsonObject | undefined, authUrl: string): { versions: Version[]; advertised: string[] } {
  const nested = objectAt(body, 'versions');
  const single = objectAt(body, 'version');
  const entries = [...listAt(nested, 'values'), ...listAt(body, 'versions'), ...(single === undefined ? [] : [single])];
  const versions: Version[] = [];
  const advertised: string[] = [];
  for (const entry of entries.filter(isJsonObject)) {
    const id = textAt(entry, 'id');
    if (id === undefined) continue;
    advertised.push(id);
    const match = V3_ID.exec(id);
    const status = (textAt(entry, 'status') ?? '').toLowerCase();
    if (match === null || !USABLE.includes(status)) continue;
    const deprecated = status === 'deprecated';
    versions.push({ minor: Number(match[1] ?? 0), deprecated, path: selfPath(entry, authUrl) });
  }
  return { versions, advertised };
}

/**
 * Lists the IDs of the versions that Keystone offers, such as `v3.14` (Keystone API, "API versions"); none if it does not
 * list them.
 *
 * @param authUrl a normalized URL, with or without a version at its end
 * @throws KeystoneUnreachable
 */
export async function listOfferedVersions(http: HttpClient, authUrl: string): Promise<readonly string[]> {
  const { base, last } = splitLast(authUrl);
  const url = `${VERSION_SEGMENT.test(last) ? base : authUrl}/`;
  const { status, body } = await http.send({ verb: 'GET', url });
  return status === 200 || status === 300 ? listVersions(parseJsonObject(body), authUrl).advertised : [];
}

/**
 * Finds the v3 endpoint below a normalized auth URL (Keystone API, "API versions"). A URL that ends with a version is
 * not queried; any other URL is, and if it does not list versions, `/v3` is appended.
 *
 * @param options.wantsDiscovery false for keystoneauth's `v3*` types, which never query
 * @param options.warn receives what the user should know
 * @param options.peer the server of the URL
 * @param options.deadlineMs the deadline of the request, if it does not share the deadline of a run; it is then sent once
 * @throws KeystoneProtocolError if Keystone lists versions without v3
 * @throws KeystoneUnreachable
 */
export async function findV3Endpoint(
  http: HttpClient,
  authUrl: string,
  {
    wantsDiscovery,
    warn,
    peer = KEYSTONE,
    deadlineMs,
  }: { wantsDiscovery: boolean; warn: (message: string) => void; peer?: Peer; deadlineMs?: number },
): Promise<string> {
  if (!wantsDiscovery || VERSION_SEGMENT.test(splitLast(authUrl).last)) return replaceVersion(authUrl, 'v3');
  const limits = deadlineMs === undefined ? {} : ({ deadlineMs, isSingleUse: true } as const);
  const response = await http.send({ verb: 'GET', url: authUrl, peer, ...limits });
  const body = response.status === 200 || response.status === 300 ? parseJsonObject(response.body) : undefined;
  const { versions, advertised } = listVersions(body, authUrl);
  const [best] = versions.sort((a, b) => Number(a.deprecated) - Number(b.deprecated) || b.minor - a.minor);
  if (best?.deprecated) warn(`Keystone at ${authUrl} marks v3 as deprecated; v3 may be removed soon`);
  if (best !== undefined) return best.path === undefined ? `${authUrl}/v3` : new URL(authUrl).origin + best.path;
  if (advertised.length === 0) return `${authUrl}/v3`;
  throw new KeystoneProtocolError(
    'protocol',
    `Keystone at ${authUrl} offers ${redactAndTruncate(advertised.join(', '))}, but not v3`,
    {
      hint: `check ${peer.setting}`,
    },
  );
}
