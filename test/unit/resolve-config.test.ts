/** The precedence of settings: the rows of the table in docs/reference.md. */
import t from 'tap';
import { resolveScope } from '../../src/plugin/config/resolve-scope.ts';
import { describeScope } from '../../src/shared/keystone/scope.ts';
import { chooseMethod } from '../../src/plugin/auth-methods/choose-method.ts';
import { resolveRequest } from '../support/resolve-request.ts';
import type { EnvVars } from '../support/home.ts';

const USER = { OS_USERNAME: 'alice', OS_PASSWORD: 'pw', OS_USER_DOMAIN_NAME: 'U' };

const userOf = async (argv: readonly string[], env: EnvVars): Promise<unknown> =>
  ((await resolveRequest(argv, env)).auth as { identity: { password: { user: unknown } } }).identity.password.user;

const scopeOf = async (argv: readonly string[], env: EnvVars): Promise<unknown> =>
  ((await resolveRequest(argv, { ...USER, ...env })).auth as { scope?: unknown }).scope;

void t.test('the user is named by ID, or by name and domain', async (t) => {
  t.same(await userOf([], { OS_USER_ID: 'u1', OS_PASSWORD: 'pw' }), { id: 'u1', password: 'pw' });
  t.same(await userOf([], { OS_USERID: 'u1', OS_PASSWORD: 'pw' }), { id: 'u1', password: 'pw' });
  t.same(await userOf([], { OS_USER_NAME: 'a', OS_USER_DOMAIN_ID: 'd', OS_PASSWORD: 'pw' }), {
    name: 'a',
    domain: { id: 'd' },
    password: 'pw',
  });
  const both = await resolveRequest([], { ...USER, OS_USER_ID: 'u1' });
  t.match(both.auth, { identity: { password: { user: { id: 'u1' } } } });
  t.match(both.warnings, [/OS_USER_ID and OS_USERNAME are both set; the ID takes precedence/]);
  t.same(
    await userOf(['--user-name', 'bob'], { ...USER, OS_USER_ID: 'u1' }),
    {
      name: 'bob',
      domain: { name: 'U' },
      password: 'pw',
    },
    'a flag replaces ID and name',
  );
  t.same(await userOf(['--user-domain-id=d'], USER), { name: 'alice', domain: { id: 'd' }, password: 'pw' });
  t.same(await userOf(['--password', '-x y '], USER), { name: 'alice', domain: { name: 'U' }, password: '-x y ' });
  t.same(await userOf(['--password="quoted"'], USER), { name: 'alice', domain: { name: 'U' }, password: '"quoted"' });
  t.same(await userOf(['--user-name=007'], USER), { name: '007', domain: { name: 'U' }, password: 'pw' });
  t.same(await userOf(['--user-name=a', '--user-name=b'], USER), { name: 'b', domain: { name: 'U' }, password: 'pw' });
});

void t.test('default domains apply to the user and the project', async (t) => {
  const bare = { OS_USERNAME: 'alice', OS_PASSWORD: 'pw', OS_PROJECT_NAME: 'p' };
  const domains = async (argv: readonly string[], env: EnvVars): Promise<unknown[]> => {
    const { auth } = await resolveRequest(argv, { ...bare, ...env });
    const { identity, scope } = auth as {
      identity: { password: { user: { domain: unknown } } };
      scope: { project: { domain: unknown } };
    };
    return [identity.password.user.domain, scope.project.domain];
  };
  t.same(await domains([], { OS_DOMAIN_NAME: 'D' }), [{ name: 'D' }, { name: 'D' }]);
  t.same(await domains([], { OS_DOMAIN_ID: 'd' }), [{ id: 'd' }, { id: 'd' }]);
  t.same(await domains([], { OS_DOMAIN_NAME: 'D', OS_USER_DOMAIN_NAME: 'U' }), [{ name: 'U' }, { name: 'D' }]);
  t.same(await domains([], { OS_DEFAULT_DOMAIN: 'default' }), [{ id: 'default' }, { id: 'default' }]);
  t.same(await domains([], { OS_DEFAULT_DOMAIN_NAME: 'D' }), [{ name: 'D' }, { name: 'D' }]);
  t.same(await domains([], { OS_DEFAULT_DOMAIN_ID: 'x', OS_PROJECT_DOMAIN_NAME: 'P' }), [{ id: 'x' }, { name: 'P' }]);
  t.same(
    await domains(['--domain-name=D', '--user-name=bob'], { OS_USER_DOMAIN_NAME: 'U', OS_PROJECT_DOMAIN_NAME: 'P' }),
    [{ name: 'U' }, { name: 'P' }],
    'a general domain does not replace those of user and project',
  );
});

