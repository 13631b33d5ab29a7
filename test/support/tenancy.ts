// The users and projects for the tests against a real Keystone, one for each kind of response.

import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';

export interface NamedEntity {
  readonly id: string;
  readonly name: string;
}

export interface User extends NamedEntity {
  readonly password: string;
}

export interface MfaUser extends User {
  /** Base32, for `totpCode`. */
  readonly totpSecret: string;
}

export interface ApplicationCredential extends NamedEntity {
  readonly secret: string;
  /** As Keystone formats it; null if it never expires. */
  readonly expiresAt: string | null;
}

export interface Tenancy {
  /** The domain of all users and projects. */
  readonly domain: NamedEntity;
  readonly projects: { readonly demo: NamedEntity; readonly other: NamedEntity };
  readonly users: {
    /** `member` and `reader` on demo; `reader` on other, on the domain and on the system. */
    readonly alice: User;
    /** `member` on demo, the default project of this user. */
    readonly bob: User;
    /** No role anywhere. */
    readonly mallory: User;
    readonly disabled: User;
    /** The password is valid, but Keystone requires a new one; `member` on demo. */
    readonly expired: User;
    /** Needs password and TOTP; `member` on demo. */
    readonly mfa: MfaUser;
    /** Has a password, but can log in with TOTP alone; `member` on demo. */
    readonly phone: MfaUser;
  };
  /** Application credentials of alice, for demo with the role `member`. */
  readonly applicationCredentials: {
    readonly valid: ApplicationCredential;
    /** Expired. */
    readonly expired: ApplicationCredential;
  };
  /** From alice to bob on demo with the role `member`, without impersonation. */
  readonly trust: { readonly id: string };
}

/** What Keystone reports about a token. */
export interface TokenFacts {
  readonly user: NamedEntity;
  readonly project: NamedEntity | undefined;
  readonly domain: NamedEntity | undefined;
  readonly system: boolean;
  readonly trust: string | undefined;
  readonly methods: readonly string[];
  readonly roles: readonly string[];
  readonly expiresAt: string;
}

type Server = Pick<KeystoneAddress, 'url' | 'adminPassword'>;

interface Call {
  readonly method?: 'DELETE' | 'GET' | 'PATCH' | 'POST' | 'PUT';
  readonly token?: string;
  /** The token in `X-Subject-Token`. */
  readonly subject?: string;
  readonly body?: unknown;
}

