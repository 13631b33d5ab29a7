/** Settings of every auth method, and values for every option: what tests of cache keys compare with each other. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import type { OptionName } from '../../src/plugin/config/option.ts';

/** The settings of one login, with `auth-type`. */
export type LoginSample = Readonly<Partial<Record<OptionName, string>>>;

const ORIGINS = ['https://a.test', 'https://b.test'] as const;

/** Makes a JWT whose signature means nothing. Claims can be JSON text. */
export function makeUnsignedJwt(claims: object | string): string {
  const payload = typeof claims === 'string' ? claims : JSON.stringify({ exp: 9_999_999_999, ...claims });
  return [JSON.stringify({ alg: 'none' }), payload, 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
}

/** Secrets that a person may have chosen: neither the fingerprint nor the key contains them. */
export const GUESSABLE_OPTIONS: readonly OptionName[] = OPTIONS.filter(
  ({ secret, cacheKey }) => secret && cacheKey === 'proof',
).map(({ name }) => name);

/** Values that are easily confused: with a flag, with another value, with two values. */
const WORDS = ['a', 'b', 'ab', 'A', 'a b', 'a,b', 'x=y', '1:a', '-', '--', '--password', '--user-name=b', '\n'];
/** One letter in two forms of Unicode, an ID that is too large for a number, and spaces around a name. */
const MORE_WORDS = ['\u00e4', 'a\u0308', '9007199254740993', '9007199254740992', ' a', 'a ', '\ud800', '\ud801'];
/** The last one looks like another flag. */
const GUESSES = ['guess-1', 'guess-2', '--project-name=b'];

const URL_OPTIONS: readonly OptionName[] = [
  ...(['endpoint', 'discovery-endpoint', 'access-token-endpoint', 'authorization-endpoint'] as const),
  ...(['device-authorization-endpoint', 'oauth2-endpoint', 'identity-provider-url'] as const),
];

const POOLS: Readonly<Partial<Record<OptionName, readonly string[]>>> = {
  'auth-type': ['password', 'v3totp', 'token'],
  'identity-api-version': ['3', 'v3'],
  'mutual-auth': ['disabled', 'optional'],
  'redirect-uri': ['http://127.0.0.1/a', 'http://127.0.0.1:9990/b'],
  'redirect-port': ['9990', '8050'],
  'auth-methods': ['v3password', 'v3totp', 'v3password,v3totp', 'v3totp,v3password', 'v3password,v3token'],
  'token-kind': ['access_token', 'id_token'],
  'access-token-type': ['access_token', 'id_token'],
  'code-challenge-method': ['S256'],
  'system-scope': ['all', ''],
  unscoped: ['true', 'false'],
  insecure: ['true', 'false'],
  verify: ['true', 'false'],
  'allow-http': ['true', 'false'],
  timeout: ['10', '20'],
  'login-timeout': ['10', '20'],
  token: ['token-1', 'token-2'],
  'access-token': ['provider-1', 'provider-2'],
  jwt: [
    makeUnsignedJwt({ sub: 'a' }),
    makeUnsignedJwt({ sub: 'b' }),
    makeUnsignedJwt({ sub: 'a', groups: ['x'] }),
    makeUnsignedJwt('{"sub":"a","user_id":9007199254740993}'),
    makeUnsignedJwt('{"sub":"a","user_id":9007199254740992}'),
    makeUnsignedJwt('{"sub":"a","user_id":"9007199254740992"}'),
  ],
};

const USER: LoginSample = { 'user-name': 'a', 'user-domain-name': 'a' };
const FEDERATION: LoginSample = { 'identity-provider': 'a', protocol: 'a' };
const PROVIDER: LoginSample = { ...FEDERATION, 'discovery-endpoint': '', 'client-id': 'a' };
const PASSWORD: LoginSample = { password: 'guess-1' };
const PASSCODE: LoginSample = { passcode: 'guess-1' };

/** For each auth method, settings with which its options have an effect. An empty one gets the first value. */
const LOGINS: Readonly<Record<string, readonly LoginSample[]>> = {
  password: [
    { ...USER, ...PASSWORD },
    { 'user-id': 'a', ...PASSWORD },
    { 'user-name': 'a', ...PASSWORD },
  ],
  v3totp: [
    { ...USER, ...PASSCODE },
    { 'user-id': 'a', ...PASSCODE },
  ],
  v3multifactor: [
    { 'auth-methods': 'v3password,v3token', ...USER, ...PASSWORD, token: 'token-1' },
    { 'auth-methods': 'v3password,v3totp', ...USER, ...PASSWORD, ...PASSCODE, token: 'token-1' },
  ],
  token: [{ token: 'token-1' }],
  admin_token: [{ token: 'token-1' }, { token: 'token-1', endpoint: '' }],
  v3applicationcredential: [
    { 'application-credential-id': 'a', 'application-credential-secret': 'guess-1' },
    { 'application-credential-name': 'a', ...USER, 'application-credential-secret': 'guess-1' },
  ],
  v3oauth2clientcredential: [{ 'oauth2-client-id': 'a', 'oauth2-client-secret': 'guess-1', 'oauth2-endpoint': '' }],
  v3oauth2mtlsclientcredential: [{ 'oauth2-client-id': 'a', 'oauth2-endpoint': '' }],
  v3oidcpassword: [
    { ...PROVIDER, 'user-name': 'a', ...PASSWORD },
    { ...PROVIDER, 'user-name': 'a', ...PASSWORD, ...PASSCODE, 'idp-otp-key': 'a' },
    { ...PROVIDER, 'user-name': 'a', ...PASSWORD, 'token-kind': 'id_token' },
  ],
  v3samlpassword: [{ ...FEDERATION, 'identity-provider-url': '', 'user-name': 'a', ...PASSWORD }],
  v3oidcclientcredentials: [{ ...PROVIDER, 'client-secret': 'guess-1' }],
  v3oidcdeviceauthz: [PROVIDER],
  v3oidcaccesstoken: [
    { ...FEDERATION, 'access-token': 'provider-1' },
    { 'access-token': 'provider-1', 'token-kind': 'access_token' },
  ],
  v3oidcauthcode: [{ ...PROVIDER, code: 'a', 'redirect-uri': 'http://127.0.0.1/a' }, PROVIDER],
  v3websso: [FEDERATION],
  v3kerberos: [{}],
  v3fedkerb: [{ 'identity-provider': 'sssd', protocol: 'kerberos' }],
  v4federation: [{ 'identity-provider': 'a' }],
  v4jwt: [
    { 'identity-provider': 'a', jwt: makeUnsignedJwt({ sub: 'a' }) },
    { 'identity-provider': 'a', 'jwt-file': '' },
  ],
  v4k8s: [{ 'k8s-auth-instance-id': 'a', 'k8s-auth-token-file': '' }],
};

/** The settings of each scope. */
export const SCOPE_SAMPLES: readonly LoginSample[] = [
  {},
  { 'project-id': 'a' },
  { 'project-name': 'a' },
  { 'project-name': 'a', 'project-domain-name': 'a' },
  { 'project-name': 'a', 'project-domain-id': 'a' },
  { 'domain-id': 'a' },
  { 'domain-name': 'a' },
  { 'trust-id': 'a' },
  { 'system-scope': 'all' },
];

/** Adds a token exchange to a login; the login is what it was. */
export function addExchange(login: LoginSample, { valuesOf }: Pick<LoginSamples, 'valuesOf'>): LoginSample {
  const [url = ''] = valuesOf('token-exchange-url');
  return { ...login, 'token-exchange-url': url, 'token-exchange-audience': 'a' };
}

export interface LoginSamples {
  /** All samples of all auth methods, at the first Keystone. */
  readonly logins: readonly LoginSample[];
  /** Lists values for an option, at least one. */
  readonly valuesOf: (name: OptionName) => readonly string[];
}

/** Makes the samples for two origins of servers, and the files that they name in a folder. */
export function makeLoginSamples(folder: string, origins: readonly [string, string] = ORIGINS): LoginSamples {
  const write = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const certificates = rootCertificates.slice(0, 2).map((pem, index) => write(`${index}.pem`, pem));
  const tokens = ['a', 'b'].map((sub) => write(`${sub}.jwt`, makeUnsignedJwt({ sub: `file-${sub}` })));
  const [a, b] = origins;
  const urls = [`${a}/v3`, `${b}/v3`, `${a}/x/v3`, `${a}/v3/x`];
  const pools: typeof POOLS = {
    ...POOLS,
    ...Object.fromEntries(URL_OPTIONS.map((name) => [name, urls])),
    'keystone-url': [...urls, `${a.toUpperCase()}/v3/`, `${a}/%76%33`, `${a}/v3?x=y`, `${a}//v3`, 'not a URL'],
    cacert: certificates,
    'token-exchange-url': [`${a}/issuer`, `${b}/issuer`, `${a}/issuer/`, a, `${a}/issuer?x=y`],
    'token-exchange-cacert': certificates,
    'jwt-file': tokens,
    'k8s-auth-token-file': tokens,
  };
  const valuesOf = (name: OptionName): readonly string[] =>
    pools[name] ?? (GUESSABLE_OPTIONS.includes(name) ? GUESSES : [...WORDS, ...MORE_WORDS]);
  const logins = Object.entries(LOGINS).flatMap(([type, samples]) =>
    samples.map((sample): LoginSample => {
      const settings = Object.entries(sample).map(([name, value]) => [
        name,
        value === '' ? valuesOf(name as OptionName)[0] : value,
      ]);
      return {
        'auth-type': type,
        'keystone-url': `${a}/v3`,
        ...(Object.fromEntries(settings) as LoginSample),
      };
    }),
  );
  return { logins, valuesOf };
}
