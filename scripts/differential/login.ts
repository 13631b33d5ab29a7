// What a client asks of Keystone, in one form for all clients, so that two of them can be compared.

import { isJsonObject, objectAt, parseJsonObject } from '../../src/shared/base/json.ts';
import type { JsonObject } from '../../src/shared/base/json.ts';
import type { ClientAnswer, ClientRequest } from './ask-openstack.ts';

/** A login: fields by name, as text. A field that is not sent is absent. */
export type Login = Readonly<Record<string, string>>;

const canonical = (value: unknown): unknown =>
  isJsonObject(value)
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([one], [other]) => (one < other ? -1 : 1))
          .map(([name, member]) => [name, canonical(member)]),
      )
    : value;

/** Writes JSON with its members in the order of their names. */
export const toText = (value: unknown): string => JSON.stringify(canonical(value));

/** Removes the version and the path of a request from a URL of Keystone. */
export function toAddress(url: string): string {
  const { origin, pathname } = new URL(url);
  const path = pathname.replace(/(?:\/v3|\/v2\.0)?\/?(?:auth\/tokens|OS-FEDERATION\/.*)?\/?$/, '');
  return origin + path.replace(/\/(?:v3|v2\.0)$/, '');
}

/** How the connection is made: only where it matters, with https://. */
export interface Connection {
  readonly url: string;
  /** The path of the authorities; true for the default; false if the certificate is not checked. */
  readonly verify: boolean | string;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Describes the connection. */
export function describeConnection({ url, verify, cert, key }: Connection): Login {
  const address = { address: toAddress(url) };
  if (!url.startsWith('https:')) return address;
  return {
    ...address,
    authorities: typeof verify === 'string' ? verify : verify ? 'default' : 'not checked',
    ...(cert === undefined ? {} : { certificate: `${cert} ${key ?? cert}` }),
  };
}

/** Describes `auth` of a tokens request. */
export function describeAuth(auth: JsonObject | undefined): Login {
  const identity = objectAt(auth, 'identity') ?? {};
  const scope = auth?.['scope'];
  const { methods, ...parts } = identity;
  return {
    methods: toText(methods),
    ...Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, toText(value)])),
    ...(scope === undefined ? {} : { scope: toText(scope) }),
  };
}

/** Describes a federated login: the provider at Keystone, what is shown to it, and the scope afterward. */
export function describeFederation(path: string, authorization: string, scope: unknown): Login {
  return {
    methods: 'federation',
    federation: path.slice(path.indexOf('OS-FEDERATION')),
    authorization,
    ...(scope === undefined ? {} : { scope: toText(scope) }),
  };
}

function toConnection({ url, verify, cert }: ClientRequest): Connection {
  const [certFile, keyFile] = typeof cert === 'string' ? [cert, cert] : (cert ?? []);
  return { url, verify, cert: certFile, key: keyFile };
}

const authOf = (request: ClientRequest | undefined): JsonObject | undefined =>
  objectAt(parseJsonObject(request?.body ?? ''), 'auth');

/** Whether something is named without the domain in which its name is unique. */
const lacksDomain = (reference: JsonObject | undefined): boolean =>
  reference !== undefined && reference['id'] === undefined && objectAt(reference, 'domain') === undefined;

/** Whether no Keystone accepts the request: a name lacks its domain, or an application credential has a scope. */
function isHopeless(auth: JsonObject | undefined): boolean {
  const identity = objectAt(auth, 'identity');
  const users = ['password', 'totp', 'application_credential'].map((name) =>
    objectAt(objectAt(identity, name), 'user'),
  );
  const scopes = [objectAt(objectAt(auth, 'scope'), 'project')];
  const hasCredential = objectAt(identity, 'application_credential') !== undefined;
  return [...users, ...scopes].some(lacksDomain) || (hasCredential && auth?.['scope'] !== undefined);
}

/** Describes the login of an OpenStack client; undefined if it sent none, or none that a Keystone could accept. */
export function describeClientLogin({ sent }: ClientAnswer): Login | undefined {
  const [first, second] = sent.filter(({ method }) => method === 'POST');
  if (first === undefined || isHopeless(authOf(first)) || isHopeless(authOf(second))) return undefined;
  const connection = describeConnection(toConnection(first));
  if (!first.url.includes('/OS-FEDERATION/')) return { ...connection, ...describeAuth(authOf(first)) };
  const federation = describeFederation(first.url, first.authorization ?? '', authOf(second)?.['scope']);
  return { ...connection, ...federation };
}
