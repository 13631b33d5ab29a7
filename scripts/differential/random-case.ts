// Makes random cases: complete logins of the kinds that users have, with one or the other setting somewhere else, twice,
// or too much.

import fc from 'fast-check';

import { CASE_FILES } from './case.ts';
import type { Case, FilePlace } from './case.ts';

/** Where a setting is: a variable, a flag, or one of the places of clouds.yaml and its companions. */
type Place = 'env' | 'flag' | 'auth' | 'top' | 'secure auth' | 'secure top' | 'region auth' | 'region top' | 'profile';

interface Setting {
  readonly name: string;
  readonly value: unknown;
  readonly place: Place;
}

/** Settings of keystoneauth that `openstack` has a flag for. */
const WITH_FLAG = new Set([
  ...['auth_url', 'auth_type', 'username', 'user_id', 'user_domain_id', 'user_domain_name', 'password', 'token'],
  ...['project_id', 'project_name', 'project_domain_id', 'project_domain_name', 'domain_id', 'domain_name'],
  ...['system_scope', 'trust_id', 'region_name', 'cacert', 'cert', 'key'],
  ...['application_credential_id', 'application_credential_name', 'application_credential_secret'],
]);

/** Settings next to `auth`: below it, `openstack` does not look for them. */
const NEXT_TO_AUTH = new Set([
  ...['auth_type', 'identity_api_version', 'region_name', 'cacert', 'cert', 'key', 'insecure', 'verify', 'regions'],
  ...['profile', 'auth_methods'],
]);

/** Settings that have a value of their own in a file, and none in a variable. */
const ONLY_IN_FILES = new Set(['regions', 'profile', 'verify']);

type Group = readonly (readonly [string, unknown])[];

const USERS: readonly Group[] = [
  [
    ['username', 'alice'],
    ['user_domain_name', 'dom'],
  ],
  [
    ['username', 'alice'],
    ['user_domain_id', 'dom-id'],
  ],
  [
    ['username', 'alice'],
    ['domain_name', 'plain'],
  ],
  [
    ['username', 'alice'],
    ['domain_id', 'plain-id'],
  ],
  [['username', 'alice']],
  [['user_id', 'alice-id']],
  [
    ['user_id', 'alice-id'],
    ['user_domain_name', 'dom'],
  ],
  [
    ['user_id', 'alice-id'],
    ['username', 'alice'],
    ['user_domain_id', 'dom-id'],
    ['user_domain_name', 'dom'],
  ],
  [
    ['username', 'ali/ce: "å" 😀'],
    ['user_domain_name', 'My Domain'],
  ],
];

const SCOPES: readonly Group[] = [
  [
    ['project_name', 'demo'],
    ['project_domain_name', 'dom'],
  ],
  [
    ['project_name', 'demo'],
    ['project_domain_id', 'dom-id'],
  ],
  [['project_name', 'demo']],
  [['project_id', 'demo-id']],
  [['project_id', 12345]],
  [
    ['project_id', 'demo-id'],
    ['project_name', 'demo'],
    ['project_domain_name', 'dom'],
  ],
  [
    ['project_name', 'demo'],
    ['domain_name', 'plain'],
  ],
  [
    ['project_name', "d'e/m: o #1"],
    ['project_domain_id', 'dom-id'],
    ['project_domain_name', 'dom'],
  ],
  [['tenant_name', 'demo']],
  [['tenant_id', 'demo-id']],
  [
    ['tenant_id', 'demo-id'],
    ['tenant_name', 'demo'],
    ['project_domain_name', 'dom'],
  ],
  [['domain_name', 'plain']],
  [['domain_id', 'plain-id']],
  [['system_scope', 'all']],
  [['trust_id', 'trust-id']],
  [],
];

const PROOFS: readonly Group[] = [
  [['password', 'secret']],
  [
    ['password', 'secret'],
    ['auth_type', 'password'],
  ],
  [
    ['password', 'secret'],
    ['auth_type', 'v3password'],
  ],
  [
    ['passcode', '123456'],
    ['auth_type', 'v3totp'],
  ],
  [
    ['password', 'secret'],
    ['passcode', '123456'],
    ['auth_type', 'v3multifactor'],
    ['auth_methods', 'v3password,v3totp'],
  ],
];

