/**
 * A real Keycloak, and a realm of its own for each test, with the users and clients that the test describes. The runner
 * starts Keycloak for test files that import this file.
 */
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'tap';
import type { Test } from 'tap';
import { callAdmin } from '../../scripts/identity-providers/keycloak.ts';
import type { AdminCall, KeycloakAddress } from '../../scripts/identity-providers/keycloak.ts';
import type { KEYCLOAK_RESULTS, KEYSTONE_RESULTS } from './provider-results.ts';
import { PUBLIC_CLIENT } from './provider-user.ts';
import type { ProviderAddress } from './provider-user.ts';
import { findResource } from './resources.ts';
import { sendRequest } from './send-request.ts';
import type { ReceivedResponse } from './send-request.ts';

/** What the admin API calls a representation. */
type Representation = Readonly<Record<string, unknown>>;

/** A realm that exists for one test. */
export interface Realm extends ProviderAddress {
  readonly keycloak: KeycloakAddress;
  readonly name: string;
  /** Calls the admin API below the realm. */
  admin(path: string, call?: AdminCall): Promise<ReceivedResponse>;
  /** Changes settings of the realm. */
  change(settings: Representation): Promise<void>;
  /** Changes the user of this name. */
  changeUser(name: string, settings: Representation): Promise<void>;
  /** Ends all sessions of the user of this name. */
  logOut(name: string): Promise<void>;
  /** Lists what happened, the oldest first: `LOGIN`, `REFRESH_TOKEN_ERROR invalid_token`. */
  listEvents(): Promise<readonly string[]>;
  /** Requests tokens without the plugin, at another address of the realm if one is given. */
  requestTokens(form: Readonly<Record<string, string>>, issuer?: string): Promise<Readonly<Record<string, unknown>>>;
  remove(): Promise<void>;
}

export const ALICE = { name: 'alice', password: 'p@ss w0rd&+=%é' };
export const OTTO = { name: 'otto', password: 'otto-password', otpSecret: 'otto-secret-of-the-phone' };
export const ROBOT = { id: 'robot', secret: 'r+b/t%20:&=' };
const AUDIENCE = 'kubernetes';

function makeUser(name: string, credentials: readonly Representation[], more: Representation = {}): Representation {
  return {
    username: name,
    enabled: true,
    email: `${name}@acme.example`,
    emailVerified: true,
    firstName: name,
    lastName: 'Acme',
    credentials,
    ...more,
  };
}

const mapClaims = (id: string, mapper: string, config: Representation): Representation => ({
  name: id,
  protocol: 'openid-connect',
  protocolMapper: mapper,
  config: { 'id.token.claim': 'true', 'access.token.claim': 'true', ...config },
});

const MAPPERS = [
  mapClaims('groups', 'oidc-group-membership-mapper', { 'claim.name': 'groups', 'full.path': 'false' }),
  mapClaims('roles', 'oidc-usermodel-realm-role-mapper', { 'claim.name': 'roles', multivalued: 'true' }),
  mapClaims('audience', 'oidc-audience-mapper', { 'included.custom.audience': AUDIENCE }),
];

/** Makes the keys of a realm here, because Keycloak takes seconds for an RSA key. */
function makeKeyProviders(): readonly Representation[] {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return [
    {
      name: 'rsa',
      providerId: 'rsa',
      config: { privateKey: [pem], algorithm: ['RS256'], priority: ['100'], active: ['true'], enabled: ['true'] },
    },
    { name: 'hmac', providerId: 'hmac-generated', config: { algorithm: ['HS512'], priority: ['100'] } },
    { name: 'aes', providerId: 'aes-generated', config: { priority: ['100'] } },
  ];
}

