// Runs a real OpenID provider (the certified npm package oidc-provider) on loopback, with its own users and clients. A
// plain page prompts for name and password, and consent is given automatically.
//
// Each path /of-HEX is another issuer with the same tokens, so that tests that run at the same time can count their own
// requests and choose their own lifetimes and responses.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { json, text } from 'node:stream/consumers';

import { Provider } from 'oidc-provider';
import type {
  Account,
  Adapter,
  AdapterPayload,
  ClientMetadata,
  Configuration,
  KoaContextWithOIDC,
  TokenEndpointGrantContext,
} from 'oidc-provider';

import type { CertificateFiles } from '../lib/pki.ts';
import { waitForClients } from '../lib/patient-server.ts';
import { listenOnLoopback } from '../lib/listen-on-loopback.ts';

/** A user who can log in. Keystone maps the `email`. */
export interface IdentityProviderUser {
  readonly name: string;
  readonly password: string;
  readonly email: string;
  /** Must be sent with the password, in the form field `otpField`. */
  readonly otp?: string;
}

export interface OidcClient {
  readonly id: string;
  /** Undefined for a public client, which must use PKCE. */
  readonly secret?: string;
  /** The claims in a token of the client itself (client credentials). */
  readonly email: string;
}

/** Settings of one issuer. Times are in seconds. */
export interface IssuerSettings {
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  readonly deviceCodeSeconds: number;
  /** The interval in the device authorization response. null omits it, as many providers do. */
  readonly deviceInterval: number | null;
  /** The number of polls for a pending device code that get `slow_down` next. */
  readonly slowDowns: number;
  /** When refresh tokens are issued: always, if the scope offline_access was granted, or never. */
  readonly refreshTokens: 'always' | 'offline_access' | 'never';
  /** Form field for a one-time password; one of `otpFields`. */
  readonly otpField: string;
  /** Overrides members of the discovery document. null removes a member. */
  readonly discovery: Readonly<Record<string, unknown>>;
}

export interface DeviceDecision {
  readonly userCode: string;
  readonly action: 'approve' | 'deny' | 'expire';
  /** Name of the user who approves. */
  readonly user?: string;
}

export interface IdentityProvider {
  /** The issuer. */
  readonly url: string;
  /** Same format as Keystone's (`METHOD PATH?QUERY STATUS cn=-`), written before the response is sent. */
  readonly accessLog: string;
  close(): Promise<void>;
}

export interface IdentityProviderOptions extends CertificateFiles {
  readonly users: readonly IdentityProviderUser[];
  readonly clients: readonly OidcClient[];
  /** The client of Apache. It introspects tokens, and logs users in for WebSSO. */
  readonly apacheClient: { readonly id: string; readonly secret: string };
  /** The URL that Apache will have. */
  readonly apacheUrl: string;
  readonly accessLog: string;
}

export const otpFields: readonly string[] = ['totp', 'otp', 'idp_otp', 'passcode'];

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
const defaults: IssuerSettings = {
  accessTokenSeconds: 3600,
  refreshTokenSeconds: 86_400,
  deviceCodeSeconds: 600,
  deviceInterval: null,
  slowDowns: 0,
  refreshTokens: 'always',
  otpField: 'totp',
  discovery: {},
};

/** An issuer with its settings, and the times when its device codes were polled. */
interface Issuer {
  readonly provider: Provider;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  settings: IssuerSettings;
  /** By device code, in ms since 1970. */
  readonly polls: Map<string, number[]>;
}