void t.test('each scope leads to its request', async (t) => {
  t.same(await scopeOf([], {}), undefined, 'without a scope, the default project');
  t.same(await scopeOf([], { OS_PROJECT_ID: 'p', OS_PROJECT_NAME: 'n', OS_PROJECT_DOMAIN_NAME: 'D' }), {
    project: { id: 'p' },
  });
  t.same(await scopeOf([], { OS_PROJECT_NAME: 'n', OS_PROJECT_DOMAIN_ID: 'd' }), {
    project: { name: 'n', domain: { id: 'd' } },
  });
  t.same(await scopeOf([], { OS_TENANT_ID: 't' }), { project: { id: 't' } });
  t.same(await scopeOf([], { OS_PROJECT_ID: 'false' }), { project: { id: 'false' } }, 'a project that is called false');
  t.same(await scopeOf([], { OS_TENANT_NAME: 't', OS_DOMAIN_NAME: 'D' }), {
    project: { name: 't', domain: { name: 'D' } },
  });
  t.same(
    await scopeOf([], { OS_TENANT_ID: 't', OS_PROJECT_NAME: 'n', OS_DOMAIN_NAME: 'D' }),
    {
      project: { name: 'n', domain: { name: 'D' } },
    },
    'project takes precedence over tenant',
  );
  t.same(await scopeOf([], { OS_DOMAIN_NAME: 'D' }), { domain: { name: 'D' } });
  t.same(await scopeOf([], { OS_DOMAIN_ID: 'd' }), { domain: { id: 'd' } });
  t.same(await scopeOf([], { OS_SYSTEM_SCOPE: 'all' }), { system: { all: true } });
  t.same(await scopeOf([], { OS_TRUST_ID: 't' }), { 'OS-TRUST:trust': { id: 't' } });
  t.same(await scopeOf(['--unscoped'], {}), { unscoped: {} });
  t.same(
    await scopeOf(['--system-scope=all'], { OS_PROJECT_ID: 'p' }),
    { system: { all: true } },
    'a flag replaces a variable',
  );
  t.same(await scopeOf(['--project-id=p'], { OS_TRUST_ID: 't' }), { project: { id: 'p' } });
  t.same(await scopeOf(['--unscoped=false'], { OS_DOMAIN_ID: 'd' }), { domain: { id: 'd' } });
  t.same(
    await scopeOf([], { OS_SYSTEM_SCOPE: 'all', OS_DOMAIN_NAME: 'D' }),
    { system: { all: true } },
    'the system takes precedence over a domain',
  );
});

void t.test('two scopes in one layer are an error that names both', async (t) => {
  const conflict = (message: RegExp) => ({ code: 'config-conflict', message });
  await t.rejects(
    scopeOf([], { OS_PROJECT_ID: 'p', OS_SYSTEM_SCOPE: 'all' }),
    conflict(/OS_PROJECT_ID and OS_SYSTEM_SCOPE/),
  );
  await t.rejects(scopeOf([], { OS_PROJECT_ID: 'p', OS_TRUST_ID: 't' }), conflict(/OS_PROJECT_ID and OS_TRUST_ID/));
  await t.rejects(scopeOf(['--unscoped', '--project-id=p'], {}), conflict(/--project-id and --unscoped/));
  await t.rejects(scopeOf(['--system-scope=all', '--trust-id=t'], {}), conflict(/--system-scope and --trust-id/));
});

void t.test('the method follows from the settings', async (t) => {
  const chosen = async (argv: readonly string[], env: EnvVars = {}): Promise<string | undefined> =>
    (await resolveRequest(argv, env)).method.name;
  t.equal(await chosen([]), 'password');
  t.equal(await chosen([], { OS_TOKEN: 't' }), 'token');
  t.equal(await chosen([], { OS_AUTH_TOKEN: 't' }), 'token');
  t.equal(await chosen([], { OS_TOKEN: 't', OS_PASSWORD: 'p' }), 'token');
  t.equal(
    await chosen([], { OS_APPLICATION_CREDENTIAL_ID: 'i', OS_APPLICATION_CREDENTIAL_SECRET: 's' }),
    'v3applicationcredential',
  );
  t.equal(
    await chosen(['--application-credential-id=i', '--application-credential-secret=s'], { OS_PASSWORD: 'p' }),
    'v3applicationcredential',
  );
  t.equal(await chosen(['--password=p'], { OS_APPLICATION_CREDENTIAL_SECRET: 's' }), 'password');
  for (const [type, name] of [
    ['password', 'password'],
    ['v3password', 'password'],
    ['token', 'token'],
    ['v3token', 'token'],
    ['v3applicationcredential', 'v3applicationcredential'],
  ]) {
    t.equal(await chosen([`--auth-type=${type ?? ''}`], { OS_PASSWORD: 'p', OS_TOKEN: 't' }), name);
    t.equal(await chosen([], { OS_AUTH_PLUGIN: type ?? '', OS_PASSWORD: 'p' }), name);
  }
  await t.rejects(chosen([], { OS_AUTH_TYPE: 'v3adfspassword' }), {
    code: 'config-invalid',
    message: /OS_AUTH_TYPE.*v3adfspassword/,
    hint: /v3websso/,
  });
  await t.rejects(chosen(['--application-credential-secret=s', '--password=p']), {
    code: 'config-conflict',
    message: /--application-credential-secret and --password/,
    hint: /OS_AUTH_TYPE/,
  });
});

