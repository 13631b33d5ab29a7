/** clouds.yaml, secure.yaml and clouds-public.yaml: their search, the settings that apply, and invalid files. */
import { chmodSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { listCloudFolders } from '../../src/plugin/config/cloud-files.ts';
import { rejectUntrustedForMachineIdentity, findUntrustedSetting } from '../../src/plugin/config/untrusted-settings.ts';
import { isFileUnchanged } from '../../src/shared/base/file-stamp.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { readTlsSettings } from '../../src/shared/http/tls-settings.ts';
import { fakeHost } from '../support/fake-host.ts';
import { resolveRequest } from '../support/resolve-request.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { ResolvedRequest } from '../support/resolve-request.ts';
import type { EnvVars } from '../support/home.ts';

interface CloudsYamlFixture {
  readonly cwd: string;
  readonly home: string;
  /** The user's folder for OpenStack settings. */
  readonly configFolder: string;
  readonly write: (path: string, text: string, mode?: number) => string;
  readonly ask: (argv?: readonly string[], env?: EnvVars) => Promise<ResolvedRequest>;
}

function setUpCloudsYaml(t: Test, files: Readonly<Record<string, string>> = {}): CloudsYamlFixture {
  const base = t.testdir({ work: {}, home: {} });
  const [cwd, home] = [join(base, 'work'), join(base, 'home')];
  const configFolder = join(home, '.config', 'openstack');
  const write = (path: string, text: string, mode = 0o600): string => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    return path;
  };
  for (const [name, text] of Object.entries(files)) write(join(configFolder, name), text);
  return {
    cwd,
    home,
    configFolder,
    write,
    ask: (argv = [], env = {}) => resolveRequest(argv, env, { cwd, home: () => home }),
  };
}

const PROD = `
clouds:
  prod:
    auth:
      auth_url: https://prod.example/v3
      username: alice
      user_domain_name: Default
      password: pw
      project_name: web
      project_domain_name: Default
`;

/** Writes a file with one cloud of this name, whose user name identifies the file. */
const cloudOf = (user: string, more = ''): string =>
  `clouds: {c: {auth: {auth_url: 'https://k/v3', user_id: ${user}, password: pw${more}}}}`;

const userOf = ({ auth }: ResolvedRequest): unknown =>
  (auth as { identity: { password: { user: unknown } } }).identity.password.user;
const idOf = (asked: ResolvedRequest): unknown => (userOf(asked) as { id: unknown }).id;

const invalid = (message: RegExp, hint?: RegExp) => ({
  code: 'config-invalid',
  message,
  ...(hint === undefined ? {} : { hint }),
});
const conflict = (message: RegExp, hint?: RegExp) => ({
  code: 'config-conflict',
  message,
  ...(hint === undefined ? {} : { hint }),
});

void t.test('a cloud can contain all settings of a login', async (t) => {
  const fixture = setUpCloudsYaml(t, { 'clouds.yaml': PROD });
  const asked = await fixture.ask(['--os-cloud=prod']);
  t.same(asked.auth, {
    identity: {
      methods: ['password'],
      password: { user: { name: 'alice', domain: { name: 'Default' }, password: 'pw' } },
    },
    scope: { project: { name: 'web', domain: { name: 'Default' } } },
  });
  t.equal(asked.config.text('keystone-url'), 'https://prod.example/v3');
  t.equal(
    asked.config.origin('project-name'),
    `auth.project_name of cloud prod in ${join(fixture.configFolder, 'clouds.yaml')}`,
  );
  t.same(asked.warnings, []);
  t.same(asked.missing, []);
});

void t.test('clouds.yaml is searched in the folders of openstacksdk', async (t) => {
  const linux = fakeHost({ cwd: '/work', env: {} });
  t.same(listCloudFolders(linux), ['/work', '/home/alice/.config/openstack', '/etc/xdg/openstack', '/etc/openstack']);
  t.same(listCloudFolders(fakeHost({ env: { XDG_CONFIG_HOME: '/x' } })).slice(1, 2), ['/x/openstack']);
  t.same(
    listCloudFolders(fakeHost({ env: { XDG_CONFIG_HOME: 'x' } })).slice(1, 2),
    ['/home/alice/.config/openstack'],
    'relative',
  );
  t.same(listCloudFolders(fakeHost({ platform: 'darwin', home: () => '/Users/a' })), [
    '/work',
    '/Users/a/Library/Application Support/openstack',
    '/Users/a/.config/openstack',
    '/Library/Application Support/openstack',
    '/etc/openstack',
  ]);
  const windows = { platform: 'win32', cwd: 'D:\\work', home: () => 'C:\\Users\\a' } as const;
  t.same(listCloudFolders(fakeHost({ ...windows, env: { LOCALAPPDATA: 'C:\\Users\\a\\AppData\\Local' } })), [
    'D:\\work',
    'C:\\Users\\a\\AppData\\Local\\OpenStack\\openstack',
    'C:\\ProgramData\\OpenStack\\openstack',
  ]);
  t.same(listCloudFolders(fakeHost({ ...windows, env: {} })), ['D:\\work', 'C:\\ProgramData\\OpenStack\\openstack']);
  t.same(listCloudFolders(fakeHost({ cwd: '', home: () => undefined })), ['/etc/xdg/openstack', '/etc/openstack']);
  t.same(listCloudFolders(fakeHost({ cwd: '/etc/openstack' })), [
    '/etc/openstack',
    '/home/alice/.config/openstack',
    '/etc/xdg/openstack',
  ]);
});

