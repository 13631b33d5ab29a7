/** How the layers of settings become one configuration: domains, versions, and IDs beside names. */
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

void t.test('a domain applies to the user and the project, unless any layer sets their own', async (t) => {
  const weaker = { 'user-domain-name': 'weak' } as const;
  const config = resolve({ 'user-name': 'alice', 'domain-name': 'strong', 'project-name': 'p' }, weaker);
  t.equal(config.text('user-domain-name'), 'weak', 'the domain of the user is not the general one');
  t.equal(config.text('project-domain-name'), 'strong');
  const own = resolve({ 'user-id': 'u1', 'user-domain-id': 'own', 'domain-id': 'other' });
  t.equal(own.text('user-domain-id'), 'own');
});

void t.test('with version 3 of the Identity API, each missing domain is the one with the ID "default"', async (t) => {
  const domains = (settings: Values, ...others: readonly Values[]): unknown[] => {
    const config = resolve({ 'identity-api-version': '3', ...settings }, ...others);
    return (['user', 'project'] as const).map(
      (thing) => config.text(`${thing}-domain-id`) ?? config.text(`${thing}-domain-name`),
    );
  };
  t.strictSame(domains({ 'user-name': 'a' }), ['default', 'default']);
  t.strictSame(domains({ 'user-name': 'a', 'user-domain-name': 'u' }), ['u', 'default']);
  t.strictSame(domains({ 'project-name': 'p' }, { 'project-domain-id': 'w' }), ['default', 'w']);
  t.strictSame(domains({ 'project-name': 'p', 'domain-name': 'd' }), ['d', 'd']);
  t.strictSame(domains({ 'domain-name': 'd' }), ['default', 'default'], 'without a project, the domain is the scope');
  t.strictSame(domains({ 'default-domain-id': 'x' }), ['x', 'x']);
  for (const type of ['password', 'v3password', 'v3totp']) {
    t.strictSame(domains({ 'auth-type': type }), ['default', 'default'], type);
  }
  for (const settings of [{ 'auth-type': 'v3token' }, { 'identity-api-version': '3.14' }, {}] as const) {
    const version = 'auth-type' in settings ? { 'identity-api-version': '3' } : {};
    t.equal(resolve({ ...version, ...settings }).text('user-domain-id'), undefined);
  }
});

void t.test('a name of an application credential without a user does not hide an ID', async (t) => {
  const cloud = { 'application-credential-id': 'i', 'application-credential-secret': 's' };
  const config = resolve({ 'application-credential-name': 'n' }, cloud);
  t.equal(config.text('application-credential-id'), 'i');
  t.notOk(config.has('application-credential-name'));
  t.match(config.warnings, [/^application-credential-name is not used, because no user is set; /]);
  const named = resolve({ 'application-credential-name': 'n', 'user-id': 'u' }, cloud);
  t.notOk(named.has('application-credential-id'));
});

void t.test('what openstack would take instead is named', async (t) => {
  const used = (name: string, id: string): string => `${name} is used instead of ${id}, which openstack would use`;
  for (const pair of ['user', 'user-domain', 'project', 'project-domain', 'domain'] as const) {
    const [id, name] = [`${pair}-id`, `${pair}-name`];
    t.strictSame(resolve({ [name]: 'n' }, { [id]: 'i' }).warnings, [used(name, id)]);
    t.strictSame(resolve({ [id]: 'i' }, { [name]: 'n' }).warnings, [], 'openstack uses the ID too');
  }
  t.strictSame(resolve({ 'user-domain-name': 'n', 'domain-id': 'd' }).warnings, [
    used('user-domain-name', 'domain-id'),
  ]);
  t.strictSame(resolve({ 'user-id': 'u', 'user-domain-name': 'n', 'domain-id': 'd' }).warnings, [], 'no user name');
  const version = { 'identity-api-version': '3' };
  t.match(resolve({ ...version, 'default-domain-name': 'd' }).warnings, [/^default-domain-name is used instead of /]);
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

void t.test('an ID and a name of one thing in one layer are worth a warning, except for projects', async (t) => {
  for (const pair of ['user', 'user-domain', 'project-domain', 'domain'] as const) {
    const both = { [`${pair}-id`]: 'i', [`${pair}-name`]: 'n' };
    t.strictSame(resolve(both).warnings, [`${pair}-id and ${pair}-name are both set; the ID takes precedence`]);
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