void t.test('settings of another login do not change who logs in, and are named', async (t) => {
  const alice = { OS_USERNAME: 'alice', OS_USER_DOMAIN_NAME: 'D', OS_PASSWORD: 'p' };
  const credential = { OS_APPLICATION_CREDENTIAL_ID: 'i', OS_APPLICATION_CREDENTIAL_SECRET: 's' };
  const choose = async (env: EnvVars, argv: readonly string[] = []): Promise<readonly [string, readonly string[]]> => {
    const { config } = await resolveRequest(argv, env);
    const { method, warnings } = chooseMethod(config);
    return [method.name, warnings];
  };
  const unused = (origin: string, name: string): string[] => [
    `${origin} is not used, because of OS_PASSWORD; to use it, set OS_AUTH_TYPE=${name}`,
  ];
  for (const [leftover, name] of [
    [credential, 'v3applicationcredential'],
    [{ OS_APPLICATION_CREDENTIAL_NAME: 'n' }, 'v3applicationcredential'],
    [{ OS_APPLICATION_CREDENTIAL_SECRET: 's' }, 'v3applicationcredential'],
    [{ OS_ACCESS_TOKEN: 't' }, 'v3oidcaccesstoken'],
    [{ OS_AUTH_METHODS: 'v3password,v3totp' }, 'v3multifactor'],
    [{ OS_AUTH_METHODS: 'nonsense' }, 'v3multifactor'],
    [{ OS_TOKEN: 't' }, 'token'],
  ] as const) {
    const [variable = ''] = Object.keys(leftover).toReversed();
    t.strictSame(await choose({ ...alice, ...leftover }), ['password', unused(variable, name)], variable);
  }
  const both = { ...alice, OS_AUTH_METHODS: 'v3password,v3totp', OS_PASSCODE: '1' };
  t.strictSame(await choose(both), ['v3multifactor', []], 'the same person, with both factors');
  const lacking = { ...alice, OS_PASSWORD: undefined };
  for (const leftover of [{ OS_APPLICATION_CREDENTIAL_SECRET: 's' }, { OS_ACCESS_TOKEN: 't' }]) {
    t.match(await choose({ ...lacking, ...leftover }), ['password', [/ is not used, because of the default/]]);
  }
  t.match(await choose(credential), ['v3applicationcredential', []]);
  const named = { OS_USERNAME: 'alice', OS_APPLICATION_CREDENTIAL_NAME: 'n', OS_APPLICATION_CREDENTIAL_SECRET: 's' };
  t.match(await choose(named), ['v3applicationcredential', []], 'a password login would lack the domain too');
  t.match(await choose({ ...named, OS_APPLICATION_CREDENTIAL_SECRET: undefined }), ['v3applicationcredential', []]);
  t.match(await choose({ OS_USERNAME: 'alice', OS_APPLICATION_CREDENTIAL_SECRET: 's' }), [
    'password',
    [/^OS_APPLICATION_CREDENTIAL_SECRET is not used, because of the default/],
  ]);
  t.match(await choose(alice, ['--application-credential-id=i']), [
    'v3applicationcredential',
    [/^OS_PASSWORD is not used, because of --application-credential-id/],
  ]);
});

void t.test('what a shell would have removed from a variable does not count, and is named in a secret', async (t) => {
  const env = {
    OS_USERNAME: '"alice"\r',
    OS_USER_DOMAIN_NAME: "'Default' ",
    OS_PROJECT_ID: ' p\r\n',
    OS_TRUST_ID: '\r',
  };
  const { auth } = await resolveRequest([], { ...env, OS_PASSWORD: 'pw' });
  t.same(auth, {
    identity: {
      methods: ['password'],
      password: { user: { name: 'alice', domain: { name: 'Default' }, password: 'pw' } },
    },
    scope: { project: { id: 'p' } },
  });
  for (const [secret, flaw] of [
    ['pw\r', 'ends with a line break'],
    ['pw\n', 'ends with a line break'],
    ['pw ', 'ends with a space'],
    [' pw', 'begins with a space or a line break'],
    ['"pw"', 'is wrapped in quotes'],
    ["'pw'", 'is wrapped in quotes'],
  ] as const) {
    const asked = await resolveRequest([], { ...USER, OS_PASSWORD: secret });
    t.same(asked.warnings, [`OS_PASSWORD ${flaw}; it is sent like that`]);
    t.match(asked.auth, { identity: { password: { user: { password: secret } } } }, 'a secret stays as it is');
  }
  t.same((await resolveRequest([], { ...USER, OS_PASSWORD: 'p w"' })).warnings, []);
});

