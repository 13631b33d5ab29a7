/**
 * What overrides what (docs/reference.md), for random settings in all sources at once. The model below says it a second
 * time, in the words of that page, and knows nothing of how the program merges its layers.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { parseGetTokenCommand, scanArguments } from '../../src/plugin/cli/parse-command-line.ts';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import { resolveScope } from '../../src/plugin/config/resolve-scope.ts';
import { PluginError } from '../../src/shared/base/errors.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { fakeHost } from '../support/fake-host.ts';
import { checkProperty } from '../support/property.ts';

const PAIRS = ['user', 'user-domain', 'project', 'project-domain', 'domain', 'default-domain'] as const;

type Pair = (typeof PAIRS)[number];
type Half = `${Pair}-${'id' | 'name'}`;
type Name = Half | 'keystone-url' | 'password' | 'trust-id' | 'system-scope' | 'unscoped';

/** How each option is written: its flags, its variables in their order, and its older variables. */
interface Spelling {
  readonly flags: readonly string[];
  readonly variables: readonly string[];
  readonly older: readonly string[];
}

const spell = (flags: string, variables: string, older = ''): Spelling => {
  const split = (words: string): string[] => words.split(' ').filter((word) => word !== '');
  return { flags: split(flags), variables: split(variables), older: split(older) };
};

const SPELLINGS: Readonly<Record<Name, Spelling>> = {
  'keystone-url': spell('--keystone-url --auth-url', 'OS_AUTH_URL'),
  password: spell('--password', 'OS_PASSWORD'),
  'user-id': spell('--user-id', 'OS_USER_ID OS_USERID'),
  'user-name': spell('--user-name --username', 'OS_USERNAME OS_USER_NAME'),
  'user-domain-id': spell('--user-domain-id', 'OS_USER_DOMAIN_ID'),
  'user-domain-name': spell('--user-domain-name', 'OS_USER_DOMAIN_NAME'),
  'project-id': spell('--project-id', 'OS_PROJECT_ID', 'OS_TENANT_ID'),
  'project-name': spell('--project-name', 'OS_PROJECT_NAME', 'OS_TENANT_NAME'),
  'project-domain-id': spell('--project-domain-id', 'OS_PROJECT_DOMAIN_ID'),
  'project-domain-name': spell('--project-domain-name', 'OS_PROJECT_DOMAIN_NAME'),
  'domain-id': spell('--domain-id', 'OS_DOMAIN_ID'),
  'domain-name': spell('--domain-name', 'OS_DOMAIN_NAME'),
  'default-domain-id': spell('', 'OS_DEFAULT_DOMAIN_ID OS_DEFAULT_DOMAIN'),
  'default-domain-name': spell('', 'OS_DEFAULT_DOMAIN_NAME'),
  'trust-id': spell('--trust-id', 'OS_TRUST_ID'),
  'system-scope': spell('--system-scope', 'OS_SYSTEM_SCOPE'),
  unscoped: spell('--unscoped', 'OS_UNSCOPED'),
};

const NAMES = Object.keys(SPELLINGS) as readonly Name[];

/** One setting of one source, as it is written there. */
interface Written {
  readonly name: Name;
  readonly value: string;
  /** Chooses among the ways to write it. */
  readonly way: number;
}

/** What every source contains. */
interface Sources {
  readonly flags: readonly Written[];
  readonly variables: readonly Written[];
  readonly region: readonly Written[];
  readonly secure: readonly Written[];
  readonly cloud: readonly Written[];
  readonly profile: readonly Written[];
  readonly isCloudNamed: boolean;
  readonly ignoresVariables: boolean;
}

const choose = <T>(list: readonly T[], way: number): T => {
  const item = list[way % list.length];
  assert.ok(item !== undefined);
  return item;
};

// --- Writing the sources ---

function writeFlags(written: readonly Written[]): string[] {
  return written.flatMap(({ name, value, way }) => {
    const { flags } = SPELLINGS[name];
    if (flags.length === 0) return [];
    const flag = choose(flags, way);
    if (name === 'unscoped') return value === 'true' && way % 2 === 0 ? [flag] : [`${flag}=${value}`];
    return way % 2 === 0 ? [`${flag}=${value}`] : [flag, value];
  });
}

function variableOf({ name, way }: Written): string {
  const { variables, older } = SPELLINGS[name];
  return choose([...variables, ...older], way);
}

const writeVariables = (written: readonly Written[]): Record<string, string> =>
  Object.fromEntries(written.map((setting) => [variableOf(setting), setting.value]));

/** A key of clouds.yaml: a variable without `OS_`, or the name of the option, with dashes or underscores. */
function keyOf(setting: Written): string {
  const { name, way } = setting;
  const keys = [name, name.replaceAll('-', '_'), variableOf(setting).slice(3).toLowerCase()];
  return choose(keys, way);
}