/** Starts a provider on 127.0.0.1. */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const { accessLog } = options;
  const issuers = new Map<string, Issuer>();
  const adapter = createStore();
  const jwks = { keys: [makeKey()] };
  const clients = [...describeClients(options)];
  const cookieKeys = [randomBytes(16).toString('hex')];
  let url = '';

  const issuerOf = (prefix: string): Issuer => {
    const present = issuers.get(prefix);
    if (present !== undefined) return present;
    const made = makeIssuer(url + prefix, options, { adapter, jwks, clients, cookies: { keys: cookieKeys } });
    issuers.set(prefix, made);
    return made;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url: path = '' } = request;
    logAnswer(response, (status) => {
      appendFileSync(accessLog, `${method} ${path} ${status} cn=-\n`);
    });
    const prefix = /^\/of-[0-9a-f]+(?=[/?]|$)/.exec(path)?.[0] ?? '';
    const issuer = issuerOf(prefix);
    // As frameworks do for mounted apps: the router gets the path without the prefix, and responses contain the prefix.
    Object.assign(request, { originalUrl: path, url: path.slice(prefix.length) || '/' });
    const below = request.url ?? '';
    if (below.startsWith('/control/')) await control(issuer, options, request, response);
    else if (below.startsWith('/interaction/')) await interact(issuer, options, request, response);
    else await issuer.handle(request, response);
  };

  await writeFile(accessLog, '', { mode: 0o600 });
  const server = createServer(
    { cert: await readFile(options.cert), key: await readFile(options.key) },
    (request, response) => {
      serve(request, response).catch((error: unknown) => {
        response.writeHead(500, { 'Content-Type': 'text/plain' }).end(String(error));
      });
    },
  );
  server.on('tlsClientError', () => undefined);
  waitForClients(server);
  url = `https://127.0.0.1:${await listenOnLoopback(server)}`;
  return {
    url,
    accessLog,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function makeIssuer(
  url: string,
  { users, clients }: IdentityProviderOptions,
  shared: Pick<Configuration, 'adapter' | 'jwks' | 'clients' | 'cookies'>,
): Issuer {
  let settings = defaults;
  const polls = new Map<string, number[]>();
  const provider: Provider = new Provider(url, {
    ...shared,
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (ctx, form) => showPage(ctx, form),
        userCodeConfirmSource: (ctx, form) => showPage(ctx, form),
        successSource: (ctx) => showPage(ctx, '<p>The device is connected.</p>'),
      },
    },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    scopes: ['openid', 'offline_access', 'email', 'profile'],
    pkce: { required: (_ctx, client) => client.clientAuthMethod === 'none' },
    clientBasedCORS: () => false,
    findAccount: (_ctx, id) => accountOf(users, id),
    // Grants everything without a consent page.
    loadExistingGrant: async (ctx) => {
      const { session, client, params } = ctx.oidc;
      if (session?.accountId === undefined || client === undefined) return undefined;
      return grantAll(provider, session.accountId, client.clientId, params?.['scope']);
    },
    interactions: { url: (_ctx, interaction) => `${url}/interaction/${interaction.uid}` },
    // Opaque tokens, as many providers issue them. Apache introspects them and passes these claims on.
    extraTokenClaims: (_ctx, token) => {
      const person = 'accountId' in token ? users.find(({ name }) => name === token.accountId) : undefined;
      const client = clients.find(({ id }) => id === token.clientId);
      return { email: person?.email ?? client?.email };
    },
    issueRefreshToken: (_ctx, _client, code) => refreshes(code.scope),
    renderError: (ctx, out) => showPage(ctx, `<pre>${escapeHtml(JSON.stringify(out))}</pre>`),
    ttl: {
      AccessToken: () => settings.accessTokenSeconds,
      ClientCredentials: () => settings.accessTokenSeconds,
      RefreshToken: () => settings.refreshTokenSeconds,
      DeviceCode: () => settings.deviceCodeSeconds,
      AuthorizationCode: 60,
      IdToken: () => 3600,
      Interaction: () => 600,
      Session: () => 3600,
      Grant: () => 86_400,
    },
  });
  provider.Client.prototype.redirectUriAllowed = function (uri) {
    return isLoopback(uri) || (this.redirectUris ?? []).includes(uri);
  };

  const refreshes = (scope: string | undefined): boolean =>
    settings.refreshTokens === 'always' ||
    (settings.refreshTokens === 'offline_access' && (scope ?? '').split(' ').includes('offline_access'));

  provider.registerGrantType(
    'password',
    async (ctx: TokenEndpointGrantContext<Record<string, unknown>>) => {
      const { params, client } = ctx.oidc;
      const person = users.find(({ name, password }) => name === params['username'] && password === params['password']);
      if (person === undefined || (person.otp !== undefined && person.otp !== params[settings.otpField])) {
        ctx.status = 400;
        ctx.body = { error: 'invalid_grant', error_description: 'invalid user credentials' };
        return;
      }
      const scope = typeof params.scope === 'string' ? params.scope : 'openid';
      const grantId = await grantAll(provider, person.name, client.clientId, scope).then((grant) => grant.save());
      const common = { accountId: person.name, client, grantId, gty: 'password', scope };
      const access = new provider.AccessToken(common);
      ctx.oidc.entity('AccessToken', access);
      const refresh = new provider.RefreshToken({ ...common, authTime: nowSeconds() });
      ctx.body = {
        access_token: await access.save(),
        token_type: 'Bearer',
        expires_in: access.expiration,
        scope,
        ...(refreshes(scope) ? { refresh_token: await refresh.save() } : {}),
      };
    },
    ['username', 'password', 'scope', ...otpFields],
  );

  provider.use(async (ctx, next) => {
    await next();
    const { oidc } = ctx as Partial<KoaContextWithOIDC>;
    const body: unknown = ctx.body;
    if (oidc === undefined || typeof body !== 'object' || body === null) return;
    if (oidc.route === 'discovery') {
      const merged = { ...body, ...settings.discovery };
      ctx.body = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
    }
    if (oidc.route === 'device_authorization' && settings.deviceInterval !== null && ctx.status === 200) {
      ctx.body = { ...body, interval: settings.deviceInterval };
    }
    const deviceCode = oidc.params?.['device_code'];
    if (oidc.route !== 'token' || oidc.params?.['grant_type'] !== deviceGrant || typeof deviceCode !== 'string') return;
    polls.set(deviceCode, [...(polls.get(deviceCode) ?? []), Date.now()]);
    if (settings.slowDowns > 0 && 'error' in body && body.error === 'authorization_pending') {
      settings = { ...settings, slowDowns: settings.slowDowns - 1 };
      ctx.body = { error: 'slow_down', error_description: 'you ask too often' };
    }
  });

  return {
    provider,
    handle: provider.callback(),
    polls,
    get settings() {
      return settings;
    },
    set settings(changed) {
      settings = changed;
    },
  };
}

