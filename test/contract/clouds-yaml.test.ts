// clouds.yaml with a real Keystone: the user that it names logs in once, and after an edit, no token of another user is
// used.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { PluginRun, RunResult } from '../support/run-plugin.ts';
import { validateToken } from '../support/tenancy.ts';
import type { User } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { WatchedAddress } from '../support/request-log.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

type Json = string | boolean | { readonly [name: string]: Json };

interface CloudsYamlFixture {
  readonly home: string;
  /** The user's folder for OpenStack settings. */
  readonly configFolder: string;
  readonly address: WatchedAddress;
  /** Returns the number of requests. */
  readonly countRequests: () => number;
  /** Writes JSON, which is valid YAML and quotes every character of a password. */
  readonly write: (path: string, content: Json, mode?: number) => void;
  readonly run: (run?: Omit<PluginRun, 'home'>) => Promise<RunResult>;
  /** Asks Keystone for the user and the project of a run's token. */
  readonly findTokenOwner: (t: Test, result: RunResult, warnings?: readonly (string | RegExp)[]) => Promise<string>;
}

function setUpCloudsYaml(t: Test, environment: TestEnvironment, server = environment.http): CloudsYamlFixture {
  const home = makeHome();
  t.teardown(() => home.remove());
  const address = watchRequests(server);
  return {
    home: home.path,
    configFolder: join(home.path, '.config', 'openstack'),
    address,
    countRequests: () => listRequests(address).length,
    write(path, content, mode = 0o600) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, JSON.stringify(content, null, 2), { mode });
      chmodSync(path, mode);
    },
    run: (run = {}) => runPlugin({ home, ...run }),
    async findTokenOwner(t, result, warnings) {
      const facts = await validateToken(environment.http, checkSuccess(t, result, warnings).token);
      return [facts?.user.name, facts?.project?.name].join(' ');
    },
  };
}

const cloudsOf = (clouds: Json): Json => ({ clouds });

function authOf(
  { tenancy }: TestEnvironment,
  { url }: WatchedAddress,
  { name, password }: User,
  project = 'demo',
): Record<string, Json> {
  return {
    auth_url: `${url}/v3`,
    username: name,
    password,
    project_name: project,
    user_domain_name: tenancy.domain.name,
    project_domain_name: tenancy.domain.name,
  };
}

testWithKeystone('logs in to a named cloud once', async (t, environment) => {
  const { alice } = environment.tenancy.users;
  const { valid } = environment.tenancy.applicationCredentials;
  await t.test('password', async (t) => {
    const { address, countRequests, configFolder, run, findTokenOwner, write } = setUpCloudsYaml(t, environment);
    const file = join(configFolder, 'clouds.yaml');
    write(file, cloudsOf({ prod: { auth: authOf(environment, address, alice), region_name: 'r' }, other: {} }));
    const env = { OS_CLOUD: 'prod' };
    const first = await run({ env });
    t.equal(await findTokenOwner(t, first), 'alice demo');
    t.equal(countRequests(), 1);
    t.strictSame(await run({ env }), first, 'the cache returns the same token');
    t.strictSame(await run({ args: ['--os-cloud', 'prod'] }), first, 'the cache returns the same token with the flag');
    t.equal(countRequests(), 1);
    const onOther = await run({ env: { ...env, OS_PROJECT_NAME: 'other' } });
    t.equal(await findTokenOwner(t, onOther), 'alice other', 'a variable takes precedence');
    const wrong = { ...env, OS_USERNAME: 'nobody', OS_PASSWORD: 'wrong', OS_AUTH_URL: 'http://127.0.0.1:1' };
    t.strictSame(
      await run({ args: ['--no-env', '--os-cloud=prod'], env: wrong }),
      first,
      'an ignored variable does not',
    );
    t.equal(countRequests(), 2);
  });
  await t.test('the only cloud, without its name', async (t) => {
    const { address, configFolder, run, findTokenOwner, write } = setUpCloudsYaml(t, environment);
    write(join(configFolder, 'clouds.json'), cloudsOf({ only: { auth: authOf(environment, address, alice) } }));
    t.equal(await findTokenOwner(t, await run()), 'alice demo');
  });
  await t.test('application credential with a project', async (t) => {
    const { address, configFolder, run, findTokenOwner, write } = setUpCloudsYaml(t, environment);
    const auth = {
      auth_url: address.url,
      application_credential_id: valid.id,
      application_credential_secret: valid.secret,
      project_name: 'other',
    };
    write(join(configFolder, 'clouds.yaml'), cloudsOf({ prod: { auth_type: 'v3applicationcredential', auth } }));
    t.equal(await findTokenOwner(t, await run({ env: { OS_CLOUD: 'prod' } })), 'alice demo');
  });
  await t.test('TLS with the certificate authority of the file', async (t) => {
    const { address, countRequests, home, configFolder, run, findTokenOwner, write } = setUpCloudsYaml(
      t,
      environment,
      getTlsKeystone(),
    );
    const cloud = { auth: authOf(environment, address, alice) };
    write(join(configFolder, 'clouds.yaml'), cloudsOf({ prod: { ...cloud, cacert: environment.pki.ca }, bare: cloud }));
    t.equal(await findTokenOwner(t, await run({ env: { OS_CLOUD: 'prod' } })), 'alice demo');
    t.equal(countRequests(), 1);
    checkFailure(t, await run({ env: { OS_CLOUD: 'bare' } }), EXIT_STATUS.unreachable, { says: ['not trusted'] });
    t.equal(countRequests(), 1);
    write(
      join(configFolder, 'clouds.yaml'),
      cloudsOf({ prod: { ...cloud, verify: false, cacert: environment.pki.ca } }),
    );
    const warning =
      /certificate is not checked, because of verify of cloud prod in .*, and cacert of cloud prod .* not used/;
    t.equal(await findTokenOwner(t, await run({ env: { OS_CLOUD: 'prod' }, cwd: home }), [warning]), 'alice demo');
  });
});

