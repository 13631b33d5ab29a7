/**
 * Thousands of combinations of file, environment and flags, and the request that each causes. The expected request
 * comes from a model of the table of precedence in docs/reference.md, which shares no code with the program: for each
 * question it searches the sources in order of precedence, while the program merges layers.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resolveRequest } from '../support/resolve-request.ts';

/** Settings by the names of keystoneauth. */
type Settings = Readonly<Record<string, string>>;

/** Flags, environment and file, in order of precedence. */
type Sources = readonly [Settings, Settings, Settings];

const SOURCES = ['flag', 'env', 'file'] as const;

/** Makes a value that names its source, so that a wrong source is visible. */
const of = (name: string, source: string): string => `${name}-of-${source}`;

type ExpectedResult = { readonly auth: unknown } | { readonly conflict: true };

// The model

type Thing = { id: string } | { name: string } | undefined;

/** The ID or the name of something in one source. The ID takes precedence. */
function inSource(source: Settings, thing: string): Thing {
  const id = source[`${thing}_id`];
  if (id !== undefined) return { id };
  const name = source[thing === 'user' ? 'username' : `${thing}_name`];
  return name === undefined ? undefined : { name };
}

const first = <T>(values: readonly (T | undefined)[]): T | undefined => values.find((value) => value !== undefined);

/** The domain of a user or a project: its own in any source, or else a plain domain, and then the default domain. */
function domainFor(sources: Sources, thing: 'user' | 'project'): Thing {
  return (
    first(sources.map((source) => inSource(source, `${thing}_domain`))) ??
    first(sources.map((source) => inSource(source, 'domain'))) ??
    first(sources.map((source) => inSource(source, 'default_domain')))
  );
}

const named = (thing: Thing, domain: Thing): object =>
  thing !== undefined && 'name' in thing && domain !== undefined ? { ...thing, domain } : { ...thing };

/** The scope of the first source that sets one. A domain alone is not a scope if another scope is set. */
function modelScope(sources: Sources): { scope?: unknown } | 'conflict' {
  for (const source of sources) {
    const asked = [
      inSource(source, 'project') && 'project',
      source['system_scope'] && 'system',
      source['trust_id'] && 'trust',
    ].filter((kind) => kind !== undefined);
    if (asked.length > 1) return 'conflict';
    if (asked[0] === 'system') return { scope: { system: { all: true } } };
    if (asked[0] === 'trust') return { scope: { 'OS-TRUST:trust': { id: source['trust_id'] } } };
    if (asked[0] === 'project') {
      return { scope: { project: named(inSource(source, 'project'), domainFor(sources, 'project')) } };
    }
  }
  const domain = first(sources.map((source) => inSource(source, 'domain')));
  return domain === undefined ? {} : { scope: { domain } };
}

function modelUser(sources: Sources): object {
  return named(first(sources.map((source) => inSource(source, 'user'))), domainFor(sources, 'user'));
}

/**
 * A flag with a credential decides; two kinds in flags are an error. Otherwise, a password is used if there is one, and
 * then the credential of the first source.
 */
function modelMethod(sources: Sources): string {
  const set = first(sources.map((source) => source['auth_type']));
  if (set !== undefined) return set;
  const [flags, ...others] = sources;
  const credentialOf = (source: Settings): string | undefined => {
    if (source['application_credential_secret'] !== undefined) return 'v3applicationcredential';
    return source['token'] === undefined ? undefined : 'token';
  };
  if (flags['application_credential_secret'] !== undefined && flags['password'] !== undefined) return 'conflict';
  if (credentialOf(flags) !== undefined) return credentialOf(flags) ?? '';
  if (sources.some((source) => source['password'] !== undefined)) return 'password';
  return first(others.map(credentialOf)) ?? 'password';
}

