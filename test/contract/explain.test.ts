// The output of explain, with a real Keystone that must not receive a request.

import type { Test } from 'tap';
import { setUpAlice } from '../support/alice.ts';
import { setUp } from '../support/fixture.ts';
import { asApplicationCredential, listSecrets } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

interface Explanation {
  readonly settings: readonly { option: string; value: string; origin: string }[];
  readonly overridden: readonly { option: string; value: string; origin: string; by: string }[];
  readonly method: { readonly name: string; readonly because: string };
  readonly scope: string;
  readonly missing: readonly { option: string; set: string }[];
  readonly request: {
    readonly first: string | null;
    readonly verb: string | null;
    readonly url: string | null;
    readonly body: string | null;
  };
  readonly cache: { readonly key: string; readonly storage: string; readonly fresh: boolean };
  readonly warnings: readonly string[];
}

function readExplanation(t: Test, run: RunResult): Explanation {
  t.equal(run.status, 0, run.stderr);
  return JSON.parse(run.stdout) as Explanation;
}

const JSON_ARGS = ['explain', '-o', 'json'];

function checkNoSecret(
  t: Test,
  { tenancy }: TestEnvironment,
  { stdout, stderr }: RunResult,
  ...others: string[]
): void {
  for (const secret of [...listSecrets(tenancy), ...others]) t.notOk((stdout + stderr).includes(secret), 'no secret');
}

