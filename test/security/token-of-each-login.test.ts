/**
 * A run prints the token that it would get without a cache, whatever other runs have put into the cache before. The built
 * plugin runs with random settings that are easily confused, at a server that takes the token from the request: two
 * requests get the same token only if they are equal, except for secrets that prove an identity. Such a secret may be
 * missing for a token from the cache.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import type { Test } from 'tap';
import { SECRET_VARIABLES } from '../../src/plugin/fast-path/fingerprint-inputs.ts';
import { METHODS } from '../../src/plugin/auth-methods/registry.ts';
import type { Home } from '../support/home.ts';
import { EXIT_STATUS } from '../support/check-run.ts';
import { makeLoginSamples } from '../support/login-samples.ts';
import { checkProperty } from '../support/property.ts';
import { makeRandomLogins, renderRun } from '../support/random-logins.ts';
import type { RandomLogins, RenderedRun, Run } from '../support/random-logins.ts';
import { runBundles } from '../support/run-bundles.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { startServer } from '../support/stand-in-keystone/server.ts';
import type { RecordedRequest } from '../support/stand-in-keystone/server.ts';
import { answerSamlRequest } from '../support/stand-in-saml.ts';

// --- The server ---

/** Names of members and form fields with a secret that proves an identity. */
const PROOFS = ['password', 'passcode', 'secret', 'client_secret'];
/** What `idp-otp-key` can name is a passcode, except these fields. */
const FORM_FIELDS = ['grant_type', 'username', 'client_id', 'scope', 'code', 'redirect_uri', 'refresh_token'];
const HIDDEN = '<proof>';

function hideProofs(body: unknown): unknown {
  if (typeof body === 'string') {
    return [...new URLSearchParams(body)].map(([name, value]) => [name, FORM_FIELDS.includes(name) ? value : HIDDEN]);
  }
  if (typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body)) return body.map(hideProofs);
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, PROOFS.includes(name) ? HIDDEN : hideProofs(value)]),
  );
}

function hideBasicProof(header: string | undefined): string {
  const [, pair] = /^Basic (.*)$/i.exec(header ?? '') ?? [];
  if (pair === undefined) return header ?? '';
  return Buffer.from(pair, 'base64')
    .toString()
    .replace(/:[^:]*$/, `:${HIDDEN}`);
}

/** Makes the token for a request, which is different for each other request. */
function makeToken(prefix: string, server: string, { method, path, headers, body }: RecordedRequest): string {
  const { authorization, host } = headers;
  const own = ['x-auth-token', 'x-subject-token', 'openstack-mapping', 'cookie'].map((name) => headers[name] ?? '');
  const request = [server, method, path, host, hideBasicProof(authorization), ...own, hideProofs(body)];
  return `${prefix}${createHash('sha256').update(JSON.stringify(request)).digest('base64url')}`;
}

interface Auth {
  readonly identity?: Readonly<Record<string, unknown>>;
  readonly scope?: unknown;
}

interface Named {
  readonly id?: string;
  readonly name?: string;
  readonly user?: object;
}

/** The OAuth 2.0 clients of the tokens. */
const clientOfToken = new Map<string, string>();

/** Describes the token as the request asks for it, so that the plugin caches it. */
function describeToken({ body, headers }: RecordedRequest): object {
  const { identity = {}, scope } = (body as { auth?: Auth } | undefined)?.auth ?? {};
  const credential = (identity['application_credential'] ?? identity['password'] ?? identity['totp']) as
    Named | undefined;
  const clientId = clientOfToken.get(String(headers['x-subject-token']));
  return {
    methods: ['password'],
    user: { id: 'u', name: 'u', domain: {}, ...credential?.user },
    application_credential: { id: credential?.id ?? clientId, name: credential?.name },
    expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    ...(typeof scope === 'object' ? scope : {}),
  };
}

/** Starts a Keystone and identity provider that accepts every login. */
async function startTokenServer(t: Test, name: string, onRequest: () => void): Promise<{ readonly url: string }> {
  let url = '';
  const server = await startServer({}, (request, response) => {
    onRequest();
    const { method, path } = request;
    const send = (status: number, body: object, headers = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    };
    const body = typeof request.body === 'string' ? request.body : '';
    const saml = answerSamlRequest({ line: `${method} ${path}`, headers: request.headers, body }, url);
    if (saml !== undefined) {
      response.writeHead(200, saml.headers as OutgoingHttpHeaders).end(saml.body);
      return;
    }
    if (method === 'POST' && request.headers['content-type']?.includes('form') === true) {
      const access = makeToken('p-', name, request);
      clientOfToken.set(access, hideBasicProof(request.headers.authorization).replace(/:.*/s, ''));
      send(200, { access_token: access, id_token: `i${access}`, token_type: 'Bearer', expires_in: 3600 });
      return;
    }
    if (method === 'POST' || request.headers.cookie !== undefined) {
      send(201, { token: describeToken(request) }, { 'x-subject-token': makeToken('gAAAA-', name, request) });
      return;
    }
    if (request.headers['x-subject-token'] !== undefined) {
      send(200, { token: describeToken(request) });
      return;
    }
    const { pathname } = new URL(path, url);
    send(200, { issuer: url, token_endpoint: `${url}${pathname}/token` });
  });
  ({ url } = server);
  t.teardown(() => server.close());
  return server;
}

// --- Runs ---

