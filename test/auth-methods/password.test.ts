// Against: a real Keystone.

import t from 'tap';
import { both, checkLogins, PUBLIC, reader, UNSCOPED } from '../support/check-login.ts';
import { asUser, asUserById, onProject } from '../support/settings.ts';
import { testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(170_000);

testWithKeystone('password: who and on what', async (t, world) => {
  const { domain, projects, trust, users } = world.tenancy;
  const { alice, bob } = users;
  const byName = asUser(alice, domain);
  const byId = asUserById(alice);
  const onDemo = onProject(projects.demo, domain);
  const byDomainId = { OS_USERNAME: alice.name, OS_USER_DOMAIN_ID: domain.id, OS_PASSWORD: alice.password };
  await checkLogins(t, world, {
    'user and project by name': { env: { ...byName, ...onDemo }, wanted: { user: 'alice', project: 'demo', ...both } },
    'domains by id': {
      env: { ...byDomainId, OS_PROJECT_NAME: 'other', OS_PROJECT_DOMAIN_ID: domain.id },
      wanted: { user: 'alice', project: 'other', ...reader },
    },
    'user and project by id': {
      env: { ...byId, OS_PROJECT_ID: projects.other.id },
      wanted: { user: 'alice', project: 'other', ...reader },
    },
    'one domain for user and project': {
      env: { ...byName, OS_USER_DOMAIN_NAME: undefined, OS_DOMAIN_NAME: domain.name, OS_PROJECT_NAME: 'demo' },
      wanted: { user: 'alice', project: 'demo', ...both },
    },
    'domain by name': {
      env: { OS_USERNAME: alice.name, OS_PASSWORD: alice.password, OS_DOMAIN_NAME: domain.name },
      wanted: { user: 'alice', domain: domain.name, ...reader },
    },
    'domain by id': {
      env: { ...byId, OS_DOMAIN_ID: domain.id },
      wanted: { user: 'alice', domain: domain.name, ...reader },
    },
    system: { env: { ...byName, OS_SYSTEM_SCOPE: 'all' }, wanted: { user: 'alice', system: true, ...reader } },
    trust: {
      env: { ...asUser(bob, domain), OS_TRUST_ID: trust.id },
      wanted: { user: 'bob', project: 'demo', trust: trust.id, ...both },
    },
    'no scope although there is a default project': {
      env: { ...asUser(bob, domain), OS_UNSCOPED: 'true' },
      wanted: { user: 'bob', roles: [] },
      warnings: [UNSCOPED],
    },
    'no scope asked for, and a default project': {
      env: asUser(bob, domain),
      wanted: { user: 'bob', project: 'demo', ...both },
    },
    'no scope asked for, and none by default': {
      env: byName,
      wanted: { user: 'alice', roles: [] },
      warnings: [UNSCOPED],
    },
    'all of it as flags, the password with quotes, spaces and umlauts': {
      env: { OS_AUTH_URL: 'http://127.0.0.1:1', OS_USERNAME: 'nobody', OS_PROJECT_NAME: 'none', OS_PASSWORD: 'wrong' },
      args: (url) => [
        ...['get-token', '--keystone-url', `${url}/v3`, '--user-name', alice.name],
        ...['--user-domain-name', domain.name, '--password', alice.password],
        ...['--project-name=demo', `--project-domain-name=${domain.name}`],
      ],
      wanted: { user: 'alice', project: 'demo', ...both },
      warnings: [PUBLIC],
    },
    'the password behind an equals sign': {
      env: { ...byName, ...onDemo, OS_PASSWORD: undefined },
      args: () => [`--password=${alice.password}`],
      wanted: { user: 'alice', project: 'demo', ...both },
      warnings: [PUBLIC],
    },
  });
});
