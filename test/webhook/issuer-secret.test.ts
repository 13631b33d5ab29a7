// The signing keys in a Secret of a real kube-apiserver, with the rights that the chart gives the issuer. Time is virtual
// for the issuers, and real for the API server.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { openSecretKeyStore } from '../../src/webhook/issuer/secret-key-store.ts';
import { makeSigningKey } from '../../src/webhook/issuer/signing-key.ts';
import { openCluster } from '../../src/webhook/sources/cluster.ts';
import { CHART } from '../../scripts/kubernetes/find-helm.ts';
import { findEachKubernetes } from '../../scripts/kubernetes/find-kubernetes.ts';
import type { KubernetesPrograms } from '../../scripts/kubernetes/find-kubernetes.ts';
import { makeAdminToken, renderKubeconfig, startKubeApiserver } from '../../scripts/kubernetes/kube-apiserver.ts';
import type { KubeApiserver } from '../../scripts/kubernetes/kube-apiserver.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { CHECK_MS, findSigningKid, listKids } from '../support/issuer-keys.ts';
import { startIssuer } from '../support/issuer.ts';
import type { TestIssuer } from '../support/issuer.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { helmIn, readObjects, skipWithoutHelm, VALUES_FILES } from '../support/rendered-chart.ts';
import { startSwitchedForwarder } from '../support/switched-forwarder.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import { waitUntil } from '../support/wait-until.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder, shareTestPki, WebhookEnded } from '../support/webhook-settings.ts';
import { WITHOUT_WEBHOOK } from '../support/without-webhook.ts';
import { runWebhookCommand } from '../support/webhook.ts';

const MINUTE_MS = 60_000;
const NAMESPACE = 'keystone';
const NAME = 'signing-keys';
const DATA_KEY = 'signing-keys.json';
const SECRET = `/api/v1/namespaces/${NAMESPACE}/secrets/${NAME}`;
const RBAC = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;

interface Secret {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly data: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** The Secret as an administrator restores it from a backup. */
const makeCopy = ({ data }: Secret): Secret => ({ metadata: { name: NAME }, data });

const without = (object: object, key: string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));

/** Where the objects of the chart are created that give the issuer its rights. */
const PLACES: Readonly<Record<string, string>> = {
  ServiceAccount: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  Role: `${RBAC}/roles`,
  RoleBinding: `${RBAC}/rolebindings`,
};

for (const kubernetes of await findEachKubernetes(() => undefined)) {
  const title = `kube-apiserver ${kubernetes.version}: the signing keys are in a Secret, with the rights of the chart`;
  const skip = 'missing' in kubernetes ? skipBecause(kubernetes.missing) : skipWithoutHelm;
  void t.test(title, { skip }, (t) => ('missing' in kubernetes ? Promise.resolve() : checkSecret(t, kubernetes)));
}

/** Installs what the chart renders for the rights of the issuer, and returns the token of its service account. */
async function installRights(cluster: KubeApiserver, folder: string): Promise<string> {
  const file = VALUES_FILES.get('issuer') ?? '';
  const words = ['template', 'auth', CHART, '--namespace', NAMESPACE, '--values', file];
  const { status, stdout, stderr } = await helmIn(folder, ...words, '--set', `issuer.signingKeysSecret=${NAME}`);
  if (status !== 0) throw new Error(stderr);
  const objects = readObjects(stdout).filter(({ metadata }) => metadata.name.endsWith('-issuer'));
  let account = '';
  for (const object of objects) {
    const place = PLACES[object.kind];
    if (place === undefined) continue;
    const { status: created } = await cluster.request(place, { method: 'POST', body: object });
    if (created !== 201) throw new Error(`POST ${place}: ${created}`);
    if (object.kind === 'ServiceAccount') account = object.metadata.name;
  }
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 7_200 } };
  const answer = await cluster.request(`${PLACES['ServiceAccount'] ?? ''}/${account}/token`, { method: 'POST', body });
  return (answer.body as { status: { token: string } }).status.token;
}

async function failToStart(start: Promise<TestIssuer>): Promise<string> {
  try {
    await start;
  } catch (error) {
    if (error instanceof WebhookEnded) return error.message;
    throw error;
  }
  throw new Error('the issuer listens');
}