/** The realm that most tests use. */
const REALM: Representation = {
  enabled: true,
  eventsEnabled: true,
  enabledEventTypes: [
    ...['LOGIN', 'LOGIN_ERROR', 'CLIENT_LOGIN', 'CLIENT_LOGIN_ERROR', 'CODE_TO_TOKEN', 'CODE_TO_TOKEN_ERROR'],
    ...['REFRESH_TOKEN', 'REFRESH_TOKEN_ERROR', 'OAUTH2_DEVICE_CODE_TO_TOKEN', 'OAUTH2_DEVICE_CODE_TO_TOKEN_ERROR'],
  ],
  accessTokenLifespan: 300,
  // Cheap, because the tests are not about the time that a hash takes.
  passwordPolicy: 'hashAlgorithm(pbkdf2-sha256) and hashIterations(1)',
  // A code stays valid for minutes: on a busy machine, it can arrive late.
  otpPolicyLookAheadWindow: 10,
  components: { 'org.keycloak.keys.KeyProvider': makeKeyProviders() },
  oauth2DevicePollingInterval: 1,
  groups: [{ name: 'ops' }],
  roles: { realm: [{ name: 'developer' }] },
  clients: [
    {
      clientId: PUBLIC_CLIENT,
      publicClient: true,
      directAccessGrantsEnabled: true,
      standardFlowEnabled: true,
      redirectUris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
      attributes: {
        'oauth2.device.authorization.grant.enabled': 'true',
        'pkce.code.challenge.method': 'S256',
      },
      protocolMappers: MAPPERS,
    },
    {
      clientId: ROBOT.id,
      secret: ROBOT.secret,
      publicClient: false,
      serviceAccountsEnabled: true,
      standardFlowEnabled: false,
      protocolMappers: MAPPERS,
    },
    // Proves who it is with a signature of its own key.
    {
      clientId: 'signer',
      publicClient: false,
      clientAuthenticatorType: 'client-jwt',
      serviceAccountsEnabled: true,
      standardFlowEnabled: false,
    },
  ],
  users: [
    makeUser(ALICE.name, [{ type: 'password', value: ALICE.password }], {
      groups: ['/ops'],
      realmRoles: ['developer', 'offline_access'],
    }),
    makeUser(OTTO.name, [
      { type: 'password', value: OTTO.password },
      {
        type: 'otp',
        secretData: JSON.stringify({ value: OTTO.otpSecret }),
        credentialData: JSON.stringify({ subType: 'totp', digits: 6, period: 30, algorithm: 'HmacSHA1' }),
      },
    ]),
    makeUser('newcomer', [{ type: 'password', value: 'newcomer-password' }], { requiredActions: ['UPDATE_PASSWORD'] }),
    makeUser('recruit', [{ type: 'password', value: 'recruit-password' }], { requiredActions: ['CONFIGURE_TOTP'] }),
  ],
};

/**
 * Declares a test with a realm of its own.
 *
 * @param settings of the realm, in addition to those of every realm
 */
export function testWithKeycloak(
  name: keyof typeof KEYCLOAK_RESULTS | keyof typeof KEYSTONE_RESULTS,
  body: (t: Test, realm: Realm) => Promise<void>,
  settings: Representation = {},
): void {
  const keycloak = findResource('keycloak');
  if ('missing' in keycloak) {
    void test(name, { skip: keycloak.missing.replaceAll(/\s+/g, ' ') }, () => undefined);
    return;
  }
  void test(name, async (t) => {
    const realm = await createRealm(keycloak, settings);
    t.teardown(() => realm.remove());
    await body(t, realm);
  });
}

/** Makes a realm. */
export async function createRealm(keycloak: KeycloakAddress, settings: Representation = {}): Promise<Realm> {
  const name = `acme-${randomBytes(4).toString('hex')}`;
  await callAdmin(keycloak, '', { json: { ...REALM, realm: name, ...settings } });
  const admin: Realm['admin'] = (path, call) => callAdmin(keycloak, `/${name}${path}`, call);
  const issuer = `${keycloak.url}/realms/${name}`;
  const { ca } = keycloak.pki;
  let isRemoved = false;
  const findUser = async (user: string): Promise<string> => {
    const found = JSON.parse((await admin(`/users?exact=true&username=${user}`)).body) as readonly { id: string }[];
    return found[0]?.id ?? '';
  };
  return {
    keycloak,
    name,
    issuer,
    ca,
    admin,
    async change(changes) {
      await admin('', { method: 'PUT', json: { realm: name, ...changes } });
    },
    async changeUser(user, changes) {
      await admin(`/users/${await findUser(user)}`, { method: 'PUT', json: changes });
    },
    async logOut(user) {
      await admin(`/users/${await findUser(user)}/logout`, { method: 'POST' });
    },
    async listEvents() {
      const events = JSON.parse((await admin('/events')).body) as readonly { type: string; error?: string }[];
      return events.map(({ type, error }) => (error === undefined ? type : `${type} ${error}`)).toReversed();
    },
    async requestTokens(form, at = issuer) {
      const { status, body } = await sendRequest(`${at}/protocol/openid-connect/token`, { form, ca });
      if (status !== 200) throw new Error(`Keycloak gave ${status}: ${body}`);
      return JSON.parse(body) as Readonly<Record<string, unknown>>;
    },
    async remove() {
      if (isRemoved) return;
      isRemoved = true;
      await admin('', { method: 'DELETE' });
    },
  };
}

/** Computes the code of an authenticator app (RFC 6238) at a time in ms since 1970. */
export function computeOtp(secret: string, now: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const digest = createHmac('sha1', secret).update(counter).digest();
  const offset = digest.readUInt8(digest.length - 1) & 0xf;
  return String((digest.readUInt32BE(offset) & 0x7f_ff_ff_ff) % 1_000_000).padStart(6, '0');
}
