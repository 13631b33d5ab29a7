/**
 * What every option has to do with the cache key, as its declaration says: an option that decides who logs in, to what or
 * where changes the key, and no other does. The tests go through the registry, so a new method or option is tested too.
 */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { chooseMethod } from '../../src/plugin/auth-methods/choose-method.ts';
import type { AuthMethod, MethodContext } from '../../src/plugin/auth-methods/auth-method.ts';
import { listMethodNames, METHOD_BY_NAME, METHODS, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { COMMON_OPTIONS } from '../../src/plugin/config/common-options.ts';
import type { Layer, Option, OptionName } from '../../src/plugin/config/option.ts';
import { resolveConfig } from '../../src/plugin/config/resolve-config.ts';
import type { ResolvedConfig } from '../../src/plugin/config/resolve-config.ts';
import { computeCacheKey, computeExchangeKey } from '../../src/plugin/login/cache-key.ts';
import { readTokenExchange } from '../../src/plugin/login/token-exchange.ts';
import { PluginError } from '../../src/shared/base/errors.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import type { HttpRequest, HttpResponse } from '../../src/shared/http/http-message.ts';
import { readTlsSettings } from '../../src/shared/http/tls-settings.ts';
import type { TlsSettings } from '../../src/shared/http/tls-settings.ts';
import { fakeHost } from '../support/fake-host.ts';
import { addExchange, makeLoginSamples, makeUnsignedJwt, SCOPE_SAMPLES } from '../support/login-samples.ts';
import type { LoginSample, LoginSamples } from '../support/login-samples.ts';

const OPTION_BY_NAME = new Map(OPTIONS.map((option) => [option.name, option]));

interface Machine extends LoginSamples {
  readonly host: Host;
  readonly folder: string;
}

/** Makes a machine whose klist finds the tickets of alice. */
function makeMachine(t: Test): Machine {
  const folder = t.testdir();
  const host = fakeHost({ env: { PATH: join(folder, 'bin') }, cwd: folder });
  writeTickets(folder, 'alice');
  return { ...makeLoginSamples(folder), host, folder };
}

function writeTickets(folder: string, name: string): void {
  const path = join(folder, 'bin', 'klist');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  writeFileSync(`${path}.new`, `#!/bin/sh\nprintf 'Ticket cache: KCM:1\\nDefault principal: ${name}@A.TEST\\n'\n`);
  chmodSync(`${path}.new`, 0o700);
  renameSync(`${path}.new`, path);
}

function makeLayer(sample: LoginSample): Layer {
  return new Map(
    Object.entries(sample).flatMap(([text, value]) => {
      const name = text as OptionName;
      const isSecret = OPTION_BY_NAME.get(name)?.secret === true;
      return value === '' ? [] : [[name, { value: isSecret ? new Secret(value) : value, origin: name }] as const];
    }),
  );
}

const resolve = (sample: LoginSample): ResolvedConfig => resolveConfig([makeLayer(sample)], OPTIONS);

/** The client certificate and its key are any text, because their files are not the subject. */
function readTls(config: ResolvedConfig, host: Host): TlsSettings {
  const withoutCertificate = resolveConfig(
    config.layers.map((layer) => new Map([...layer].filter(([name]) => name !== 'cert' && name !== 'key'))),
    OPTIONS,
  );
  return { ...readTlsSettings(withoutCertificate, host), cert: config.text('cert') };
}

/**
 * Computes the key of the token that a cluster gets.
 *
 * @returns undefined if the settings contradict each other
 */
function findKey(sample: LoginSample, host: Host): string | undefined {
  try {
    const config = resolve(sample);
    const keystoneKey = computeCacheKey(config, chooseMethod(config).method, readTls(config, host), host);
    const exchange = readTokenExchange(config, host);
    return exchange === undefined ? keystoneKey : computeExchangeKey(keystoneKey, exchange);
  } catch (error) {
    if (error instanceof PluginError) return undefined;
    throw error;
  }
}

/** Returns the settings with one option that replaces the other names of the same thing. */
function replaceOption(sample: LoginSample, { name, pair }: Option, value: string): LoginSample {
  const others = Object.entries(sample).filter(
    ([other]) => pair === undefined || OPTION_BY_NAME.get(other as OptionName)?.pair !== pair,
  );
  return { ...(Object.fromEntries(others) as LoginSample), [name]: value };
}

/** Counts the different keys of settings that differ in one option. */
function countKeys(sample: LoginSample, option: Option, { host, valuesOf }: Machine): number {
  // Without its proof, a login is another one: a client without a secret is public.
  const values = [...valuesOf(option.name).slice(0, 2), ...(option.cacheKey === 'proof' ? [] : [''])];
  const keys = values.map((value) => findKey(replaceOption(sample, option, value), host));
  return new Set(keys.filter((key) => key !== undefined)).size;
}

function samplesOf({ name }: AuthMethod, { logins }: Machine): LoginSample[] {
  const own = logins.filter((login) => login['auth-type'] === name);
  return own.flatMap((login) => SCOPE_SAMPLES.map((scope) => ({ ...login, ...scope })));
}

// --- What a method reads ---

/** Notes the names of the options that are read. The origin of a value is only for messages. */
function recordReads(config: ResolvedConfig, names: Set<string>): ResolvedConfig {
  const record =
    <T>(read: (name: OptionName) => T) =>
    (name: OptionName): T => {
      names.add(name);
      return read(name);
    };
  return {
    ...config,
    text: record(config.text),
    secret: record(config.secret),
    isOn: record(config.isOn),
    has: record(config.has),
    setting: record(config.setting),
    layers: config.layers.map((layer) => {
      const recorded = new Map(layer);
      recorded.get = (name) => {
        names.add(name);
        return layer.get(name);
      };
      return recorded;
    }),
  };
}

class StopsHere extends Error {}

function stop(): never {
  throw new StopsHere();
}

async function answer({ url }: HttpRequest): Promise<HttpResponse> {
  const { origin } = new URL(url);
  const document = { issuer: origin, token_endpoint: `${origin}/t`, authorization_endpoint: `${origin}/a` };
  const body = JSON.stringify({ ...document, access_token: 'access', id_token: 'id', expires_in: 60 });
  return { status: 200, header: () => undefined, setCookies: [], body, respondedAt: 0, serverAheadMs: 0 };
}

/** Lists the options that a method reads to log in, up to the browser. */
async function listReads(method: AuthMethod, sample: LoginSample, host: Host): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const config = recordReads(resolve(sample), names);
  const tools: MethodContext = {
    host,
    http: { send: answer, close: () => undefined },
    tls: readTls(resolve(sample), host),
    user: {
      tell: stop,
      requirePresence: stop,
      notify: stop,
      prompt: stop,
      promptForChoice: stop,
      cannotPromptReason: undefined,
    },
    findV3Endpoint: async () => 'https://a.test/v3',
    detail: () => undefined,
  };
  try {
    method.listMissing(config);
    method.identify(config, host);
    await method.prepareRequest(config, tools);
  } catch (error) {
    if (!(error instanceof StopsHere) && !(error instanceof PluginError)) throw error;
  }
  return names;
}