/**
 * The interface for tests, with JSON bodies: PUT settings, POST device (a decision), GET polls/USER-CODE (times in ms).
 */
async function control(
  issuer: Issuer,
  { users }: IdentityProviderOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { provider } = issuer;
  const asked = `${request.method ?? ''} ${request.url ?? ''}`;
  const answer = (status: number, body: unknown): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  };
  if (asked === 'PUT /control/settings') {
    issuer.settings = { ...defaults, ...((await json(request)) as Partial<IssuerSettings>) };
    answer(200, issuer.settings);
    return;
  }
  const decision = asked === 'POST /control/device' ? ((await json(request)) as DeviceDecision) : undefined;
  const userCode = decision?.userCode ?? /^GET \/control\/polls\/(.+)$/.exec(asked)?.[1] ?? '';
  const normalized = userCode.replaceAll(/[^a-z]/gi, '').toUpperCase();
  const code = await provider.DeviceCode.findByUserCode(normalized, { ignoreExpiration: true });
  if (code === undefined) {
    answer(404, { error: `${asked}: no such thing here` });
    return;
  }
  if (decision === undefined) {
    answer(200, issuer.polls.get(code.jti) ?? []);
    return;
  }
  if (decision.action === 'approve') {
    const person = users.find(({ name }) => name === decision.user) ?? users[0];
    const scope = typeof code.params?.['scope'] === 'string' ? code.params['scope'] : 'openid';
    const accountId = person?.name ?? '';
    const grant = await grantAll(provider, accountId, code.clientId ?? '', scope);
    Object.assign(code, { accountId, grantId: await grant.save(), scope, authTime: nowSeconds() });
  } else if (decision.action === 'deny') {
    Object.assign(code, { error: 'access_denied', errorDescription: 'the end-user said no' });
  } else {
    Object.assign(code, { exp: nowSeconds() - 1 });
  }
  await code.save();
  answer(200, {});
}

