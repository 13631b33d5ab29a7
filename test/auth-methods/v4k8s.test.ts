// Against: a stand-in for three versions of Rust Keystone, made from exchanges with the real ones; the published one itself in test/rust-keystone.

import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { damageEnd } from '../support/damaged-token.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { makeServiceAccountToken, serveV4 } from '../support/stand-in-v4.ts';
import type { K8sAuthInstance } from '../support/stand-in-v4.ts';
import { RUST_KEYSTONE } from '../support/stand-in-v4-versions.ts';
import type { RustKeystoneVersion } from '../support/stand-in-v4-versions.ts';

const WEB = { project: { name: 'web', domain: { name: 'acme' } } };
const DB = { project: { name: 'db', domain: { name: 'acme' } } };
const alice = findRecordedUser('alice');
const bob = findRecordedUser('bob');

const instance: K8sAuthInstance = {
  id: 'cluster-1',
  isEnabled: true,
  rules: [
    { name: 'first', subject: 'system:serviceaccount:ci:builder', user: alice, scope: WEB },
    { name: 'second', subject: 'system:serviceaccount:ci:builder', user: alice, scope: DB },
    { name: 'others', subject: 'system:serviceaccount:ci:deployer', user: bob, scope: WEB },
    { name: 'unscoped', subject: 'system:serviceaccount:ci:loose', user: alice },
  ],
};

const withRows: K8sAuthInstance = { ...instance, id: 'with-rows', hasUserRows: true };
const off: K8sAuthInstance = { ...instance, id: 'off', isEnabled: false };
const undelegated: K8sAuthInstance = { ...instance, id: 'undelegated', delegators: [] };

const login = (id: string): string => `POST /v4/k8s_auth/instances/${id}/auth`;

/** What the server knows about a token that it does not validate. */
const readSession = ({ sessions }: StandInKeystone, token: string): unknown => sessions.get(token);

interface PodFixture {
  readonly keystone: StandInKeystone;
  /** The pod, with settings for the instance `cluster-1`. */
  readonly pod: Fixture;
  /** The path of the token. */
  readonly file: string;
  /** Replaces the file as the kubelet does. */
  readonly writeToken: (token: string) => void;
}

async function setUpPod(t: Test, version: RustKeystoneVersion = 'august'): Promise<PodFixture> {
  const keystone = await startKeystoneForTest(t);
  serveV4(keystone, { version, instances: [instance, withRows, off, undelegated] });
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
  t.match(readSession(keystone, token), { user: { name: 'alice' }, scope: { project: { name: 'web' } } });
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
  for (const version of Object.keys(RUST_KEYSTONE) as RustKeystoneVersion[]) {
    await t.test(`version ${version} knows its name`, async (t) => {
      const { keystone, pod, writeToken } = await setUpPod(t, version);
      const jwt = makeServiceAccountToken('builder');
      writeToken(jwt);
      const { token } = await logInTwice(t, pod.with({ OS_K8S_AUTH_ROLE: 'second' }), {
        requests: [login(instance.id)],
      });
      t.strictSame(keystone.requests[0]?.body, { jwt, rule_name: 'second', role_name: 'second' });
      t.match(readSession(keystone, token), { scope: { project: { name: 'db' } } });
    });
  }
});

const onWeb = { OS_PROJECT_NAME: 'web', OS_PROJECT_DOMAIN_NAME: 'acme' };
const onDb = { ...onWeb, OS_PROJECT_NAME: 'db' };
const WEB_ID = alice.roles.flatMap(({ project }) => project ?? []).find(({ name }) => name === 'web')?.id;
const isForAnother = {
  status: EXIT_STATUS.protocol,
  says: ['service account ci/builder', 'for another project than the one that is set', 'the mapping rule decides'],
};

void t.test('the mapping decides the scope', async (t) => {
  for (const version of Object.keys(RUST_KEYSTONE) as RustKeystoneVersion[]) {
    await t.test(`of version ${version}`, async (t) => {
      const { pod, writeToken } = await setUpPod(t, version);
      writeToken(makeServiceAccountToken('builder'));
      const onFirst = pod.with({ OS_K8S_AUTH_ROLE: 'first' });
      const requests = [login(instance.id)];
      await logInTwice(t, onFirst.with({ OS_PROJECT_ID: WEB_ID }), { requests });
      await checkFailedLogin(t, onFirst.onNewMachine().with({ OS_PROJECT_ID: 'b3c86ab0ae364399a0429475e0f753c4' }), {
        ...isForAnother,
        requests,
      });
      writeToken(makeServiceAccountToken('loose'));
      const unscoped = pod.onNewMachine().with({ OS_K8S_AUTH_ROLE: 'unscoped' });
      await logInTwice(t, unscoped, { requests, warnings: ['the token has no scope'] });
      await checkFailedLogin(t, unscoped.onNewMachine().with({ OS_PROJECT_ID: WEB_ID }), {
        ...isForAnother,
        says: isForAnother.says.slice(1),
        requests,
      });
    });
  }
});

