/** What users can rely on for each common option: where it can be set, what it accepts, and whom it makes us trust. */
import t from 'tap';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { COMMON_OPTIONS } from '../../src/plugin/config/common-options.ts';
import { isBelowAuth, isInCloudsYaml, PLUGIN_OPTION_GROUPS } from '../../src/plugin/config/option.ts';
import type { Option } from '../../src/plugin/config/option.ts';
import { nameInSentence } from '../../src/shared/options/option.ts';

const select = (test: (option: Option) => boolean): string[] => COMMON_OPTIONS.filter(test).map(({ name }) => name);

function table<T>(read: (option: Option) => T | undefined): Record<string, T> {
  const rows = COMMON_OPTIONS.flatMap((option): [string, T][] => {
    const value = read(option);
    return value === undefined ? [] : [[option.name, value]];
  });
  return Object.fromEntries(rows);
}

void t.test('the options are grouped as in the help and in the reference', async (t) => {
  const groups = PLUGIN_OPTION_GROUPS.map((group) => [group, select((option) => option.group === group)]);
  t.strictSame(
    groups.filter(([, names]) => names?.length !== 0),
    [
      [
        'Keystone',
        [
          'keystone-url',
          'auth-type',
          'identity-api-version',
          'os-cloud',
          'region-name',
          'client-config-file',
          'client-secure-file',
          'no-env',
        ],
      ],
      [
        'Scope',
        [
          'project-id',
          'project-name',
          'project-domain-id',
          'project-domain-name',
          'domain-id',
          'domain-name',
          'default-domain-id',
          'default-domain-name',
          'system-scope',
          'service-provider',
          'trust-id',
          'unscoped',
        ],
      ],
      ['Token exchange', ['token-exchange-url', 'token-exchange-audience', 'token-exchange-cacert']],
      ['TLS', ['cacert', 'cert', 'key', 'insecure', 'verify', 'allow-http']],
      ['Cache', ['cache-storage', 'cache-dir', 'force-refresh']],
      ['Run', ['timeout', 'login-timeout', 'api-version', 'verbose', 'log-format']],
    ],
  );
  t.strictSame(
    [...PLUGIN_OPTION_GROUPS],
    [
      'Command',
      'Keystone',
      'User',
      'Application credential',
      'Token',
      'Federation',
      'OpenID Connect',
      'Kubernetes',
      'OAuth 2.0 at Keystone',
      'Browser',
      'Scope',
      'Token exchange',
      'TLS',
      'Cache',
      'Run',
    ],
  );
});

void t.test('an option with an own variable has the one that openstacksdk reads', async (t) => {
  const own = ({ name, env }: Option): readonly string[] | undefined =>
    env?.join() === `OS_${name.toUpperCase().replaceAll('-', '_')}` ? undefined : env;
  t.strictSame(table(own), {
    'keystone-url': ['OS_AUTH_URL'],
    'auth-type': ['OS_AUTH_TYPE', 'OS_AUTH_PLUGIN'],
    'os-cloud': ['OS_CLOUD'],
    'default-domain-id': ['OS_DEFAULT_DOMAIN_ID', 'OS_DEFAULT_DOMAIN'],
    'allow-http': ['CLIENT_KEYSTONE_AUTH_ALLOW_HTTP'],
    'cache-storage': ['CLIENT_KEYSTONE_AUTH_CACHE_STORAGE'],
    'cache-dir': ['CLIENT_KEYSTONE_AUTH_CACHE_DIR'],
  });
  t.strictSame(
    select(({ env }) => env === undefined),
    ['no-env', 'timeout', 'login-timeout', 'force-refresh', 'api-version', 'verbose', 'log-format'],
  );
  t.strictSame(
    table(({ legacyEnv }) => legacyEnv),
    { 'project-id': ['OS_TENANT_ID'], 'project-name': ['OS_TENANT_NAME'] },
  );
});

void t.test('the flags have their aliases, and some options have no flag', async (t) => {
  t.strictSame(
    table(({ aliases }) => aliases),
    { 'keystone-url': ['auth-url'], verbose: ['v'] },
  );
  t.strictSame(
    select(({ flag }) => flag === false),
    [
      'identity-api-version',
      'client-config-file',
      'client-secure-file',
      'default-domain-id',
      'default-domain-name',
      'verify',
    ],
  );
});

