// Secrets that `login` leaves in a real keyring: that later logins need nobody, and that nobody else's login gets them; that what
// Keystone refuses is not tried again; and that nothing is left half done where there is no keyring.

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { KEYRING_MISSING, makeKeyringCommand, listPluginLines, runWithKeyring } from '../support/keyring.ts';
import type { KeyringRun } from '../support/keyring.ts';
import { checkFailure, readExecCredential } from '../support/check-run.ts';
import { PLUGIN_COMMAND, makeExecInfo, makeEnvironment, makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/run-plugin.ts';
import { asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { callKeystone, logIn, logInAsAdmin, validateToken } from '../support/tenancy.ts';
import type { User } from '../support/tenancy.ts';
import { openTerminal } from '../support/terminal.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { WatchedAddress, TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(600_000);

interface SavedSecretFixture {
  readonly home: Home;
  readonly mark: WatchedAddress;
  /** Alice on demo, without the password. */
  readonly settings: Readonly<Record<string, string>>;
  readonly countLogins: () => number;
  readonly run: (script: string, env?: Readonly<Record<string, string>>) => Promise<KeyringRun>;
}

function setUpSavedSecrets(
  t: Test,
  world: TestEnvironment,
  user: Pick<User, 'name'> = world.tenancy.users.alice,
): SavedSecretFixture {
  const home = makeHome();
  t.teardown(() => home.remove());
  const mark = watchRequests(world.http);
  const { domain, projects } = world.tenancy;
  const who = { OS_USERNAME: user.name, OS_USER_DOMAIN_NAME: domain.name };
  const settings = { OS_AUTH_URL: `${mark.url}/v3`, ...who, ...onProject(projects.demo, domain) };
  return {
    home,
    mark,
    settings,
    countLogins: () =>
      listRequests(mark).filter(({ method, path }) => method === 'POST' && path.includes('/auth/tokens')).length,
    run: (script, env = {}) =>
      runWithKeyring({ home, env: makeEnvironment(home, { ...settings, ...env }), script, command: PLUGIN_COMMAND }),
  };
}

function testWithKeyring(name: string, body: (t: Test, world: TestEnvironment) => Promise<void>): void {
  if (KEYRING_MISSING === false) testWithKeystone(name, body);
  else void t.test(name, { skip: KEYRING_MISSING }, () => undefined);
}

/** Everything a run has written anywhere but into the keyring, whose file is its own affair. */
function checkNoSecret(
  t: Test,
  { home }: SavedSecretFixture,
  ran: Pick<KeyringRun, 'stdout' | 'stderr'>,
  secrets: readonly string[],
): void {
  const files = readdirSync(home.path, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('keyrings'))
    .map((name) => join(home.path, name))
    .filter((path) => statSync(path).isFile());
  t.ok(files.length > 0, 'there are files to look into');
  for (const secret of secrets) {
    t.notOk((ran.stdout + ran.stderr).includes(secret), 'no secret in any output');
    for (const file of files) t.notOk(readFileSync(file).includes(secret), `none in ${file}`);
  }
}

const SAVE = 'OS_PASSWORD="$PASSWORD" "$@" login --save-secret -vvv; echo "status $?"; part; ';

testWithKeyring('a password that is kept: later logins ask nothing', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice } = world.tenancy.users;
  const script = `${SAVE}
    "$@"; part
    "$@" --force-refresh -vvv; part
    OS_PROJECT_NAME=other "$@"; part
    rm -f ${desk.home.cache}/*.token; "$@"; part
    secret-tool search --all service client-keystone-auth 2>&1`;
  const ran = await desk.run(script, { PASSWORD: alice.password });
  const [saved = '', hit = '', renewed = '', other = '', expired = '', found = ''] = ran.parts;
  t.match(saved, 'status 0');
  t.match(saved, /^In the keyring +the password of alice \(domain My Domain\) at http:\S+\/v3$/m);
  const tokens = [hit, renewed, other, expired].map((document) => readExecCredential(t, document).token);
  t.equal(new Set(tokens).size, 4, 'the first is from the cache, the rest are new');
  t.match(await validateToken(world.http, tokens[1] ?? ''), { user: { id: alice.id }, project: { name: 'demo' } });
  t.match(await validateToken(world.http, tokens[2] ?? ''), { user: { id: alice.id }, project: { name: 'other' } });
  t.equal(desk.countLogins(), 4, 'login, refresh, other project, token gone');
  t.ok(found.includes('attribute.service = client-keystone-auth'), 'it is in the keyring');
  t.ok(found.includes(JSON.stringify(alice.password).slice(1, 8)), 'the password itself');
  t.strictSame(
    listPluginLines(ran.stderr).filter((line) => line.includes('warning')),
    [],
  );
  const said = { stdout: ran.parts.slice(0, -1).join(''), stderr: ran.stderr };
  checkNoSecret(t, desk, said, listSecrets(world.tenancy));
  const note = readdirSync(desk.home.cache).find((name) => name.endsWith('.kept')) ?? 'none';
  t.equal(statSync(join(desk.home.cache, note)).mode & 0o777, 0o600);
});