// --- Tests ---

const isInKey = ({ cacheKey }: Option): boolean => cacheKey === 'identity' || cacheKey === 'trust';

void t.test('the samples contain every auth method', async (t) => {
  const machine = makeMachine(t);
  for (const method of METHODS) t.ok(samplesOf(method, machine).length > 0, method.name);
});

void t.test('every option that an auth method declares changes its key, or says why it does not', async (t) => {
  const machine = makeMachine(t);
  for (const method of METHODS) {
    const samples = samplesOf(method, machine);
    for (const option of method.options) {
      const isFound = samples.some((sample) => countKeys(sample, option, machine) > 1);
      if (isFound !== isInKey(option)) t.fail(`${method.name}: ${option.name} is ${isFound ? '' : 'not '}in the key`);
    }
    t.pass(method.name);
  }
});

void t.test('every common option that an auth method reads changes its key, or says why it does not', async (t) => {
  const machine = makeMachine(t);
  for (const method of METHODS) {
    const samples = samplesOf(method, machine);
    const reads = await Promise.all(samples.map((sample) => listReads(method, sample, machine.host)));
    const names = new Set(reads.flatMap((read) => [...read]));
    for (const option of COMMON_OPTIONS) {
      const isFound = samples.some((sample) => countKeys(sample, option, machine) > 1);
      if (isFound && !isInKey(option)) t.fail(`${method.name}: ${option.name} is in the key`);
      if (!isFound && isInKey(option) && names.has(option.name))
        t.fail(`${method.name}: ${option.name} is not in the key`);
    }
    t.pass(method.name);
  }
});