interface NewUser {
  readonly name: string;
  readonly password: string;
  readonly enabled?: boolean;
  readonly default_project_id?: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
const phoneSecret = 'KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU';
// Tokens have whole seconds: a token from the second in which the password was set counts as older than the password,
// so it is revoked.
const settlingMs = 1200;
// init.py configures that a new password expires immediately, unless the user has this option.
const keepsPassword = { ignore_change_password_upon_first_use: true };
const losesPassword = { ignore_change_password_upon_first_use: false };

/** Creates all users, projects and credentials; once per server. */
export async function createTenancy(server: Server): Promise<Tenancy> {
  const admin = await logInAsAdmin(server);
  const create = createWith(server, admin);
  const domain = await create('domain', { name: 'My Domain' });
  const [demo, other, roles] = await Promise.all([
    create('project', { name: 'demo', domain_id: domain.id }),
    create('project', { name: 'other', domain_id: domain.id }),
    listRoles(server, admin),
  ]);
  const createUser = async (user: NewUser): Promise<User> => {
    const { name, password } = user;
    const options = { ...keepsPassword, ...user.options };
    const { id } = await create('user', { ...user, domain_id: domain.id, options });
    // Set the password again, because Keystone reads the option too late for the initial password.
    await callKeystone(server, `/v3/users/${id}`, { method: 'PATCH', token: admin, body: { user: { password } } });
    return { id, name, password };
  };
  const assign = (user: NamedEntity, role: string, target: string): Promise<unknown> =>
    callKeystone(server, `/v3/${target}/users/${user.id}/roles/${findId(roles, role)}`, {
      method: 'PUT',
      token: admin,
    });

  const alice = await createUser({ name: 'alice', password: 'p@ss "w0rd" {x} $y \'é\' \\ü' });
  const settled = sleep(settlingMs);
  const [bob, mallory, disabled, expired, phone, mfa] = await Promise.all([
    createUser({ name: 'bob', password: 'bob-password', default_project_id: demo.id }),
    createUser({ name: 'mallory', password: 'mallory-password' }),
    createUser({ name: 'disabled', password: 'disabled-password', enabled: false }),
    createUser({ name: 'expired', password: 'expired-password', options: losesPassword }),
    createUser({ name: 'phone', password: 'phone-password' }),
    createUser({
      name: 'mfa',
      password: 'mfa-password',
      options: { multi_factor_auth_enabled: true, multi_factor_auth_rules: [['password', 'totp']] },
    }),
    assign(alice, 'member', `projects/${demo.id}`),
    assign(alice, 'reader', `projects/${demo.id}`),
    assign(alice, 'reader', `projects/${other.id}`),
    assign(alice, 'reader', `domains/${domain.id}`),
    assign(alice, 'reader', 'system'),
  ]);
  await settled;

  const aliceToken = await logIn(server, alice, { project: { id: demo.id } });
  const memberOnly = [{ id: findId(roles, 'member') }];
  const createCredential = (name: string, lifeMs?: number): Promise<ApplicationCredential> =>
    createApplicationCredential(server, { token: aliceToken, userId: alice.id, name, roles: memberOnly, lifeMs });
  // First, so that it has expired when the rest is created.
  const [expiredCredential, lifeMs] = await createSoonExpired((ms) => createCredential('expired', ms));
  const expiry = sleep(lifeMs);

  const [trust, valid] = await Promise.all([
    createWith(server, aliceToken)('OS-TRUST/trust', {
      trustor_user_id: alice.id,
      trustee_user_id: bob.id,
      project_id: demo.id,
      impersonation: false,
      roles: memberOnly,
    }),
    createCredential('for kubectl'),
    create('credential', { type: 'totp', user_id: mfa.id, blob: totpSecret }),
    create('credential', { type: 'totp', user_id: phone.id, blob: phoneSecret }),
    assign(bob, 'member', `projects/${demo.id}`),
    assign(expired, 'member', `projects/${demo.id}`),
    assign(mfa, 'member', `projects/${demo.id}`),
    assign(phone, 'member', `projects/${demo.id}`),
  ]);
  // This wait also covers the passwords that were set last.
  await expiry;
  return {
    domain,
    projects: { demo, other },
    users: {
      alice,
      bob,
      mallory,
      disabled,
      expired,
      mfa: { ...mfa, totpSecret },
      phone: { ...phone, totpSecret: phoneSecret },
    },
    applicationCredentials: { valid, expired: expiredCredential },
    trust: { id: trust.id },
  };
}

/** Creates another member of the project demo, for a test that changes what Keystone knows about a user. */
export async function createMember(server: Server, { domain, projects }: Tenancy, name: string): Promise<User> {
  const admin = await logInAsAdmin(server);
  const password = randomUUID();
  const user = { name, password, domain_id: domain.id, options: keepsPassword };
  const { id } = await createWith(server, admin)('user', user);
  await callKeystone(server, `/v3/users/${id}`, { method: 'PATCH', token: admin, body: { user: { password } } });
  const member = findId(await listRoles(server, admin), 'member');
  await callKeystone(server, `/v3/projects/${projects.demo.id}/users/${id}/roles/${member}`, {
    method: 'PUT',
    token: admin,
  });
  await sleep(settlingMs);
  return { id, name, password };
}

/** Asks Keystone about a token; undefined if Keystone does not know it, or no longer knows it. */
export async function validateToken(server: Server, token: string): Promise<TokenFacts | undefined> {
  const admin = await logInAsAdmin(server);
  const response = await request(server, '/v3/auth/tokens?nocatalog', { token: admin, subject: token });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`validating a token gave ${response.status}: ${await response.text()}`);
  const body = (await response.json()) as {
    token: {
      user: NamedEntity;
      project?: NamedEntity;
      domain?: NamedEntity;
      system?: { all?: boolean };
      'OS-TRUST:trust'?: { id: string };
      methods: string[];
      roles?: NamedEntity[];
      expires_at: string;
    };
  };
  const { user, project, domain, system, methods, roles, expires_at: expiresAt } = body.token;
  return {
    user: pickNamed(user),
    project: project && pickNamed(project),
    domain: domain && pickNamed(domain),
    system: system?.all === true,
    trust: body.token['OS-TRUST:trust']?.id,
    methods: methods.toSorted(),
    roles: (roles ?? []).map((role) => role.name).toSorted(),
    expiresAt,
  };
}

