// Secrets that `login` saves in a real keyring. Later logins use them without a prompt; logins of other identities do
// not get them; a secret that Keystone rejects is not used again; and without a keyring nothing is half done.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { PLUGIN_COMMAND } from '../support/built-programs.ts';
import { checkFailure, readExecCredential } from '../support/check-run.ts';
import { startDelayingProxy } from '../support/delaying-proxy.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeExecInfo, makeEnvironment } from '../support/home.ts';
import { listPluginLines, makeKeyringCommand, runWithKeyring, SILENCE, testWithKeyring } from '../support/keyring.ts';
import type { KeyringRun } from '../support/keyring.ts';
import { asAliceOnDemo, listSecrets } from '../support/login-settings.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import type { WatchedAddress } from '../support/request-log.ts';
import { callKeystone, logIn, logInAsAdmin, validateToken } from '../support/tenancy.ts';
import type { User } from '../support/tenancy.ts';
import { openTerminal } from '../support/terminal.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { waitUntil } from '../support/wait-until.ts';
import { runPlugin } from '../support/run-plugin.ts';

interface SavedSecretFixture {
  /** Someone on demo, without the password. */
  readonly user: Fixture;
  readonly address: WatchedAddress;
}

function setUpSavedSecrets(
  t: Test,
  { http, tenancy }: TestEnvironment,
  { name }: Pick<User, 'name'> = tenancy.users.alice,
): SavedSecretFixture {
  const address = watchRequests(http);
  const settings = { ...asAliceOnDemo(tenancy), OS_USERNAME: name, OS_PASSWORD: undefined };
  return { address, user: setUp(t, { keystone: address, settings, runner: runPlugin }) };
}

/** Everything a run has written anywhere but into the keyring, whose file is its own affair. */
function checkNoSecret(
  t: Test,
  { home }: Fixture,
  result: Pick<KeyringRun, 'stdout' | 'stderr'>,
  secrets: readonly string[],
): void {
  const files = readdirSync(home.path, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('keyrings'))
    .map((name) => join(home.path, name))
    .filter((path) => statSync(path).isFile());
  t.ok(files.length > 0, 'there are files to search');
  for (const secret of secrets) {
    t.notOk((result.stdout + result.stderr).includes(secret), 'no secret in any output');
    for (const file of files) t.notOk(readFileSync(file).includes(secret), `no secret in ${file}`);
  }
}

const SAVE = 'OS_PASSWORD="$PASSWORD" "$@" login --save-secret -vvv; echo "status $?"; part; ';

testWithKeyring('after the password is saved, later logins need no prompt', async (t, environment) => {
  const { user } = setUpSavedSecrets(t, environment);
  const { alice } = environment.tenancy.users;
  const script = `${SAVE}
    "$@"; part
    "$@" --force-refresh -vvv; part
    OS_PROJECT_NAME=other "$@"; part
    rm -f ${user.home.cache}/*.token; "$@"; part
    secret-tool search --all service client-keystone-auth 2>&1`;
  const result = await runWithKeyring(user, script, { env: { PASSWORD: alice.password } });
  const [login = '', hit = '', renewed = '', other = '', expired = '', search = ''] = result.parts;
  t.match(login, 'status 0');
  t.match(login, /^In the keyring +the password of alice \(domain My Domain\) at http:\S+\/v3$/m);
  const tokens = [hit, renewed, other, expired].map((document) => readExecCredential(t, document).token);
  t.equal(new Set(tokens).size, 4, 'the first is from the cache, the others are new');
  t.match(await validateToken(environment.http, tokens[1] ?? ''), {
    user: { id: alice.id },
    project: { name: 'demo' },
  });
  t.match(await validateToken(environment.http, tokens[2] ?? ''), {
    user: { id: alice.id },
    project: { name: 'other' },
  });
  t.equal(user.countLogins(), 4, 'login, refresh, other project, token gone');
  t.ok(search.includes('attribute.service = client-keystone-auth'), 'the entry is in the keyring');
  t.ok(search.includes(JSON.stringify(alice.password).slice(1, 8)), 'the entry contains the password');
  t.strictSame(
    listPluginLines(result.stderr).filter((line) => line.includes('warning')),
    [],
  );
  const output = { stdout: result.parts.slice(0, -1).join(''), stderr: result.stderr };
  checkNoSecret(t, user, output, listSecrets(environment.tenancy));
  const note = readdirSync(user.home.cache).find((name) => name.endsWith('.kept')) ?? 'none';
  t.equal(statSync(join(user.home.cache, note)).mode & 0o777, 0o600);
});

