// The issuer with real programs: Keystone, two replicas of the issuer behind a load balancer, kube-apiserver with the
// files of the documents, and the webhook as an authorizer. PyJWT verifies the same tokens independently.

import { execFile } from 'node:child_process';
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { writeIssuerFlags } from '../../scripts/kubernetes/issuer-flags.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { findPythonPackages } from '../../scripts/lib/python-packages.ts';
import { chooseClusterPlace, startCluster, testOnEachKubernetes } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { makeKeyFile, runIssuerCommand } from '../support/issuer.ts';
import { makeForm, makeIssuerCommandLine, postForm } from '../support/issuer-settings.ts';
import { startLoadBalancer } from '../support/load-balancer.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { logIn } from '../support/tenancy.ts';
import { pickSize } from '../support/test-size.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startServerProcess, startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';

const AUDIENCE = 'cluster-a';

/** Clients that get tokens and use them, one after the other, while the key changes. */
const CLIENTS = pickSize(20, 5);

const packages = await findPythonPackages('pyjwt-2.10.1', ['PyJWT[crypto]==2.10.1']);

interface Key {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

interface KeyDocument {
  keys: { signsFrom: string; jwk: JsonWebKey }[];
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Makes a token with any header and claims, as somebody could who has a key. */
function forge(header: object, claims: object, makeSignature: (input: string) => string): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${makeSignature(input)}`;
}

const signWith =
  ({ privateKey }: Pick<Key, 'privateKey'>) =>
  (input: string): string =>
    sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');

const decode = (part: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as Record<string, unknown>;

/** Reads the private key with which the issuer signs, as a thief would. */
function stealKey(keyFile: string, kid: string): Key {
  const document = JSON.parse(readFileSync(keyFile, 'utf8')) as KeyDocument;
  const key = document.keys[0]?.jwk;
  if (key === undefined) throw new Error('there is no key');
  return { kid, privateKey: createPrivateKey({ key: { ...key }, format: 'jwk' }) };
}

/** Variants of a good token that no verifier may accept. */
function listHostileTokens(good: string, key: Key): Readonly<Record<string, string>> {
  const [headerPart, claimsPart, signature = ''] = good.split('.');
  const [header, claims] = [decode(headerPart), decode(claimsPart)];
  const iat = Number(claims['iat']);
  const other = { privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey };
  const publicPem = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' });
  const hmac = (input: string): string => createHmac('sha256', publicPem).update(input).digest('base64url');
  const genuine = (changed: object): string => forge(header, { ...claims, ...changed }, signWith(key));
  const jwk = createPublicKey(other.privateKey).export({ format: 'jwk' });
  return {
    'no signature': forge({ ...header, alg: 'none' }, claims, () => ''),
    'no algorithm in capitals': forge({ ...header, alg: 'NONE' }, claims, () => ''),
    'a signature that is left out': `${headerPart ?? ''}.${claimsPart ?? ''}.`,
    'a shared secret that is the public key': forge({ ...header, alg: 'HS256' }, claims, hmac),
    'another key': forge(header, claims, signWith(other)),
    'another key that the token brings along': forge({ ...header, jwk }, claims, signWith(other)),
    'another key with an unknown ID': forge({ ...header, kid: 'x' }, claims, signWith(other)),
    'changed claims': `${headerPart ?? ''}.${encode({ ...claims, preferred_username: 'admin' })}.${signature}`,
    'another audience': genuine({ aud: 'cluster-b' }),
    'no audience': genuine({ aud: undefined }),
    'another issuer': genuine({ iss: 'https://evil.example.com' }),
    'an end in the past': genuine({ iat: iat - 7_200, nbf: iat - 7_200, exp: iat - 3_600 }),
    'no end': genuine({ exp: undefined }),
    'a start in the future': genuine({ nbf: iat + 3_000, exp: iat + 3_600 }),
  };
}

/** Tokens of an issuer whose clock is off, and whether they are accepted: kube-apiserver compares `nbf` and `exp`. */
function listTokensOfWrongClocks(good: string, key: Key): readonly (readonly [name: string, string, boolean])[] {
  const [header, claims] = good.split('.').slice(0, 2).map(decode);
  const issue = (offset: number, lifetime = 600): string => {
    const iat = Math.floor(Date.now() / 1_000) + offset;
    const nbf = iat - Number(claims?.['iat']) + Number(claims?.['nbf']);
    return forge(header ?? {}, { ...claims, iat, nbf, exp: iat + lifetime }, signWith(key));
  };
  return [
    ['30 s ahead', issue(30), true],
    ['5 minutes ahead', issue(300), true],
    ['10 minutes ahead', issue(600), false],
    ['30 s behind', issue(-30), true],
    ['5 minutes behind', issue(-300), true],
    ['5 minutes behind, with a lifetime of 2 minutes', issue(-300, 120), false],
  ];
}

/** Tokens that are well signed, and that only the rules of the documented file refuse. */
function listForbiddenTokens(good: string, key: Key): Readonly<Record<string, string>> {
  const [header, claims] = good.split('.').slice(0, 2).map(decode);
  const genuine = (changed: object): string => forge(header ?? {}, { ...claims, ...changed }, signWith(key));
  return {
    'a group of Kubernetes': genuine({ groups: ['system:masters'] }),
    'a user of Kubernetes': genuine({ preferred_username: 'system:admin' }),
    'a long life': genuine({ exp: Number(claims?.['iat']) + 86_400 }),
    'no project': genuine({ openstack: {} }),
  };
}

const PYTHON_VERIFIER = `
import json, sys, jwt
request = json.load(sys.stdin)
keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(request["jwks"]).keys}
for name, token in request["tokens"].items():
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, algorithms=["ES256", "RS256"], audience=request["audience"], issuer=request["issuer"],
                   options={"require": ["exp", "aud", "iss"]}, leeway=5)
        print(name)
    except (jwt.PyJWTError, KeyError):
        pass