void t.test(
  'every option that changes the Keystone token changes the JWT, and an exchange has options of its own',
  async (t) => {
    const machine = makeMachine(t);
    const own = COMMON_OPTIONS.filter(({ group }) => group === 'Token exchange');
    for (const method of METHODS) {
      const samples = samplesOf(method, machine)
        .filter((sample) => !('token-kind' in sample))
        .map((sample) => addExchange(sample, machine));
      for (const option of [...method.options, ...own].filter(({ name }) => name !== 'token-kind')) {
        const isFound = samples.some((sample) => countKeys(sample, option, machine) > 1);
        if (isFound !== isInKey(option)) t.fail(`${method.name}: ${option.name} is ${isFound ? '' : 'not '}in the key`);
      }
      t.pass(method.name);
    }
    const [login = {}] = machine.logins;
    const keyOf = (sample: LoginSample): string => {
      const config = resolve(sample);
      return computeCacheKey(config, chooseMethod(config).method, readTls(config, machine.host), machine.host);
    };
    t.equal(keyOf(addExchange(login, machine)), keyOf(login), 'the Keystone token is shared by all clusters');
  },
);

void t.test('an auth method reads only the options that it declares, and common ones', async (t) => {
  const machine = makeMachine(t);
  for (const method of METHODS) {
    const declared = new Set<string>([...COMMON_OPTIONS, ...method.options].map(({ name }) => name));
    const samples = samplesOf(method, machine);
    const reads = await Promise.all(samples.map((sample) => listReads(method, sample, machine.host)));
    const undeclared = new Set(reads.flatMap((names) => [...names].filter((name) => !declared.has(name))));
    t.strictSame([...undeclared], [], method.name);
  }
});

void t.test('a secret is a proof or an identity, and every reason is given once for each kind', async (t) => {
  for (const option of OPTIONS.filter(({ secret }) => secret)) {
    t.match(option.cacheKey, /^(?:proof|identity)$/, option.name);
  }
  for (const { name, cacheKey } of OPTIONS) {
    if (typeof cacheKey === 'object') t.ok(cacheKey.unusedBecause.length > 0, name);
  }
});

void t.test('every name of an auth method leads to the same key', async (t) => {
  const machine = makeMachine(t);
  for (const method of METHODS.filter(({ aliases }) => aliases.length > 0)) {
    const [sample = {}] = samplesOf(method, machine);
    const keys = listMethodNames(method).map((name) => findKey({ ...sample, 'auth-type': name }, machine.host));
    t.equal(new Set(keys).size, 1, method.name);
  }
});

void t.test('what decides who logs in without being an option is in the key too', async (t) => {
  const machine = makeMachine(t);
  const { host, folder, logins } = machine;
  const sampleOf = (name: string, option?: OptionName): LoginSample =>
    logins.find((login) => login['auth-type'] === name && (option === undefined || option in login)) ?? {};
  const keyOf = (sample: LoginSample, parts: Partial<Host> = {}): string | undefined =>
    findKey(sample, { ...host, ...parts });
  const password = sampleOf('password');

  t.not(keyOf(password, { uid: 1 }), keyOf(password, { uid: 2 }), 'the user of this machine');

  const withFile = sampleOf('v4jwt', 'jwt-file');
  const pod = sampleOf('v4k8s');
  for (const [what, sample] of [['v4jwt', withFile] as const, ['v4k8s', pod] as const]) {
    const before = keyOf(sample);
    writeFileSync(sample['jwt-file'] ?? sample['k8s-auth-token-file'] ?? '', makeUnsignedJwt({ sub: `new-${what}` }));
    t.not(keyOf(sample), before, `${what}: the content of the file`);
  }

  const authority = { ...password, cacert: join(folder, '0.pem') };
  const before = keyOf(authority);
  renameSync(join(folder, '1.pem'), join(folder, '0.pem'));
  t.not(keyOf(authority), before, 'the content of the CA file');

  const kerberos = sampleOf('v3kerberos');
  const alice = keyOf(kerberos);
  t.equal(keyOf(kerberos), alice, 'the same tickets');
  writeTickets(folder, 'bob');
  t.not(keyOf(kerberos), alice, 'the tickets of bob');

  for (const name of ['SSL_CERT_FILE', 'SSL_CERT_DIR']) {
    const env = { ...host.env, [name]: '/a' };
    t.not(keyOf(password, { env }), keyOf(password), name);
    t.equal(keyOf(authority, { env }), keyOf(authority), `with a CA file of its own, ${name} has no effect`);
  }
});