async function startApiServer(t: Test, programs: KubernetesPrograms, pki: Pki): Promise<KubeApiserver> {
  const settings = {
    programs,
    dir: join(makeTestFolder(t), 'cluster'),
    pki,
    webhookPort: 9,
    cacheSeconds: 1,
    flags: WITHOUT_WEBHOOK,
  };
  const cluster = await startKubeApiserver({ ...settings, port: await findFreePort() }, makeAdminToken());
  t.teardown(() => cluster.stop());
  return cluster;
}

async function checkSecret(t: Test, programs: KubernetesPrograms): Promise<void> {
  const [folder, pki] = [makeTestFolder(t), await shareTestPki()];
  const cluster = await startApiServer(t, programs, pki);
  const request: KubeApiserver['request'] = (path, options) => cluster.request(path, options);
  const forwarder = await startSwitchedForwarder(t, Number(new URL(cluster.url).port));
  const server = `https://127.0.0.1:${forwarder.port}`;
  const outputs: (() => string)[] = [];

  const run = async (kubeconfig: string, ...words: readonly string[]) => {
    const place = ['--signing-keys-secret', `${NAMESPACE}/${NAME}`, '--kubeconfig', kubeconfig];
    const { ended, output } = runWebhookCommand(['issuer', ...words, ...place]);
    outputs.push(() => output.stdout + output.stderr);
    return { status: await ended, ...output };
  };
  const writeKubeconfig = (name: string, token: string): string => {
    const path = join(folder, name);
    writeFileSync(path, renderKubeconfig(server, pki.ca, token), { mode: 0o600 });
    return path;
  };
  const readSecret = async (): Promise<Secret> => (await request(SECRET)).body as Secret;
  const replaceSecret = async (secret: Secret): Promise<void> => {
    const metadata = without(secret.metadata, 'resourceVersion');
    t.match(await request(SECRET, { method: 'PUT', body: { ...secret, metadata } }), { status: 200 });
  };

  const admin = writeKubeconfig('admin', cluster.adminToken);
  t.match(await run(admin, 'rotate', '--create'), {
    status: 1,
    stderr: /answered 404; create the namespace keystone first/,
  });
  t.match(await request('/api/v1/namespaces', { method: 'POST', body: { metadata: { name: NAMESPACE } } }), {
    status: 201,
  });
  const token = await installRights(cluster, folder);
  const own = writeKubeconfig('issuer', token);

  await t.test('the issuer may read and change its Secret, and nothing else', async (t) => {
    t.match(await run(own, 'keys'), {
      status: 3,
      stderr: /Secret keystone\/signing-keys .* does not exist; restore it/,
    });
    t.match(await run(own, 'rotate', '--create'), {
      status: 1,
      stdout: '',
      stderr: /answered 403; use a kubeconfig with the right to create Secrets in the namespace keystone\n$/,
    });
    t.match(await run(admin, 'rotate', '--create'), { status: 0, stdout: / signs / });
    t.match(await run(admin, 'rotate', '--create'), { status: 3, stderr: /already exists; leave out --create/ });
    t.match(await run(own, 'keys'), { status: 0, stdout: / signs / });
    const secrets = `/api/v1/namespaces/${NAMESPACE}/secrets`;
    t.match(await request(secrets, { method: 'POST', body: { metadata: { name: 'other' } } }), { status: 201 });
    for (const [method, path] of [
      ['GET', secrets],
      ['GET', `${secrets}/other`],
      ['PUT', `${secrets}/other`],
      ['DELETE', SECRET],
      ['GET', `/api/v1/namespaces/${NAMESPACE}/configmaps`],
      ['GET', '/api/v1/namespaces/default/secrets/signing-keys'],
    ] as const) {
      t.match(
        await request(path, { method, token, ...(method === 'PUT' ? { body: { metadata: { name: 'other' } } } : {}) }),
        { status: 403 },
        `${method} ${path}`,
      );
    }
    t.match(await run(writeKubeconfig('unknown', 'unknown'), 'keys'), {
      status: 1,
      stderr: /answered 401; check the credentials for the API server in --kubeconfig/,
    });
  });

  const keystone = await startTestKeystone(t, { lifetimeSeconds: 30 * 86_400 });
  const place = {
    writeKubeconfig: (path: string): void => {
      writeFileSync(path, renderKubeconfig(server, pki.ca, token), { mode: 0o600 });
    },
  };
  const start = async (t: Test, ...args: readonly string[]): Promise<TestIssuer> => {
    const issuer = await startIssuer(t, { keystone, cluster: place, args });
    outputs.push(() => issuer.readOutput());
    return issuer;
  };
  const sign = (issuer: TestIssuer): Promise<string> => findSigningKid(issuer, issueToken(keystone));
  const isReady = async (issuer: TestIssuer): Promise<boolean> =>
    (await issuer.sendRequest({ path: '/readyz' })).status === 200;
  /** Lets issuers read their keys, and make one if it is due. Time stands still, so the API server may be slow. */
  const readAgain = async (...issuers: readonly TestIssuer[]): Promise<void> => {
    for (const issuer of issuers) {
      issuer.signal('SIGHUP');
      // The signal has canceled the timer of the next check. It starts again when this one has ended.
      await issuer.clock.waitForTimer(CHECK_MS);
    }
  };
  const readLastLine = (issuer: TestIssuer): string => issuer.readOutput().trim().split('\n').at(-1) ?? '';

  await t.test('two replicas share the keys, and one of them makes the next', async (t) => {
    const hourly = ['--rotation-hours', '1'];
    const replicas = await Promise.all([start(t, ...hourly), start(t, ...hourly)]);
    const [first, second] = replicas;
    const [before = ''] = await listKids(first);
    t.strictSame(await listKids(second), [before]);
    // At once: otherwise checks begin whose requests meet their deadlines, and the API server may still make their changes.
    for (const { clock } of replicas) clock.jump(50 * MINUTE_MS);
    await waitUntil('a key is published', async () => {
      await readAgain(...replicas);
      return (await listKids(first)).length > 1;
    });
    await readAgain(...replicas);
    const kids = await listKids(first);
    t.equal(kids.length, 2);
    t.strictSame(await listKids(second), kids);
    t.equal(await sign(first), before, 'the new one waits');
    const made = replicas.filter((issuer) => issuer.readOutput().includes('a signing key was made'));
    t.equal(made.length, 1);
    for (const { clock } of replicas) clock.jump(15 * MINUTE_MS);
    await readAgain(...replicas);
    t.equal(await sign(first), kids[1]);
    t.equal(await sign(second), kids[1]);
  });

  const replicas = await Promise.all([start(t), start(t)]);
  const [first] = replicas;

  await t.test('of two changes at the same time, the second one is made again', async (t) => {
    const clock = makeVirtualClock();
    const open = async () =>
      openSecretKeyStore({
        secret: { namespace: NAMESPACE, name: NAME },
        cluster: await openCluster({ path: own, origin: '--kubeconfig' }, clock),
      });
    const [one, other] = [await open(), await open()];
    const make = () => makeSigningKey('ES256', { createdAt: clock.now(), signsFrom: clock.now() + 86_400_000 });
    const [mine, theirs] = [await make(), await make()];
    const seen: number[] = [];
    const before = (await one.read()).length;
    const result = await one.update(async (keys) => {
      seen.push(keys.length);
      if (seen.length === 1) await other.update((stored) => Promise.resolve([...stored, theirs]));
      return [...keys, mine];
    });
    t.strictSame(seen, [before, before + 1], 'the API server refuses the first attempt (409)');
    const kids = (await one.read()).map(({ kid }) => kid);
    t.strictSame(
      kids,
      result.map(({ kid }) => kid),
    );
    t.strictSame(kids.slice(-2), [theirs.kid, mine.kid]);
    await one.update((keys) => Promise.resolve(keys.slice(0, before)));
    let attempts = 0;
    const never = one.update(async (keys) => {
      attempts += 1;
      await other.update((stored) =>
        Promise.resolve(attempts % 2 === 0 ? stored.slice(0, before) : [...stored, theirs]),
      );
      return [...keys, mine];
    });
    await t.rejects(never, /keep changing the Secret keystone\/signing-keys$/);
    t.equal(attempts, 5);
    await one.update((keys) => Promise.resolve(keys.slice(0, before)));
  });

  await t.test('a rotation leaves alone what others have added to the Secret', async (t) => {
    const secret = await readSecret();
    const labels = { ...(secret.metadata['labels'] as object), 'backup.example.com/include': 'true' };
    const annotations = { 'example.com/owner': 'identity' };
    const finalizers = ['example.com/keep'];
    const more = { note: Buffer.from('kept').toString('base64') };
    await replaceSecret({
      ...secret,
      metadata: { ...secret.metadata, labels, annotations, finalizers },
      data: { ...secret.data, ...more },
    });
    t.match(await run(own, 'rotate', '--compromised'), { status: 0 });
    const after = await readSecret();
    t.match(after, { metadata: { labels, annotations, finalizers }, data: more });
    t.not(after.data[DATA_KEY], secret.data[DATA_KEY]);
    await replaceSecret({ ...after, metadata: { ...after.metadata, finalizers: [] } });
    await readAgain(...replicas);
    t.match(first.readOutput(), /"level":"warn".*a signing key was withdrawn before its time/);
  });

  await t.test('a Secret that somebody has damaged is not used, and nothing of it is shown', async (t) => {
    const secret = await readSecret();
    const kid = await sign(first);
    const document = JSON.parse(Buffer.from(secret.data[DATA_KEY] ?? '', 'base64').toString()) as {
      keys: { jwk: object }[];
    };
    const [entry] = document.keys;
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
    const damages: readonly (readonly [data: Record<string, string>, reason: RegExp])[] = [
      [{ [DATA_KEY]: '' }, /contains no JSON object/],
      [{ [DATA_KEY]: (secret.data[DATA_KEY] ?? '').slice(0, 120) }, /contains no JSON object/],
      [{ [DATA_KEY]: encode({ version: 1, keys: [] }) }, /contains no signing key/],
      [{ [DATA_KEY]: encode({ version: 2, keys: document.keys }) }, /is not a list of signing keys of version 1/],
      [
        { [DATA_KEY]: encode({ version: 1, keys: [{ ...entry, jwk: { ...entry?.jwk, d: 'AAAA' } }] }) },
        /cannot be used \(entry 1\)/,
      ],
      [{ [DATA_KEY]: encode({ version: 1, keys: [{ ...entry, signsFrom: 'soon' }] }) }, /cannot be used \(entry 1\)/],
      [{ other: encode(document) }, /has no key \\?"signing-keys\.json/],
    ];
    for (const [data, reason] of damages) {
      await replaceSecret({ ...(await readSecret()), data });
      t.match(await run(own, 'keys'), { status: 3, stdout: '', stderr: reason });
      t.match(await run(own, 'rotate', '--compromised'), { status: 3, stdout: '', stderr: reason });
      await readAgain(...replicas);
      t.match(readLastLine(first), reason);
      t.equal(await sign(first), kid, 'the last known key signs');
    }
    t.match(await failToStart(start(t)), /has no key "signing-keys\.json"; restore the signing keys from a backup/);
    await replaceSecret({ ...(await readSecret()), data: secret.data });
    await readAgain(...replicas);
    t.match(readLastLine(first), /the signing keys can be read again/);

    await replaceSecret({ ...(await readSecret()), immutable: true });
    t.match(await run(own, 'rotate'), { status: 1, stderr: /answered 422; the Secret must not be immutable/ });
    t.match(await request(SECRET, { method: 'DELETE' }), { status: 200 });
    const mutable = makeCopy(secret);
    t.match(await request(SECRET.replace(`/${NAME}`, ''), { method: 'POST', body: mutable }), { status: 201 });
  });

  await t.test('a Secret that was deleted is never made again, and works again when it is restored', async (t) => {
    const secret = await readSecret();
    const kid = await sign(first);
    t.match(await request(SECRET, { method: 'DELETE' }), { status: 200 });
    await readAgain(...replicas);
    for (const issuer of replicas) {
      t.match(readLastLine(issuer), /"level":"error".*Secret keystone\/signing-keys .* does not exist/);
      t.equal(await sign(issuer), kid);
      t.ok(await isReady(issuer));
    }
    t.match(await failToStart(start(t)), /does not exist; restore it from a backup/);
    for (const words of [['keys'], ['rotate'], ['rotate', '--compromised']])
      t.match(await run(own, ...words), { status: 3 });
    for (const { clock } of replicas) clock.jump(15 * MINUTE_MS);
    t.notOk(await isReady(first), 'it could miss a key of another replica');
    t.match(await request(SECRET), { status: 404 }, 'nobody made it');
    const body = makeCopy(secret);
    t.match(await request(SECRET.replace(`/${NAME}`, ''), { method: 'POST', body }), { status: 201 });
    await readAgain(...replicas);
    for (const issuer of replicas) t.ok(await isReady(issuer));
  });

  await t.test('without the right to change the Secret, an issuer serves with the keys that there are', async (t) => {
    const [role] = (
      (await request(`${RBAC}/roles`)).body as { items: { metadata: { name: string }; rules: { verbs: string[] }[] }[] }
    ).items;
    if (role === undefined) throw new Error('there is no Role');
    const allow = async (verbs: readonly string[]): Promise<void> => {
      const path = `${RBAC}/roles/${role.metadata.name}`;
      const metadata = without(role.metadata, 'resourceVersion');
      const rules = role.rules.map((rule) => ({ ...rule, verbs }));
      const verb = verbs.includes('update');
      t.match(await request(path, { method: 'PUT', body: { ...role, metadata, rules } }), { status: 200 });
      await waitUntil('RBAC applies', async () => {
        const body = { metadata: { name: NAME }, data: 'not a mapping' };
        const isAllowed = (await request(SECRET, { method: 'PUT', token, body })).status !== 403;
        const isReadable = (await request(SECRET, { token })).status === 200;
        return isAllowed === verb && isReadable === verbs.includes('get');
      });
    };
    await allow(['get']);
    const refused = /"level":"error".*the API server answered 403.*the last known ones stay in use/;
    t.match(await run(own, 'keys'), { status: 0 });
    t.match(await run(own, 'rotate', '--compromised'), {
      status: 1,
      stdout: '',
      stderr: /answered 403; give the issuer the rights to get and update this Secret, as the chart does\n$/,
    });
    // Another algorithm makes a rotation due at once.
    const third = await start(t, '--signing-alg', 'RS256');
    t.match(third.readOutput(), refused);
    t.equal(await sign(third), await sign(first));
    await readAgain(third);
    t.ok(await isReady(third));

    await allow(['update']);
    await readAgain(...replicas);
    t.match(readLastLine(first), refused);
    t.match(await failToStart(start(t)), /answered 403; give the issuer the rights to get and update this Secret/);
    await allow(['get', 'update']);
    await readAgain(third);
    await waitUntil('it rotates, because it may', () => third.readOutput().includes('a signing key was made'));
    await readAgain(...replicas);
  });

  await t.test('while the API server is away, tokens are issued, and nothing is changed', async (t) => {
    const kid = await sign(first);
    const kids = await listKids(first);
    forwarder.switch(false);
    await readAgain(...replicas);
    for (const issuer of replicas) {
      t.match(readLastLine(issuer), /"level":"error".*the API server cannot be reached/);
      t.equal(await sign(issuer), kid);
    }
    const away = /the API server cannot be reached.*; check the API server and the connection to it/;
    for (const words of [['keys'], ['rotate'], ['rotate', '--create'], ['rotate', '--compromised']]) {
      t.match(await run(own, ...words), { status: 1, stdout: '', stderr: away });
    }
    t.match(await failToStart(start(t)), away);
    forwarder.switch(true);
    await readAgain(...replicas);
    t.strictSame(await listKids(first), kids);
    t.match(readLastLine(first), /the signing keys can be read again/);
  });

  await t.test('no key is in a log or an error', async (t) => {
    const text = Buffer.from((await readSecret()).data[DATA_KEY] ?? '', 'base64').toString();
    const { keys } = JSON.parse(text) as { keys: { jwk: { d?: string; p?: string } }[] };
    const secrets = keys.flatMap(({ jwk }) => [jwk.d ?? [], jwk.p ?? []].flat());
    t.ok(secrets.length > 0);
    const written = outputs.map((read) => read()).join('\n');
    t.match(written, /"level":"error"/);
    for (const secret of secrets) {
      t.notOk(written.includes(secret), 'the key as such');
      t.notOk(written.includes(Buffer.from(secret).toString('base64').slice(4, -4)), 'and encoded');
    }
    t.notMatch(written, /"d"|"p"|BEGIN [A-Z ]*PRIVATE KEY/);
    t.notOk(written.includes(token) || written.includes(cluster.adminToken), 'no credential of the API server either');
  });
}