/** undefined if a setting is missing. */
function model(sources: Sources): ExpectedResult | undefined {
  const value = (name: string): string | undefined => first(sources.map((source) => source[name]));
  const method = modelMethod(sources);
  if (method === 'conflict') return { conflict: true };
  if (method === 'v3applicationcredential') {
    const credential = { id: value('application_credential_id'), secret: value('application_credential_secret') };
    return { auth: { identity: { methods: ['application_credential'], application_credential: credential } } };
  }
  const scope = modelScope(sources);
  if (scope === 'conflict') return { conflict: true };
  if (method === 'token') {
    // Without a scope, the token is only validated.
    if (!('scope' in scope)) return { auth: undefined };
    return { auth: { identity: { methods: ['token'], token: { id: value('token') } }, ...scope } };
  }
  const user = modelUser(sources);
  const known = 'id' in user || 'domain' in user;
  const password = value('password');
  if (!known || password === undefined) return undefined;
  return { auth: { identity: { methods: ['password'], password: { user: { ...user, password } } }, ...scope } };
}

// The combinations

const USERS: readonly (readonly string[])[] = [
  [],
  ['username'],
  ['user_id'],
  ['username', 'user_domain_name'],
  ['user_domain_id'],
  ['username', 'domain_name'],
];

const SCOPES: readonly (readonly string[])[] = [
  [],
  ['project_id'],
  ['project_name', 'project_domain_name'],
  ['project_domain_id'],
  ['project_name', 'domain_id'],
  ['domain_name'],
  ['system_scope'],
  ['trust_id'],
  ['project_id', 'system_scope'],
];

const CREDENTIALS: readonly (readonly string[])[] = [
  [],
  ['password'],
  ['token'],
  ['application_credential_id', 'application_credential_secret'],
  ['application_credential_id', 'application_credential_secret', 'password'],
];

function settings(source: (typeof SOURCES)[number], ...groups: readonly (readonly string[])[]): Settings {
  const names = new Set(groups.flat());
  return Object.fromEntries([...names].map((name) => [name, name === 'system_scope' ? 'all' : of(name, source)]));
}

/** Settings in the file of every combination, so that nothing is missing. */
const FULL = ['username', 'user_domain_name', 'password', 'project_name', 'project_domain_name'];

function* combine(): Generator<Sources> {
  for (const env of USERS) {
    for (const flags of USERS) yield [settings('flag', flags), settings('env', env), settings('file', FULL)];
    for (const file of USERS.slice(1)) {
      for (const flags of USERS) {
        const rest = ['password', 'default_domain_id'];
        yield [settings('flag', flags), settings('env', env), settings('file', file, rest)];
      }
    }
  }
  for (const file of SCOPES) {
    for (const env of SCOPES) {
      for (const flags of SCOPES) {
        const user = ['user_id', 'password', 'default_domain_name'];
        yield [settings('flag', flags), settings('env', env), settings('file', user, file)];
      }
    }
  }
  for (const file of CREDENTIALS) {
    for (const env of CREDENTIALS) {
      for (const flags of CREDENTIALS) {
        const user = ['user_id', 'project_id'];
        yield [settings('flag', flags), settings('env', env), settings('file', user, file)];
      }
    }
  }
  for (const type of ['password', 'token', 'v3applicationcredential']) {
    for (const [index] of SOURCES.entries()) {
      for (const scope of SCOPES.slice(0, 8)) {
        const all = settings('file', ['user_id', 'token', ...(CREDENTIALS[4] ?? [])], scope);
        const sources: [Settings, Settings, Settings] = [{}, {}, all];
        sources[index] = { ...sources[index], auth_type: type };
        yield sources;
      }
    }
  }
}

const variable = (name: string): string => `OS_${name.toUpperCase()}`;

/** The format of the file must not matter, so the combinations use different formats. */
const WRITERS: readonly ((file: Settings) => object)[] = [
  ({ auth_type, ...auth }) => ({ clouds: { c: { auth, ...(auth_type === undefined ? {} : { auth_type }) } } }),
  (file) => ({ clouds: { other: {}, c: file } }),
  ({ auth_type, ...auth }) => {
    const dashed = Object.fromEntries(Object.entries(auth).map(([name, value]) => [name.replaceAll('_', '-'), value]));
    return { clouds: { c: { auth: dashed, ...(auth_type === undefined ? {} : { 'auth-type': auth_type }) } } };
  },
];

/** Keeps the settings that have a flag. The model gets the same settings. */
const NO_FLAG = ['default_domain_id', 'default_domain_name'];