testWithKeyring('logins of other identities do not get the secret', async (t, environment) => {
  const { user } = setUpSavedSecrets(t, environment);
  const { alice, bob } = environment.tenancy.users;
  const elsewhere = watchRequests(environment.http);
  const folder = join(user.home.path, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'clouds.yaml'),
    `clouds:\n  there:\n    auth: { auth_url: "${elsewhere.url}/v3", username: alice, user_domain_name: My Domain, project_name: demo, project_domain_name: My Domain }\n`,
  );
  const ca = environment.pki.ca;
  const attempts = [
    `OS_USERNAME=${bob.name} "$@"`,
    'OS_USER_DOMAIN_NAME=Default "$@"',
    `OS_AUTH_URL=${elsewhere.url}/v3 "$@"`,
    'OS_AUTH_URL="http://localhost:${OS_AUTH_URL#http://127.0.0.1:}" "$@"',
    'OS_INSECURE=true "$@"',
    `OS_CACERT=${ca} "$@"`,
    'env -u OS_AUTH_URL -u OS_USERNAME -u OS_USER_DOMAIN_NAME "$@" --os-cloud there',
    'OS_AUTH_TYPE=v3totp "$@"',
    'OS_USERNAME= OS_USER_ID=' + alice.id + ' "$@"',
    'OS_AUTH_TYPE=v3oidcpassword OS_IDENTITY_PROVIDER=x OS_PROTOCOL=y OS_DISCOVERY_ENDPOINT=$OS_AUTH_URL "$@"',
  ];
  const script = `${SAVE} ${attempts.map((attempt) => `${attempt}; echo "status $?"; part;`).join(' ')} "$@" --force-refresh`;
  const result = await runWithKeyring(user, script, { env: { PASSWORD: alice.password } });
  const [login = '', ...rest] = result.parts;
  t.match(login, 'status 0');
  attempts.forEach((attempt, index) => t.equal(rest[index]?.trim(), 'status 4', attempt));
  readExecCredential(t, rest.at(-1) ?? '');
  t.equal(user.countLogins(), 2, 'the login, and the last run, which may use the secret');
  t.equal(listRequests(elsewhere).length, 0, 'there is no request to another Keystone');
  checkNoSecret(t, user, result, listSecrets(environment.tenancy));
});

/** Creates a user for one test, so that the test can change the password. */
async function makeUser(environment: TestEnvironment, name: string, password: string): Promise<User> {
  const { http, tenancy } = environment;
  const token = await logInAsAdmin(http);
  const options = { ignore_change_password_upon_first_use: true };
  const response = await callKeystone(http, '/v3/users', {
    method: 'POST',
    token,
    body: { user: { name, password, domain_id: tenancy.domain.id, options } },
  });
  const { user } = response as { user: { id: string } };
  const { roles } = (await callKeystone(http, '/v3/roles?name=member', { token })) as { roles: { id: string }[] };
  const path = `/v3/projects/${tenancy.projects.demo.id}/users/${user.id}/roles/${roles[0]?.id ?? ''}`;
  await callKeystone(http, path, { method: 'PUT', token });
  await changePassword(environment, user.id, password);
  return { id: user.id, name, password };
}

async function changePassword({ http }: TestEnvironment, id: string, password: string): Promise<void> {
  await callKeystone(http, `/v3/users/${id}`, {
    method: 'PATCH',
    token: await logInAsAdmin(http),
    body: { user: { password } },
  });
  // Keystone rejects tokens that were issued in the second of the password change.
  const changedBy = Math.floor(Date.now() / 1000);
  await waitUntil('the next second', () => Math.floor(Date.now() / 1000) > changedBy);
}

testWithKeyring('a saved password that Keystone rejects is forgotten and not tried again', async (t, environment) => {
  const owner = await makeUser(environment, `saved-${String(process.pid)}`, 'first-canary-7Gk2');
  const { user } = setUpSavedSecrets(t, environment, owner);
  const go = join(user.home.path, 'go');
  const script = `${SAVE} touch ${go}.wait; while [ ! -e ${go} ]; do sleep 0.1; done
    as_kubectl() { KUBERNETES_EXEC_INFO="$EXEC_INFO" "$@"; }
    as_kubectl "$@" --force-refresh; echo "status $?"; part
    as_kubectl "$@" --force-refresh; echo "status $?"; part
    secret-tool search --all service client-keystone-auth 2>&1`;
  const running = runWithKeyring(user, script, {
    // kubectl itself does not have KUBERNETES_EXEC_INFO, and neither has the shell.
    env: { PASSWORD: owner.password, EXEC_INFO: makeExecInfo() },
  });
  await waitUntil('the script', () => existsSync(`${go}.wait`));
  await changePassword(environment, owner.id, 'second-canary-9Qw4');
  const before = user.countLogins();
  writeFileSync(go, '');
  const result = await running;
  const [login, rejected, next, search = ''] = result.parts;
  t.match(login, 'status 0');
  t.equal(rejected?.trim(), 'status 5');
  t.equal(next?.trim(), 'status 4', 'the next run has no password');
  t.equal(user.countLogins() - before, 1, 'it is tried once');
  t.match(
    listPluginLines(result.stderr).join('\n'),
    /Keystone refused the login for saved-[^\n]*; the saved secret is forgotten; log in with "client-keystone-auth login", with --save-secret to save the correct one/,
  );
  t.notOk(search.includes('first-canary'), 'the keyring does not contain it any more');
  t.notOk(readdirSync(user.home.cache).some((name) => name.endsWith('.kept')));
  checkNoSecret(t, user, result, [owner.password, 'second-canary-9Qw4']);
});