void t.test('the scope is set by name, and the server does not name the scope of its token', async (t) => {
  const details = 'GET /v3/auth/tokens?nocatalog=true';
  const { pod, writeToken } = await setUpPod(t);
  writeToken(makeServiceAccountToken('builder'));
  await t.test('if it validates the token, it is asked for the names', async (t) => {
    const onRows = pod.with({ ...onWeb, OS_K8S_AUTH_INSTANCE_ID: 'with-rows' });
    const requests = [login('with-rows'), details];
    await logInTwice(t, onRows, { requests });
    await checkFailedLogin(t, onRows.onNewMachine().with(onDb), { ...isForAnother, requests });
  });
  await t.test('otherwise the ID is shown, and the token is not cached', async (t) => {
    const user = pod.onNewMachine().with(onWeb);
    const says = [new RegExp(`does not name the project of its token \\(id ${WEB_ID ?? ''}\\).*; set OS_PROJECT_ID`)];
    for (const run of [1, 2]) {
      const before = user.countRequests();
      const { token } = checkSuccess(t, await user.run(), says);
      t.ok(token);
      t.strictSame(user.listRequests().slice(before), [login(instance.id), details], `run ${run}`);
    }
  });
});

void t.test('a server with names does not have to be asked for them', async (t) => {
  const { pod, writeToken } = await setUpPod(t, 'june');
  writeToken(makeServiceAccountToken('builder'));
  const user = pod.with({ ...onWeb, OS_K8S_AUTH_ROLE: 'first' });
  await logInTwice(t, user, { requests: [login(instance.id)] });
  await checkFailedLogin(t, user.onNewMachine().with(onDb), { ...isForAnother, requests: [login(instance.id)] });
});

void t.test('a role that is missing or unknown is named', async (t) => {
  for (const version of ['0.1.1', 'june'] as const) {
    await t.test(version, async (t) => {
      const { pod, writeToken } = await setUpPod(t, version);
      writeToken(makeServiceAccountToken('builder'));
      const requests = [login(instance.id)];
      const status = EXIT_STATUS.refused;
      await checkFailedLogin(t, pod, {
        requests,
        status,
        says: ['this Keystone requires the name of a role', 'set OS_K8S_AUTH_ROLE (--k8s-auth-role)'],
      });
      await checkFailedLogin(t, pod.onNewMachine().with({ OS_K8S_AUTH_ROLE: 'none' }), {
        requests,
        status,
        says: ['Kubernetes auth instance cluster-1 has no role "none"', 'set OS_K8S_AUTH_ROLE (--k8s-auth-role)'],
      });
    });
  }
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
  t.match(readSession(keystone, other.token), { user: { name: 'bob' } });
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
  t.match(readSession(keystone, first.token), { user: { name: 'alice' } });
  t.match(readSession(keystone, second.token), { user: { name: 'bob' } });
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
    'check that instance off is enabled',
  ]);
  await isRefused(
    'the token has an audience of its own',
    makeServiceAccountToken('builder', { aud: ['keystone'] }),
    {},
    ["the API server's own audience"],
  );
  await isRefused('the service account may not ask for reviews', good, { OS_K8S_AUTH_INSTANCE_ID: 'undelegated' }, [
    'ClusterRole system:auth-delegator (ClusterRoleBinding)',
  ]);
  await isRefused('no rule matches the account', makeServiceAccountToken('stranger'), { OS_K8S_AUTH_ROLE: 'first' }, [
    'Keystone refused the token of service account ci/stranger',
    'mapping rule "first"',
  ]);
  await isRefused('the token is forged', damageEnd(good), {}, ['Keystone refused the token']);
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
    ['Kubernetes auth instance ID is not set', 'set OS_K8S_AUTH_INSTANCE_ID (--k8s-auth-instance-id)'],
    { OS_K8S_AUTH_INSTANCE_ID: undefined },
    EXIT_STATUS.interaction,
  );
});