/** Revokes a token as an administrator. */
export async function revokeToken(server: Server, token: string): Promise<void> {
  const admin = await logInAsAdmin(server);
  await callKeystone(server, '/v3/auth/tokens', { method: 'DELETE', token: admin, subject: token });
}

/** A passcode that is wrong at any time, as six digits are not. */
export const WRONG_PASSCODE = 'abcdef';

/** Returns the six digits that an authenticator shows at `atMs` (RFC 6238 with 30 seconds and SHA-1). */
export function makeTotpCode(secret: string, atMs: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(atMs / 30_000)));
  const mac = createHmac('sha1', decodeBase32(secret)).update(counter).digest();
  const offset = mac.readUInt8(mac.length - 1) & 0x0f;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/**
 * Logs in with a password and returns the token. `scope` is that of the Keystone API; without it the token is unscoped.
 */
export async function logIn(server: Server, user: Pick<User, 'id' | 'password'>, scope?: unknown): Promise<string> {
  return (await requestToken(server, { id: user.id, password: user.password }, scope ?? 'unscoped')).token;
}

interface IssuedToken {
  readonly token: string;
  readonly expiresAt: number;
}

/** Tokens of administrators by URL. Keystone needs a tenth of a second of a processor to check a password. */
const adminTokens = new Map<string, IssuedToken>();

/** An administrator's token is used again if it is valid for longer than this. */
const MIN_LEFT_MS = 120_000;

/** Returns a token for the system. */
export async function logInAsAdmin(server: Server): Promise<string> {
  const known = adminTokens.get(server.url);
  if (known !== undefined && known.expiresAt - Date.now() > MIN_LEFT_MS) return known.token;
  const user = { name: 'admin', domain: { name: 'Default' }, password: server.adminPassword };
  const issued = await requestToken(server, user, { system: { all: true } });
  adminTokens.set(server.url, issued);
  return issued.token;
}

async function requestToken(server: Server, user: object, scope: unknown): Promise<IssuedToken> {
  const body = { auth: { identity: { methods: ['password'], password: { user } }, scope } };
  const response = await request(server, '/v3/auth/tokens?nocatalog', { method: 'POST', body });
  const token = response.headers.get('x-subject-token');
  if (token === null) throw new Error(`logging in gave ${response.status}: ${await response.text()}`);
  const issued = (await response.json()) as { token: { expires_at: string } };
  return { token, expiresAt: Date.parse(issued.token.expires_at) };
}

function createWith(server: Server, token: string) {
  return async (kind: string, content: Readonly<Record<string, unknown>>): Promise<NamedEntity> => {
    const member = kind.split('/').at(-1) ?? kind;
    const body = { [member]: content };
    const response = await callKeystone(server, `/v3/${kind}s`, { method: 'POST', token, body });
    return pickNamed((response as Record<string, NamedEntity>)[member]);
  };
}

