/**
 * A token never serves another login: two runs with one fingerprint or one cache key send the same request. Each case is
 * a family of runs that differ in little, and every run of a family is compared with every other one.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { chooseMethod } from '../../src/plugin/auth-methods/choose-method.ts';
import type { MethodContext } from '../../src/plugin/auth-methods/auth-method.ts';
import { findMissingOptions } from '../../src/plugin/auth-methods/missing-options.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { digestFields, sha256 } from '../../src/plugin/cache/sha256.ts';
import { parseGetTokenCommand, scanArguments } from '../../src/plugin/cli/parse-command-line.ts';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import type { ResolvedConfig } from '../../src/plugin/config/resolve-config.ts';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import { computeCacheKey, computeExchangeKey } from '../../src/plugin/login/cache-key.ts';
import { readTokenExchange } from '../../src/plugin/login/token-exchange.ts';
import { PluginError } from '../../src/shared/base/errors.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import type { HttpRequest, HttpResponse } from '../../src/shared/http/http-message.ts';
import { readTlsSettings } from '../../src/shared/http/tls-settings.ts';
import type { JsonWithSecrets } from '../../src/shared/keystone/auth-request.ts';
import { readAuthUrl } from '../../src/shared/keystone/auth-url.ts';
import { fakeHost } from '../support/fake-host.ts';
import { addExchange, GUESSABLE_OPTIONS, makeLoginSamples } from '../support/login-samples.ts';
import { makeRandomLogins, renderRun } from '../support/random-logins.ts';
import type { Run } from '../support/random-logins.ts';
import { checkProperty } from '../support/property.ts';
import { answerSamlRequest } from '../support/stand-in-saml.ts';

// --- What a run sends ---

/** Shown instead of secrets that a user may have chosen: neither the fingerprint nor the key contains them. */
const GUESSABLE = '<guessable>';

function describeHeaders(headers: Readonly<Record<string, Secret | string>> = {}): string[] {
  return Object.entries(headers).map(([name, value]) => {
    const text = value instanceof Secret ? value.reveal() : value;
    const [, pair] = /^Basic (.*)$/.exec(text) ?? [];
    if (pair === undefined) return `${name}: ${text}`;
    return `${name}: ${Buffer.from(pair, 'base64')
      .toString()
      .replace(/:[^:]*$/, `:${GUESSABLE}`)}`;
  });
}

function describeForm(body = '', guessable: readonly string[]): string {
  const fields = [...new URLSearchParams(body)];
  return JSON.stringify(fields.map(([name, value]) => [name, guessable.includes(name) ? GUESSABLE : value]));
}

function describeBody(body: JsonWithSecrets | undefined, guessable: ReadonlySet<unknown>): string {
  const describe = (value: JsonWithSecrets): unknown => {
    if (value instanceof Secret) return guessable.has(value) ? GUESSABLE : value.reveal();
    if (typeof value !== 'object') return value;
    if (Array.isArray(value)) return value.map((item: JsonWithSecrets) => describe(item));
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, describe(item)]));
  };
  return body === undefined ? '' : JSON.stringify(describe(body));
}

/** Answers as an identity provider of either kind, or as Keystone's token endpoint. */
function answer({ verb, url, headers, body: sent = '' }: HttpRequest): HttpResponse {
  const { origin, pathname } = new URL(url);
  const revealed = Object.entries(headers ?? {}).map(([name, value]) => [
    name,
    value instanceof Secret ? value.reveal() : value,
  ]);
  const saml = answerSamlRequest(
    { line: `${verb} ${pathname}`, headers: Object.fromEntries(revealed) as Record<string, string>, body: sent },
    origin,
  );
  const common = { status: 200, header: () => undefined, respondedAt: 0, serverAheadMs: 0 };
  if (saml !== undefined) {
    const setCookies = saml.headers?.['set-cookie'] ?? [];
    return { ...common, body: saml.body ?? '', setCookies: typeof setCookies === 'string' ? [setCookies] : setCookies };
  }
  const document = { issuer: origin, token_endpoint: `${origin}/token` };
  const tokens = { access_token: 'provider-token', id_token: 'provider-id-token', expires_in: 3600 };
  const body = JSON.stringify(verb === 'GET' ? document : tokens);
  return { ...common, setCookies: [], body };
}

