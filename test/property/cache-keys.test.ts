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
import { METHOD_BY_NAME, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { digestFields, sha256 } from '../../src/plugin/cache/sha256.ts';
import { parseGetTokenCommand, scanArguments } from '../../src/plugin/cli/parse-command-line.ts';
import type { OptionName } from '../../src/plugin/config/option.ts';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import type { ResolvedConfig } from '../../src/plugin/config/resolve-config.ts';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import { computeCacheKey } from '../../src/plugin/login/cache-key.ts';
import { PluginError } from '../../src/shared/base/errors.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import type { HttpRequest, HttpResponse } from '../../src/shared/http/http-message.ts';
import { readTlsSettings } from '../../src/shared/http/tls-settings.ts';
import type { JsonWithSecrets } from '../../src/shared/keystone/auth-request.ts';
import { readAuthUrl } from '../../src/shared/keystone/auth-url.ts';
import { fakeHost } from '../support/fake-host.ts';
import { GUESSABLE_OPTIONS, makeLoginSamples, SCOPE_SAMPLES } from '../support/login-samples.ts';
import type { LoginSample } from '../support/login-samples.ts';
import { checkProperty } from '../support/property.ts';

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

/** Answers as an identity provider with one discovery document, or as Keystone's token endpoint. */
function answer({ verb, url }: HttpRequest): HttpResponse {
  const { origin } = new URL(url);
  const document = { issuer: origin, token_endpoint: `${origin}/token` };
  const tokens = { access_token: 'provider-token', id_token: 'provider-id-token', expires_in: 3600 };
  const body = JSON.stringify(verb === 'GET' ? document : tokens);
  return { status: 200, header: () => undefined, body, respondedAt: 0, serverAheadMs: 0 };
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
  const key = computeCacheKey(config, method, tls, host);
  const missing = findMissingOptions(config, method).map(({ name }) => name);
  if (missing.length > 0) {
    const others = missing.filter((name) => !GUESSABLE_OPTIONS.includes(name));
    return { key, sent: others.length === 0 ? undefined : `prompts for ${others.join(', ')} (${method.name})` };
  }
  const log: string[] = [readAuthUrl(config) ?? '', String(tls.insecure), tls.ca ?? '', tls.cert ?? ''];
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

type Place = 'flag' | 'flag with a space' | 'variable' | 'file';

interface Written {
  readonly name: OptionName;
  readonly value: string;
  readonly place: Place;
}

interface Run {
  readonly settings: readonly Written[];
  /** Arguments as they are, after the settings. */
  readonly more: readonly string[];
}

const OPTION_BY_NAME = new Map(OPTIONS.map((option) => [option.name, option]));

function makeHost({ settings, more }: Run, folders: Folders): Host {
  const argv: string[] = [];
  const env: Record<string, string> = {};
  const auth: Record<string, string> = {};
  for (const { name, value, place } of settings) {
    const option = OPTION_BY_NAME.get(name);
    const [variable] = option?.env ?? [];
    const isFile = place === 'file' && option?.file !== 'nowhere' && option?.group !== 'Run';
    if (isFile) auth[name.replaceAll('-', '_')] = value;
    else if (place !== 'variable' && option?.flag !== false) {
      argv.push(...(place === 'flag' ? [`--${name}=${value}`] : [`--${name}`, value]));
    } else if (variable !== undefined) env[variable] = value;
  }
  env['XDG_CONFIG_HOME'] = folders(auth);
  if (Object.keys(auth).length > 0) env['OS_CLOUD'] = 'c';
  return fakeHost({ argv: [...argv, ...more], env, cwd: '/nowhere', home: () => '/nowhere' });
}

/** Returns the folder whose clouds.yaml contains this cloud. A file never changes once it is written. */
type Folders = (cloud: Readonly<Record<string, string>>) => string;

function makeFolders(base: string): Folders {
  const folders = new Map<string, string>();
  return (cloud) => {
    // Options that belong next to `auth` are there, and the others are below it: a wrong place is ignored.
    const text = JSON.stringify({ clouds: { c: { ...cloud, auth: cloud } } });
    const known = folders.get(text);
    if (known !== undefined) return known;
    const folder = join(base, String(folders.size));
    mkdirSync(join(folder, 'openstack'), { recursive: true });
    writeFileSync(join(folder, 'openstack', 'clouds.yaml'), text);
    folders.set(text, folder);
    return folder;
  };
}

const SAMPLES = makeLoginSamples(t.testdir());
const { valuesOf } = SAMPLES;

/** Logins that need neither a browser nor a ticket. */
const LOGINS = SAMPLES.logins.filter((login) => {
  const method = METHOD_BY_NAME.get(login['auth-type'] ?? '');
  return login['auth-type'] !== 'v3kerberos' && (method?.waitsForUser !== true || 'code' in login);
});

/** Options that any login may have in addition. */
const EXTRAS = OPTIONS.filter(
  ({ name, cacheKey }) => (typeof cacheKey === 'string' || name === 'no-env') && name !== 'cert' && name !== 'key',
).map(({ name }) => name);

const PLACES: readonly Place[] = ['flag', 'flag with a space', 'variable', 'file'];

/** A change to the first run of a family. */
type Change = (run: Run) => Run;

const changeSetting =
  (name: OptionName, change: (setting: Written) => Written[]): Change =>
  (run) => ({
    ...run,
    settings: run.settings.flatMap((setting) => (setting.name === name ? change(setting) : [setting])),
  });

/** Arguments that a parser may read in another way than it seems. */
const FRAGMENTS: readonly string[] = [
  ...['--user-name', '--user-name=', '--user-name=b', '--username=c', '--no-user-name', '--userName=d', '--user-nam=e'],
  ...['--password', '--password=', '--password=x', '--application-credential-secret', '--token', '--token=t', '--'],
  ...['--project-id=a', '--project-id=b', '--projectId=c', '--project.id=d', '-project-id=e', '--project-id', '-p'],
  ...['--keystone-url=https://b.test/v3', '--auth-url=https://a.test/x/v3', '--no-env', '--no-env=false', '--unscoped'],
  ...['--unscoped=no', '-v', '-vvv', '--verbose=0', '', 'a', 'get-token', '-', '=', '--=', '-=b', '--__proto__=x'],
];

/** Arguments that a parser reads in another way than it seems: a secret flag takes the next argument, or is a value. */
const CONFUSING: readonly (readonly string[])[] = ['', '--user-name', '--token'].flatMap((before) =>
  ['--password', '--password=', '--password=x'].flatMap((secret) =>
    ['', '--project-id=a', '--project-id=b', '--user-name=b'].map((after) =>
      [before, secret, after].filter((argument) => argument !== ''),
    ),
  ),
);

function changesOf(names: readonly OptionName[]): fc.Arbitrary<Change> {
  const own = fc.constantFrom(...names);
  const places = fc.constantFrom(...PLACES);
  const oneOf = (name: OptionName): fc.Arbitrary<string> => fc.constantFrom(...valuesOf(name));
  const replace = own.chain((name) =>
    oneOf(name).map((value) => changeSetting(name, (setting) => [{ ...setting, value }])),
  );
  const move = fc.tuple(own, places).map(([name, place]) => changeSetting(name, (setting) => [{ ...setting, place }]));
  const drop = own.map((name) => changeSetting(name, () => []));
  const add = fc
    .constantFrom(...EXTRAS, ...names)
    .chain((name) => fc.tuple(fc.constant(name), oneOf(name), places))
    .map<Change>(([name, value, place]) => (run) => ({
      ...run,
      settings: [...run.settings, { name, value, place }],
    }));
  const fragments = fc.array(fc.constantFrom(...FRAGMENTS), { minLength: 1, maxLength: 4 });
  const confuse = fc.oneof(fc.constantFrom(...CONFUSING), fragments).map<Change>((more) => (run) => ({ ...run, more }));
  return fc.oneof(
    { weight: 4, arbitrary: replace },
    move,
    drop,
    { weight: 2, arbitrary: add },
    {
      weight: 2,
      arbitrary: confuse,
    },
  );
}

/** The first run of a family. */
function makeBase({ 'auth-type': type, ...login }: LoginSample, isNamed: boolean, place: Place): Run {
  const named = isNamed ? { 'auth-type': type, ...login } : login;
  return {
    settings: Object.entries(named).map(([name, value = '']) => ({ name: name as OptionName, value, place })),
    more: [],
  };
}

const families: fc.Arbitrary<Run[]> = fc
  .record({
    login: fc.constantFrom(...LOGINS),
    scope: fc.constantFrom(...SCOPE_SAMPLES),
    place: fc.constantFrom(...PLACES),
    isNamed: fc.boolean(),
  })
  .chain(({ login, scope, place, isNamed }) => {
    const base = makeBase({ ...login, ...scope }, isNamed, place);
    const names = base.settings.map(({ name }) => name);
    const variants = fc.array(fc.array(changesOf(names), { minLength: 1, maxLength: 2 }), {
      minLength: 1,
      maxLength: 24,
    });
    return variants.map((lists) => [
      base,
      ...lists.map((changes) => changes.reduce((run, change) => change(run), base)),
    ]);
  });

/** Adds an outcome to the ones before it, and fails if it shares an id with one that sends something else. */
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

/** A run and all runs that differ from it in the value of one option, or in arguments that confuse. */
function listNeighbors(base: Run): Run[] {
  const others = base.settings.flatMap(({ name }) =>
    valuesOf(name).map((value) => changeSetting(name, (setting) => [{ ...setting, value }])(base)),
  );
  return [base, ...others, ...CONFUSING.map((more) => ({ ...base, more }))];
}

void t.test(
  'runs that differ in one option, or in arguments that confuse, never share what belongs to another request',
  async (t) => {
    const folders = makeFolders(t.testdir());
    const logins = LOGINS.flatMap((login) => [makeBase(login, true, 'variable'), makeBase(login, false, 'variable')]);
    const [password = {}] = LOGINS;
    const scopes = SCOPE_SAMPLES.map((scope) => makeBase({ ...password, ...scope }, true, 'variable'));
    for (const base of [...logins, ...scopes]) {
      const count = await compare(listNeighbors(base), folders);
      const [first] = base.settings;
      // Without a name, some settings select no auth method.
      if (first?.name === 'auth-type') t.ok(count > 10, `${first.value}: ${count} runs with a key`);
    }
  },
);

void t.test('runs with the same fingerprint or the same cache key send the same request', async (t) => {
  const folders = makeFolders(t.testdir());
  let sentCount = 0;
  const property = fc.asyncProperty(families, async (family) => {
    sentCount += await compare(family, folders);
  });
  await checkProperty(t, property, 70);
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