`;

/** Lists the tokens that PyJWT accepts. */
function verifyWithPython(python: string, request: object): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(python, ['-c', PYTHON_VERIFIER], (error, stdout) => {
      if (error === null) resolve(stdout.split('\n').filter((line) => line !== ''));
      else reject(new Error(error.message));
    });
    child.stdin?.end(JSON.stringify(request));
  });
}

const PODS = '/api/v1/namespaces/web/pods';

async function readStatus(cluster: Cluster, token: string, path = PODS): Promise<number> {
  return (await cluster.request(path, { token })).status;
}

/**
 * Rotates as on schedule, but without the minutes for which a new key waits: it signs as soon as both replicas publish it.
 * kube-apiserver reads the keys again when it meets one that it does not know, unless it may still use its cache for more
 * than 30 seconds.
 */
async function rotateSoon(keyFile: string, replicas: readonly WebhookProcess[]): Promise<void> {
  const reload = (): void => {
    for (const replica of replicas) replica.signal('SIGHUP');
  };
  await runIssuerCommand('rotate', '--signing-keys-file', keyFile);
  reload();
  for (const replica of replicas) {
    await waitUntil('a replica publishes the new key', async () => {
      const { body } = await replica.sendRequest({ path: '/jwks' });
      return (body as { keys: unknown[] }).keys.length === 2;
    });
  }
  const document = JSON.parse(readFileSync(keyFile, 'utf8')) as KeyDocument;
  const newest = document.keys.at(-1);
  if (newest !== undefined) newest.signsFrom = new Date().toISOString();
  const next = `${keyFile}.next`;
  writeFileSync(next, JSON.stringify(document), { mode: 0o600 });
  renameSync(next, keyFile);
  reload();
}

async function checkRotation(
  t: Test,
  {
    cluster,
    issue,
    keyFile,
    replicas,
  }: {
    readonly cluster: Cluster;
    readonly issue: () => Promise<string>;
    readonly keyFile: string;
    readonly replicas: readonly WebhookProcess[];
  },
): Promise<void> {
  const readKid = (token: string): unknown => decode(token.split('.')[0])['kid'];
  const old = await issue();
  const statuses = new Map<number, number>();
  let isDone = false;
  t.teardown(() => (isDone = true));
  const loops = Array.from({ length: CLIENTS }, async () => {
    while (!isDone) {
      const status = await readStatus(cluster, await issue(), '/api/v1/namespaces/web');
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  });
  await rotateSoon(keyFile, replicas);
  await waitUntil('both replicas sign with the new key', async () => {
    const tokens = [await issue(), await issue(), await issue(), await issue()];
    return tokens.every((token) => readKid(token) !== readKid(old));
  });
  statuses.set(await readStatus(cluster, old, '/api/v1/namespaces/web'), 1 + (statuses.get(403) ?? 0));
  isDone = true;
  await Promise.all(loops);
  t.strictSame(
    [...statuses.keys()],
    [403],
    `authenticated each time, during a rotation: ${JSON.stringify([...statuses])}`,
  );
}

await testOnEachKubernetes(
  'the API server verifies tokens of the issuer by itself',
  async (t, environment, programs) => {
    const { pki, tenancy, http } = environment;
    const { users, projects, domain } = tenancy;
    const place = await chooseClusterPlace(t, environment);
    const keyFile = await makeKeyFile(t);
    const policyFile = join(place.folder, 'policy.json');
    writeFileSync(
      policyFile,
      JSON.stringify([
        { users: { projects: ['demo'], roles: ['member'] }, resource_permissions: { 'web/pods': ['list'] } },
      ]),
    );
    const webhook = await startWebhookProcess(t, { keystone: http, pki, args: ['--keystone-policy-file', policyFile] });
    // The balancer must have its port before the issuer knows its URL.
    const ports = [await findFreePort(), await findFreePort()];
    const balancer = await startLoadBalancer(t, ports);
    const url = `https://127.0.0.1:${balancer.port}`;
    const issuerSettings = { keystone: http, keyFile, url, pki, args: ['--jwks-max-age', '1'] };
    const replicas = await Promise.all(
      ports.map(async (port) => startServerProcess(t, await makeIssuerCommandLine(t, { ...issuerSettings, port }))),
    );
    await waitUntil('both replicas are ready', () => ports.every((port) => balancer.isReady(port)));
    const flags = writeIssuerFlags({ minor: programs.minor, url, caFile: pki.ca, folder: place.folder });
    const cluster = await startCluster(t, environment, programs, {
      place,
      webhookPort: webhook.port,
      cacheSeconds: 1,
      flags: { ...flags, 'authentication-token-webhook-config-file': undefined },
    });
    for (const name of ['web', 'db']) await cluster.create('/api/v1/namespaces', { metadata: { name } });

    const keystoneToken = await logIn(http, users.alice, { project: { id: projects.demo.id } });
    let turn = 0;
    const issue = async (): Promise<string> => {
      turn += 1;
      const replica = replicas[turn % replicas.length];
      if (replica === undefined) throw new Error('there is no replica');
      // On a busy machine, Keystone may be too slow for the issuer.
      const { status, body } = await waitUntil('the issuer has heard from Keystone', async () => {
        const answer = await postForm(replica, makeForm(keystoneToken, AUDIENCE), '');
        return answer.status === 503 ? undefined : answer;
      });
      if (status !== 200) throw new Error(`the issuer answered ${status}: ${JSON.stringify(body)}`);
      return (body as { access_token: string }).access_token;
    };
    const good = await issue();
    const hasExtra = programs.minor >= 34;
    await waitUntil(
      'the API server has read the keys',
      async () => (await readStatus(cluster, good, '/version')) === 200 && (await readStatus(cluster, good)) !== 401,
    );

    // Authorization: by the policy of the webhook on roles, and by RBAC on the group of the project.
    t.equal(await readStatus(cluster, good), hasExtra ? 200 : 403, 'the policy of the webhook');
    t.equal(await readStatus(cluster, good, '/api/v1/namespaces/db/pods'), 403);
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    await cluster.create(`${rbac}/namespaces/db/roles`, {
      metadata: { name: 'see' },
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }],
    });
    await cluster.create(`${rbac}/namespaces/db/rolebindings`, {
      metadata: { name: 'project' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'see' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: projects.demo.id }],
    });
    await waitUntil(
      'RBAC applies',
      async () => (await readStatus(cluster, good, '/api/v1/namespaces/db/pods')) === 200,
    );
    if (hasExtra) {
      const review = await cluster.request('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
        method: 'POST',
        body: {},
        token: good,
      });
      const extra = 'identity.openstack.org';
      t.match(review.body, {
        status: {
          userInfo: {
            username: 'alice',
            uid: users.alice.id,
            groups: [projects.demo.id, 'system:authenticated'],
            extra: {
              [`${extra}/project/id`]: [projects.demo.id],
              [`${extra}/project/name`]: ['demo'],
              [`${extra}/user/domain/id`]: [domain.id],
              [`${extra}/user/domain/name`]: [domain.name],
            },
          },
        },
      });
    }
    t.equal(await readStatus(cluster, keystoneToken), 401, 'the cluster has no use for a Keystone token');

    const key = stealKey(keyFile, String(decode(good.split('.')[0])['kid']));
    const hostile = listHostileTokens(good, key);
    for (const [name, token] of Object.entries(hostile)) t.equal(await readStatus(cluster, token), 401, name);
    if (hasExtra) {
      for (const [name, token] of Object.entries(listForbiddenTokens(good, key)))
        t.equal(await readStatus(cluster, token), 401, name);
    }
    for (const [name, token, isAccepted] of listTokensOfWrongClocks(good, key))
      t.equal((await readStatus(cluster, token)) !== 401, isAccepted, `a clock that is ${name}`);
    if ('missing' in packages) t.comment(skipBecause(packages.missing));
    else {
      const { body: jwks } = await (replicas[0]?.sendRequest({ path: '/jwks' }) ??
        Promise.reject(new Error('no replica')));
      const request = { jwks, tokens: { good, ...hostile }, audience: AUDIENCE, issuer: url };
      t.strictSame(await verifyWithPython(packages.python, request), ['good'], 'PyJWT agrees');
    }
    await checkRotation(t, { cluster, issue, keyFile, replicas });
  },
);
