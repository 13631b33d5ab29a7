// What explain says of a login, against a real Keystone that must not hear of it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home, RunResult } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(120_000);

interface Explained {
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

function setUpHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

function read(t: Test, ran: RunResult): Explained {
  t.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout) as Explained;
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

testWithKeystone('a password, and everything about it', async (t, environment) => {
  const home = setUpHome(t);
  const { domain, projects, users } = environment.tenancy;
  const address = watchRequests(environment.http);
  const login = { OS_AUTH_URL: address.url, ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const args = [...JSON_ARGS, '--user-id', users.alice.id, '--keystone-url', `${address.url}/v3`, '-vvv'];

  const ran = await runPlugin({ home, args, env: login });
  checkNoSecret(t, environment, ran);
  const said = read(t, ran);
  t.strictSame(listRequests(address), [], 'nothing is sent');
  t.match(
    said.settings.filter(({ option }) => /^(keystone-url|user-id)$/.test(option)),
    [
      { option: 'keystone-url', value: `${address.url}/v3`, origin: '--keystone-url' },
      { option: 'user-id', value: users.alice.id, origin: '--user-id' },
    ],
  );
  const password = said.settings.find(({ option }) => option === 'password');
  t.strictSame(password, { option: 'password', value: '[redacted]', origin: 'OS_PASSWORD' });
  t.strictSame(
    said.overridden.map(({ option, origin, by }) => [option, origin, by]),
    [
      ['keystone-url', 'OS_AUTH_URL', '--keystone-url'],
      ['user-name', 'OS_USERNAME', '--user-id'],
    ],
  );
  t.strictSame(said.method, { name: 'password', because: 'inferred from OS_PASSWORD' });
  t.equal(said.scope, `on project ${projects.demo.name}`);
  t.strictSame(said.missing, []);
  t.equal(said.request.verb, 'POST');
  t.equal(said.request.url, `${address.url}/v3/auth/tokens?nocatalog=true`);
  const user = { id: users.alice.id, password: '[redacted]' };
  t.match(JSON.parse(said.request.body ?? ''), { auth: { identity: { methods: ['password'], password: { user } } } });
  t.equal(said.cache.fresh, false);

  const token = await runPlugin({ home, args: ['token', ...args.slice(3)], env: login });
  t.equal(token.status, 0, token.stderr);
  const count = listRequests(address).length;
  const again = await runPlugin({ home, args, env: login });
  checkNoSecret(t, environment, again, token.stdout.trim());
  const after = read(t, again);
  t.equal(after.cache.key, said.cache.key, 'the same key');
  t.equal(after.cache.fresh, true, 'and a token under it');
  t.equal(listRequests(address).length, count, 'still nothing is sent');

  const text = await runPlugin({ home, args: ['explain', ...args.slice(3)], env: login });
  checkNoSecret(t, environment, text, token.stdout.trim());
  t.match(text.stdout, /^password +\[redacted\] +OS_PASSWORD$/m);
  t.match(text.stdout, /^Kept there +a token until .*\(59 min/m);
  const yaml = await runPlugin({ home, args: ['explain', '-o', 'yaml'], env: login });
  t.match(yaml.stdout, /^method:\n {2}name: password$/m);
});

testWithKeystone('what is missing would be asked for', async (t, environment) => {
  const home = setUpHome(t);
  const { domain, users } = environment.tenancy;
  const address = watchRequests(environment.http);
  const nobody = { ...asUser(users.alice, domain), OS_PASSWORD: '' };
  const said = read(t, await runPlugin({ home, args: JSON_ARGS, env: { OS_AUTH_URL: address.url, ...nobody } }));
  t.strictSame(said.method, { name: 'password', because: 'as nothing tells another' });
  t.strictSame(said.missing, [{ option: 'password', set: 'OS_PASSWORD' }]);
  t.match(said.request.body, '"password":"[redacted]"');
  t.match(said.request.first, `GET ${address.url} (Keystone)`, 'Keystone would be asked for its versions');

  const none = read(t, await runPlugin({ home, args: JSON_ARGS }));
  t.match(none.missing[0], { option: 'keystone-url' });
  t.equal(none.request.verb, null);
  t.strictSame(listRequests(address), []);
});

testWithKeystone('methods that are named, or go elsewhere first', async (t, environment) => {
  const home = setUpHome(t);
  const { tenancy } = environment;
  const address = watchRequests(environment.http);
  const OS_AUTH_URL = `${address.url}/v3`;
  const explain = async (env: Record<string, string>): Promise<Explained> => {
    const ran = await runPlugin({ home, args: JSON_ARGS, env: { OS_AUTH_URL, ...env } });
    checkNoSecret(t, environment, ran, 'canary-of-oidc');
    return read(t, ran);
  };
  const credential = await explain(asApplicationCredential(tenancy.applicationCredentials.valid));
  t.equal(credential.method.because, 'inferred from OS_APPLICATION_CREDENTIAL_SECRET');
  t.equal(credential.scope, 'what the credential itself is for');
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
  t.strictSame(listRequests(address), []);
});

testWithKeystone('clouds.yaml, and settings that are broken', async (t, environment) => {
  const home = setUpHome(t);
  const { alice } = environment.tenancy.users;
  const file = join(home.path, 'mine.yaml');
  const auth = { auth_url: `${environment.http.url}/v3`, username: alice.name, password: alice.password };
  writeFileSync(file, JSON.stringify({ clouds: { prod: { auth } } }), { mode: 0o600 });
  const env = { OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: 'prod', OS_AUTH_URL: 'http://eve:canary-in-url@127.0.0.1:1' };
  const args = ['--keystone-url', `${environment.http.url}/v3`, '-vvv'];
  const ran = await runPlugin({ home, args: [...JSON_ARGS, ...args], env });
  checkNoSecret(t, environment, ran, 'canary-in-url');
  const said = read(t, ran);
  const name = said.settings.find(({ option }) => option === 'user-name');
  t.match(name?.origin, file, 'the file is the origin');
  t.equal(said.overridden.length, 2);
  t.match(said.overridden[0], { value: 'http://[redacted]@127.0.0.1:1', by: '--keystone-url' });

  const broken = await runPlugin({ home, args: ['explain', '-vvv'], env });
  checkNoSecret(t, environment, broken, 'canary-in-url');
  t.equal(broken.status, 3);
  t.equal(broken.stdout, '');
  t.match(broken.stderr, 'OS_AUTH_URL must not hold a user name or a password');
});