const CREDENTIAL: Group = [
  ['application_credential_id', 'credential-id'],
  ['application_credential_secret', 'credential-secret'],
];
const NAMED_CREDENTIAL: Group = [
  ['application_credential_name', 'credential'],
  ['application_credential_secret', 'credential-secret'],
];
const FEDERATION: Group = [
  ['identity_provider', 'idp'],
  ['protocol', 'openid'],
  ['access_token', 'provider-token'],
];

/** Settings of another auth method, as they are left over from another login. */
const LEFTOVERS: readonly Group[] = [
  CREDENTIAL,
  NAMED_CREDENTIAL,
  CREDENTIAL.slice(0, 1),
  CREDENTIAL.slice(1),
  NAMED_CREDENTIAL.slice(0, 1),
  FEDERATION,
  FEDERATION.slice(2),
  [['auth_methods', 'v3password,v3totp']],
  [['token', 'old-token']],
  [['passcode', '123456']],
];

/** Settings without a value, as an openrc of a dashboard or a template leaves them. */
const EMPTY: readonly Group[] = [
  ...['auth_url', 'auth_type', 'username', 'user_id', 'user_domain_id', 'user_domain_name', 'password', 'token'],
  ...['project_id', 'project_name', 'project_domain_id', 'project_domain_name', 'domain_id', 'domain_name'],
  ...['tenant_id', 'tenant_name', 'system_scope', 'trust_id', 'region_name', 'cacert', 'cert', 'key'],
  ...['identity_api_version', 'application_credential_id', 'application_credential_secret', 'passcode', 'profile'],
].map((name): Group => [[name, '']]);

/** A Keystone on this machine. */
export const LOOPBACK_URL = 'http://127.0.0.1:5000/v3';

const URLS = [
  ...[LOOPBACK_URL, 'https://one.example/v3', 'https://two.example:5000', 'https://two.example/identity/v3/'],
  ...['https://three.example:5000/', 'https://Four.Example:443/v3', 'https://four.example/identity'],
];
const PROFILES = ['own', 'citycloud', 'elastx', 'catalyst', 'switchengines', 'otc', 'auro', 'unknown-profile'];

const EXTRAS: readonly Group[] = [
  [['identity_api_version', '3']],
  [['identity_api_version', 3]],
  [['cacert', CASE_FILES.ca]],
  [['cacert', CASE_FILES.hashedFolder]],
  [['cacert', CASE_FILES.missing]],
  [['verify', CASE_FILES.ca]],
  [['verify', false]],
  [['verify', true]],
  [['insecure', true]],
  [['insecure', 'True']],
  [['insecure', false]],
  [
    ['cert', CASE_FILES.certAndKey],
    ['key', CASE_FILES.key],
  ],
  [['cert', CASE_FILES.certAndKey]],
  [['key', CASE_FILES.missing]],
  [['region_name', 'R1']],
  [['region_name', 'R1,R2']],
  [['region_name', ['R1', 'R2']]],
  [['regions', ['R1', 'R2']]],
  [
    ['regions', ['R1', 'R2']],
    ['region_name', 'R2'],
  ],
  [['default_domain', 'other-default']],
];

/** Another value for a setting that is set twice. */
const OTHER_VALUES: Readonly<Record<string, unknown>> = {
  auth_url: 'https://other.example/v3',
  cacert: CASE_FILES.otherCa,
  system_scope: 'all',
  auth_type: 'password',
  identity_api_version: '3',
  region_name: 'R2',
};

const toSetting = ([name, value]: readonly [string, unknown], place: Place): Setting => ({ name, value, place });

/** Moves a setting where its program reads it. */
function fitPlace({ name, value, place }: Setting): Setting {
  if ((place === 'env' || place === 'flag') && (ONLY_IN_FILES.has(name) || Array.isArray(value))) {
    return { name, value, place: 'top' };
  }
  if (place === 'flag' && !WITH_FLAG.has(name)) return { name, value, place: 'env' };
  if (NEXT_TO_AUTH.has(name)) {
    const beside = { auth: 'top', 'secure auth': 'secure top', 'region auth': 'region top', profile: 'top' } as const;
    if (place in beside) return { name, value, place: beside[place as keyof typeof beside] };
  }
  return { name, value, place };
}

