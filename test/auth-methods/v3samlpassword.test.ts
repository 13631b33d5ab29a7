// Against: a real Keystone with a mapping, behind Apache with mod_auth_mellon, and a provider of pysaml2 that checks passwords.

import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { startSamlFederation } from '../../scripts/federation/saml-federation.ts';
import type { SamlFederation } from '../../scripts/federation/saml-federation.ts';
import { findKeystone } from '../../scripts/keystone/find-keystone.ts';
import { PYTHON } from '../../scripts/lib/python.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { federatedAuthPath, waitForRequests } from '../support/federation.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { describeRequest, watchRequests } from '../support/request-log.ts';
import { validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const ALICE = { name: 'alice', password: 'p@ss w0rd&+=%é<:', email: 'alice@acme.example' };
/** keystoneauth does not send other letters than those of ISO 8859-1, and not in UTF-8. */
const BOB = { name: 'bob', password: 'bob-password', email: 'bob@acme.example' };
const STRANGER = { name: 'stranger', password: 'stranger-password', email: 'stranger@elsewhere.example' };

/** Prints the user that keystoneauth gets a token for. */
const KEYSTONEAUTH = `
import os
from keystoneauth1 import loading, session
names = ['auth_url', 'identity_provider', 'identity_provider_url', 'password', 'project_id', 'protocol', 'username']
options = {name: os.environ['OS_' + name.upper()] for name in names}
plugin = loading.get_plugin_loader('v3samlpassword').load_from_options(**options)
print(session.Session(auth=plugin, verify=os.environ['OS_CACERT']).get_user_id())
`;

const RESCOPE = 'POST /v3/auth/tokens?nocatalog=true 201';
const PASSWORD_SENT = 'POST /ecp 200';

interface SamlUserFixture {
  readonly user: Fixture;
  /** Lists the requests to Keystone's web server, without those to its endpoint for SAML. */
  readonly listAtKeystone: (count: number) => Promise<readonly string[]>;
  readonly listAtProvider: () => readonly string[];
}

interface SamlFixture {
  readonly federation: SamlFederation;
  /** Makes someone with settings of keystoneauth, a new home and a new count of requests. */
  readonly makeUser: (t: Test, settings?: EnvVars) => SamlUserFixture;
}

async function setUpFederation(t: Test, environment: TestEnvironment): Promise<SamlFixture | undefined> {
  const { http, pki, tenancy } = environment;
  const users = [ALICE, BOB, STRANGER];
  const federation = await startSamlFederation({ dataDir: dirname(http.accessLog), home: http, pki, tenancy, users });
  if ('missing' in federation) {
    const skip = skipBecause(federation.missing).replaceAll(/\s+/g, ' ');
    await t.test('Apache and an identity provider are needed', { skip }, () => undefined);
    return undefined;
  }
  t.teardown(() => federation.stop());
  return {
    federation,
    makeUser(t, changes = {}) {
      const keystone = watchRequests(federation.keystone);
      const provider = watchRequests(federation.identityProvider);
      const settings = {
        OS_AUTH_TYPE: 'v3samlpassword',
        OS_CACERT: pki.ca,
        OS_IDENTITY_PROVIDER: federation.provider,
        OS_IDENTITY_PROVIDER_URL: `${provider.url}/ecp`,
        OS_PROJECT_ID: tenancy.projects.demo.id,
        OS_PROTOCOL: federation.protocol,
        OS_USERNAME: ALICE.name,
        OS_PASSWORD: ALICE.password,
      };
      const log = { address: keystone, ca: pki.ca };
      return {
        user: setUp(t, { keystone, settings: { ...settings, ...changes } }),
        listAtKeystone: async (count) => (await waitForRequests(log, count)).map(describeRequest),
        listAtProvider: () => provider.listRequests(),
      };
    },
  };
}

testWithKeystone('v3samlpassword logs in at a real identity provider', async (t, environment) => {
  const fixture = await setUpFederation(t, environment);
  if (fixture === undefined) return;
  const { federation, makeUser } = fixture;
  const resource = `GET ${federatedAuthPath(federation)}`;
  const asked = `${resource} 200`;
  const unscoped = [asked, `${resource} 201`];

  await t.test('the token has the project, and is cached for each user', async (t) => {
    const { user, listAtKeystone, listAtProvider } = makeUser(t);
    const result = await user.run();
    const { token } = checkSuccess(t, result);
    t.strictSame(listAtProvider(), [PASSWORD_SENT]);
    t.strictSame(await listAtKeystone(3), [...unscoped, RESCOPE]);
    t.match(await validateToken(environment.http, token), {
      user: { name: ALICE.email },
      project: { name: 'demo' },
      roles: ['member', 'reader'],
      methods: ['saml2', 'token'],
    });
    t.equal(checkSuccess(t, await user.run()).token, token);
    t.equal(listAtProvider().length, 1, 'the cache answers the second run');
    t.notOk(
      [result.stdout, result.stderr, user.readCache()].join('\n').includes(ALICE.password),
      'no password is left',
    );
  });

  await t.test('a login without a project needs no scope', async (t) => {
    const { user, listAtKeystone } = makeUser(t, { OS_PROJECT_ID: undefined, OS_UNSCOPED: 'true' });
    const { token } = checkSuccess(t, await user.run(), [/the token has no scope/]);
    t.match(await validateToken(environment.http, token), { methods: ['saml2'] });
    t.strictSame(await listAtKeystone(2), unscoped);
  });

  await t.test('clouds.yaml holds the same settings', async (t) => {
    const { user } = makeUser(t);
    const auth = {
      auth_url: `${user.url}/v3`,
      identity_provider: federation.provider,
      identity_provider_url: `${federation.identityProvider.url}/ecp`,
      password: ALICE.password,
      project_id: environment.tenancy.projects.demo.id,
      protocol: federation.protocol,
      username: ALICE.name,
    };
    const cloud = { auth_type: 'v3samlpassword', auth, cacert: environment.pki.ca };
    const file = user.writeFile('campus.yaml', { clouds: { campus: cloud } });
    checkSuccess(t, await user.withOnly({ OS_CLOUD: 'campus', OS_CLIENT_CONFIG_FILE: file }).run());
  });

  await t.test('keystoneauth logs in at the same servers as the same user', async (t) => {
    const packages = await findKeystone();
    const { pythonPath } = 'missing' in packages ? { pythonPath: undefined } : packages;
    const { user } = makeUser(t, { OS_USERNAME: BOB.name, OS_PASSWORD: BOB.password });
    const env = { ...user.settings, ...(pythonPath === undefined ? {} : { PYTHONPATH: pythonPath }) };
    const { stdout } = await promisify(execFile)(PYTHON, ['-s', '-c', KEYSTONEAUTH], { env, cwd: '/' });
    const { token } = checkSuccess(t, await user.run());
    t.match(await validateToken(environment.http, token), { user: { id: stdout.trim(), name: BOB.email } });
  });

  await t.test('a wrong password is sent once, and the message says whose it is', async (t) => {
    const { user, listAtKeystone, listAtProvider } = makeUser(t, { OS_PASSWORD: 'wrong-password' });
    const says = ['the identity provider', 'refused alice', 'check OS_USERNAME and OS_PASSWORD', 'not of Keystone'];
    const stopped = user.withStoppedClock();
    checkFailure(t, await stopped.run(), EXIT_STATUS.refused, { says });
    checkFailure(t, await stopped.run(), EXIT_STATUS.refused, { says: ['is not tried again yet', ...says] });
    t.strictSame(listAtProvider(), ['POST /ecp 401']);
    t.strictSame(await listAtKeystone(1), [asked]);
    checkSuccess(t, await user.with({ OS_PASSWORD: ALICE.password }).run());
  });

  await t.test('Keystone refuses with a reason', async (t) => {
    const { name } = STRANGER;
    const stranger = makeUser(t, { OS_USERNAME: name, OS_PASSWORD: STRANGER.password });
    checkFailure(t, await stranger.user.run(), EXIT_STATUS.refused, { says: ['SAML login for stranger', 'mapping'] });
    const other = makeUser(t, { OS_IDENTITY_PROVIDER: 'other' });
    checkFailure(t, await other.user.run(), EXIT_STATUS.refused, { says: ['no identity provider "other"'] });
    const project = makeUser(t, { OS_PROJECT_ID: environment.tenancy.projects.other.id });
    checkFailure(t, await project.user.run(), EXIT_STATUS.refused, { says: ['accepted the login, but not for alice'] });
  });
});