interface Outcome {
  /** Undefined if the run always takes the slow path. */
  readonly fingerprint: string | undefined;
  /** Undefined if the run fails before it has a key. */
  readonly key: string | undefined;
  /** All that the run sends, without secrets that can be guessed; undefined if it prompts for one of these. */
  readonly sent: string | undefined;
}

function makeTools(host: Host, log: string[], config: ResolvedConfig): MethodContext {
  const guessable = ['password', 'client_secret', config.text('idp-otp-key') ?? ''];
  const refuse: Pick<MethodContext, 'tls' | 'user'> = {
    get tls(): never {
      throw new Error('not needed');
    },
    get user(): never {
      throw new Error('these logins do not prompt');
    },
  };
  return Object.assign(Object.create(refuse) as typeof refuse, {
    host,
    http: {
      send: async (request: HttpRequest) => {
        log.push(request.verb, request.url, ...describeHeaders(request.headers), describeForm(request.body, guessable));
        return answer(request);
      },
      close: () => undefined,
    },
    findV3Endpoint: async () => readAuthUrl(config) ?? '',
    detail: () => undefined,
  });
}

async function resolve(host: Host): Promise<Omit<Outcome, 'fingerprint'>> {
  const { config } = await readConfig(host, parseGetTokenCommand(scanArguments(host.argv)).flags, OPTIONS);
  const { method } = chooseMethod(config);
  const tls = readTlsSettings(config, host);
  const keystoneKey = computeCacheKey(config, method, tls, host);
  const exchange = readTokenExchange(config, host);
  const key = exchange === undefined ? keystoneKey : computeExchangeKey(keystoneKey, exchange);
  const missing = findMissingOptions(config, method).map(({ name }) => name);
  if (missing.length > 0) {
    const others = missing.filter((name) => !GUESSABLE_OPTIONS.includes(name));
    return { key, sent: others.length === 0 ? undefined : `prompts for ${others.join(', ')} (${method.name})` };
  }
  const log: string[] = [readAuthUrl(config) ?? '', String(tls.insecure), tls.ca ?? '', tls.cert ?? ''];
  log.push(exchange?.issuer.url ?? '', exchange?.audience ?? '', exchange?.tls.ca ?? '');
  const request = await method.prepareRequest(config, makeTools(host, log, config));
  if ('token' in request) log.push('the token of the provider', request.token.reveal());
  else {
    const { verb, version, path, otherKeystone, headers, body, rescopeTarget } = request;
    log.push(verb, version ?? 'v3', path, otherKeystone?.url ?? '', ...describeHeaders(headers));
    const guessable = new Set(GUESSABLE_OPTIONS.map((name) => config.secret(name)));
    log.push(describeBody(body, guessable), JSON.stringify(rescopeTarget ?? ''));
  }
  return { key, sent: JSON.stringify(log) };
}

/** A run that ends with an error prints no token, so it must not find one either. */
async function examine(run: Run, folders: Folders): Promise<Outcome> {
  const host = makeHost(run, folders);
  const fingerprint = computeFingerprint(host, '');
  try {
    return { fingerprint, ...(await resolve(host)) };
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    return { fingerprint, key: undefined, sent: `error ${error.code}` };
  }
}

// --- Runs ---

const SAMPLES = makeLoginSamples(t.testdir());
const WITH_EXCHANGE = SAMPLES.logins
  .filter(({ 'auth-type': type }) => type === 'password' || type === 'token')
  .map((login) => addExchange(login, SAMPLES));
const LOGINS = makeRandomLogins({ ...SAMPLES, logins: [...SAMPLES.logins, ...WITH_EXCHANGE] });

/** Returns the folder whose clouds.yaml has this text. A file never changes once it is written. */
type Folders = (text: string) => string;