testWithKeyring('a password in the environment takes precedence over the saved one', async (t, environment) => {
  const { user } = setUpSavedSecrets(t, environment);
  const { alice } = environment.tenancy.users;
  const script = `${SAVE} OS_PASSWORD=wrong-canary "$@" --force-refresh; echo "status $?"; part; "$@" --force-refresh; part; "$@" explain -o json; part; OS_USERNAME=bob "$@" explain -o json`;
  const result = await runWithKeyring(user, script, { env: { PASSWORD: alice.password } });
  t.equal(result.parts[1]?.trim(), 'status 5');
  readExecCredential(t, result.parts[2] ?? '');
  const [alicePlan, bobPlan] = result.parts.slice(3).map((text) => JSON.parse(text) as { keyring: string | null });
  t.match(
    alicePlan?.keyring,
    /^the password of alice \(domain My Domain\) at http/,
    'explain shows the source of the password',
  );
  t.equal(bobPlan?.keyring, null);
});

interface SavedCredential {
  readonly applicationCredential: { id: string; name: string };
  readonly keyring: string;
  readonly settings: { args: string[]; env: Record<string, string> };
}

async function listCredentials({ http, tenancy }: TestEnvironment): Promise<readonly Record<string, unknown>[]> {
  const { alice } = tenancy.users;
  const token = await logIn(http, alice, { project: { id: tenancy.projects.demo.id } });
  const response = await callKeystone(http, `/v3/users/${alice.id}/application_credentials`, { token });
  return (response as { application_credentials: Record<string, unknown>[] }).application_credentials;
}

// Other tests create application credentials of the same user at the same time.
const hasCredential = async (environment: TestEnvironment, name: string): Promise<boolean> =>
  (await listCredentials(environment)).some((credential) => credential['name'] === name);

testWithKeyring(
  'login saves the secret of a new application credential instead of the password',
  async (t, environment) => {
    const { user } = setUpSavedSecrets(t, environment);
    const { alice } = environment.tenancy.users;
    const name = `made-${String(process.pid)}`;
    const script = `
    OS_PASSWORD="$PASSWORD" "$@" login --create-application-credential --credential-name ${name} --role member --expires 90d \\
      --access-rule GET:compute:/v2.1/servers -o json -vvv; part
    secret-tool search --all service client-keystone-auth 2>&1; part`;
    const startedAt = Date.now();
    const result = await runWithKeyring(user, script, { env: { PASSWORD: alice.password } });
    const endedAt = Date.now();
    const credential = JSON.parse(result.parts[0] ?? '') as SavedCredential;
    const { id } = credential.applicationCredential;
    t.equal(credential.applicationCredential.name, name);
    t.match(credential.keyring, `the secret of application credential ${id} at ${user.url}/v3`);
    t.strictSame(credential.settings.args, [`--application-credential-id=${id}`]);
    const created = (await listCredentials(environment)).find((entry) => entry['id'] === id);
    t.match(created, {
      name,
      unrestricted: false,
      roles: [{ name: 'member' }],
      access_rules: [{ method: 'GET', service: 'compute', path: '/v2.1/servers' }],
    });
    const createdAt = Date.parse(String(created?.['expires_at'])) - 90 * 86_400_000;
    // Keystone counts whole seconds.
    t.ok(createdAt > startedAt - 1_000 && createdAt <= endedAt + 1_000, `90 days after ${String(createdAt)}`);
    const secret = /"secret\W+([\w-]{40,})/.exec(result.parts[1] ?? '')?.[1] ?? '';
    t.ok(secret.length >= 40, 'the keyring contains its secret');
    t.notOk((result.parts[1] ?? '').includes('p@ss'), 'the keyring contains no password');
    checkNoSecret(t, user, { stdout: result.parts[0] ?? '', stderr: result.stderr }, [
      ...listSecrets(environment.tenancy),
      secret,
    ]);
  },
);