void t.test('an option is a text unless it is a file, a switch, a number of seconds or a level', async (t) => {
  const named = (kind: string): string[] => select((option) => option.kind === kind);
  t.strictSame(named('file'), [
    'client-config-file',
    'client-secure-file',
    'token-exchange-cacert',
    'cacert',
    'cert',
    'key',
  ]);
  t.strictSame(named('switch'), ['no-env', 'unscoped', 'insecure', 'allow-http', 'force-refresh']);
  t.strictSame(named('switch or file'), ['verify']);
  t.strictSame(named('seconds'), ['timeout', 'login-timeout']);
  t.strictSame(named('level'), ['verbose']);
  t.strictSame(
    table(({ choices }) => choices),
    {
      'system-scope': ['all'],
      'cache-storage': ['file', 'keyring', 'none'],
      'log-format': ['text', 'json'],
    },
  );
});

void t.test(
  'clouds.yaml holds the options of a login, next to auth or below it, and never those of a run',
  async (t) => {
    t.strictSame(
      select((option) => isInCloudsYaml(option) && !isBelowAuth(option)),
      [
        'auth-type',
        'identity-api-version',
        'service-provider',
        'token-exchange-url',
        'token-exchange-audience',
        'token-exchange-cacert',
        'cacert',
        'cert',
        'key',
        'insecure',
        'verify',
      ],
    );
    t.strictSame(
      select((option) => !isInCloudsYaml(option)),
      [
        'os-cloud',
        'region-name',
        'client-config-file',
        'client-secure-file',
        'no-env',
        'allow-http',
        'cache-storage',
        'cache-dir',
        'force-refresh',
        'timeout',
        'login-timeout',
        'api-version',
        'verbose',
        'log-format',
      ].toSorted(
        (a, b) =>
          COMMON_OPTIONS.findIndex(({ name }) => name === a) - COMMON_OPTIONS.findIndex(({ name }) => name === b),
      ),
    );
    const command: Option = { name: 'verbose', cacheKey: { unusedBecause: 'a test' }, group: 'Command', help: 'h' };
    t.equal(isInCloudsYaml(command), false);
    t.equal(isBelowAuth({ ...command, group: 'User' }), true);
  },
);

void t.test('these options decide where secrets go or whom to trust', async (t) => {
  t.strictSame(
    table(({ trustSensitive }) => trustSensitive),
    {
      'keystone-url': true,
      'token-exchange-url': true,
      'token-exchange-audience': true,
      'token-exchange-cacert': true,
      cacert: true,
      insecure: 'true',
      verify: 'unless true',
    },
  );
});

void t.test('an ID and a name of one thing are a pair', async (t) => {
  t.strictSame(
    table(({ pair }) => pair),
    {
      'project-id': 'project',
      'project-name': 'project',
      'project-domain-id': 'project-domain',
      'project-domain-name': 'project-domain',
      'domain-id': 'domain',
      'domain-name': 'domain',
      'default-domain-id': 'default-domain',
      'default-domain-name': 'default-domain',
    },
  );
});

void t.test('the plugin can prompt for the URL and for the project', async (t) => {
  t.strictSame(
    select(({ prompt }) => prompt !== undefined),
    ['keystone-url', 'project-name', 'project-domain-name'],
  );
  for (const { name, help } of COMMON_OPTIONS) t.match(help, /^\S.*[^.]$/, name);
});

void t.test('within a sentence, only names and acronyms have capitals', async (t) => {
  const names = new Set(OPTIONS.flatMap((option) => (option.prompt === undefined ? [] : [nameInSentence(option)])));
  for (const name of ['Keystone URL', 'user name', 'JWT', 'OpenID Connect client ID', 'application credential ID'])
    t.ok(names.has(name), name);
  for (const name of names) t.notMatch(name, /^[A-Z][a-z]+ (?!URL|auth)|\b(?:url|id|jwt|openid|oauth)\b| \(/, name);
});