/** Keys below `auth`, or next to it. Two keys that only differ in their dashes are an error, so one of them is left out. */
function writeEntry(written: readonly Written[]): Record<string, unknown> {
  const [below, beside] = [new Map<string, string>(), new Map<string, string>()];
  for (const setting of written) {
    const keys = choose([below, beside], setting.way);
    const key = keyOf(setting);
    const clash = [...keys.keys()].find((other) => other.replaceAll('-', '_') === key.replaceAll('-', '_'));
    keys.set(clash ?? key, setting.value);
  }
  return { ...Object.fromEntries(beside), auth: Object.fromEntries(below) };
}

// --- The model ---

type Settings = ReadonlyMap<Name, string>;

const isSet = (settings: Settings, pair: Pair): boolean => settings.has(`${pair}-id`) || settings.has(`${pair}-name`);

/** Of several ways to set an option in one source, the first in the list that is not empty counts. */
function readSource(values: ReadonlyMap<string, string>, list: (name: Name, older: boolean) => string[]): Settings {
  const settings = new Map<Name, string>();
  const read = (name: Name, older: boolean): void => {
    const way = list(name, older).find((candidate) => (values.get(candidate) ?? '') !== '');
    if (way !== undefined) settings.set(name, values.get(way) ?? '');
  };
  for (const name of NAMES) read(name, false);
  // "OS_TENANT_* alone means the project."
  if (!isSet(settings, 'project')) for (const name of NAMES) read(name, true);
  return settings;
}

function readFlagsOf(sources: Sources): Settings {
  const settings = new Map<Name, string>();
  for (const { name, value } of sources.flags) if (SPELLINGS[name].flags.length > 0) settings.set(name, value);
  // The last one counts, and an empty one is not set.
  for (const [name, value] of settings) if (value === '') settings.delete(name);
  return settings;
}

function readVariablesOf({ variables, ignoresVariables }: Sources): Settings {
  // "Spaces and quotes around the value of a variable do not count", except for a secret.
  const clean = (value: string): string =>
    value
      .trim()
      .replace(/^"(.*)"$/s, '$1')
      .trim();
  const written = Object.entries(ignoresVariables ? {} : writeVariables(variables));
  const values = new Map(written.map(([name, value]) => [name, name === 'OS_PASSWORD' ? value : clean(value)]));
  return readSource(values, (name, older) => [...SPELLINGS[name][older ? 'older' : 'variables']]);
}

/** "Most keys belong under auth"; next to it counts too, before those. */
function readEntryOf(written: readonly Written[]): Settings {
  const { auth, ...beside } = writeEntry(written);
  const unify = (entry: object, prefix: string): [string, string][] =>
    Object.entries(entry).map(([key, value]) => [prefix + key.replaceAll('-', '_'), String(value)]);
  const values = new Map([...unify(beside, ''), ...unify(auth as object, 'auth.')]);
  return readSource(values, (name, older) => {
    const lower = SPELLINGS[name][older ? 'older' : 'variables'].map((variable) => variable.slice(3).toLowerCase());
    const aliases = SPELLINGS[name].flags.map((flag) => flag.slice(2).replaceAll('-', '_'));
    const keys = older ? lower : [...lower, name.replaceAll('-', '_'), ...aliases];
    return [...keys, ...keys.map((key) => `auth.${key}`)];
  });
}

/** "The ID or the name of a user, project or domain in a stronger source: it replaces both." */
function override(sources: readonly Settings[]): Map<Name, string> {
  const result = new Map<Name, string>();
  for (const pair of PAIRS) {
    const source = sources.find((settings) => isSet(settings, pair));
    for (const half of ['id', 'name'] as const) {
      const value = source?.get(`${pair}-${half}`);
      if (value !== undefined) result.set(`${pair}-${half}`, value);
    }
  }
  for (const name of ['keystone-url', 'password', 'trust-id', 'system-scope', 'unscoped'] as const) {
    const value = sources.find((settings) => settings.has(name))?.get(name);
    if (value !== undefined) result.set(name, value);
  }
  return result;
}

function giveDomain(settings: Map<Name, string>, to: Pair, from: Pair): void {
  if (isSet(settings, to)) return;
  for (const half of ['id', 'name'] as const) {
    const value = settings.get(`${from}-${half}`);
    if (value !== undefined) settings.set(`${to}-${half}`, value);
  }
}

type Scope = 'conflict' | Readonly<Record<string, unknown>>;

interface Expected {
  readonly settings: ReadonlyMap<Name, string>;
  readonly scope: Scope;
}

function listClaims(settings: Settings): string[] {
  return [
    ...(isSet(settings, 'project') ? ['project'] : []),
    ...(settings.has('system-scope') ? ['system'] : []),
    ...(settings.has('trust-id') ? ['trust'] : []),
    ...(settings.get('unscoped') === 'true' ? ['unscoped'] : []),
  ];
}

function refer(settings: Settings, pair: Pair): { id?: string | undefined; name?: string | undefined } | undefined {
  const [id, name] = [settings.get(`${pair}-id`), settings.get(`${pair}-name`)];
  if (id !== undefined) return { id };
  return name === undefined ? undefined : { name };
}