testWithKeyring(
  'later runs use the secret of the application credential, other logins do not',
  async (t, environment) => {
    const { user } = setUpSavedSecrets(t, environment);
    const { alice } = environment.tenancy.users;
    const script = `
    OS_PASSWORD="$PASSWORD" "$@" login --create-application-credential >answer; echo "status $?"; part
    set -- "$@" $(sed -n 's/^Flags for next time *//p' answer)
    "$@"; part
    "$@" --force-refresh; part
    "$@" --force-refresh --application-credential-id=0123456789abcdef0123456789abcdef; echo "status $?"; part
    "$@" login --create-application-credential; echo "status $?"`;
    const result = await runWithKeyring(user, script, { env: { PASSWORD: alice.password } });
    const [login, hit = '', renewed = '', other, secondLogin] = result.parts;
    t.match(login, 'status 0');
    const tokens = [hit, renewed].map((document) => readExecCredential(t, document).token);
    t.not(tokens[0], tokens[1]);
    for (const token of tokens) {
      t.match(await validateToken(environment.http, token), {
        user: { id: alice.id },
        project: { name: 'demo' },
        methods: ['application_credential'],
      });
    }
    t.equal(user.countLogins(), 3, 'alice, the new credential, the forced refresh');
    t.equal(other?.trim(), 'status 4', 'another credential has no saved secret');
    t.match(secondLogin, 'status 4', 'login itself prompts; it does not use a saved secret');
  },
);

testWithKeyring('on a terminal the password is typed once', async (t, environment) => {
  const { user } = setUpSavedSecrets(t, environment);
  const { alice } = environment.tenancy.users;
  const script = '"$@" login --save-secret >out; "$@" --force-refresh >document; echo "ended $?"';
  const [file, ...args] = makeKeyringCommand(script, PLUGIN_COMMAND);
  const env = makeEnvironment(user.home, user.settings);
  const terminal = openTerminal({ file, args, env, cwd: user.home.path, cols: 200 });
  t.teardown(() => terminal.close());
  await terminal.waitFor('? Password');
  terminal.type(`${alice.password}\r`);
  await terminal.waitFor('ended 0');
  t.notOk(terminal.raw().includes(alice.password), 'the password is not shown');
  t.equal(terminal.screen().match(/✔ Password/g)?.length, 1, 'there is one prompt');
  readExecCredential(t, readFileSync(join(user.home.path, 'document'), 'utf8'));
});

testWithKeystone('without a keyring, login fails before any prompt or request', async (t, environment) => {
  const { user } = setUpSavedSecrets(t, environment);
  const { alice } = environment.tenancy.users;
  const name = `none-${String(process.pid)}`;
  for (const options of [['--save-secret'], ['--create-application-credential', '--credential-name', name]]) {
    const result = await user.with({ OS_PASSWORD: alice.password }).run('login', ...options);
    checkFailure(t, result, 3, {
      says: [
        /the keyring (cannot be used|did not answer).*so no secret can be saved; unlock the keyring, or start one/,
      ],
    });
  }
  t.equal(user.countRequests(), 0, 'there is no request to Keystone');
  t.notOk(await hasCredential(environment, name));
  t.notOk(readdirSync(user.home.cache).some((file) => /\.(kept|token)$/.test(file)));
});

testWithKeyring(
  'if the keyring fails during login, the new application credential is deleted',
  async (t, environment) => {
    const { user, address } = setUpSavedSecrets(t, environment);
    const { alice } = environment.tenancy.users;
    const name = `deleted-${String(process.pid)}`;
    const keyring = join(user.home.path, 'keyring.pid');
    const proxy = await startDelayingProxy(t, environment.http);
    let hasStopped = false;
    // The keyring stops before the plugin knows the secret of the credential.
    proxy.holdBack = (respond, line) => {
      if (line.startsWith(`POST ${address.prefix}/v3/users/`)) {
        writeFileSync(join(user.home.path, SILENCE), '');
        process.kill(Number(readFileSync(keyring, 'utf8')), 'SIGSTOP');
        hasStopped = true;
      }
      respond();
    };
    const script = `
      echo $daemon >${keyring}
      OS_PASSWORD="$PASSWORD" "$@" login --create-application-credential --credential-name ${name}; echo "status $?"; kill -CONT $daemon`;
    const behindProxy = user.with({ OS_AUTH_URL: `${proxy.url}${address.prefix}/v3` });
    const result = await runWithKeyring(behindProxy, script, { env: { PASSWORD: alice.password } });
    t.ok(hasStopped, 'the keyring stopped');
    t.match(result.stdout, 'status 3');
    t.match(
      listPluginLines(result.stderr).join('\n'),
      /the keyring (?:cannot be used|did not answer within 3 s), so no secret can be saved/,
    );
    const requests = listRequests(address).filter(({ path }) => path.includes('application_credentials'));
    t.strictSame(
      requests.map(({ method, status }) => [method, status]),
      [
        ['POST', 201],
        ['DELETE', 204],
      ],
    );
    t.notOk(await hasCredential(environment, name), 'the credential is deleted');
    t.notOk(readdirSync(user.home.cache).some((name) => name.endsWith('.kept')));
  },
);