testWithKeystone('changes in the files take effect immediately', async (t, environment) => {
  const { alice, bob } = environment.tenancy.users;
  const { address, countRequests, configFolder, run, findTokenOwner, write } = setUpCloudsYaml(t, environment);
  const env = { OS_CLOUD: 'prod' };
  const file = join(configFolder, 'clouds.yaml');
  const secure = join(configFolder, 'secure.yaml');
  write(file, cloudsOf({ prod: { auth: authOf(environment, address, alice) } }));
  t.equal(await findTokenOwner(t, await run({ env })), 'alice demo');
  write(file, cloudsOf({ prod: { auth: authOf(environment, address, bob) } }));
  t.equal(await findTokenOwner(t, await run({ env })), 'bob demo', 'an edited file causes a login');
  write(file, cloudsOf({ prod: { auth: authOf(environment, address, alice) } }));
  t.equal(await findTokenOwner(t, await run({ env })), 'alice demo', 'the original file');
  t.equal(countRequests(), 2, 'its token is still cached');

  write(secure, cloudsOf({ prod: { auth: { username: bob.name, password: bob.password } } }));
  t.equal(await findTokenOwner(t, await run({ env })), 'bob demo', 'a new secure.yaml');
  write(secure, cloudsOf({ only: { auth: authOf(environment, address, alice) } }), 0o644);
  const open = `other users can read ${secure}`;
  t.equal(await findTokenOwner(t, await run({ env })), 'alice demo', 'a secure.yaml with other clouds only');
  t.equal(countRequests(), 2);
  const onlySecure = { OS_CLOUD: 'only', OS_PROJECT_NAME: 'other' };
  t.equal(
    await findTokenOwner(t, await run({ env: onlySecure }), [open]),
    'alice other',
    'a cloud that only secure.yaml contains',
  );
  checkSuccess(t, await run({ env: onlySecure }));
  t.equal(countRequests(), 3, 'a cache hit prints no warning');
});

testWithKeystone('a file in the current folder', async (t, environment) => {
  const { alice } = environment.tenancy.users;
  const { address, countRequests, home, configFolder, run, findTokenOwner, write } = setUpCloudsYaml(t, environment);
  const checkout = join(home, 'checkout');
  const file = join(checkout, 'clouds.yaml');
  const env = { OS_CLOUD: 'prod' };
  const { password, ...theirs } = authOf(environment, address, alice);
  write(file, cloudsOf({ prod: { auth: theirs } }));

  const mine = { ...env, OS_PASSWORD: alice.password };
  const refusal = { says: ['auth.auth_url of cloud prod in ', 'OS_PASSWORD', `OS_CLIENT_CONFIG_FILE to ${file}`] };
  checkFailure(t, await run({ env: mine, cwd: checkout }), EXIT_STATUS.config, refusal);
  write(join(configFolder, 'secure.yaml'), cloudsOf({ prod: { auth: { password: password ?? '' } } }));
  const secret = { says: ['must not decide where auth.password of cloud prod in ', 'secure.yaml goes'] };
  checkFailure(t, await run({ env, cwd: checkout }), EXIT_STATUS.config, secret);
  t.equal(countRequests(), 0, 'nothing was sent');

  t.equal(
    await findTokenOwner(t, await run({ env: { ...mine, OS_CLIENT_CONFIG_FILE: file }, cwd: checkout })),
    'alice demo',
  );
  write(file, cloudsOf({ prod: { auth: { ...theirs, password: password ?? '' } } }));
  write(join(configFolder, 'secure.yaml'), cloudsOf({}));
  const here = `the settings come from ${file} in the current folder`;
  const stood = await run({ env: { ...env, OS_PROJECT_NAME: 'other' }, cwd: checkout });
  t.equal(await findTokenOwner(t, stood, [here]), 'alice other', 'settings that are all from that file are used');
});

testWithKeystone('invalid files, and files that are not read', async (t, environment) => {
  const { alice } = environment.tenancy.users;
  const { address, countRequests, configFolder, run, findTokenOwner, write } = setUpCloudsYaml(t, environment);
  const auth = authOf(environment, address, alice);
  const file = join(configFolder, 'clouds.yaml');
  write(file, cloudsOf({ prod: { auth }, stage: {} }));
  checkFailure(t, await run({ env: { OS_CLOUD: 'none' } }), EXIT_STATUS.config, {
    says: ['cloud "none"', 'prod, stage'],
  });
  writeFileSync(file, 'clouds:\n  prod: {auth: {password: "canary\n');
  const result = await run({ env: { OS_CLOUD: 'prod' } });
  checkFailure(t, result, EXIT_STATUS.config, { says: [`${file} is not valid YAML (line `] });
  t.notMatch(result.stderr, /canary/);
  t.equal(countRequests(), 0);
  const env = {
    OS_AUTH_URL: `${address.url}/v3`,
    OS_USER_ID: alice.id,
    OS_PASSWORD: alice.password,
    OS_PROJECT_ID: environment.tenancy.projects.demo.id,
  };
  t.equal(await findTokenOwner(t, await run({ env })), 'alice demo', 'an openrc needs no clouds.yaml');
});