export interface NewApplicationCredential {
  /** A token of the user for the project. */
  readonly token: string;
  readonly userId: string;
  readonly name: string;
  /** Default: all roles of the token. */
  readonly roles?: readonly object[] | undefined;
  /** Default: it never expires. */
  readonly lifeMs?: number | undefined;
  /** Default: Keystone chooses one. */
  readonly secret?: string | undefined;
}

export async function createApplicationCredential(
  server: Server,
  { token, userId, name, roles, lifeMs, secret: chosen }: NewApplicationCredential,
): Promise<ApplicationCredential> {
  const expiresAtTime = lifeMs === undefined ? undefined : new Date(Date.now() + lifeMs).toISOString();
  // Members that are undefined are not sent.
  const body = { application_credential: { name, roles, secret: chosen, expires_at: expiresAtTime } };
  const response = await callKeystone(server, `/v3/users/${userId}/application_credentials`, {
    method: 'POST',
    token,
    body,
  });
  const { application_credential: credential } = response as {
    application_credential: { id: string; name: string; secret: string; expires_at: string | null };
  };
  const { id, secret, expires_at: expiresAt } = credential;
  return { id, name, secret, expiresAt };
}

/**
 * Creates what is to expire soon, and returns its lifetime in ms too. On a busy machine, a short lifetime is over before
 * Keystone reads the request, which it then rejects.
 */
async function createSoonExpired<T>(create: (lifeMs: number) => Promise<T>): Promise<[T, number]> {
  for (let lifeMs = 2500; ; lifeMs *= 2) {
    try {
      return [await create(lifeMs), lifeMs];
    } catch (error) {
      if (lifeMs > 600_000 || !String(error).includes('must not be before now')) throw error;
    }
  }
}

/**
 * Creates an application credential of alice for demo, which expires in forty minutes: before a token, whose lifetime is
 * one hour.
 */
export async function createShortLivedCredential(
  server: Server,
  { users, projects }: Pick<Tenancy, 'users' | 'projects'>,
): Promise<ApplicationCredential> {
  const { alice } = users;
  return createApplicationCredential(server, {
    token: await logIn(server, alice, { project: { id: projects.demo.id } }),
    userId: alice.id,
    name: `short-lived ${randomUUID()}`,
    roles: [{ name: 'member' }],
    lifeMs: 2_400_000,
  });
}

export async function listRoles(server: Server, token: string): Promise<readonly NamedEntity[]> {
  const response = (await callKeystone(server, '/v3/roles', { token })) as { roles: NamedEntity[] };
  return response.roles;
}

/** @throws Error if none has that name */
export function findId(things: readonly NamedEntity[], name: string): string {
  const thing = things.find((candidate) => candidate.name === name);
  if (thing === undefined) throw new Error(`there is no ${name}`);
  return thing.id;
}

function pickNamed(thing: Partial<NamedEntity> | undefined): NamedEntity {
  if (thing?.id === undefined) throw new Error(`Keystone answered without an ID: ${JSON.stringify(thing)}`);
  return { id: thing.id, name: thing.name ?? '' };
}

/** Returns the parsed response of Keystone; throws for every error status. */
export async function callKeystone(server: Server, path: string, options: Call): Promise<unknown> {
  const response = await request(server, path, options);
  const text = await response.text();
  if (!response.ok) throw new Error(`${options.method ?? 'GET'} ${path} gave ${response.status}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

function request(server: Server, path: string, options: Call): Promise<Response> {
  const headers: Record<string, string> = {};
  if (options.token !== undefined) headers['X-Auth-Token'] = options.token;
  if (options.subject !== undefined) headers['X-Subject-Token'] = options.subject;
  const body = options.body === undefined ? {} : { body: JSON.stringify(options.body) };
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  return fetch(server.url + path, { method: options.method ?? 'GET', headers, ...body });
}

function decodeBase32(text: string): Buffer {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = Array.from(text, (letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const bytes = bits.match(/[01]{8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)));
}