testWithKeyring('nobody else gets it', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice, bob } = world.tenancy.users;
  const elsewhere = watchRequests(world.http);
  const folder = join(desk.home.path, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'clouds.yaml'),
    `clouds:\n  there:\n    auth: { auth_url: "${elsewhere.url}/v3", username: alice, user_domain_name: My Domain, project_name: demo, project_domain_name: My Domain }\n`,
  );
  const ca = world.pki.ca;
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
  const ran = await desk.run(script, { PASSWORD: alice.password });
  const [saved = '', ...rest] = ran.parts;
  t.match(saved, 'status 0');
  attempts.forEach((attempt, index) => t.equal(rest[index]?.trim(), 'status 4', attempt));
  readExecCredential(t, rest.at(-1) ?? '');
  t.equal(desk.countLogins(), 2, 'the login, and the last run, which may have it');
  t.equal(listRequests(elsewhere).length, 0, 'nothing goes anywhere else');
  checkNoSecret(t, desk, ran, listSecrets(world.tenancy));
});

/** A user of a test's own, whose password can be changed. */
async function makeUser(world: TestEnvironment, name: string, password: string): Promise<User> {
  const { http, tenancy } = world;
  const token = await logInAsAdmin(http);
  const options = { ignore_change_password_upon_first_use: true };
  const answer = await callKeystone(http, '/v3/users', {
    method: 'POST',
    token,
    body: { user: { name, password, domain_id: tenancy.domain.id, options } },
  });
  const { user } = answer as { user: { id: string } };
  const { roles } = (await callKeystone(http, '/v3/roles?name=member', { token })) as { roles: { id: string }[] };
  const path = `/v3/projects/${tenancy.projects.demo.id}/users/${user.id}/roles/${roles[0]?.id ?? ''}`;
  await callKeystone(http, path, { method: 'PUT', token });
  await changePassword(world, user.id, password);
  return { id: user.id, name, password };
}

async function changePassword({ http }: TestEnvironment, id: string, password: string): Promise<void> {
  await callKeystone(http, `/v3/users/${id}`, {
    method: 'PATCH',
    token: await logInAsAdmin(http),
    body: { user: { password } },
  });
  // Tokens of the second in which a password was set count as older than it.
  await new Promise((done) => setTimeout(done, 1_200));
}

testWithKeyring('a kept password that Keystone refuses is not tried again, and forgotten', async (t, world) => {
  const user = await makeUser(world, `kept-${String(process.pid)}`, 'first-canary-7Gk2');
  const desk = setUpSavedSecrets(t, world, user);
  const go = join(desk.home.path, 'go');
  const script = `${SAVE} touch ${go}.wait; while [ ! -e ${go} ]; do sleep 0.1; done
    "$@" --force-refresh; echo "status $?"; part
    "$@" --force-refresh; echo "status $?"; part
    secret-tool search --all service client-keystone-auth 2>&1`;
  const running = desk.run(script, { PASSWORD: user.password, KUBERNETES_EXEC_INFO: makeExecInfo() });
  while (!readdirSync(desk.home.path).includes('go.wait')) await new Promise((done) => setTimeout(done, 100));
  await changePassword(world, user.id, 'second-canary-9Qw4');
  const before = desk.countLogins();
  writeFileSync(go, '');
  const ran = await running;
  const [saved, refused, again, found = ''] = ran.parts;
  t.match(saved, 'status 0');
  t.equal(refused?.trim(), 'status 5');
  t.equal(again?.trim(), 'status 4', 'the next run has no password at all');
  t.equal(desk.countLogins() - before, 1, 'it is tried once');
  t.match(
    listPluginLines(ran.stderr).join('\n'),
    /Keystone refused the login for kept-[^\n]*; the saved secret is forgotten; log in with "client-keystone-auth login", with --save-secret to save the correct one/,
  );
  t.notOk(found.includes('first-canary'), 'the keyring has let go of it');
  t.notOk(readdirSync(desk.home.cache).some((name) => name.endsWith('.kept')));
  checkNoSecret(t, desk, ran, [user.password, 'second-canary-9Qw4']);
});