void t.test('the first file of the search is used', async (t) => {
  const { ask, cwd, configFolder, home, write } = setUpCloudsYaml(t);
  const json = JSON.stringify({
    clouds: { c: { auth: { auth_url: 'https://k/v3', user_id: 'json', password: 'p' } } },
  });
  write(join(configFolder, 'clouds.json'), json.replaceAll('{', '{\n\t'));
  t.equal(idOf(await ask([], { OS_CLOUD: 'c' })), 'json');
  write(join(configFolder, 'clouds.yml'), cloudOf('yml'));
  t.equal(idOf(await ask([], { OS_CLOUD: 'c' })), 'yml');
  write(join(configFolder, 'clouds.yaml'), cloudOf('yaml'));
  t.equal(idOf(await ask([], { OS_CLOUD: 'c' })), 'yaml');
  write(join(cwd, 'clouds.json'), cloudOf('here'));
  t.equal(idOf(await ask([], { OS_CLOUD: 'c' })), 'here', 'the folder comes before the suffix');
  const named = write(join(home, 'mine'), cloudOf('named'));
  t.equal(idOf(await ask([], { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: named })), 'named');
  t.equal(idOf(await ask([], { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: '~/mine' })), 'named');
  t.equal(idOf(await ask([], { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: '' })), 'here', 'empty is unset');
  t.equal(idOf(await ask(['--no-env', '--os-cloud=c'], { OS_CLIENT_CONFIG_FILE: named })), 'here');
  write(join(home, 'xdg', 'openstack', 'clouds.yaml'), cloudOf('xdg'));
  unlinkSync(join(cwd, 'clouds.json'));
  t.equal(idOf(await ask([], { OS_CLOUD: 'c', XDG_CONFIG_HOME: join(home, 'xdg') })), 'xdg');
});