function makeFolders(base: string): Folders {
  const folders = new Map<string, string>();
  return (text) => {
    const known = folders.get(text);
    if (known !== undefined) return known;
    const folder = join(base, String(folders.size));
    mkdirSync(join(folder, 'openstack'), { recursive: true });
    writeFileSync(join(folder, 'openstack', 'clouds.yaml'), text);
    folders.set(text, folder);
    return folder;
  };
}

function makeHost(run: Run, folders: Folders): Host {
  const { argv, env, clouds } = renderRun(run);
  const all = { ...env, XDG_CONFIG_HOME: folders(clouds) };
  return fakeHost({ argv, env: all, cwd: '/nowhere', home: () => '/nowhere' });
}

/** Adds an outcome to the ones before it, and fails if it shares an ID with one that sends something else. */
function check(seen: Map<string, string>, id: string | undefined, what: string, sent: string): void {
  if (id === undefined) return;
  const other = seen.get(id);
  seen.set(id, sent);
  if (other !== undefined) assert.equal(sent, other, `the same ${what}, but other requests`);
}

/** Compares all runs with each other, and returns how many of them have a key. */
async function compare(family: readonly Run[], folders: Folders): Promise<number> {
  const [byFingerprint, byKey] = [new Map<string, string>(), new Map<string, string>()];
  let count = 0;
  for (const run of family) {
    const { fingerprint, key, sent } = await examine(run, folders);
    if (sent === undefined) continue;
    check(byFingerprint, fingerprint, 'fingerprint', sent);
    check(byKey, key, 'cache key', sent);
    if (key !== undefined) count += 1;
  }
  return count;
}

void t.test(
  'runs that differ in one option, or in arguments that confuse, never share what belongs to another request',
  async (t) => {
    const folders = makeFolders(t.testdir());
    for (const base of LOGINS.bases) {
      const count = await compare(LOGINS.listNeighbors(base), folders);
      const [first] = base.settings;
      t.ok(count > 10, `${first?.value ?? ''}: ${count} runs with a key`);
    }
  },
);

void t.test('runs with the same fingerprint or the same cache key send the same request', async (t) => {
  const folders = makeFolders(t.testdir());
  let sentCount = 0;
  const property = fc.asyncProperty(LOGINS.makeFamilies(24), async (family) => {
    sentCount += await compare(family, folders);
  });
  // With about twelve runs each, that is 50,000.
  await checkProperty(t, property, 50, 4_200);
  t.ok(sentCount > 200, `${sentCount} runs would have sent a request`);
});

// --- Digests ---

/** All of UTF-16, halves of surrogate pairs included. */
const utf16 = fc.array(fc.oneof(fc.integer({ min: 32, max: 126 }), fc.integer({ min: 0, max: 0xffff })));
const texts = utf16.map((units) => String.fromCharCode(...units));

const fields = fc.oneof(
  texts,
  fc.constantFrom(undefined, '', '-', '0:', '1:a', 'a', '\n', '\ud800', '\udfff', '\ufffd'),
);

void t.test('different lists of fields have different digests', async (t) => {
  const lists = fc.array(fields, { maxLength: 6 });
  /** Another list with the same text: joined, split, or with one field replaced. */
  const related = fc.tuple(lists, fc.nat(), fields, fc.boolean()).map(([list, at, field, joins]) => {
    const index = list.length === 0 ? 0 : at % list.length;
    const [before, after] = [list.slice(0, index), list.slice(index + (joins ? 2 : 1))];
    return [list, [...before, joins ? list.slice(index, index + 2).join('\n') : field, ...after]] as const;
  });
  const property = fc.property(related, ([first, second]) => {
    const areEqual = digestFields('test', first) === digestFields('test', second);
    assert.equal(areEqual, isDeepStrictEqual(first, second));
  });
  await checkProperty(t, property, 1_000);
});

void t.test("the fast path's SHA-256 is Node's, for text of any length", async (t) => {
  const property = fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
    assert.equal(sha256(text), createHash('sha256').update(text).digest('hex'));
  });
  await checkProperty(t, property, 400);
});