type Entry = Record<string, unknown> & { auth: Record<string, unknown> };

const makeEntry = (): Entry => ({ auth: {} });

/** Sorts the settings into variables, flags and files. */
function buildCase(
  settings: readonly Setting[],
  { cloud, place, more }: { cloud: string; place: FilePlace; more: Readonly<Record<string, string>> },
  hasXdgConfigHome: boolean,
): Case {
  const env: Record<string, string> = { ...more };
  const flags: Record<string, string> = {};
  const entries: Record<string, Entry> = {};
  const entryOf = (name: string): Entry => (entries[name] ??= makeEntry());
  for (const setting of settings.map(fitPlace)) {
    const { name, value } = setting;
    if (setting.place === 'env') env[`OS_${name.toUpperCase()}`] = String(value);
    else if (setting.place === 'flag') flags[name.replaceAll('_', '-')] = String(value);
    else {
      const [first = '', second = ''] = setting.place.split(' ');
      const file = ['secure', 'region', 'profile'].includes(first) ? first : 'cloud';
      const isBeside = first === 'top' || second === 'top';
      (isBeside ? entryOf(file) : entryOf(file).auth)[name] = value;
    }
  }
  const cloudEntry = entryOf('cloud');
  const region = entries['region'];
  if (region !== undefined) {
    const listed = cloudEntry['regions'];
    const [first = 'R1', ...others] = Array.isArray(listed) ? (listed as unknown[]) : [];
    cloudEntry['regions'] = [{ name: first, values: region }, ...others];
  }
  if (entries['profile'] !== undefined) cloudEntry['profile'] = 'own';
  const hasCloud = Object.keys(cloudEntry).length > 1 || Object.keys(cloudEntry.auth).length > 0 || 'secure' in entries;
  const others =
    cloud === 'one' ? {} : { other: { auth: { auth_url: 'https://wrong.example/v3', username: 'wrong' } } };
  const files = {
    ...(hasCloud ? { clouds: { clouds: { prod: cloudEntry, ...others } } } : {}),
    ...('secure' in entries ? { secure: { clouds: { prod: entries['secure'] } } } : {}),
    ...('profile' in entries ? { 'clouds-public': { 'public-clouds': { own: entries['profile'] } } } : {}),
  };
  if (hasCloud && cloud === 'variable') env['OS_CLOUD'] = 'prod';
  if (hasCloud && cloud === 'flag') flags['cloud'] = 'prod';
  if (cloud === 'envvars') env['OS_CLOUD'] = 'envvars';
  return { env, flags, files, place, hasXdgConfigHome };
}

const PLACE_LISTS: Readonly<Record<string, readonly Place[]>> = {
  variables: ['env'],
  cloud: ['auth'],
  'cloud and secure': ['auth', 'auth', 'secure auth'],
  'cloud and variables': ['auth', 'env'],
  mixed: ['env', 'flag', 'auth', 'top', 'secure auth', 'secure top', 'region auth', 'region top', 'profile'],
  'cloud and flags': ['auth', 'auth', 'flag'],
};

/** Who logs in, and how. Keystone takes a user and a scope from some methods only. */
interface Identity {
  readonly user: Group;
  readonly scope: Group;
  readonly proof: Group;
}

const oneUser = fc.constantFrom(...USERS);
const oneScope = fc.constantFrom(...SCOPES);
const nothing = fc.constant<Group>([]);

const identities: fc.Arbitrary<Identity> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ user: oneUser, scope: oneScope, proof: fc.constantFrom(...PROOFS) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      user: nothing,
      scope: nothing,
      proof: fc.constant<Group>([...CREDENTIAL, ['auth_type', 'v3applicationcredential']]),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      user: oneUser,
      scope: nothing,
      proof: fc.constant<Group>([...NAMED_CREDENTIAL, ['auth_type', 'v3applicationcredential']]),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      user: nothing,
      scope: oneScope,
      proof: fc.constantFrom<Group[]>(
        [
          ['token', 'a-token'],
          ['auth_type', 'v3token'],
        ],
        [
          ['token', 'a-token'],
          ['auth_type', 'token'],
        ],
        [...FEDERATION, ['auth_type', 'v3oidcaccesstoken']],
      ),
    }),
  },
);

