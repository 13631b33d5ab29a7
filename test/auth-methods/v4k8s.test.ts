// Against: a stand-in for Rust Keystone's v4, which no distribution contains yet.

import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTestHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { fetchTokenFacts, makeServiceAccountToken, serveV4 } from '../support/stand-in-v4.ts';
import type { K8sAuthInstance } from '../support/stand-in-v4.ts';
import { openStandInLog, checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';

t.setTimeout(120_000);

const WEB = { project: { name: 'web', domain: { name: 'acme' } } };
const DB = { project: { name: 'db', domain: { name: 'acme' } } };
const alice = findRecordedUser('alice');
const bob = findRecordedUser('bob');

const instance: K8sAuthInstance = {
  id: 'cluster-1',
  isEnabled: true,
  audience: 'keystone',
  ruleField: 'rule_name',
  rules: [
    { name: 'first', subject: 'system:serviceaccount:ci:builder', user: alice, scope: WEB },
    { name: 'second', subject: 'system:serviceaccount:ci:builder', user: alice, scope: DB },
    { name: 'others', subject: 'system:serviceaccount:ci:deployer', user: bob, scope: WEB },
    { name: 'unscoped', subject: 'system:serviceaccount:ci:loose', user: alice },
  ],
};

const old: K8sAuthInstance = { ...instance, id: 'old', ruleField: 'role_name' };
const off: K8sAuthInstance = { ...instance, id: 'off', isEnabled: false };

const login = (id: string): string => `POST /v4/k8s_auth/instances/${id}/auth`;

interface V4K8sFixture {
  readonly standIn: StandInKeystone;
  readonly home: Home;
  readonly file: string;
  readonly env: Record<string, string>;
  /** Replaces the file as the kubelet does. */
  readonly writeToken: (token: string) => void;
}

async function setUpV4K8s(t: Test): Promise<V4K8sFixture> {
  const standIn = await startKeystoneForTest(t);
  serveV4(standIn, { instances: [instance, old, off] });
  const home = makeTestHome(t);
  const file = join(home.path, 'token');
  const writeToken = (token: string): void => {
    writeFileSync(`${file}.new`, `${token}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  const env = {
    OS_AUTH_TYPE: 'v4k8s',
    OS_AUTH_URL: `${standIn.url}/v3`,
    OS_K8S_AUTH_INSTANCE_ID: instance.id,
    OS_K8S_AUTH_TOKEN_FILE: file,
  };
  return { standIn, home, file, env, writeToken };
}

void t.test('a pod logs in with the token of its service account', async (t) => {
  const pod = await setUpV4K8s(t);
  const { standIn, env, home } = pod;
  const jwt = makeServiceAccountToken('builder');
  pod.writeToken(jwt);
  const requestLog = openStandInLog(standIn);
  const attempt = { env, home, requestLog, requests: [login('cluster-1')], secrets: [jwt] };
  const { token } = await logInTwice(t, attempt);
  t.match(await fetchTokenFacts(standIn, token), { user: { name: 'alice' }, project: { name: 'web' } });
  t.strictSame(standIn.requests[0]?.body, { jwt }, 'neither the trailing newline nor an unset rule is sent');
});

void t.test('at a URL without a version, and at a URL with v4', async (t) => {
  for (const path of ['', '/v4', '/v3/']) {
    await t.test(path, async (t) => {
      const pod = await setUpV4K8s(t);
      pod.writeToken(makeServiceAccountToken('builder'));
      const env = { ...pod.env, OS_AUTH_URL: pod.standIn.url + path };
      await logInTwice(t, { env, requestLog: openStandInLog(pod.standIn), requests: [login('cluster-1')] });
    });
  }
});

void t.test('sends the rule under both names', async (t) => {
  for (const { id } of [instance, old]) {
    await t.test(id, async (t) => {
      const pod = await setUpV4K8s(t);
      const jwt = makeServiceAccountToken('builder');
      pod.writeToken(jwt);
      const env = { ...pod.env, OS_K8S_AUTH_INSTANCE_ID: id, OS_K8S_AUTH_ROLE: 'second' };
      const { token } = await logInTwice(t, { env, requestLog: openStandInLog(pod.standIn), requests: [login(id)] });
      t.strictSame(pod.standIn.requests[0]?.body, { jwt, rule_name: 'second', role_name: 'second' });
      t.match(await fetchTokenFacts(pod.standIn, token), { project: { name: 'db' } });
    });
  }
});

void t.test('the mapping decides the scope', async (t) => {
  const pod = await setUpV4K8s(t);
  const { standIn } = pod;
  pod.writeToken(makeServiceAccountToken('builder'));
  const requestLog = openStandInLog(standIn);
  const requests = [login('cluster-1')];
  const onWeb = { ...pod.env, OS_PROJECT_NAME: 'web', OS_PROJECT_DOMAIN_NAME: 'acme' };
  await t.test('the requested scope', (t) => logInTwice(t, { env: onWeb, requestLog, requests }));
  await t.test('another scope, by id', async (t) => {
    const env = { ...pod.env, OS_PROJECT_ID: 'b3c86ab0ae364399a0429475e0f753c4' };
    const says = [
      'service account ci/builder',
      'for another project than the one that is set',
      'the mapping rule decides the scope',
    ];
    await checkFailedLogin(t, { env, requestLog, requests }, { status: EXIT_STATUS.protocol, says });
  });
  await t.test('another scope, by name', async (t) => {
    const env = { ...onWeb, OS_PROJECT_NAME: 'db' };
    const says = ['for another project than the one that is set'];
    await checkFailedLogin(t, { env, requestLog, requests }, { status: EXIT_STATUS.protocol, says });
  });
  await t.test('no scope', async (t) => {
    pod.writeToken(makeServiceAccountToken('loose'));
    await logInTwice(t, { env: pod.env, requestLog, requests }, ['the token has no scope']);
    const says = ['for another project than the one that is set'];
    await checkFailedLogin(t, { env: onWeb, requestLog, requests }, { status: EXIT_STATUS.protocol, says });
  });
});

void t.test('a token that the kubelet renews uses the cache, and one of another account does not', async (t) => {
  const { standIn, home, env, writeToken, file } = await setUpV4K8s(t);
  const run = async (): Promise<{ token: string; logins: number }> => {
    const before = standIn.requests.length;
    const { token } = checkSuccess(t, await runPlugin({ home, env }));
    return { token, logins: standIn.requests.length - before };
  };
  writeToken(makeServiceAccountToken('builder'));
  const first = await run();
  t.equal(first.logins, 1);
  for (const renewed of [1, 2]) {
    writeToken(makeServiceAccountToken('builder', { exp: Math.floor(Date.now() / 1000) + 3607 + renewed }));
    t.strictSame(await run(), { token: first.token, logins: 0 }, `renewed ${renewed}`);
    t.strictSame(await run(), { token: first.token, logins: 0 });
  }
  writeToken(makeServiceAccountToken('deployer'));
  const other = await run();
  t.equal(other.logins, 1);
  t.match(await fetchTokenFacts(standIn, other.token), { user: { name: 'bob' } });
  t.strictSame(await run(), { token: other.token, logins: 0 });
  writeToken(makeServiceAccountToken('builder'));
  t.strictSame(await run(), { token: first.token, logins: 0 }, 'each account has its own token');
  writeToken(
    makeServiceAccountToken('builder', { 'kubernetes.io': { serviceaccount: { name: 'builder', uid: 'made anew' } } }),
  );
  t.equal((await run()).logins, 1, 'a recreated account is a different account');
  writeToken(makeServiceAccountToken('builder', { iss: 'https://another.cluster' }));
  t.equal((await run()).logins, 1, 'an account of another cluster is a different account');

  // The layout of the kubelet: the file is a link, and the kubelet changes a link above it.
  rmSync(file);
  const volume = (name: string, token: string): void => {
    writeFileSync(join(home.path, name), token, { mode: 0o600 });
    symlinkSync(name, `${file}.link`);
    renameSync(`${file}.link`, file);
  };
  volume('one', makeServiceAccountToken('builder'));
  t.strictSame(await run(), { token: first.token, logins: 0 });
  t.strictSame(await run(), { token: first.token, logins: 0 });
  volume('two', makeServiceAccountToken('deployer'));
  t.strictSame(await run(), { token: other.token, logins: 0 });
});

void t.test('does not cache the token when the file is replaced during the login', async (t) => {
  const { standIn, home, env, writeToken } = await setUpV4K8s(t);
  writeToken(makeServiceAccountToken('builder'));
  standIn.answerNext((_, response, { makeDefaultResponse }) => {
    writeToken(makeServiceAccountToken('deployer'));
    const { status, headers, body } = standIn.issueToken(alice, ['mapped'], WEB);
    t.equal(status, 201);
    t.ok(makeDefaultResponse);
    response.writeHead(200, headers).end(JSON.stringify(body));
  }, login('cluster-1'));
  const first = checkSuccess(t, await runPlugin({ home, env }));
  const second = checkSuccess(t, await runPlugin({ home, env }));
  t.equal(standIn.requests.length, 2);
  t.match(await fetchTokenFacts(standIn, first.token), { user: { name: 'alice' } });
  t.match(await fetchTokenFacts(standIn, second.token), { user: { name: 'bob' } });
});

void t.test('logins that Keystone rejects', async (t) => {
  const pod = await setUpV4K8s(t);
  const requestLog = openStandInLog(pod.standIn);
  const refused = async (
    name: string,
    jwt: string,
    env: Record<string, string>,
    says: readonly string[],
    status: number = EXIT_STATUS.refused,
  ): Promise<void> => {
    await t.test(name, async (t) => {
      pod.writeToken(jwt);
      const all = { ...pod.env, ...env };
      const requests = [login(all['OS_K8S_AUTH_INSTANCE_ID'] ?? '')];
      await checkFailedLogin(t, { env: all, requestLog, requests, secrets: [jwt] }, { status, says });
    });
  };
  const good = makeServiceAccountToken('builder');
  await refused('an unknown instance', good, { OS_K8S_AUTH_INSTANCE_ID: 'nowhere' }, [
    'Keystone has no Kubernetes auth instance nowhere',
    'check OS_K8S_AUTH_INSTANCE_ID',
  ]);
  await refused('a disabled one', good, { OS_K8S_AUTH_INSTANCE_ID: 'off' }, [
    'Keystone refused the token of service account ci/builder',
    'whether instance off is enabled',
  ]);
  await refused('another audience', makeServiceAccountToken('builder', { aud: ['kubernetes'] }), {}, [
    'check its audience',
  ]);
  await refused('an account without a rule', makeServiceAccountToken('stranger'), { OS_K8S_AUTH_ROLE: 'first' }, [
    'Keystone refused the token of service account ci/stranger',
    'mapping rule "first"',
  ]);
  await refused('a forged one', `${good.slice(0, -4)}AAAA`, {}, ['Keystone refused the token']);
});

void t.test('an instance id cannot change the path', async (t) => {
  const pod = await setUpV4K8s(t);
  pod.writeToken(makeServiceAccountToken('builder'));
  const env = { ...pod.env, OS_K8S_AUTH_INSTANCE_ID: '../../../v3/auth/tokens?x=' };
  const requests = ['POST /v4/k8s_auth/instances/..%2F..%2F..%2Fv3%2Fauth%2Ftokens%3Fx%3D/auth'];
  const says = ['Keystone has no Kubernetes auth instance'];
  await checkFailedLogin(
    t,
    { env, requestLog: openStandInLog(pod.standIn), requests },
    { status: EXIT_STATUS.refused, says },
  );
});

void t.test('a Keystone without v4', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const pod = await setUpV4K8s(t);
  pod.writeToken(makeServiceAccountToken('builder'));
  const env = { ...pod.env, OS_AUTH_URL: `${standIn.url}/v3` };
  const says = ['no Keystone v4 answers at', 'only Rust Keystone has v4'];
  const attempt = { env, requestLog: openStandInLog(standIn), requests: [login('cluster-1')] };
  await checkFailedLogin(t, attempt, { status: EXIT_STATUS.protocol, says });
});

void t.test('sends no request for a file without a usable token', async (t) => {
  const pod = await setUpV4K8s(t);
  const { env } = pod;
  const requestLog = openStandInLog(pod.standIn);
  const useless = async (
    name: string,
    says: readonly (string | RegExp)[],
    settings: Readonly<Record<string, string | undefined>> = {},
    status: number = EXIT_STATUS.config,
  ): Promise<void> => {
    await t.test(name, (t) =>
      checkFailedLogin(t, { env: { ...env, ...settings }, requestLog, requests: [] }, { status, says }),
    );
  };
  await useless('no file', ['cannot read the service account token from', 'ENOENT', 'set OS_K8S_AUTH_TOKEN_FILE']);
  await useless(
    'no pod',
    ['cannot read the service account token from /var/run/secrets/kubernetes.io/serviceaccount/token'],
    { OS_K8S_AUTH_TOKEN_FILE: undefined },
  );
  await useless('a folder', ['EINVAL'], { OS_K8S_AUTH_TOKEN_FILE: pod.home.path });
  pod.writeToken('not.a-jwt');
  await useless('no JWT', ['is not a JWT']);
  pod.writeToken(`a.${'b'.repeat(70_000)}.c`);
  await useless('too large', ['is larger than 64 KiB']);
  pod.writeToken(makeServiceAccountToken('builder', { exp: 1_700_000_000 }));
  await useless('expired', ['the service account token expired at 2023-11-14T22:13:20.000Z']);
  pod.writeToken(makeServiceAccountToken('builder'));
  await useless(
    'no instance',
    ['kubernetes auth instance id is not set', 'set OS_K8S_AUTH_INSTANCE_ID (--k8s-auth-instance-id)'],
    { OS_K8S_AUTH_INSTANCE_ID: undefined },
    EXIT_STATUS.interaction,
  );
});
