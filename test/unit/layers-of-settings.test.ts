/** How the layers of settings become one configuration: domains, versions, and ids beside names. */
import t from 'tap';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import type { OptionName } from '../../src/plugin/config/option.ts';
import { readLoginTimeoutMs } from '../../src/plugin/config/option-readers.ts';
import { readCloudNames } from '../../src/plugin/config/read-config.ts';
import { resolveConfig } from '../../src/plugin/config/resolve-config.ts';
import type { ResolvedConfig } from '../../src/plugin/config/resolve-config.ts';
import { fakeHost } from '../support/fake-host.ts';

type Values = Partial<Record<OptionName, string>>;

/** Resolves layers, strongest first. The origin of a setting is the name of its option. */
const resolve = (...layers: readonly Values[]): ResolvedConfig =>
  resolveConfig(
    layers.map(
      (values) => new Map(Object.entries(values).map(([name, value]) => [name as OptionName, { value, origin: name }])),
    ),
    OPTIONS,
  );

void t.test('a domain applies to the user and the project of its own layer', async (t) => {
  const weaker = { 'user-domain-name': 'weak', 'project-domain-name': 'weak' } as const;
  const withUser = resolve({ 'user-name': 'alice', 'domain-name': 'strong' }, weaker);
  t.equal(withUser.text('user-domain-name'), 'strong');
  t.equal(withUser.text('project-domain-name'), 'weak', 'the layer sets no project');
  const withProject = resolve({ 'project-id': 'p1', 'domain-id': 'strong' }, weaker);
  t.equal(withProject.text('project-domain-id'), 'strong');
  t.equal(withProject.text('project-domain-name'), undefined, 'the id replaces the name of a weaker layer');
  t.equal(withProject.text('user-domain-name'), 'weak', 'the layer sets no user');
  const own = resolve({ 'user-id': 'u1', 'user-domain-id': 'own', 'domain-id': 'other' });
  t.equal(own.text('user-domain-id'), 'own');
});

void t.test('a domain, and then the default domain, fills what no layer sets', async (t) => {
  const config = resolve({ 'user-name': 'alice' }, { 'default-domain-id': 'default' });
  t.equal(config.text('user-domain-id'), 'default');
  t.equal(config.text('project-domain-id'), 'default');
  t.equal(resolve({ 'domain-name': 'd' }, { 'default-domain-id': 'default' }).text('user-domain-name'), 'd');
});

void t.test('only version 3 of the Identity API is accepted', async (t) => {
  for (const version of ['3', 'v3', '3.14', 'v3.0']) t.doesNotThrow(() => resolve({ 'identity-api-version': version }));
  for (const version of ['2', '2.0', 'v4', '33', '13', 'x3', '3.', '3.x', '3 ', '']) {
    t.throws(() => resolve({ 'identity-api-version': version }), {
      code: 'config-invalid',
      message: `identity-api-version asks for Identity API version "${version}"; the plugin supports only 3`,
      hint: 'set identity-api-version to 3 or unset it',
    });
  }
});

void t.test('an id and a name of one thing in one layer are worth a warning, except for projects', async (t) => {
  for (const pair of ['user', 'user-domain', 'project-domain', 'domain'] as const) {
    const both = { [`${pair}-id`]: 'i', [`${pair}-name`]: 'n' };
    t.strictSame(resolve(both).warnings, [`${pair}-id and ${pair}-name are both set; the id takes precedence`]);
    t.strictSame(resolve({ [`${pair}-id`]: 'i' }, { [`${pair}-name`]: 'n' }).warnings, [], 'in two layers');
  }
  t.strictSame(resolve({ 'project-id': 'i', 'project-name': 'n' }).warnings, []);
});

void t.test('a user has three minutes for a login in the browser, or as long as is set', async (t) => {
  t.equal(readLoginTimeoutMs(resolve({})), 180_000);
  t.equal(readLoginTimeoutMs(resolve({ 'login-timeout': '20' })), 20_000);
});

void t.test('the clouds to choose from are those of clouds.yaml, in the folders that the variables name', async (t) => {
  const folder = t.testdir({
    openstack: { 'clouds.yaml': 'clouds: { a: {}, b: {} }\n', 'secure.yaml': 'clouds: { b: {}, c: {} }\n' },
  });
  const host = fakeHost({ cwd: '/nowhere', home: () => '/nowhere', env: { XDG_CONFIG_HOME: folder } });
  t.strictSame([...(await readCloudNames(host, new Map(), OPTIONS))].toSorted(), ['a', 'b', 'c']);
  const noEnv = new Map([['no-env', { value: 'true', origin: '--no-env' }]] as const);
  t.strictSame([...(await readCloudNames(host, noEnv, OPTIONS))].toSorted(), ['a', 'b', 'c']);
});