testWithKeyring('a password that is set counts, not the one that is kept', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice } = world.tenancy.users;
  const ran = await desk.run(
    `${SAVE} OS_PASSWORD=wrong-canary "$@" --force-refresh; echo "status $?"; part; "$@" --force-refresh; part; "$@" explain -o json; part; OS_USERNAME=bob "$@" explain -o json`,
    {
      PASSWORD: alice.password,
    },
  );
  t.equal(ran.parts[1]?.trim(), 'status 5');
  readExecCredential(t, ran.parts[2] ?? '');
  const [hers, his] = ran.parts.slice(3).map((text) => JSON.parse(text) as { keyring: string | null });
  t.match(
    hers?.keyring,
    /^the password of alice \(domain My Domain\) at http/,
    'explain says where the password is from',
  );
  t.equal(his?.keyring, null);
});

interface SavedCredential {
  readonly applicationCredential: { id: string; name: string };
  readonly keyring: string;
  readonly settings: { args: string[]; env: Record<string, string> };
}

async function listCredentials({ http, tenancy }: TestEnvironment): Promise<readonly Record<string, unknown>[]> {
  const { alice } = tenancy.users;
  const token = await logIn(http, alice, { project: { id: tenancy.projects.demo.id } });
  const answer = await callKeystone(http, `/v3/users/${alice.id}/application_credentials`, { token });
  return (answer as { application_credentials: Record<string, unknown>[] }).application_credentials;
}

testWithKeyring('an application credential instead of the password', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice } = world.tenancy.users;
  const name = `made-${String(process.pid)}`;
  const script = `
    OS_PASSWORD="$PASSWORD" "$@" login --create-application-credential --credential-name ${name} --role member --expires 90d \\
      --access-rule GET:compute:/v2.1/servers -o json -vvv; part
    secret-tool search --all service client-keystone-auth 2>&1; part`;
  const ran = await desk.run(script, { PASSWORD: alice.password });
  const said = JSON.parse(ran.parts[0] ?? '') as SavedCredential;
  const { id } = said.applicationCredential;
  t.equal(said.applicationCredential.name, name);
  t.match(said.keyring, `the secret of application credential ${id} at ${desk.mark.url}/v3`);
  t.strictSame(said.settings.args, [`--application-credential-id=${id}`]);
  const made = (await listCredentials(world)).find((credential) => credential['id'] === id);
  t.match(made, {
    name,
    unrestricted: false,
    roles: [{ name: 'member' }],
    access_rules: [{ method: 'GET', service: 'compute', path: '/v2.1/servers' }],
  });
  const lifeMs = Date.parse(String(made?.['expires_at'])) - Date.now();
  t.ok(Math.abs(lifeMs - 90 * 86_400_000) < 120_000, `ends in ${String(lifeMs)} ms`);
  const secret = /"secret\W+([\w-]{40,})/.exec(ran.parts[1] ?? '')?.[1] ?? '';
  t.ok(secret.length >= 40, 'the keyring holds its secret');
  t.notOk((ran.parts[1] ?? '').includes('p@ss'), 'and no password');
  checkNoSecret(t, desk, { stdout: ran.parts[0] ?? '', stderr: ran.stderr }, [...listSecrets(world.tenancy), secret]);
});