/** The login page. Its form has the fields login and password. With the field `deny` instead, the login is denied. */
async function interact(
  { provider }: Issuer,
  { users }: IdentityProviderOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { prompt } = await provider.interactionDetails(request, response);
  if (request.method === 'POST') {
    const form = new URLSearchParams(await text(request));
    if (form.has('deny')) {
      const refusal = { error: 'access_denied', error_description: 'the end-user said no' };
      await provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
      return;
    }
    const given = (name: string): string => form.get(name) ?? '';
    const person = users.find(({ name, password }) => name === given('login') && password === given('password'));
    if (person !== undefined) {
      await provider.interactionFinished(request, response, { login: { accountId: person.name }, consent: {} });
      return;
    }
  }
  // A separate consent (prompt=consent) needs no page either.
  if (prompt.name === 'consent') {
    await provider.interactionFinished(request, response, { consent: {} });
    return;
  }
  const status = request.method === 'POST' ? 401 : 200;
  response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(`<!doctype html>
<title>Log in</title>
<form method="post" action="">
<input name="login"><input name="password" type="password">
<button type="submit">Log in</button><button type="submit" name="deny" value="yes">Cancel</button>
</form>
`);
}

function describeClients({ clients, apacheClient, apacheUrl }: IdentityProviderOptions): readonly ClientMetadata[] {
  const own = clients.map(({ id, secret }): ClientMetadata => ({
    client_id: id,
    // Native clients can use plain http on loopback.
    application_type: 'native',
    // Only for the schema. isLoopback decides.
    redirect_uris: ['http://127.0.0.1/'],
    response_types: ['code'],
    grant_types: [
      'authorization_code',
      'refresh_token',
      'password',
      deviceGrant,
      ...(secret === undefined ? [] : ['client_credentials']),
    ],
    ...(secret === undefined
      ? { token_endpoint_auth_method: 'none' as const }
      : { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' as const }),
  }));
  const ofProxy: ClientMetadata = {
    client_id: apacheClient.id,
    client_secret: apacheClient.secret,
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: [`${apacheUrl}/redirect_uri`],
    response_types: ['code'],
    grant_types: ['authorization_code'],
  };
  return [...own, ofProxy];
}

/** Whether a redirect URI is on loopback: any port (RFC 8252, section 7.3) and, for tests, any path. */
function isLoopback(uri: string): boolean {
  return /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:\/|$)/.test(uri);
}

function accountOf(people: readonly IdentityProviderUser[], id: string): Account | undefined {
  const person = people.find(({ name }) => name === id);
  if (person === undefined) return undefined;
  const { name, email } = person;
  return { accountId: name, claims: () => ({ sub: name, name, email, email_verified: true }) };
}

async function grantAll(
  provider: Provider,
  accountId: string,
  clientId: string,
  scope: unknown,
): Promise<InstanceType<Provider['Grant']>> {
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(typeof scope === 'string' ? scope : 'openid');
  await grant.save();
  return grant;
}

function showPage(ctx: KoaContextWithOIDC, content: string): void {
  ctx.type = 'html';
  ctx.body = `<!doctype html>\n<title>Identity provider</title>\n${content}\n`;
}

/** A key for RS256, which every provider must support and Apache's module expects. */
function makeKey(): object {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(4).toString('hex'), use: 'sig', alg: 'RS256' };
}

/** A store that removes nothing, because the provider must recognize what has expired to report it as expired. */
function createStore(): (model: string) => Adapter {
  const kept = new Map<string, AdapterPayload>();
  return (model) => {
    const key = (id: string): string => `${model}:${id}`;
    const findBy = (wanted: (payload: AdapterPayload) => boolean): AdapterPayload | undefined =>
      [...kept].find(([id, payload]) => id.startsWith(`${model}:`) && wanted(payload))?.[1];
    return {
      upsert: async (id, payload) => void kept.set(key(id), payload),
      find: async (id) => kept.get(key(id)),
      findByUserCode: async (userCode) => findBy((payload) => payload.userCode === userCode),
      findByUid: async (uid) => findBy((payload) => payload.uid === uid),
      consume: async (id) => {
        const payload = kept.get(key(id));
        if (payload !== undefined) kept.set(key(id), { ...payload, consumed: nowSeconds() });
      },
      destroy: async (id) => void kept.delete(key(id)),
      revokeByGrantId: async (grantId) => {
        for (const [id, payload] of kept) if (payload.grantId === grantId) kept.delete(id);
      },
    };
  };
}

/** Calls `log` before the response is sent. */
function logAnswer(response: ServerResponse, log: (status: number) => void): void {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]) => {
    log(Number(args[0]));
    return writeHead(...args);
  };
}

function escapeHtml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
