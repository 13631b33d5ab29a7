// Against: a stand-in for Rust Keystone's v4, which no distribution contains yet.

import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import type { FailedAttempt } from '../support/log-in-twice.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { fetchTokenFacts, makeServiceAccountToken, serveV4 } from '../support/stand-in-v4.ts';
import type { K8sAuthInstance } from '../support/stand-in-v4.ts';

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

interface PodFixture {
  readonly keystone: StandInKeystone;
  /** The pod, with settings for the instance `cluster-1`. */
  readonly pod: Fixture;
  /** The path of the token. */
  readonly file: string;
  /** Replaces the file as the kubelet does. */
  readonly writeToken: (token: string) => void;
}

async function setUpPod(t: Test): Promise<PodFixture> {
  const keystone = await startKeystoneForTest(t);
  serveV4(keystone, { instances: [instance, old, off] });
  const pod = setUp(t, { keystone });
  const file = join(pod.home.path, 'token');
  const writeToken = (token: string): void => {
    pod.writeFile('token.new', `${token}\n`);
    renameSync(`${file}.new`, file);
  };
  const settings = {
    OS_AUTH_TYPE: 'v4k8s',
    OS_K8S_AUTH_INSTANCE_ID: instance.id,
    OS_K8S_AUTH_TOKEN_FILE: file,
  };
  return { keystone, pod: pod.with(settings), file, writeToken };
}

void t.test('a pod logs in with the token of its service account', async (t) => {
  const { keystone, pod, writeToken } = await setUpPod(t);
  const jwt = makeServiceAccountToken('builder');
  writeToken(jwt);
  const { token } = await logInTwice(t, pod, { requests: [login('cluster-1')], secrets: [jwt] });
  t.match(await fetchTokenFacts(keystone, token), { user: { name: 'alice' }, project: { name: 'web' } });
  t.strictSame(keystone.requests[0]?.body, { jwt }, 'neither the trailing newline nor an unset rule is sent');
});

void t.test('a URL without a version and a URL with v4 work too', async (t) => {
  for (const path of ['', '/v4', '/v3/']) {
    await t.test(`the path of the URL is "${path}"`, async (t) => {
      const { keystone, pod, writeToken } = await setUpPod(t);
      writeToken(makeServiceAccountToken('builder'));
      await logInTwice(t, pod.with({ OS_AUTH_URL: keystone.url + path }), { requests: [login('cluster-1')] });
    });
  }
});

void t.test('the rule is sent under both names', async (t) => {
  for (const { id } of [instance, old]) {
    await t.test(`instance ${id} knows its name`, async (t) => {
      const { keystone, pod, writeToken } = await setUpPod(t);
      const jwt = makeServiceAccountToken('builder');
      writeToken(jwt);
      const settings = { OS_K8S_AUTH_INSTANCE_ID: id, OS_K8S_AUTH_ROLE: 'second' };
      const { token } = await logInTwice(t, pod.with(settings), { requests: [login(id)] });
      t.strictSame(keystone.requests[0]?.body, { jwt, rule_name: 'second', role_name: 'second' });
      t.match(await fetchTokenFacts(keystone, token), { project: { name: 'db' } });
    });
  }
});

void t.test('the mapping decides the scope', async (t) => {
  const { pod, writeToken } = await setUpPod(t);
  writeToken(makeServiceAccountToken('builder'));
  const requests = [login('cluster-1')];
  const onWeb = { OS_PROJECT_NAME: 'web', OS_PROJECT_DOMAIN_NAME: 'acme' };
  const isForAnother: FailedAttempt = {
    requests,
    status: EXIT_STATUS.protocol,
    says: ['for another project than the one that is set'],
  };
  await t.test('the scope that is set is the one of the mapping', async (t) => {
    await logInTwice(t, pod.with(onWeb), { requests });
  });
  await t.test('another scope is set by ID', async (t) => {
    await checkFailedLogin(t, pod.onNewMachine().with({ OS_PROJECT_ID: 'b3c86ab0ae364399a0429475e0f753c4' }), {
      ...isForAnother,
      says: ['service account ci/builder', ...isForAnother.says, 'the mapping rule decides the scope'],
    });
  });
  await t.test('another scope is set by name', async (t) => {
    await checkFailedLogin(t, pod.onNewMachine().with({ ...onWeb, OS_PROJECT_NAME: 'db' }), isForAnother);
  });
  await t.test('the mapping has no scope', async (t) => {
    writeToken(makeServiceAccountToken('loose'));
    await logInTwice(t, pod.onNewMachine(), { requests, warnings: ['the token has no scope'] });
    await checkFailedLogin(t, pod.onNewMachine().with(onWeb), isForAnother);
  });
});

void t.test('a token that the kubelet renews uses the cache, and one of another account does not', async (t) => {
  const { keystone, pod, writeToken, file } = await setUpPod(t);
  const run = async (): Promise<{ token: string; logins: number }> => {
    const before = keystone.requests.length;
    const { token } = checkSuccess(t, await pod.run());
    return { token, logins: keystone.requests.length - before };
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
  t.match(await fetchTokenFacts(keystone, other.token), { user: { name: 'bob' } });
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
    writeFileSync(join(pod.home.path, name), token, { mode: 0o600 });
    symlinkSync(name, `${file}.link`);
    renameSync(`${file}.link`, file);
  };
  volume('one', makeServiceAccountToken('builder'));
  t.strictSame(await run(), { token: first.token, logins: 0 });
  t.strictSame(await run(), { token: first.token, logins: 0 });
  volume('two', makeServiceAccountToken('deployer'));
  t.strictSame(await run(), { token: other.token, logins: 0 });
});