testWithKeyring('its secret is good for later runs, and for nothing else', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice } = world.tenancy.users;
  const script = `
    OS_PASSWORD="$PASSWORD" "$@" login --create-application-credential >answer; echo "status $?"; part
    set -- "$@" $(sed -n 's/^Set for the next time *//p' answer)
    "$@"; part
    "$@" --force-refresh; part
    "$@" --force-refresh --application-credential-id=0123456789abcdef0123456789abcdef; echo "status $?"; part
    "$@" login --create-application-credential; echo "status $?"`;
  const ran = await desk.run(script, { PASSWORD: alice.password });
  const [made, hit = '', renewed = '', other, more] = ran.parts;
  t.match(made, 'status 0');
  const tokens = [hit, renewed].map((document) => readExecCredential(t, document).token);
  t.not(tokens[0], tokens[1]);
  for (const token of tokens) {
    t.match(await validateToken(world.http, token), {
      user: { id: alice.id },
      project: { name: 'demo' },
      methods: ['application_credential'],
    });
  }
  t.equal(desk.countLogins(), 3, 'alice, the credential when it was new, the refresh');
  t.equal(other?.trim(), 'status 4', 'another credential has no secret here');
  t.match(more, 'status 4', 'login itself asks; it does not take what is kept');
});

testWithKeyring('at a terminal: the password is typed once', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice } = world.tenancy.users;
  const script = '"$@" login --save-secret >out; "$@" --force-refresh >document; echo "ended $?"';
  const [file, ...args] = makeKeyringCommand(script, PLUGIN_COMMAND);
  const env = makeEnvironment(desk.home, desk.settings);
  const terminal = openTerminal({ file, args, env, cwd: desk.home.path, cols: 200 });
  t.teardown(() => terminal.close());
  await terminal.waitFor('? Password', 60_000);
  terminal.type(`${alice.password}\r`);
  await terminal.waitFor('ended 0', 60_000);
  t.notOk(terminal.raw().includes(alice.password), 'never shown');
  t.equal(terminal.screen().match(/✔ Password/g)?.length, 1, 'asked once');
  readExecCredential(t, readFileSync(join(desk.home.path, 'document'), 'utf8'));
});

testWithKeystone('no keyring: said before anything is asked or done', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice } = world.tenancy.users;
  const { domain } = world.tenancy;
  const names = async (): Promise<unknown[]> => (await listCredentials(world)).map(({ id }) => id).toSorted();
  const before = await names();
  for (const option of ['--save-secret', '--create-application-credential']) {
    const env = { ...desk.settings, ...asUser(alice, domain) };
    const ran = await runPlugin({ home: desk.home, args: ['login', option], env });
    checkFailure(t, ran, 3, {
      says: [/the keyring (cannot be used|did not answer).*so no secret can be kept; unlock it, or start one/],
    });
  }
  t.equal(listRequests(desk.mark).length, 0, 'Keystone hears of nothing');
  t.strictSame(await names(), before);
  t.notOk(readdirSync(desk.home.cache).some((name) => /\.(kept|token)$/.test(name)));
});

testWithKeyring('a keyring that fails in the middle: the new credential is deleted again', async (t, world) => {
  const desk = setUpSavedSecrets(t, world);
  const { alice } = world.tenancy.users;
  const before = (await listCredentials(world)).length;
  const stops = join(desk.home.path, 'stops');
  // The keyring is stopped as soon as Keystone has been asked to make the credential.
  const script = `
    (while ! grep -q 'POST ${desk.mark.prefix}/v3/users/' ${desk.mark.accessLog}; do :; done; kill -STOP $daemon; touch ${stops}) &
    OS_PASSWORD="$PASSWORD" "$@" login --create-application-credential; echo "status $?"; kill -CONT $daemon`;
  const ran = await desk.run(script, { PASSWORD: alice.password });
  t.ok(readdirSync(desk.home.path).includes('stops'), 'it was stopped');
  t.match(ran.stdout, 'status 3');
  t.match(
    listPluginLines(ran.stderr).join('\n'),
    /the keyring (?:cannot be used|did not answer within 3 s), so no secret can be kept/,
  );
  const requests = listRequests(desk.mark).filter(({ path }) => path.includes('application_credentials'));
  t.strictSame(
    requests.map(({ method, status }) => [method, status]),
    [
      ['POST', 201],
      ['DELETE', 204],
    ],
  );
  t.equal((await listCredentials(world)).length, before, 'as many as before');
  t.notOk(readdirSync(desk.home.cache).some((name) => name.endsWith('.kept')));
});