void t.test('a token without a scope is used unchanged, with a scope it is exchanged', async (t) => {
  const { request } = await resolveRequest([], { OS_TOKEN: 'T' });
  t.match(request, { verb: 'GET', path: 'auth/tokens?nocatalog=true' });
  t.same((await resolveRequest([], { OS_TOKEN: 'T', OS_PROJECT_ID: 'p' })).auth, {
    identity: { methods: ['token'], token: { id: 'T' } },
    scope: { project: { id: 'p' } },
  });
});

void t.test('an empty variable counts as unset', async (t) => {
  t.same(await userOf([], { ...USER, OS_USER_ID: '', OS_TOKEN: '' }), {
    name: 'alice',
    domain: { name: 'U' },
    password: 'pw',
  });
  t.same(await userOf(['--user-id='], USER), { name: 'alice', domain: { name: 'U' }, password: 'pw' });
});

void t.test('missing options are listed in the order of the prompts', async (t) => {
  const missing = async (argv: readonly string[], env: EnvVars = {}): Promise<readonly string[]> =>
    (await resolveRequest(argv, env)).missing;
  t.same(await missing([]), ['user-name', 'user-domain-name', 'password']);
  t.same(await missing([], { OS_USERNAME: 'a' }), ['user-domain-name', 'password']);
  t.same(await missing([], { OS_USER_ID: 'a' }), ['password']);
  t.same(await missing([], { ...USER, OS_PROJECT_NAME: 'p' }), ['project-domain-name']);
  t.same(await missing([], { ...USER, OS_PROJECT_ID: 'p' }), []);
  t.same(await missing(['--system-scope=all'], { ...USER, OS_PROJECT_NAME: 'p' }), []);
  t.same(await missing(['--auth-type=token']), ['token']);
  t.same(await missing(['--auth-type=v3applicationcredential']), [
    'application-credential-id',
    'application-credential-secret',
  ]);
  const named = { OS_APPLICATION_CREDENTIAL_NAME: 'n', OS_APPLICATION_CREDENTIAL_SECRET: 's' };
  t.same(await missing([], named), ['user-name', 'user-domain-name']);
  t.same(await missing([], { ...named, OS_USERNAME: 'a' }), ['user-domain-name']);
});

void t.test('invalid values of options are errors that name the option', async (t) => {
  const reject = (argv: string[], env: EnvVars, message: RegExp) =>
    t.rejects(resolveRequest(argv, env), { code: 'config-invalid', message });
  await reject([], { OS_SYSTEM_SCOPE: 'true' }, /OS_SYSTEM_SCOPE must be all/);
  await reject([], { OS_INSECURE: 'maybe' }, /OS_INSECURE must be true or false/);
  await reject([], { OS_IDENTITY_API_VERSION: '2.0' }, /OS_IDENTITY_API_VERSION.*only 3/);
  await reject(['--timeout=soon'], {}, /--timeout/);
  // "andré" in Latin-1: Node and Bun put U+FFFD in the place of a byte that is not UTF-8.
  for (const name of ['OS_USERNAME', 'OS_PASSWORD', 'OS_TOKEN', 'OS_CACERT'])
    await reject([], { ...USER, [name]: 'andr\ufffd' }, new RegExp(`^${name} is not UTF-8 text$`));
  await reject(['--user-name=andr\ufffd'], {}, /^--user-name is not UTF-8 text$/);
  await reject(['--timeout=0'], {}, /--timeout/);
  for (const version of ['3', '3.14', 'v3']) t.ok(await resolveRequest([], { OS_IDENTITY_API_VERSION: version }));
});

void t.test('scopes are described in messages', async (t) => {
  const words = async (env: EnvVars): Promise<string> =>
    describeScope(resolveScope((await resolveRequest([], { ...USER, ...env })).config));
  t.equal(await words({ OS_PROJECT_NAME: 'p', OS_PROJECT_DOMAIN_NAME: 'D' }), 'on project p');
  t.equal(await words({ OS_DOMAIN_ID: 'd' }), 'on domain d');
  t.equal(await words({ OS_SYSTEM_SCOPE: 'all' }), 'on the system');
  t.equal(await words({ OS_TRUST_ID: 't' }), 'with trust t');
  t.equal(await words({ OS_UNSCOPED: 'yes' }), 'without a scope');
  t.equal(await words({}), 'on the default project');
});