await t.test('each combination leads to one request', async (t) => {
  const home = t.testdir({});
  const folder = join(home, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const wrong: unknown[] = [];
  let count = 0;
  let conflicts = 0;
  for (const sources of combine()) {
    const [flags, env, file] = sources;
    const wanted = model(sources);
    if (wanted === undefined) continue;
    const writer = WRITERS[count % WRITERS.length] ?? WRITERS[0];
    count += 1;
    writeFileSync(join(folder, 'clouds.yaml'), JSON.stringify(writer?.(file)));
    const argv = Object.entries(flags)
      .filter(([name]) => !NO_FLAG.includes(name))
      .map(([name, value]) => `--${name.replaceAll('_', '-')}=${value}`);
    const variables = Object.fromEntries(Object.entries(env).map(([name, value]) => [variable(name), value]));
    if ('conflict' in wanted) conflicts += 1;
    const got: ExpectedResult | { error: unknown } = await resolveRequest(
      argv,
      { ...variables, OS_CLOUD: 'c' },
      { home: () => home },
    )
      .then(({ auth }) => ({ auth }))
      .catch((error: unknown) =>
        error instanceof Error && 'code' in error && error.code === 'config-conflict'
          ? { conflict: true as const }
          : { error: String(error) },
      );
    if (!isSame(got, wanted)) wrong.push({ sources, wanted, got });
  }
  t.strictSame(wrong.slice(0, 5), [], `${String(wrong.length)} of ${String(count)} are wrong`);
  t.ok(count >= 900, `${String(count)} combinations, ${String(conflicts)} of them conflicts`);
  t.ok(conflicts > 50);
  t.comment(`${String(count)} combinations, ${String(conflicts)} of them conflicts`);
});

/** Whether two JSON values are equal, in any order of members. */
function isSame(one: unknown, other: unknown): boolean {
  const sort = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => a.localeCompare(b))
            .map(([name, member]) => [name, sort(member)]),
        )
      : value;
  return JSON.stringify(sort(one)) === JSON.stringify(sort(other));
}

await t.test('an explicit auth method leads to the same request, even with all options set', async (t) => {
  const home = t.testdir({});
  const folder = join(home, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const asked = async (file: Settings, env: Settings, flags: readonly string[] = []): Promise<unknown> => {
    writeFileSync(join(folder, 'clouds.yaml'), JSON.stringify({ clouds: { c: { auth: file } } }));
    return (await resolveRequest([...flags], { OS_CLOUD: 'c', ...env }, { home: () => home })).auth;
  };
  const password = (user: object, scope?: object): object => ({
    identity: { methods: ['password'], password: { user: { ...user, password: 'pw' } } },
    ...(scope === undefined ? {} : { scope }),
  });
  const alice = { username: 'alice', user_domain_name: 'D', password: 'pw' };
  t.strictSame(await asked(alice, {}), password({ name: 'alice', domain: { name: 'D' } }));
  t.strictSame(
    await asked(alice, { OS_USER_DOMAIN_ID: 'd' }),
    password({ name: 'alice', domain: { id: 'd' } }),
    'the pair is replaced',
  );
  t.strictSame(await asked(alice, { OS_USER_ID: 'u' }), password({ id: 'u' }));
  t.strictSame(
    await asked({ ...alice, project_id: 'p' }, { OS_PROJECT_NAME: 'n', OS_PROJECT_DOMAIN_ID: 'd' }),
    password({ name: 'alice', domain: { name: 'D' } }, { project: { name: 'n', domain: { id: 'd' } } }),
  );
  t.strictSame(
    await asked({ ...alice, project_id: 'p' }, { OS_PROJECT_ID: 'q' }, ['--system-scope=all']),
    password({ name: 'alice', domain: { name: 'D' } }, { system: { all: true } }),
  );
  t.strictSame(
    await asked(
      { ...alice, project_id: 'p' },
      { OS_APPLICATION_CREDENTIAL_ID: 'i', OS_APPLICATION_CREDENTIAL_SECRET: 's' },
    ),
    password({ name: 'alice', domain: { name: 'D' } }, { project: { id: 'p' } }),
    'a complete password login comes first',
  );
  t.strictSame(
    await asked({ ...alice, project_id: 'p' }, { OS_APPLICATION_CREDENTIAL_SECRET: 's' }, [
      '--application-credential-id=i',
    ]),
    { identity: { methods: ['application_credential'], application_credential: { id: 'i', secret: 's' } } },
    'no scope',
  );
});