testWithKeystone('explain shows everything about a login with a password', async (t, environment) => {
  const { projects, users } = environment.tenancy;
  const alice = setUpAlice(t, environment, { path: '' });
  const { url } = alice;
  const args = ['--user-id', users.alice.id, '--keystone-url', `${url}/v3`, '-vvv'];

  const run = await alice.run(...JSON_ARGS, ...args);
  checkNoSecret(t, environment, run);
  const explanation = readExplanation(t, run);
  t.strictSame(alice.listRequests(), [], 'no request');
  t.match(
    explanation.settings.filter(({ option }) => /^(keystone-url|user-id)$/.test(option)),
    [
      { option: 'keystone-url', value: `${url}/v3`, origin: '--keystone-url' },
      { option: 'user-id', value: users.alice.id, origin: '--user-id' },
    ],
  );
  const password = explanation.settings.find(({ option }) => option === 'password');
  t.strictSame(password, { option: 'password', value: '[redacted]', origin: 'OS_PASSWORD' });
  t.strictSame(
    explanation.overridden.map(({ option, origin, by }) => [option, origin, by]),
    [
      ['keystone-url', 'OS_AUTH_URL', '--keystone-url'],
      ['user-name', 'OS_USERNAME', '--user-id'],
    ],
  );
  t.strictSame(explanation.method, { name: 'password', because: 'inferred from OS_PASSWORD' });
  t.equal(explanation.scope, `on project ${projects.demo.name}`);
  t.strictSame(explanation.missing, []);
  t.equal(explanation.request.verb, 'POST');
  t.equal(explanation.request.url, `${url}/v3/auth/tokens?nocatalog=true`);
  const user = { id: users.alice.id, password: '[redacted]' };
  t.match(JSON.parse(explanation.request.body ?? ''), {
    auth: { identity: { methods: ['password'], password: { user } } },
  });
  t.equal(explanation.cache.fresh, false);

  const token = await alice.run('token', ...args);
  t.equal(token.status, 0, token.stderr);
  const count = alice.countRequests();
  const again = await alice.run(...JSON_ARGS, ...args);
  checkNoSecret(t, environment, again, token.stdout.trim());
  const after = readExplanation(t, again);
  t.equal(after.cache.key, explanation.cache.key, 'the same cache key');
  t.equal(after.cache.fresh, true, 'with a token');
  t.equal(alice.countRequests(), count, 'still no request');

  const text = await alice.run('explain', ...args);
  checkNoSecret(t, environment, text, token.stdout.trim());
  t.match(text.stdout, /^password +\[redacted\] +OS_PASSWORD$/m);
  t.match(text.stdout, /^Cached token +a token until .*\(5\d min/m);
  const yaml = await alice.run('explain', '-o', 'yaml');
  t.match(yaml.stdout, /^method:\n {2}name: password$/m);
});

testWithKeystone('explain names the options that a login would prompt for', async (t, environment) => {
  const alice = setUpAlice(t, environment, { path: '' }).with({
    OS_PASSWORD: '',
    OS_PROJECT_NAME: undefined,
    OS_PROJECT_DOMAIN_NAME: undefined,
  });
  const explanation = readExplanation(t, await alice.run(...JSON_ARGS));
  t.strictSame(explanation.method, { name: 'password', because: 'the default' });
  t.strictSame(explanation.missing, [{ option: 'password', set: 'OS_PASSWORD' }]);
  t.match(explanation.request.body, '"password":"[redacted]"');
  t.match(explanation.request.first, `GET ${alice.url} (Keystone)`, 'a request for the versions of Keystone');

  const noUrl = readExplanation(t, await alice.withOnly({}).run(...JSON_ARGS));
  t.match(noUrl.missing[0], { option: 'keystone-url' });
  t.equal(noUrl.request.verb, null);
  t.strictSame(alice.listRequests(), []);
});

testWithKeystone('explain shows where other methods start, such as at an identity provider', async (t, environment) => {
  const { tenancy } = environment;
  const user = setUp(t, { keystone: watchRequests(environment.http) });
  const explain = async (settings: Record<string, string>): Promise<Explanation> => {
    const run = await user.with(settings).run(...JSON_ARGS);
    checkNoSecret(t, environment, run, 'canary-of-oidc');
    return readExplanation(t, run);
  };
  const credential = await explain(asApplicationCredential(tenancy.applicationCredentials.valid));
  t.equal(credential.method.because, 'inferred from OS_APPLICATION_CREDENTIAL_SECRET');
  t.equal(credential.scope, 'the scope of the credential itself');
  t.match(credential.request.body, '"secret":"[redacted]"');

  const oidc = await explain({
    OS_AUTH_TYPE: 'v3oidcpassword',
    OS_IDENTITY_PROVIDER: 'idp',
    OS_PROTOCOL: 'openid',
    OS_CLIENT_ID: 'id',
    OS_CLIENT_SECRET: 'canary-of-oidc',
    OS_ACCESS_TOKEN_ENDPOINT: 'https://idp.example.test/token',
    OS_USERNAME: 'alice',
    OS_PASSWORD: 'canary-of-oidc',
  });
  t.equal(oidc.method.because, 'named by OS_AUTH_TYPE');
  t.match(oidc.request.first, 'POST https://idp.example.test/token');
  t.equal(oidc.request.body, null);

  const browser = await explain({ OS_AUTH_TYPE: 'v3websso', OS_IDENTITY_PROVIDER: 'idp', OS_PROTOCOL: 'openid' });
  t.match(browser.request.first, 'browser');
  t.strictSame(user.listRequests(), []);
});

testWithKeystone('explain names the file of a setting, and reports wrong settings', async (t, environment) => {
  const { name: username, password } = environment.tenancy.users.alice;
  const keystoneUrl = `${environment.http.url}/v3`;
  const user = setUp(t);
  const auth = { auth_url: keystoneUrl, username, password };
  const file = user.writeFile('mine.yaml', { clouds: { prod: { auth } } });
  const alice = user.with({
    OS_CLIENT_CONFIG_FILE: file,
    OS_CLOUD: 'prod',
    OS_AUTH_URL: 'http://eve:canary-in-url@127.0.0.1:1',
  });
  const run = await alice.run(...JSON_ARGS, '--keystone-url', keystoneUrl, '-vvv');
  checkNoSecret(t, environment, run, 'canary-in-url');
  const explanation = readExplanation(t, run);
  const name = explanation.settings.find(({ option }) => option === 'user-name');
  t.match(name?.origin, file, 'the file is the origin');
  t.equal(explanation.overridden.length, 2);
  t.match(explanation.overridden[0], { value: 'http://[redacted]@127.0.0.1:1', by: '--keystone-url' });

  const broken = await alice.run('explain', '-vvv');
  checkNoSecret(t, environment, broken, 'canary-in-url');
  t.equal(broken.status, 3);
  t.equal(broken.stdout, '');
  t.match(broken.stderr, 'OS_AUTH_URL must not contain a user name or a password');
});