void t.test('the token is not cached if the file is replaced during the login', async (t) => {
  const { keystone, pod, writeToken } = await setUpPod(t);
  writeToken(makeServiceAccountToken('builder'));
  keystone.answerNext((_, response, { makeDefaultResponse }) => {
    writeToken(makeServiceAccountToken('deployer'));
    const { status, headers, body } = keystone.issueToken(alice, ['mapped'], WEB);
    t.equal(status, 201);
    t.ok(makeDefaultResponse);
    response.writeHead(200, headers).end(JSON.stringify(body));
  }, login('cluster-1'));
  const first = checkSuccess(t, await pod.run());
  const second = checkSuccess(t, await pod.run());
  t.equal(keystone.requests.length, 2);
  t.match(await fetchTokenFacts(keystone, first.token), { user: { name: 'alice' } });
  t.match(await fetchTokenFacts(keystone, second.token), { user: { name: 'bob' } });
});

void t.test('a login that Keystone rejects gets one message', async (t) => {
  const { pod, writeToken } = await setUpPod(t);
  const isRefused = async (name: string, jwt: string, changes: EnvVars, says: readonly string[]): Promise<void> => {
    await t.test(name, async (t) => {
      writeToken(jwt);
      const user = pod.onNewMachine().with(changes);
      const requests = [login(user.settings['OS_K8S_AUTH_INSTANCE_ID'] ?? '')];
      await checkFailedLogin(t, user, { requests, secrets: [jwt], status: EXIT_STATUS.refused, says });
    });
  };
  const good = makeServiceAccountToken('builder');
  await isRefused('the instance is unknown', good, { OS_K8S_AUTH_INSTANCE_ID: 'nowhere' }, [
    'Keystone has no Kubernetes auth instance nowhere',
    'check OS_K8S_AUTH_INSTANCE_ID',
  ]);
  await isRefused('the instance is disabled', good, { OS_K8S_AUTH_INSTANCE_ID: 'off' }, [
    'Keystone refused the token of service account ci/builder',
    'whether instance off is enabled',
  ]);
  await isRefused('the token has another audience', makeServiceAccountToken('builder', { aud: ['kubernetes'] }), {}, [
    'check its audience',
  ]);
  await isRefused('no rule matches the account', makeServiceAccountToken('stranger'), { OS_K8S_AUTH_ROLE: 'first' }, [
    'Keystone refused the token of service account ci/stranger',
    'mapping rule "first"',
  ]);
  await isRefused('the token is forged', `${good.slice(0, -4)}AAAA`, {}, ['Keystone refused the token']);
});

void t.test('an instance ID cannot change the path', async (t) => {
  const { pod, writeToken } = await setUpPod(t);
  writeToken(makeServiceAccountToken('builder'));
  await checkFailedLogin(t, pod.with({ OS_K8S_AUTH_INSTANCE_ID: '../../../v3/auth/tokens?x=' }), {
    requests: ['POST /v4/k8s_auth/instances/..%2F..%2F..%2Fv3%2Fauth%2Ftokens%3Fx%3D/auth'],
    status: EXIT_STATUS.refused,
    says: ['Keystone has no Kubernetes auth instance'],
  });
});

void t.test('a Keystone without v4 is named in the message', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const { pod, writeToken } = await setUpPod(t);
  writeToken(makeServiceAccountToken('builder'));
  const user = setUp(t, { keystone, settings: { ...pod.settings, OS_AUTH_URL: `${keystone.url}/v3` } });
  await checkFailedLogin(t, user, {
    requests: [login('cluster-1')],
    status: EXIT_STATUS.protocol,
    says: ['no Keystone v4 answers at', 'only Rust Keystone has v4'],
  });
});

void t.test('a file without a usable token causes no request', async (t) => {
  const { pod, writeToken } = await setUpPod(t);
  const isNotSent = async (
    name: string,
    says: readonly (string | RegExp)[],
    changes: EnvVars = {},
    status: number = EXIT_STATUS.config,
  ): Promise<void> => {
    await t.test(name, async (t) => {
      await checkFailedLogin(t, pod.onNewMachine().with(changes), { requests: [], status, says });
    });
  };
  await isNotSent('the file does not exist', [
    'cannot read the service account token from',
    'ENOENT',
    'set OS_K8S_AUTH_TOKEN_FILE',
  ]);
  await isNotSent(
    'the plugin does not run in a pod',
    ['cannot read the service account token from /var/run/secrets/kubernetes.io/serviceaccount/token'],
    { OS_K8S_AUTH_TOKEN_FILE: undefined },
  );
  await isNotSent('the file is a folder', ['it is a folder'], { OS_K8S_AUTH_TOKEN_FILE: pod.home.path });
  writeToken('not.a-jwt');
  await isNotSent('the content is not a JWT', ['is not a JWT']);
  writeToken(`a.${'b'.repeat(70_000)}.c`);
  await isNotSent('the content is too large', ['it is larger than 64 KiB']);
  writeToken(makeServiceAccountToken('builder', { exp: 1_700_000_000 }));
  await isNotSent('the token has expired', ['the service account token expired at 2023-11-14T22:13:20.000Z']);
  writeToken(makeServiceAccountToken('builder'));
  await isNotSent(
    'no instance is set',
    ['kubernetes auth instance id is not set', 'set OS_K8S_AUTH_INSTANCE_ID (--k8s-auth-instance-id)'],
    { OS_K8S_AUTH_INSTANCE_ID: undefined },
    EXIT_STATUS.interaction,
  );
});