/** The scope that the strongest source with one asks for; a domain only if no source asks for another. */
function predictScope(sources: readonly Settings[], merged: Settings): Scope {
  const claims = sources.map(listClaims).find((list) => list.length > 0) ?? [];
  if (claims.length > 1) return 'conflict';
  const domain = refer(merged, 'domain');
  const project = refer(merged, 'project');
  const [kind] = claims;
  if (kind === 'project') {
    return project?.id === undefined
      ? { kind, ...project, domain: refer(merged, 'project-domain') ?? { name: '' } }
      : { kind, id: project.id };
  }
  if (kind === 'trust') return { kind, id: merged.get('trust-id') };
  if (kind !== undefined) return { kind };
  return domain === undefined ? { kind: 'default' } : { kind: 'domain', domain };
}

function predict(sources: Sources): Expected {
  const given = [readFlagsOf(sources), readVariablesOf(sources)];
  // "That cloud, unless a variable sets a login, or a flag the Keystone."
  const [flags, variables] = given;
  const isCloudUsed = sources.isCloudNamed || (variables?.size === 0 && flags?.has('keystone-url') === false);
  // "secure.yaml and the cloud": one source, key by key.
  const cloud = new Map([...readEntryOf(sources.cloud), ...readEntryOf(sources.secure)]);
  const files = isCloudUsed ? [readEntryOf(sources.region), cloud, readEntryOf(sources.profile)] : [];
  const all = [...given, ...files];
  const settings = override(all);
  // "OS_DOMAIN_* and a user or project without its own domain in any source: that domain."
  for (const domain of ['domain', 'default-domain'] as const) {
    giveDomain(settings, 'user-domain', domain);
    giveDomain(settings, 'project-domain', domain);
  }
  return { settings, scope: predictScope(all, settings) };
}

// --- The program ---

function writeFiles(folder: string, { region, secure, cloud, profile }: Sources): void {
  const write = (name: string, content: object): void => {
    writeFileSync(join(folder, 'openstack', `${name}.yaml`), JSON.stringify(content));
  };
  const regions = [{ name: 'north', values: writeEntry(region) }];
  write('clouds', { clouds: { c: { ...writeEntry(cloud), profile: 'p', regions } } });
  write('secure', { clouds: { c: writeEntry(secure) } });
  write('clouds-public', { 'public-clouds': { p: writeEntry(profile) } });
}

async function resolve(folder: string, sources: Sources): Promise<Expected> {
  writeFiles(folder, sources);
  const argv = [...writeFlags(sources.flags), ...(sources.ignoresVariables ? ['--no-env'] : [])];
  // With --no-env, OS_CLOUD would not count.
  const cloudFlags = sources.isCloudNamed ? ['--os-cloud=c'] : [];
  const env = { ...writeVariables(sources.variables), XDG_CONFIG_HOME: folder };
  const host = fakeHost({ argv: [...cloudFlags, ...argv], env, cwd: folder, home: () => folder });
  const { config } = await readConfig(host, parseGetTokenCommand(scanArguments(host.argv)).flags, OPTIONS);
  const settings = new Map<Name, string>();
  for (const name of NAMES) {
    const value = config.setting(name)?.value;
    if (value !== undefined) settings.set(name, value instanceof Secret ? value.reveal() : value);
  }
  try {
    return { settings, scope: { ...resolveScope(config) } };
  } catch (error) {
    assert.ok(error instanceof PluginError && error.code === 'config-conflict', String(error));
    return { settings, scope: 'conflict' };
  }
}

// --- Random sources ---

/** Values that could be taken for something else: a flag, a switch, nothing, a value with its quotes. */
const VALUES = ['a', 'b', 'c', '', 'false', 'true', '--user-id', '-x', 'x=y', ' s ', '"q"', 'ä', '007', 'null', '~'];

function makeWritten(name: Name, word: string, way: number): Written {
  if (name === 'system-scope') return { name, value: word === '' ? '' : 'all', way };
  if (name === 'unscoped') return { name, value: ['true', ''].includes(word) ? word : 'false', way };
  return { name, value: word, way };
}

const written: fc.Arbitrary<Written> = fc
  .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES), fc.nat({ max: 59 }))
  .map(([name, word, way]) => makeWritten(name, word, way));

const listOf = (maxLength: number): fc.Arbitrary<Written[]> => fc.array(written, { maxLength });

const allSources: fc.Arbitrary<Sources> = fc.record({
  flags: listOf(5),
  variables: listOf(7),
  region: listOf(3),
  secure: listOf(4),
  cloud: listOf(6),
  profile: listOf(5),
  isCloudNamed: fc.boolean(),
  ignoresVariables: fc.nat({ max: 3 }).map((number) => number === 0),
});

void t.test('random settings in all sources lead to the login that the reference describes', async (t) => {
  const folder = t.testdir();
  mkdirSync(join(folder, 'openstack'));
  const property = fc.asyncProperty(allSources, async (sources) => {
    const { settings, scope } = await resolve(folder, sources);
    const expected = predict(sources);
    assert.deepEqual(Object.fromEntries(settings), Object.fromEntries(expected.settings));
    assert.deepEqual(scope, expected.scope);
  });
  await checkProperty(t, property, 500);
});
