// Against: a real Keystone.

import { PUBLIC_PASSWORD_WARNING, UNSCOPED_WARNING } from '../support/check-login.ts';
import { checkLogins, memberAndReader, reader } from '../support/check-login.ts';
import { asUser, asUserById, onProject } from '../support/login-settings.ts';
import { testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('password logs in every kind of user to every kind of scope', async (t, environment) => {
  const { domain, projects, trust, users } = environment.tenancy;
  const { alice, bob } = users;
  const byName = asUser(alice, domain);
  const byId = asUserById(alice);
  const onDemo = onProject(projects.demo, domain);
  const byDomainId = { OS_USERNAME: alice.name, OS_USER_DOMAIN_ID: domain.id, OS_PASSWORD: alice.password };
  await checkLogins(t, environment, {
    'the user and the project are named': {
      env: { ...byName, ...onDemo },
      expected: { user: 'alice', project: 'demo', ...memberAndReader },
    },
    'the domains are given by ID': {
      env: { ...byDomainId, OS_PROJECT_NAME: 'other', OS_PROJECT_DOMAIN_ID: domain.id },
      expected: { user: 'alice', project: 'other', ...reader },
    },
    'the user and the project are given by ID': {
      env: { ...byId, OS_PROJECT_ID: projects.other.id },
      expected: { user: 'alice', project: 'other', ...reader },
    },
    'one domain is for both the user and the project': {
      env: { ...byName, OS_USER_DOMAIN_NAME: undefined, OS_DOMAIN_NAME: domain.name, OS_PROJECT_NAME: 'demo' },
      expected: { user: 'alice', project: 'demo', ...memberAndReader },
    },
    'the scope is a domain by name': {
      env: { OS_USERNAME: alice.name, OS_PASSWORD: alice.password, OS_DOMAIN_NAME: domain.name },
      expected: { user: 'alice', domain: domain.name, ...reader },
    },
    'the scope is a domain by ID': {
      env: { ...byId, OS_DOMAIN_ID: domain.id },
      expected: { user: 'alice', domain: domain.name, ...reader },
    },
    'the scope is the system': {
      env: { ...byName, OS_SYSTEM_SCOPE: 'all' },
      expected: { user: 'alice', system: true, ...reader },
    },
    'the scope is that of a trust': {
      env: { ...asUser(bob, domain), OS_TRUST_ID: trust.id },
      expected: { user: 'bob', project: 'demo', trust: trust.id, ...memberAndReader },
    },
    'OS_UNSCOPED takes precedence over the default project': {
      env: { ...asUser(bob, domain), OS_UNSCOPED: 'true' },
      expected: { user: 'bob', roles: [] },
      warnings: [UNSCOPED_WARNING],
    },
    'without a scope, Keystone chooses the default project': {
      env: asUser(bob, domain),
      expected: { user: 'bob', project: 'demo', ...memberAndReader },
    },
    'without a scope and a default project, the token is unscoped': {
      env: byName,
      expected: { user: 'alice', roles: [] },
      warnings: [UNSCOPED_WARNING],
    },
    'all settings are flags, and the password has quotes, spaces and umlauts': {
      env: { OS_AUTH_URL: 'http://127.0.0.1:1', OS_USERNAME: 'nobody', OS_PROJECT_NAME: 'none', OS_PASSWORD: 'wrong' },
      args: (url) => [
        ...['get-token', '--keystone-url', `${url}/v3`, '--user-name', alice.name],
        ...['--user-domain-name', domain.name, '--password', alice.password],
        ...['--project-name=demo', `--project-domain-name=${domain.name}`],
      ],
      expected: { user: 'alice', project: 'demo', ...memberAndReader },
      warnings: [PUBLIC_PASSWORD_WARNING],
    },
    'the password follows an equals sign': {
      env: { ...byName, ...onDemo, OS_PASSWORD: undefined },
      args: () => [`--password=${alice.password}`],
      expected: { user: 'alice', project: 'demo', ...memberAndReader },
      warnings: [PUBLIC_PASSWORD_WARNING],
    },
  });
});
