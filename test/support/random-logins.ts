/** Random settings that are easily confused with each other, for tests that no token serves another login. */
import fc from 'fast-check';
import { METHOD_BY_NAME, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import type { OptionName } from '../../src/plugin/config/option.ts';
import { SCOPE_SAMPLES } from './login-samples.ts';
import type { LoginSample, LoginSamples } from './login-samples.ts';

type Place = 'flag' | 'flag with a space' | 'variable' | 'file';

interface Written {
  readonly name: OptionName;
  readonly value: string;
  readonly place: Place;
}

/** The settings of one run of the plugin. */
export interface Run {
  readonly settings: readonly Written[];
  /** Arguments as they are, after the settings. */
  readonly more: readonly string[];
}

/** What a run is started with. */
export interface RenderedRun {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The text of clouds.yaml. */
  readonly clouds: string;
}

const OPTION_BY_NAME = new Map(OPTIONS.map((option) => [option.name, option]));

/** Writes the settings where they belong. */
export function renderRun({ settings, more }: Run): RenderedRun {
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
  if (Object.keys(auth).length > 0) env['OS_CLOUD'] = 'c';
  // Options that belong next to `auth` are there, and the others are below it: a wrong place is ignored.
  return { argv: [...argv, ...more], env, clouds: JSON.stringify({ clouds: { c: { ...auth, auth } } }) };
}

const PLACES: readonly Place[] = ['flag', 'flag with a space', 'variable', 'file'];

/** Options that any login may have in addition. */
const EXTRAS = OPTIONS.filter(
  ({ name, cacheKey }) => (typeof cacheKey === 'string' || name === 'no-env') && name !== 'cert' && name !== 'key',
).map(({ name }) => name);

const SCOPE_NAMES: ReadonlySet<string> = new Set(SCOPE_SAMPLES.flatMap((scope) => Object.keys(scope)));

/** A change to a run. */
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
  ...['--keystone-url', '--auth-url=', '--no-env', '--no-env=false', '--unscoped', '--unscoped=no'],
  ...['-v', '-vvv', '--verbose=0', '', 'a', 'get-token', '-', '=', '--=', '-=b', '--__proto__=x'],
];

/** Arguments that a parser reads in another way than it seems: a secret flag takes the next argument, or is a value. */
const CONFUSING: readonly (readonly string[])[] = ['', '--user-name', '--token'].flatMap((before) =>
  ['--password', '--password=', '--password=x'].flatMap((secret) =>
    ['', '--project-id=a', '--project-id=b', '--user-name=b'].map((after) =>
      [before, secret, after].filter((argument) => argument !== ''),
    ),
  ),
);

function makeBase({ 'auth-type': type, ...login }: LoginSample, isNamed: boolean, place: Place): Run {
  const named = isNamed ? { 'auth-type': type, ...login } : login;
  return {
    settings: Object.entries(named).map(([name, value = '']) => ({ name: name as OptionName, value, place })),
    more: [],
  };
}

export interface RandomLogins {
  /** Runs with variables alone: each login and each scope. */
  readonly bases: readonly Run[];
  /** Lists a run and all runs that differ from it in the value of one option, or in arguments that confuse. */
  readonly listNeighbors: (base: Run) => readonly Run[];
  /** Makes lists of a run and up to `size` runs that differ from it in little. */
  readonly makeFamilies: (size: number) => fc.Arbitrary<readonly Run[]>;
}

/** Makes runs of all auth methods that need neither a browser nor a ticket. */
export function makeRandomLogins({ logins, valuesOf }: LoginSamples): RandomLogins {
  const usable = logins.filter((login) => {
    const method = METHOD_BY_NAME.get(login['auth-type'] ?? '');
    return (
      !['v3kerberos', 'v3fedkerb'].includes(login['auth-type'] ?? '') &&
      (method?.waitsForUser === undefined || 'code' in login)
    );
  });

  function changesOf(names: readonly OptionName[]): fc.Arbitrary<Change> {
    const own = fc.constantFrom(...names);
    const places = fc.constantFrom(...PLACES);
    const oneOf = (name: OptionName): fc.Arbitrary<string> => fc.constantFrom(...valuesOf(name));
    const replace = own.chain((name) =>
      oneOf(name).map((value) => changeSetting(name, (setting) => [{ ...setting, value }])),
    );
    const move = fc
      .tuple(own, places)
      .map(([name, place]) => changeSetting(name, (setting) => [{ ...setting, place }]));
    const drop = own.map((name) => changeSetting(name, () => []));
    const add = fc
      .constantFrom(...EXTRAS, ...names)
      .chain((name) => fc.tuple(fc.constant(name), oneOf(name), places))
      .map<Change>(([name, value, place]) => (run) => ({
        ...run,
        settings: [...run.settings, { name, value, place }],
      }));
    const urls = valuesOf('keystone-url').flatMap((url) => [`--keystone-url=${url}`, `--auth-url=${url}`]);
    const fragments = fc.array(fc.constantFrom(...FRAGMENTS, ...urls), { minLength: 1, maxLength: 4 });
    const confuse = fc
      .oneof(fc.constantFrom(...CONFUSING), fragments)
      .map<Change>((more) => (run) => ({ ...run, more }));
    const rescope = fc
      .tuple(fc.constantFrom(...SCOPE_SAMPLES), fc.constantFrom('a', 'b'), places)
      .map<Change>(([scope, value, place]) => (run) => ({
        ...run,
        settings: [
          ...run.settings.filter(({ name }) => !SCOPE_NAMES.has(name)),
          ...(Object.keys(scope) as OptionName[]).map((name) => ({
            name,
            value: name === 'system-scope' ? 'all' : value,
            place,
          })),
        ],
      }));
    return fc.oneof(
      { weight: 4, arbitrary: replace },
      { weight: 3, arbitrary: rescope },
      move,
      drop,
      { weight: 2, arbitrary: add },
      { weight: 2, arbitrary: confuse },
    );
  }

  const bases = fc.record({
    login: fc.constantFrom(...usable),
    scope: fc.constantFrom(...SCOPE_SAMPLES),
    place: fc.constantFrom(...PLACES),
    isNamed: fc.boolean(),
  });
  const [password = {}] = usable;
  return {
    bases: [
      ...usable.map((login) => makeBase(login, true, 'variable')),
      ...SCOPE_SAMPLES.map((scope) => makeBase({ ...password, ...scope }, true, 'variable')),
    ],
    listNeighbors: (base) => [
      base,
      ...base.settings.flatMap(({ name }) =>
        valuesOf(name).map((value) => changeSetting(name, (setting) => [{ ...setting, value }])(base)),
      ),
      ...CONFUSING.map((more) => ({ ...base, more })),
    ],
    makeFamilies: (size) =>
      bases.chain(({ login, scope, place, isNamed }) => {
        const base = makeBase({ ...login, ...scope }, isNamed, place);
        const changes = changesOf(base.settings.map(({ name }) => name));
        const variants = fc.array(fc.array(changes, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: size });
        return variants.map((lists) => [base, ...lists.map((list) => list.reduce((run, change) => change(run), base))]);
      }),
  };
}