interface Outcome {
  readonly status: number | null;
  readonly document: string;
}

/** The time of expiry depends on the time of the login. */
function summarize({ status, stdout }: RunResult): Outcome {
  return { status, document: stdout.replace(/"expirationTimestamp":"[^"]*"/, '') };
}

interface Counts {
  tokens: number;
  /** Tokens without a request. */
  hits: number;
}

/** Returns a function that counts the requests so far, and random logins at two servers. */
async function setUpLogins(t: Test): Promise<{ countRequests: () => number; folder: string; logins: RandomLogins }> {
  let requests = 0;
  const count = (): void => void (requests += 1);
  const [one, two] = await Promise.all([startTokenServer(t, 'one', count), startTokenServer(t, 'two', count)]);
  const folder = t.testdir();
  return {
    countRequests: () => requests,
    folder,
    logins: makeRandomLogins(makeLoginSamples(folder, [one.url, two.url])),
  };
}

function makeHomeBelow(folder: string): Home {
  const path = mkdtempSync(join(folder, 'home-'));
  const remove = (): void => {
    rmSync(path, { recursive: true, force: true });
  };
  mkdirSync(join(path, '.config', 'openstack'), { recursive: true });
  return { path, cache: join(path, '.cache', 'client-keystone-auth'), remove };
}

/** Writes clouds.yaml, unless it is the same already: a new file would keep a run from the fast path. */
function writeClouds(home: Home, { clouds }: RenderedRun): void {
  const path = join(home.path, '.config', 'openstack', 'clouds.yaml');
  if (!existsSync(path) || readFileSync(path, 'utf8') !== clouds) writeFileSync(path, clouds);
}

/** Arguments and variables of a process are UTF-8, which has no halves of characters. */
const toUtf8 = (text: string): string => Buffer.from(text).toString();

function renderForProcess(run: Run): RenderedRun {
  const { argv, env, clouds } = renderRun(run);
  const variables = Object.entries(env).map(([name, value]) => [name, toUtf8(value)]);
  return { argv: argv.map(toUtf8), env: Object.fromEntries(variables) as RenderedRun['env'], clouds };
}

/** Runs the plugin without a cache. */
async function runFresh(home: Home, rendered: RenderedRun): Promise<RunResult> {
  const { argv, env } = rendered;
  writeClouds(home, rendered);
  return runBundles({ home, args: argv, env: { ...env, CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' } });
}

/**
 * Lists what a run may print: what it prints without a cache or, if it lacks only a proof, what it would print with one.
 * A cached token needs no proof.
 */
async function listExpected(home: Home, rendered: RenderedRun): Promise<Outcome[]> {
  const fresh = await runFresh(home, rendered);
  const missing = SECRET_VARIABLES.filter((name) => new RegExp(`set .*\\b${name}\\b`).test(fresh.stderr));
  if (fresh.status !== EXIT_STATUS.interaction || missing.length === 0) return [summarize(fresh)];
  const env = { ...rendered.env, ...Object.fromEntries(missing.map((name) => [name, 'any proof'])) };
  return [summarize(fresh), summarize(await runFresh(home, { ...rendered, env }))];
}

await t.test('the servers accept each auth method, so that the next test compares tokens', async (t) => {
  const { folder, logins } = await setUpLogins(t);
  const home = makeHomeBelow(folder);
  const accepted = new Set<string>();
  for (const base of logins.bases) {
    const { status } = await runFresh(home, renderForProcess(base));
    const [type] = base.settings;
    if (status === 0 && type !== undefined) accepted.add(type.value);
  }
  // A client certificate needs TLS.
  t.strictSame(
    METHODS.filter(({ name }) => !accepted.has(name)).map(({ name }) => name),
    ['v3oidcdeviceauthz', 'v3oauth2mtlsclientcredential', 'v3kerberos', 'v3fedkerb', 'v3websso', 'v4federation'],
  );
});

await t.test('a token in the cache never serves a login that would get another one', async (t) => {
  const { folder, logins, countRequests } = await setUpLogins(t);
  const counts: Counts = { tokens: 0, hits: 0 };
  /** Runs each of the settings twice with one cache, and compares with what a run without a cache prints. */
  const compare = async (family: readonly Run[]): Promise<void> => {
    const home = makeHomeBelow(folder);
    const expected = new Map<Run, readonly Outcome[]>();
    for (const run of [...family, ...family]) {
      const rendered = renderForProcess(run);
      const allowed = expected.get(run) ?? (await listExpected(home, rendered));
      expected.set(run, allowed);
      writeClouds(home, rendered);
      const before = countRequests();
      const result = await runPlugin({ home, args: rendered.argv, env: rendered.env });
      const outcome = summarize(result);
      const isAllowed = allowed.some((other) => isDeepStrictEqual(other, outcome));
      assert.ok(isAllowed, JSON.stringify({ ...rendered, outcome, allowed, stderr: result.stderr }, null, 1));
      if (result.stdout === '') continue;
      counts.tokens += 1;
      if (countRequests() === before) counts.hits += 1;
    }
    home.remove();
  };
  await checkProperty(t, fc.asyncProperty(logins.makeFamilies(6), compare), 3, 0);
  t.ok(counts.hits > 0, `${counts.tokens} tokens, ${counts.hits} of them from the cache`);
  t.comment(`${counts.tokens} tokens, ${counts.hits} of them from the cache`);
});
