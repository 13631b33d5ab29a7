// clouds.yaml with a real Keystone: the user that it names logs in once, and after an edit, no token of another user is
// used.

import { join } from 'node:path';
import type { Test } from 'tap';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { watchRequests } from '../support/request-log.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { validateToken } from '../support/tenancy.ts';
import type { User } from '../support/tenancy.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

type Json = string | boolean | { readonly [name: string]: Json };

/** Files in the user's folder for OpenStack settings. */
const CLOUDS_YAML = '.config/openstack/clouds.yaml';
const SECURE_YAML = '.config/openstack/secure.yaml';

/** Sets up someone without variables. The requests to Keystone are counted. */
function setUpUser(t: Test, { http }: TestEnvironment): Fixture {
  return setUp(t, { keystone: watchRequests(http) }).withOnly({});
}

/** Asks Keystone for the user and the project of a run's token. */
async function findTokenOwner(
  t: Test,
  { http }: TestEnvironment,
  result: RunResult,
  warnings?: readonly (string | RegExp)[],
): Promise<string> {
  const facts = await validateToken(http, checkSuccess(t, result, warnings).token);
  return [facts?.user.name, facts?.project?.name].join(' ');
}

const cloudsOf = (clouds: Json): object => ({ clouds });

function authOf(
  { tenancy }: TestEnvironment,
  { url }: Fixture,
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

testWithKeystone('a cloud of clouds.yaml is logged in to once', async (t, environment) => {
  const { alice } = environment.tenancy.users;
  const { valid } = environment.tenancy.applicationCredentials;
  await t.test('the cloud has a password', async (t) => {
    const user = setUpUser(t, environment);
    user.writeFile(
      CLOUDS_YAML,
      cloudsOf({ prod: { auth: authOf(environment, user, alice), region_name: 'r' }, other: {} }),
    );
    const prod = user.with({ OS_CLOUD: 'prod' });
    const first = await prod.run();
    t.equal(await findTokenOwner(t, environment, first), 'alice demo');
    t.equal(user.countRequests(), 1);
    t.strictSame(await prod.run(), first, 'the cache returns the same token');
    t.strictSame(await user.run('--os-cloud', 'prod'), first, 'the cache returns the same token with the flag');
    t.equal(user.countRequests(), 1);
    const onOther = await prod.with({ OS_PROJECT_NAME: 'other' }).run();
    t.equal(await findTokenOwner(t, environment, onOther), 'alice other', 'a variable takes precedence');
    const wrong = { OS_USERNAME: 'nobody', OS_PASSWORD: 'wrong', OS_AUTH_URL: 'http://127.0.0.1:1' };
    t.strictSame(await prod.with(wrong).run('--no-env', '--os-cloud=prod'), first, 'an ignored variable does not');
    t.equal(user.countRequests(), 2);
  });
  await t.test('the only cloud needs no name', async (t) => {
    const user = setUpUser(t, environment);
    user.writeFile('.config/openstack/clouds.json', cloudsOf({ only: { auth: authOf(environment, user, alice) } }));
    t.equal(await findTokenOwner(t, environment, await user.run()), 'alice demo');
  });
  await t.test('an application credential ignores the project', async (t) => {
    const user = setUpUser(t, environment);
    const auth = {
      auth_url: user.url,
      application_credential_id: valid.id,
      application_credential_secret: valid.secret,
      project_name: 'other',
    };
    user.writeFile(CLOUDS_YAML, cloudsOf({ prod: { auth_type: 'v3applicationcredential', auth } }));
    t.equal(await findTokenOwner(t, environment, await user.with({ OS_CLOUD: 'prod' }).run()), 'alice demo');
  });
  await t.test('the cloud names the certificate authority', async (t) => {
    const user = setUp(t, { keystone: watchRequests(getTlsKeystone()) }).withOnly({});
    const prod = user.with({ OS_CLOUD: 'prod' });
    const cloud = { auth: authOf(environment, user, alice) };
    const cacert = environment.pki.ca;
    user.writeFile(CLOUDS_YAML, cloudsOf({ prod: { ...cloud, cacert }, bare: cloud }));
    t.equal(await findTokenOwner(t, environment, await prod.run()), 'alice demo');
    t.equal(user.countRequests(), 1);
    checkFailure(t, await user.with({ OS_CLOUD: 'bare' }).run(), EXIT_STATUS.unreachable, { says: ['not trusted'] });
    t.equal(user.countRequests(), 1);
    user.writeFile(CLOUDS_YAML, cloudsOf({ prod: { ...cloud, verify: false, cacert } }));
    const warning =
      /certificate is not checked, because of verify of cloud prod in .*, and cacert of cloud prod .* not used/;
    t.equal(await findTokenOwner(t, environment, await prod.run(), [warning]), 'alice demo');
  });
});

testWithKeystone('a change of the files takes effect immediately', async (t, environment) => {
  const { alice, bob } = environment.tenancy.users;
  const user = setUpUser(t, environment);
  const prod = user.with({ OS_CLOUD: 'prod' });
  const findOwner = async (): Promise<string> => findTokenOwner(t, environment, await prod.run());
  user.writeFile(CLOUDS_YAML, cloudsOf({ prod: { auth: authOf(environment, user, alice) } }));
  t.equal(await findOwner(), 'alice demo');
  user.writeFile(CLOUDS_YAML, cloudsOf({ prod: { auth: authOf(environment, user, bob) } }));
  t.equal(await findOwner(), 'bob demo', 'an edited file causes a login');
  user.writeFile(CLOUDS_YAML, cloudsOf({ prod: { auth: authOf(environment, user, alice) } }));
  t.equal(await findOwner(), 'alice demo', 'the original file');
  t.equal(user.countRequests(), 2, 'its token is still cached');

  user.writeFile(SECURE_YAML, cloudsOf({ prod: { auth: { username: bob.name, password: bob.password } } }));
  t.equal(await findOwner(), 'bob demo', 'a new secure.yaml');
  const secure = user.writeFile(SECURE_YAML, cloudsOf({ only: { auth: authOf(environment, user, alice) } }), 0o644);
  t.equal(await findOwner(), 'alice demo', 'a secure.yaml with other clouds only');
  t.equal(user.countRequests(), 2);
  const onlySecure = user.with({ OS_CLOUD: 'only', OS_PROJECT_NAME: 'other' });
  t.equal(
    await findTokenOwner(t, environment, await onlySecure.run(), [`other users can read ${secure}`]),
    'alice other',
    'a cloud that only secure.yaml contains',
  );
  checkSuccess(t, await onlySecure.run());
  t.equal(user.countRequests(), 3, 'a cache hit prints no warning');
});

testWithKeystone('a file in the current folder does not decide where a secret goes', async (t, environment) => {
  const { alice } = environment.tenancy.users;
  const user = setUpUser(t, environment);
  const inCheckout = user.inFolder(join(user.home.path, 'checkout')).with({ OS_CLOUD: 'prod' });
  const { password = '', ...theirs } = authOf(environment, user, alice);
  const file = user.writeFile('checkout/clouds.yaml', cloudsOf({ prod: { auth: theirs } }));

  const mine = inCheckout.with({ OS_PASSWORD: alice.password });
  checkFailure(t, await mine.run(), EXIT_STATUS.config, {
    says: ['auth.auth_url of cloud prod in ', 'OS_PASSWORD', `OS_CLIENT_CONFIG_FILE to ${file}`],
  });
  user.writeFile(SECURE_YAML, cloudsOf({ prod: { auth: { password } } }));
  checkFailure(t, await inCheckout.run(), EXIT_STATUS.config, {
    says: ['must not decide where auth.password of cloud prod in ', 'secure.yaml goes'],
  });
  t.equal(user.countRequests(), 0, 'nothing was sent');

  const trusting = mine.with({ OS_CLIENT_CONFIG_FILE: file });
  t.equal(await findTokenOwner(t, environment, await trusting.run()), 'alice demo');
  user.writeFile('checkout/clouds.yaml', cloudsOf({ prod: { auth: { ...theirs, password } } }));
  user.writeFile(SECURE_YAML, cloudsOf({}));
  const stood = await inCheckout.with({ OS_PROJECT_NAME: 'other' }).run();
  t.equal(
    await findTokenOwner(t, environment, stood, [`the settings come from ${file} in the current folder`]),
    'alice other',
    'settings that are all from that file are used',
  );
});

testWithKeystone('an invalid file is reported, and a file that is not needed is not read', async (t, environment) => {
  const { alice } = environment.tenancy.users;
  const user = setUpUser(t, environment);
  const file = user.writeFile(CLOUDS_YAML, cloudsOf({ prod: { auth: authOf(environment, user, alice) }, stage: {} }));
  checkFailure(t, await user.with({ OS_CLOUD: 'none' }).run(), EXIT_STATUS.config, {
    says: ['cloud "none"', 'prod, stage'],
  });
  user.writeFile(CLOUDS_YAML, 'clouds:\n  prod: {auth: {password: "canary\n');
  const result = await user.with({ OS_CLOUD: 'prod' }).run();
  checkFailure(t, result, EXIT_STATUS.config, { says: [`${file} is not valid YAML (line `] });
  t.notMatch(result.stderr, /canary/);
  t.equal(user.countRequests(), 0);
  const openrc = user.with({
    OS_AUTH_URL: `${user.url}/v3`,
    OS_USER_ID: alice.id,
    OS_PASSWORD: alice.password,
    OS_PROJECT_ID: environment.tenancy.projects.demo.id,
  });
  t.equal(await findTokenOwner(t, environment, await openrc.run()), 'alice demo', 'an openrc needs no clouds.yaml');
});