void t.test('two JWTs whose claims differ in any detail are two identities', async (t) => {
  const { host } = makeMachine(t);
  const keyOf = (claims: string): string | undefined =>
    findKey(
      {
        'auth-type': 'v4jwt',
        'keystone-url': 'https://a.test/v3',
        'identity-provider': 'a',
        jwt: makeUnsignedJwt(claims),
      },
      host,
    );
  const texts = [
    '{"sub":"a"}',
    '{"sub":"A"}',
    '{"sub":"a "}',
    '{"sub":"\u00e4"}',
    '{"sub":"a\u0308"}',
    '{"sub":"a","iss":"https://a.test"}',
    '{"sub":"a","iss":"https://b.test"}',
    '{"sub":"a","aud":"x"}',
    '{"sub":"a","aud":["x"]}',
    '{"sub":"a","user_id":9007199254740992}',
    '{"sub":"a","user_id":9007199254740993}',
    '{"sub":"a","user_id":"9007199254740993"}',
    '{"sub":"a","user_id":"\\"9007199254740993"}',
    '{"sub":"a","user_id":null}',
    '{"sub":"a","user_id":1e400}',
    '{"sub":"a","user_id":1e500}',
    '{"sub":"a","warnafter":1}',
    '{"sub":"a","warnafter":2}',
    '{"sub":"a","kubernetes.io":{"pod":{"warnafter":1}}}',
    '{"sub":"a","kubernetes.io":{"pod":{"warnafter":2}}}',
    '{"sub":"a","__proto__":{"x":1}}',
    '{"sub":"a","__proto__":{"x":2}}',
  ];
  const keys = texts.map(keyOf);
  t.notOk(keys.includes(undefined));
  t.equal(new Set(keys).size, texts.length);

  t.equal(
    keyOf('{"iat":1,"exp":2,"nbf":1,"jti":"x","auth_time":1,"sub":"a"}'),
    keyOf('{"sub":"a","exp":3}'),
    'renewed',
  );
  const ofPod = (warnafter: number): string => `{"sub":"a","kubernetes.io":{"namespace":"a","warnafter":${warnafter}}}`;
  t.equal(keyOf(ofPod(1)), keyOf(ofPod(2)), 'renewed by Kubernetes');

  const withByte = (byte: number): string => {
    const payload = Buffer.from([...Buffer.from('{"sub":"'), byte, ...Buffer.from('"}')]).toString('base64url');
    return `e30.${payload}.c2ln`;
  };
  const sample = {
    ...{ 'auth-type': 'v4jwt', 'keystone-url': 'https://a.test/v3' },
    'identity-provider': 'a',
  } as const;
  for (const byte of [0xfe, 0xff]) {
    t.equal(findKey({ ...sample, jwt: withByte(byte) }, host), undefined, 'bytes that are not UTF-8 are not a JWT');
  }
});

void t.test('every auth method has its own key', async (t) => {
  const { host, logins } = makeMachine(t);
  const keys = logins.map((login) => findKey(login, host));
  t.notOk(keys.includes(undefined));
  t.equal(new Set(keys).size, logins.length);
  t.ok(METHOD_BY_NAME.size > METHODS.length);
});