void t.test('an error names the invalid file', async (t) => {
  const { ask, configFolder, write } = setUpCloudsYaml(t);
  const cloud = { OS_CLOUD: 'c' };
  await t.rejects(
    ask([], { ...cloud, OS_CLIENT_CONFIG_FILE: '/nowhere/c.yaml' }),
    invalid(/^OS_CLIENT_CONFIG_FILE names \/nowhere\/c.yaml, which does not exist/),
  );
  await t.rejects(
    ask([], { ...cloud, OS_CLIENT_SECURE_FILE: '/nowhere/s.yaml' }),
    invalid(/^OS_CLIENT_SECURE_FILE names/),
  );
  const path = write(join(configFolder, 'clouds.yaml'), '');
  const rejects = async (content: string, message: RegExp): Promise<void> => {
    write(path, content);
    await t.rejects(ask([], cloud), invalid(message), content.slice(0, 30));
  };
  await rejects('', /names cloud "c", which is not in .*clouds.yaml/);
  await rejects('# nothing\n', /is not in/);
  await rejects('clouds: [', /clouds.yaml is not valid YAML \(line 1\)$/);
  await rejects('clouds:\n  c: {}\n  c: {}\n', /clouds.yaml contains a key twice \(line 3\)$/);
  await rejects('clouds: !!js/function x', /contains a tag/);
  const quote = async (password: string, hint: RegExp): Promise<void> => {
    write(path, `clouds:\n  c:\n    auth:\n      password: ${password}\n`);
    await t.rejects(ask([], cloud), invalid(/clouds.yaml contains an? \w+ \(.\).* \(line 4\)$/, hint), password);
  };
  await quote('!canary', /^put quotes around a value that begins with !$/);
  await quote('*canary', /^put quotes around a value that begins with \*$/);
  await rejects('clouds: {}\n---\nclouds: {}\n', /more than one document/);
  await rejects('- clouds\n', /not a mapping/);
  await rejects('clouds: [c]\n', /^clouds of .*clouds.yaml must be a mapping/);
  await rejects('clouds: {c: x}\n', /^c of .*clouds.yaml must be a mapping/);
  await rejects('clouds: {c: {auth: x}}\n', /^auth of cloud c in .*must be a mapping/);
  await rejects('clouds: {c: {auth: {password: {a: b}}}}', /^auth.password of cloud c in .* must be text$/);
  await rejects('clouds: {c: {auth: {project_name: [a, b]}}}', /^auth.project_name of cloud c in .* must be text$/);
  await rejects('clouds: {c: {insecure: canary}}', /^insecure of cloud c in [^"]* must be true or false$/);
  await rejects('clouds: {c: {auth: {system_scope: canary}}}', /^auth.system_scope of cloud c in [^"]* must be all$/);
  await rejects('clouds: {c: {auth: {user_name: a, user-name: b}}}', /^auth of cloud c in .* sets one key twice/);
  await rejects(`clouds: {c: {x: ${'y'.repeat(262_144)}}}`, /larger than 256 KiB/);
  await rejects(`clouds:\n${'\n'.repeat(60_000)}`, /more than 20000 entries/);
  writeFileSync(path, Buffer.from([0x63, 0xff, 0xfe]));
  await t.rejects(ask([], cloud), invalid(/is not UTF-8/));
  unlinkSync(path);
  mkdirSync(path);
  await t.rejects(ask([], cloud), invalid(/cannot read .*clouds.yaml \(it is a folder/), 'a folder');
  await t.rejects(ask([], { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: '/dev/zero' }), invalid(/cannot read .*zero/));
});

void t.test(
  'a file without read permission is an error',
  { skip: process.geteuid?.() === 0 && 'root may read all' },
  async (t) => {
    const { ask, configFolder, write } = setUpCloudsYaml(t);
    write(join(configFolder, 'clouds.yaml'), PROD, 0o000);
    await t.rejects(ask([], { OS_CLOUD: 'prod' }), invalid(/cannot read .*clouds.yaml \(EACCES\)/));
  },
);

void t.test('a flag, a variable or the only entry chooses the cloud', async (t) => {
  const two = `clouds: {one: {auth: {user_id: one}}, two: {auth: {user_id: two}}}`;
  const { ask, configFolder, write } = setUpCloudsYaml(t, { 'clouds.yaml': two });
  t.equal(idOf(await ask(['--os-cloud=two'], { OS_CLOUD: 'one' })), 'two');
  t.equal(idOf(await ask([], { OS_CLOUD: 'one' })), 'one');
  t.equal((await ask()).config.has('user-id'), false, 'one of two clouds must be named');
  await t.rejects(
    ask([], { OS_CLOUD: 'three' }),
    invalid(/^OS_CLOUD names cloud "three", which is not in/, /one, two$/),
  );
  await t.rejects(ask(['--os-cloud=three']), invalid(/^--os-cloud names/));
  t.same((await ask(['--no-env'], { OS_CLOUD: 'three', OS_USERNAME: 'x' })).missing, [
    'user-name',
    'user-domain-name',
    'password',
  ]);
  await t.rejects(ask([], { OS_CLOUD: '__proto__' }), invalid(/names cloud "__proto__", which/));
  await t.rejects(ask([], { OS_CLOUD: 'constructor' }), invalid(/which is not in/));

  write(join(configFolder, 'clouds.yaml'), PROD);
  const sole = await ask();
  t.match(userOf(sole), { name: 'alice' }, 'the only cloud is the default');
  t.match(userOf(await ask(['--insecure', '-v'], { OS_REGION_NAME: 'r', OS_CACERT: '/x' })), { name: 'alice' });
  t.match(userOf(await ask(['--no-env'], { OS_USERNAME: 'bob', OS_AUTH_URL: 'https://x' })), { name: 'alice' });
  t.match(userOf(await ask([], { OS_STDERR: '1', OS_LOG_PATH: '/x', OS_COMPUTE_API_VERSION: '2' })), { name: 'alice' });
  for (const [argv, env] of [
    [[], { OS_AUTH_URL: 'https://k/v3' }],
    [[], { OS_USERNAME: 'bob' }],
    [[], { OS_TOKEN: 't' }],
    [[], { OS_PROJECT_ID: 'p' }],
    [[], { OS_AUTH_TYPE: 'password' }],
    [['--keystone-url=https://k/v3'], {}],
  ] as const) {
    const asked = await ask([...argv], env);
    t.equal(asked.config.layers.length, 2, `${argv.join()} ${Object.keys(env).join()}`);
    t.same(asked.files, [], 'no file is read');
  }

  const nowhere = setUpCloudsYaml(t);
  await t.rejects(
    nowhere.ask([], { OS_CLOUD: 'prod' }),
    invalid(/names cloud "prod", but there is no clouds.yaml/, /\.config\/openstack.*OS_CLIENT_CONFIG_FILE/),
  );
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`cloud-${String(n)}`, {}]));
  nowhere.write(join(nowhere.configFolder, 'clouds.yaml'), JSON.stringify({ clouds: many }));
  await t.rejects(nowhere.ask([], { OS_CLOUD: 'x' }), invalid(/./, /cloud-19 or one of 30 more$/));
});

void t.test('flags take precedence over variables, and variables over the file', async (t) => {
  const { ask } = setUpCloudsYaml(t, { 'clouds.yaml': PROD });
  const env = { OS_CLOUD: 'prod', OS_USERNAME: 'bob', OS_PROJECT_NAME: 'app' };
  const asked = await ask(['--project-name=flag'], env);
  t.same(asked.auth, {
    identity: {
      methods: ['password'],
      password: { user: { name: 'bob', domain: { name: 'Default' }, password: 'pw' } },
    },
    scope: { project: { name: 'flag', domain: { name: 'Default' } } },
  });
  t.match(userOf(await ask([], { OS_CLOUD: 'prod', OS_USER_DOMAIN_ID: 'd' })), { name: 'alice', domain: { id: 'd' } });
  t.match(userOf(await ask([], { OS_CLOUD: 'prod', OS_USER_ID: 'u' })), { id: 'u' }, 'the flag replaces the name');
  t.match(await ask([], { OS_CLOUD: 'prod', OS_SYSTEM_SCOPE: 'all' }), { auth: { scope: { system: { all: true } } } });
  t.match(await ask([], { OS_CLOUD: 'prod', OS_TRUST_ID: 't' }), {
    auth: { scope: { 'OS-TRUST:trust': { id: 't' } } },
  });
  t.match(await ask(['--token=t'], { OS_CLOUD: 'prod' }), { method: { name: 'token', aliases: ['v3token'] } });
  t.match(await ask([], { OS_CLOUD: 'prod', OS_TOKEN: 't' }), { method: { name: 'password' } }, 'as openstack does');
  t.match(userOf(await ask(['--no-env', '--os-cloud=prod'], env)), { name: 'alice' });
});

void t.test('conflicts inside one cloud name both', async (t) => {
  const { ask, write, configFolder } = setUpCloudsYaml(t);
  const path = join(configFolder, 'clouds.yaml');
  write(path, 'clouds: {c: {auth: {user_id: u, password: p, project_id: p, system_scope: all}}}');
  await t.rejects(
    ask([], { OS_CLOUD: 'c' }),
    conflict(/^auth.project_id of cloud c in .* and auth.system_scope of cloud c in .* ask for different scopes$/),
  );
  t.match(await ask([], { OS_CLOUD: 'c', OS_PROJECT_ID: 'q' }), { auth: { scope: { project: { id: 'q' } } } });
  write(
    path,
    'clouds: {c: {auth_type: v3applicationcredential, auth: {password: p, application_credential_id: i, application_credential_secret: s}}}',
  );
  t.same((await ask([], { OS_CLOUD: 'c', OS_PROJECT_ID: 'p' })).auth, {
    identity: { methods: ['application_credential'], application_credential: { id: 'i', secret: 's' } },
  });
  write(path, 'clouds: {c: {auth: {user_id: u, username: n, user_domain_id: d, password: p}}}');
  t.match((await ask([], { OS_CLOUD: 'c' })).warnings, [
    /auth.user_id of .* and auth.username of .*; the ID takes precedence/,
  ]);
});

void t.test('keys can be written with - or _, inside auth or outside', async (t) => {
  const { ask, write, configFolder } = setUpCloudsYaml(t);
  const read = async (yaml: string): Promise<ResolvedRequest> => {
    write(join(configFolder, 'clouds.yaml'), `clouds: {c: {${yaml}}}`);
    return ask(['--os-cloud=c']);
  };
  const base = 'user_id: u, password: p';
  const scope = async (yaml: string): Promise<unknown> =>
    ((await read(`auth: {${base}, ${yaml}}`)).auth as { scope?: unknown }).scope;
  for (const key of ['auth_url', 'auth-url', 'keystone_url', 'keystone-url']) {
    t.equal((await read(`auth: {${key}: "https://k/v3"}`)).config.text('keystone-url'), 'https://k/v3', key);
  }
  for (const key of ['username', 'user_name', 'user-name']) {
    t.match(userOf(await read(`auth: {${key}: a, default_domain: x, password: p}`)), {
      name: 'a',
      domain: { id: 'x' },
    });
  }
  for (const key of ['auth_type', 'auth-type', 'auth_plugin']) {
    t.equal((await read(`${key}: v3token, auth: {token: t, password: p}`)).method.name, 'token', key);
  }
  t.same(await scope('tenant_id: t'), { project: { id: 't' } });
  t.same(await scope('tenant_name: t, domain_name: D'), { project: { name: 't', domain: { name: 'D' } } });
  t.same(await scope('tenant_id: t, project_id: p'), { project: { id: 'p' } });
  t.same(await scope('domain_id: d'), { domain: { id: 'd' } });
  t.same(await scope('trust_id: t'), { 'OS-TRUST:trust': { id: 't' } });
  t.same(await scope('unscoped: true'), { unscoped: {} });
  t.same(await scope("project_name: ''"), undefined, 'empty is unset');
  t.same(await scope('project_name: ~'), undefined, 'null is unset');
  t.match(userOf(await read('username: a, password: p, auth: {user_domain_id: d}')), { name: 'a', password: 'p' });
  const twice = await read('username: a, project_id: top, auth: {username: b, user_domain_id: d, project_id: p}');
  t.match(userOf(twice), { name: 'a' }, 'as in openstacksdk, what is next to auth takes precedence');
  t.match(twice.auth, { scope: { project: { id: 'top' } } });
  t.equal((await read('auth: {verify: false, cacert: /x}')).config.has('verify'), false, 'only next to auth');
  const untouched = await read(
    'timeout: 5, verbose: true, cache_storage: none, force_refresh: true, allow_http: true, os_cloud: x, ' +
      'compute_api_version: 2, networks: [{name: a}], auth: {timeout: 3, nonsense: [1], cache_dir: /x}',
  );
  for (const name of ['timeout', 'verbose', 'cache-storage', 'cache-dir', 'force-refresh', 'allow-http'] as const) {
    t.notOk(untouched.config.has(name), name);
  }
  await t.rejects(read('identity_api_version: 2.0'), invalid(/^identity_api_version of cloud c in .*only 3/));
  t.ok(await read('identity_api_version: 3'));
});

void t.test('scalars keep their text', async (t) => {
  const { ask, write, configFolder } = setUpCloudsYaml(t);
  const idFrom = async (text: string): Promise<unknown> => {
    write(join(configFolder, 'clouds.yaml'), `clouds: {c: {auth: {user_id: u, password: p, project_id: ${text}}}}`);
    return ((await ask(['--os-cloud=c'])).auth as { scope: { project: { id: unknown } } }).scope.project.id;
  };
  for (const id of ['12345', '0123', '0o17', '0x1F', '123e4567', '1_000', '1.50', '.inf', 'true', 'no', '2024-01-01']) {
    t.equal(await idFrom(id), id, id);
  }
  t.equal(await idFrom('123456789012345678901234567890'), '123456789012345678901234567890');
  t.equal(await idFrom('!!int 0123'), '0123');
  t.equal(await idFrom('!!str 0123'), '0123');
  t.equal(await idFrom('"a\\tb"'), 'a\tb');
});

void t.test('the clouds to choose from are named if nothing says where Keystone is', async (t) => {
  const two = "clouds: { north: { auth: { auth_url: 'https://n.test' } }, south: {} }";
  const { home, cwd, configFolder, write } = setUpCloudsYaml(t, { 'clouds.yaml': two });
  const whoami = async (env: EnvVars, ...flags: string[]): Promise<string> => {
    const result = await runInProcess({
      argv: ['whoami', '--cache-storage=none', ...flags],
      env,
      cwd,
      home: () => home,
    });
    t.match(result, { status: 4, stdout: '' });
    return result.stderr;
  };
  const says = (names: string): RegExp =>
    new RegExp(
      `^[^\\n]*warning: no cloud of clouds.yaml is used; to use one, set OS_CLOUD \\(--os-cloud\\) to ${names}\\n[^\\n]+\\n$`,
    );
  t.match(await whoami({}), says('north, south'));
  t.match(await whoami({ OS_USERNAME: 'alice' }), says('north, south'), 'a variable excludes all clouds');
  for (const [env, ...flags] of [
    [{ OS_CLOUD: 'north' }],
    [{ OS_CLOUD: 'south' }],
    [{ OS_CLOUD: 'envvars' }],
    [{ OS_AUTH_URL: 'https://n.test' }],
    [{}, '--keystone-url=https://n.test'],
    [{}, '--auth-type=admin_token', '--endpoint=https://n.test'],
  ] as const)
    t.notMatch(await whoami(env, ...flags), 'warning', JSON.stringify([env, flags]));
  const path = write(join(configFolder, 'clouds.yaml'), 'clouds: { south: {} }');
  t.notMatch(await whoami({}), 'warning', 'the only cloud is used');
  t.match(await whoami({ OS_USERNAME: 'alice' }), says('south'));
  unlinkSync(path);
  t.notMatch(await whoami({ OS_USERNAME: 'alice' }), 'warning', 'there is no cloud');
});

void t.test('half of a character is an error that names the setting', async (t) => {
  for (const half of ['\\ud800', '\\udfff', 'a\\udc00b']) {
    const text = `clouds: { one: { auth: { auth_url: 'https://a.test', project_id: "${half}" } } }`;
    const { ask } = setUpCloudsYaml(t, { 'clouds.yaml': text });
    await t.rejects(ask(['--os-cloud=one']), { code: 'config', message: /project_id.* is not Unicode text$/ });
  }
});

void t.test('secure.yaml takes precedence over clouds.yaml, key by key', async (t) => {
  const { ask, configFolder, write, home } = setUpCloudsYaml(t, { 'clouds.yaml': PROD });
  const secure = join(configFolder, 'secure.yaml');
  write(secure, 'clouds: {prod: {auth: {password: secret, username: bob}}}');
  const asked = await ask(['--os-cloud=prod']);
  t.match(
    userOf(asked),
    { name: 'bob', password: 'secret', domain: { name: 'Default' } },
    'secure.yaml takes precedence, key by key',
  );
  t.same(asked.warnings, []);
  t.match(asked.config.origin('password'), /^auth.password of cloud prod in .*secure.yaml$/);
  write(secure, 'clouds: {only: {auth: {user_id: u, password: p, auth_url: "https://k"}}}');
  t.equal(idOf(await ask(['--os-cloud=only'])), 'u', 'a cloud that only secure.yaml contains');
  await t.rejects(ask(['--os-cloud=none']), invalid(/not in .*secure.yaml or .*clouds.yaml/, /only, prod/));
  unlinkSync(join(configFolder, 'clouds.yaml'));
  t.equal(idOf(await ask()), 'u', 'the only cloud');
  for (const mode of [0o640, 0o604, 0o644]) {
    chmodSync(secure, mode);
    t.match((await ask()).warnings, [/^other users can read .*secure.yaml; .*chmod go-r/], mode.toString(8));
  }
  const named = write(join(home, 's'), 'clouds: {c: {auth: {user_id: named, password: p}}}');
  t.equal(idOf(await ask([], { OS_CLIENT_SECURE_FILE: named })), 'named');
});

void t.test('a profile of clouds-public.yaml completes a cloud', async (t) => {
  const { ask, configFolder, write } = setUpCloudsYaml(t);
  const clouds = (text: string): string => write(join(configFolder, 'clouds.yaml'), `clouds: {c: {${text}}}`);
  const mine = 'auth: {username: a, password: p}';
  clouds(`profile: acme, ${mine}`);
  const unknown = [/^profile of cloud c in .* names profile "acme", which the plugin does not know; it is not used$/];
  t.match((await ask()).warnings, unknown);
  write(
    join(configFolder, 'clouds-public.yaml'),
    'public-clouds: {acme: {verify: false, auth: {auth_url: "https://acme/v3", user_domain_name: Acme, username: x}}}',
  );
  for (const key of ['profile', 'cloud']) {
    clouds(`${key}: acme, ${mine}`);
    const asked = await ask();
    t.equal(asked.config.text('keystone-url'), 'https://acme/v3');
    t.match(userOf(asked), { name: 'a', domain: { name: 'Acme' } }, 'the cloud takes precedence over its profile');
    t.match(asked.config.origin('keystone-url'), /^auth.auth_url of profile acme in .*clouds-public.yaml$/);
  }
  clouds('profile: acme, auth: {username: a, password: p, user_domain_id: d}');
  t.match(userOf(await ask()), { domain: { id: 'd' } }, 'the pair is replaced');
  clouds(`profile: other, ${mine}`);
  t.match((await ask()).warnings, [/ names profile "other", which the plugin does not know/]);
  for (const network of ['https://evil.example/profile.json', 'vexxhost', 'ovh']) {
    clouds(`profile: "${network}", ${mine}`);
    const reason = /names profile ".*", which cannot be used: its settings are published at https:.*the network$/;
    await t.rejects(ask(), invalid(reason, /^copy auth_url/), 'no profile is fetched');
  }
  clouds(`profile: ultimum, ${mine}`);
  await t.rejects(ask(), invalid(/which cannot be used: the provider has closed$/));
  clouds(`profile: [acme], ${mine}`);
  await t.rejects(ask(), invalid(/^profile of cloud c in .* must be text$/));
});

void t.test('the region is part of URLs, and a region can have settings of its own', async (t) => {
  const { ask, configFolder, write } = setUpCloudsYaml(t);
  const clouds = (text: string): string =>
    write(
      join(configFolder, 'clouds.yaml'),
      `clouds: {c: {auth: {auth_url: "https://{region_name}.k/v3", user_id: u, password: "a{region_name}{b}", project_id: p}${text}}}`,
    );
  const url = async (argv: string[] = [], env: EnvVars = {}): Promise<unknown> =>
    (await ask(['--os-cloud=c', ...argv], env)).config.text('keystone-url');
  clouds(', regions: [north, {name: south, values: {auth: {project_id: q}, insecure: true}}]');
  t.equal(await url(), 'https://north.k/v3', 'the first region is the default');
  t.equal(await url(['--region-name=south'], { OS_REGION_NAME: 'north' }), 'https://south.k/v3');
  t.equal(await url([], { OS_REGION_NAME: 'south' }), 'https://south.k/v3');
  const south = await ask(['--os-cloud=c', '--region-name=south']);
  t.match(south.auth, { scope: { project: { id: 'q' } } });
  t.ok(south.config.isOn('insecure'));
  t.match(south.config.origin('insecure'), /^insecure of region south of cloud c in /);
  t.match(userOf(south), { password: 'a{region_name}{b}' }, 'braces in a password are not replaced');
  t.match(await ask(['--os-cloud=c', '--region-name=south'], { OS_PROJECT_ID: 'env' }), {
    auth: { scope: { project: { id: 'env' } } },
  });
  await t.rejects(url(['--region-name=west']), invalid(/^--region-name names region "west"/, /north, south$/));
  await t.rejects(url([], { OS_REGION_NAME: 'west' }), invalid(/^OS_REGION_NAME names/));
  clouds(', regions: [north, south], region_name: south');
  t.equal(await url(), 'https://north.k/v3', 'as in openstacksdk, the first one of the list');
  clouds(', region_name: only');
  t.equal(await url(), 'https://only.k/v3');
  t.equal(await url(['--region-name=other']), 'https://other.k/v3');
  for (const region of ['evil.example/', 'a b', 'a@b', 'a:b', '$&', '']) {
    if (region !== '') {
      await t.rejects(
        url([`--region-name=${region}`]),
        invalid(/^the region in --region-name is not valid in auth.auth_url of/),
      );
    } else t.equal(await url([`--region-name=${region}`]), 'https://only.k/v3');
  }
  clouds('');
  await t.rejects(url(), invalid(/^auth.auth_url of cloud c in .* needs a region/, /OS_REGION_NAME/));
  for (const wrong of ['north', '{a: b}', '[[a]]', '[{name: a, values: b}]', '[{name: [a]}]']) {
    clouds(`, regions: ${wrong}`);
    await t.rejects(url(), invalid(/must be/), wrong);
  }
});

void t.test('TLS settings of a cloud are read', async (t) => {
  const { ask, configFolder, write, home, cwd } = setUpCloudsYaml(t);
  const tls = async (text: string): Promise<ReturnType<typeof readTlsSettings>> => {
    write(join(configFolder, 'clouds.yaml'), `clouds: {c: {auth: {user_id: u}, ${text}}}`);
    const { config } = await ask();
    return readTlsSettings(config, fakeHost({ cwd, home: () => home }));
  };
  t.equal((await tls('insecure: true, verify: true, cacert: /nowhere')).insecure, true);
  t.equal((await tls('verify: false, cacert: /nowhere')).insecure, true);
  t.equal((await tls('verify: no')).insecure, true);
  t.equal((await tls('verify: true')).insecure, false);
  await t.rejects(
    tls('cacert: ~/ca.pem'),
    invalid(new RegExp(`^cacert of cloud c in .*: ${home}/ca.pem cannot be read`)),
  );
  await t.rejects(tls('cert: cert.pem'), invalid(new RegExp(`^cert of cloud c in .*: ${cwd}/cert.pem cannot be read`)));
});

void t.test('a file in the current folder is used with a warning, and is not trusted', async (t) => {
  const { ask, cwd, configFolder, write } = setUpCloudsYaml(t);
  const here = join(cwd, 'clouds.yaml');
  const secureHere = join(cwd, 'secure.yaml');
  const cloud = { OS_CLOUD: 'c' };
  write(here, cloudOf('evil'));
  const asked = await ask([], cloud);
  t.same(asked.warnings, [`the settings come from ${here} in the current folder`]);
  t.match(findUntrustedSetting(asked.config, OPTIONS), { origin: /^auth.auth_url of cloud c in / });
  const refused = conflict(
    /^auth.auth_url of cloud c in .*work\/clouds.yaml, a file in the current folder, must not decide where OS_PASSWORD goes$/,
    /^set OS_CLIENT_CONFIG_FILE to .*work\/clouds.yaml if you trust that file$/,
  );
  await t.rejects(ask([], { ...cloud, OS_PASSWORD: 'mine' }), refused);
  await t.rejects(ask(['--password=mine'], cloud), conflict(/where --password goes/));
  await t.rejects(ask([], { ...cloud, OS_TOKEN: 'mine' }), conflict(/where OS_TOKEN goes/));
  const trusted = await ask([], { ...cloud, OS_PASSWORD: 'mine', OS_CLIENT_CONFIG_FILE: here });
  t.same(trusted.warnings, [], 'a file that the user names is trusted');
  t.equal(findUntrustedSetting(trusted.config, OPTIONS), undefined);
  const forAmbient = conflict(/auth.auth_url .* must not decide where the credential of this machine goes/);
  t.throws(() => rejectUntrustedForMachineIdentity(asked.config, OPTIONS), forAmbient);
  t.doesNotThrow(() => rejectUntrustedForMachineIdentity(trusted.config, OPTIONS));
  t.ok(
    await ask([], { ...cloud, OS_PASSWORD: 'mine', OS_AUTH_URL: 'https://mine/v3' }),
    "the URL is also the user's own setting",
  );
  t.ok(await ask(['--no-env', '--os-cloud=c'], { OS_PASSWORD: 'mine' }), 'the password of the file is not used');

  write(join(configFolder, 'secure.yaml'), 'clouds: {c: {auth: {password: mine}}}');
  await t.rejects(ask([], cloud), conflict(/where auth.password of cloud c in .*home.*secure.yaml goes/));
  write(secureHere, 'clouds: {c: {auth: {password: theirs}}}');
  t.same((await ask([], cloud)).warnings, [
    `the settings come from ${secureHere} in the current folder`,
    `the settings come from ${here} in the current folder`,
  ]);
  unlinkSync(here);
  write(join(configFolder, 'clouds.yaml'), cloudOf('me'));
  t.ok(await ask([], cloud), 'a password of that file can be sent to a URL of a trusted file');
  write(secureHere, 'clouds: {c: {auth: {auth_url: "https://evil/v3"}}}');
  await t.rejects(
    ask([], cloud),
    conflict(/secure.yaml.* must not decide where auth.password/, /OS_CLIENT_SECURE_FILE/),
  );

  const mine = { ...cloud, OS_AUTH_URL: 'https://mine/v3', OS_PASSWORD: 'mine' };
  for (const [text, bad] of [
    ['insecure: true', true],
    ['verify: false', true],
    ['cacert: ca.pem', true],
    ['insecure: false', false],
    ['verify: true', false],
    ['auth: {project_id: p}', false],
  ] as const) {
    write(secureHere, `clouds: {c: {${text}}}`);
    if (bad) await t.rejects(ask([], mine), conflict(/must not decide where OS_PASSWORD goes/), text);
    else t.ok(await ask([], mine), text);
  }

  const template = 'auth: {auth_url: "https://{region_name}.k/v3", user_id: u, password: mine}';
  write(
    join(configFolder, 'clouds.yaml'),
    `clouds: {c: {${template}, regions: [north, {name: south, values: {verify: false}}]}}`,
  );
  write(secureHere, 'clouds: {c: {region_name: south}}');
  t.equal((await ask([], cloud)).config.text('keystone-url'), 'https://north.k/v3', 'the list decides');
  for (const region of ['regions: [evil.example]', 'regions: [north]']) {
    write(secureHere, `clouds: {c: {${region}}}`);
    await t.rejects(ask([], cloud), conflict(/ of cloud c in .*home.* must not decide where auth.password/), region);
  }
  t.ok(await ask(['--region-name=north'], cloud), 'the user has chosen the region');
  write(join(configFolder, 'clouds.yaml'), `clouds: {c: {${template}}}`);
  for (const region of ['region_name: evil.example', 'region_name: [evil.example]', 'profile: elastx']) {
    write(secureHere, `clouds: {c: {${region}}}`);
    await t.rejects(ask([], cloud), conflict(/ of .* must not decide where auth.password/), region);
  }
  write(join(configFolder, 'clouds-public.yaml'), 'public-clouds: {p: {auth: {auth_url: "https://other"}}}');
  write(join(configFolder, 'clouds.yaml'), 'clouds: {c: {auth: {user_id: u, password: mine}}}');
  write(secureHere, 'clouds: {c: {profile: p}}');
  await t.rejects(ask([], cloud), conflict(/ of profile p in .*home.* must not decide where auth.password/));
  unlinkSync(join(configFolder, 'clouds-public.yaml'));

  unlinkSync(secureHere);
  write(join(configFolder, 'clouds.yaml'), 'clouds: {c: {profile: p, auth: {user_id: u, password: mine}}}');
  write(join(cwd, 'clouds-public.yaml'), 'public-clouds: {p: {auth: {auth_url: "https://evil"}}}');
  await t.rejects(
    ask([], cloud),
    conflict(/of profile p in .*clouds-public.yaml.* must not decide/, /move .*clouds-public/),
  );
});

void t.test('a standard folder is trusted even if it is the current folder', async (t) => {
  const { configFolder, write, home } = setUpCloudsYaml(t);
  write(join(configFolder, 'clouds.yaml'), cloudOf('me'));
  const link = join(home, 'link');
  symlinkSync(configFolder, link);
  for (const cwd of [configFolder, link]) {
    const asked = await resolveRequest([], { OS_CLOUD: 'c', OS_PASSWORD: 'mine' }, { cwd, home: () => home });
    t.same(asked.warnings, []);
  }
});

void t.test('the files that the result depends on are listed', async (t) => {
  const { ask, cwd, configFolder, write } = setUpCloudsYaml(t, { 'clouds.yaml': PROD });
  const { files } = await ask([], { OS_CLOUD: 'prod' });
  const paths = files.map(({ path }) => path);
  t.same(
    paths.filter((path) => /\/clouds\.\w+$/.test(path)),
    ['.yaml', '.yml', '.json'].map((suffix) => join(cwd, `clouds${suffix}`)).concat(join(configFolder, 'clouds.yaml')),
    'all files of the search',
  );
  for (const suffix of ['.yaml', '.yml', '.json']) {
    for (const folder of [cwd, configFolder, '/etc/xdg/openstack', '/etc/openstack']) {
      t.ok(paths.includes(join(folder, `secure${suffix}`)), join(folder, suffix));
    }
  }
  t.ok(files.every(isFileUnchanged));
  write(join(configFolder, 'clouds.yaml'), PROD.replace('alice', 'bobby'));
  t.same(
    files.filter((file) => !isFileUnchanged(file)).map(({ path }) => path),
    [join(configFolder, 'clouds.yaml')],
  );
  const before = (await ask([], { OS_CLOUD: 'prod' })).files;
  write(join(cwd, 'clouds.yml'), PROD);
  t.notOk(before.every(isFileUnchanged), 'a file that is created');
  const outside = await ask([], { OS_CLOUD: 'prod', XDG_CONFIG_HOME: '/dev/null' });
  t.ok(outside.files.every(isFileUnchanged), 'a path that is not a folder');
});

void t.test('several factors can be a list or a text with commas', async (t) => {
  const { ask, configFolder, write } = setUpCloudsYaml(t);
  const factors = 'auth: {username: a, user_domain_id: d, password: p, passcode: 012345}';
  for (const methods of ['[v3password, v3totp]', '"v3password,v3totp"', "'v3password, v3totp'"]) {
    for (const key of ['auth_methods', 'auth-methods']) {
      write(
        join(configFolder, 'clouds.yaml'),
        `clouds: {c: {auth_type: v3multifactor, ${key}: ${methods}, ${factors}}}`,
      );
      t.same((await ask()).auth, {
        identity: {
          methods: ['password', 'totp'],
          password: { user: { name: 'a', domain: { id: 'd' }, password: 'p' } },
          totp: { user: { name: 'a', domain: { id: 'd' }, passcode: '012345' } },
        },
      });
    }
  }
  write(join(configFolder, 'clouds.yaml'), `clouds: {c: {auth_methods: [[v3password]], ${factors}}}`);
  await t.rejects(ask(), invalid(/^auth_methods of cloud c in .* must be text$/));
});
