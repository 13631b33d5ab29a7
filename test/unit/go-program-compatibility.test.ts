/** The flags and variables of the Go program cause the requests that it documents, without its bugs. */
import t from 'tap';
import { resolveRequest } from '../support/resolve-request.ts';

const URL_FLAG = '--keystone-url=https://keystone.test/v3';

const passwordAuth = {
  identity: {
    methods: ['password'],
    password: { user: { name: 'alice', domain: { name: 'My Domain' }, password: 's3cret' } },
  },
  scope: { project: { name: 'demo', domain: { name: 'My Domain' } } },
};

void t.test('a login with a password takes flags with = and with a space', async (t) => {
  const values = { 'domain-name': 'My Domain', 'user-name': 'alice', 'project-name': 'demo', password: 's3cret' };
  const joined = Object.entries(values).map(([name, value]) => `--${name}=${value}`);
  const apart = Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
  t.same((await resolveRequest([URL_FLAG, ...joined])).auth, passwordAuth);
  t.same((await resolveRequest(['--keystone-url', 'https://keystone.test/v3', ...apart])).auth, passwordAuth);
});

void t.test('a login with a password takes variables', async (t) => {
  const { auth, missing } = await resolveRequest([], {
    OS_AUTH_URL: 'https://keystone.test/v3',
    OS_DOMAIN_NAME: 'My Domain',
    OS_USERNAME: 'alice',
    OS_PROJECT_NAME: 'demo',
    OS_PASSWORD: 's3cret',
  });
  t.same(auth, passwordAuth);
  t.same(missing, []);
});

void t.test('a flag takes precedence over a variable', async (t) => {
  const env = { OS_DOMAIN_NAME: 'My Domain', OS_USERNAME: 'alice', OS_PROJECT_NAME: 'demo', OS_PASSWORD: 'wrong' };
  t.same((await resolveRequest([URL_FLAG, '--password', 's3cret'], env)).auth, passwordAuth);
  const other = await resolveRequest(
    [URL_FLAG, '--user-name', 'bob', '--project-name', 'other', '--domain-name', 'D'],
    env,
  );
  t.match(other.auth, {
    identity: { password: { user: { name: 'bob', domain: { name: 'D' }, password: 'wrong' } } },
    scope: { project: { name: 'other', domain: { name: 'D' } } },
  });
});

void t.test('an application credential is found by its ID', async (t) => {
  const byId = { identity: { methods: ['application_credential'], application_credential: { id: 'i', secret: 'x' } } };
  const flags = ['--application-credential-id=i', '--application-credential-secret=x'];
  t.same(
    (await resolveRequest([URL_FLAG, ...flags])).auth,
    byId,
    'id and secret are enough (the Go program also requires the name)',
  );
  const env = { OS_APPLICATION_CREDENTIAL_ID: 'i', OS_APPLICATION_CREDENTIAL_SECRET: 'x' };
  t.same((await resolveRequest([URL_FLAG], env)).auth, byId);
  t.same(
    (await resolveRequest([URL_FLAG, '--application-credential-name=n', ...flags])).auth,
    byId,
    'the ID takes precedence',
  );
  t.same(
    (await resolveRequest([URL_FLAG], { ...env, OS_PROJECT_NAME: 'demo', OS_DOMAIN_NAME: 'D' })).auth,
    byId,
    'no scope is sent',
  );
});

void t.test('an application credential is found by its name and user', async (t) => {
  const byName = {
    identity: {
      methods: ['application_credential'],
      application_credential: { name: 'n', secret: 'x', user: { name: 'alice', domain: { name: 'D' } } },
    },
  };
  const flags = ['--application-credential-name=n', '--application-credential-secret=x', '--user-name=alice'];
  t.same((await resolveRequest([URL_FLAG, ...flags, '--domain-name=D'])).auth, byName);
  const env = {
    OS_APPLICATION_CREDENTIAL_NAME: 'n',
    OS_APPLICATION_CREDENTIAL_SECRET: 'x',
    OS_USERNAME: 'alice',
    OS_DOMAIN_NAME: 'D',
  };
  t.same((await resolveRequest([URL_FLAG], env)).auth, byName);
});

void t.test('TLS flags and variables have the same names', async (t) => {
  for (const name of ['cacert', 'cert', 'key'] as const) {
    t.equal((await resolveRequest([`--${name}=/etc/${name}.pem`])).config.text(name), `/etc/${name}.pem`);
    t.equal(
      (await resolveRequest([], { [`OS_${name.toUpperCase()}`]: `/etc/${name}.pem` })).config.text(name),
      `/etc/${name}.pem`,
    );
  }
});