const placed = (groups: readonly Group[], places: readonly Place[]): fc.Arbitrary<Setting[]> =>
  fc.tuple(...groups.flat().map((pair) => fc.constantFrom(...places).map((place) => toSetting(pair, place))));

const ANYWHERE = PLACE_LISTS['mixed'] ?? [];

/** Some of the settings once more, with another value, somewhere. */
const again = (groups: readonly Group[]): fc.Arbitrary<Setting[]> =>
  fc
    .array(fc.tuple(fc.constantFrom(...groups.flat()), fc.constantFrom(...ANYWHERE)), { maxLength: 2 })
    .map((list) =>
      list.map(([[name, value], place]) =>
        toSetting([name, OTHER_VALUES[name] ?? (typeof value === 'string' ? `other-${value}` : value)], place),
      ),
    );

/** Variables of other programs that decide whom to trust. */
const AMBIENT: readonly Readonly<Record<string, string>>[] = [
  { REQUESTS_CA_BUNDLE: CASE_FILES.ca },
  { CURL_CA_BUNDLE: CASE_FILES.ca },
  { REQUESTS_CA_BUNDLE: CASE_FILES.hashedFolder, CURL_CA_BUNDLE: CASE_FILES.ca },
];

const logins = fc
  .record({
    url: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...URLS).map((url): Group => [['auth_url', url]]) },
      { weight: 1, arbitrary: fc.constantFrom(...PROFILES).map((name): Group => [['profile', name]]) },
    ),
    identity: identities,
    version: fc.boolean().map((isSet): Group => (isSet ? [['identity_api_version', '3']] : [])),
    places: fc.constantFrom(...Object.entries(PLACE_LISTS)),
  })
  .chain(({ url, identity: { user, scope, proof }, version, places: [name, places] }) => {
    const groups = [url, user, scope, proof, version];
    return fc.tuple(
      fc.constant(name),
      placed(groups, places),
      fc.oneof({ weight: 2, arbitrary: fc.constant<Setting[]>([]) }, { weight: 1, arbitrary: again(groups) }),
    );
  })
  .map(([name, settings, repeated]) => ({ name, settings: [...settings, ...repeated] }));

const sometimes = (groups: readonly Group[], places: readonly Place[], weight: number): fc.Arbitrary<Setting[]> =>
  fc.oneof(
    { weight: 10, arbitrary: fc.constant<Setting[]>([]) },
    { weight, arbitrary: fc.constantFrom(...groups).chain((group) => placed([group], places)) },
  );

/** Random cases. The smallest ones have few settings, in variables. */
export const cases: fc.Arbitrary<Case> = fc
  .record({
    login: logins,
    leftover: sometimes(LEFTOVERS, ['env'], 4),
    empty: sometimes(EMPTY, ['env', 'env', 'auth', 'top', 'secure auth'], 5),
    extra: sometimes(EXTRAS, ['env', 'top', 'top', 'secure top'], 6),
    extra2: sometimes(EXTRAS, ['env', 'top', 'top', 'secure top'], 2),
    cloud: fc.constantFrom('variable', 'flag', 'variable', 'one'),
    place: fc.constantFrom<FilePlace[]>('home', 'xdg', 'site', 'named', 'home', 'home', 'current'),
    hasXdgConfigHome: fc.boolean(),
    more: fc.oneof({ weight: 6, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fc.constantFrom(...AMBIENT) }),
  })
  .map(({ login, leftover, empty, extra, extra2, cloud, place, hasXdgConfigHome, more }) => {
    const settings = [...empty, ...leftover, ...extra2, ...extra, ...login.settings];
    // Without a name, only a file or only variables make a whole login.
    const chosen = login.name === 'variables' && cloud === 'flag' ? 'envvars' : cloud;
    return buildCase(settings, { cloud: chosen, place, more }, hasXdgConfigHome);
  });
