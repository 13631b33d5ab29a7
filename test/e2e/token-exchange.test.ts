// The whole chain with real programs: kubectl or Python's client → the plugin → Keystone → the issuer → kube-apiserver,
// which verifies the JWT by itself. Skipped by name if no API server is built, except in CI.

import { spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';
import { parseKeyDocument, renderKeyDocument } from '../../src/webhook/issuer/key-document.ts';
import { makeSigningKey } from '../../src/webhook/issuer/signing-key.ts';
import type { SigningKey } from '../../src/webhook/issuer/signing-key.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { collectResult } from '../../scripts/lib/child-result.ts';
import type { ChildResult } from '../../scripts/lib/child-result.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { findFleetClients } from '../support/fleet-clients.ts';
import { ageJwts, readKeyId, readTokens, removeJwts } from '../support/cached-tokens.ts';
import { allowReading, chooseClusterPlace, startCluster, testOnEachKubernetes } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import { countExchanges } from '../support/count-exchanges.ts';
import { findCheck } from '../support/doctor.ts';
import { checkRotation } from '../support/key-rotation.ts';
import { makeIssuerCommandLine } from '../support/issuer-settings.ts';
import { startRecordingProxy } from '../support/recording-proxy.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { readClaims } from '../support/stand-in-exchange.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { PATIENT, pickSize } from '../support/stress.ts';
import { startSwitchedKeystone } from '../support/switched-keystone.ts';
import { waitUntil } from '../support/wait-until.ts';
import { WITHOUT_WEBHOOK } from '../support/without-webhook.ts';
import { startServerProcess } from '../support/webhook-process.ts';

/** The oldest minor version with this form of the configuration file. */
const OLDEST = 34;

const AUDIENCE = 'cluster-a';
const HOUR_MS = 3_600_000;
/** How long the keys that an API server has read may be used. It reads them again for an unknown key only after that. */
const MAX_AGE_SECONDS = 10;

/** How long a new key is published before it signs: also an API server that read the keys just before knows it by then. */
const ROTATION_MS = 2 * MAX_AGE_SECONDS * 1_000;

/** Keystone may be slow on a busy machine. */
const ISSUER_ARGS = ['--keystone-timeout', '30', '--jwks-max-age', String(MAX_AGE_SECONDS)];
function makeAuthenticationConfiguration(url: string, ca: string): object {
  return {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: { url, certificateAuthority: readFileSync(ca, 'utf8'), audiences: [AUDIENCE] },
        claimMappings: {
          username: { claim: 'preferred_username', prefix: '' },
          groups: { claim: 'groups', prefix: '' },
        },
      },
    ],
  };
}

const AUDIT_POLICY = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'RequestResponse' }] };

function writeKeys(path: string, keys: readonly SigningKey[]): void {
  writeFileSync(`${path}.new`, renderKeyDocument(keys).reveal(), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

await testOnEachKubernetes(
  'the cluster gets JWTs of the issuer, and never the Keystone token',
  async (t, environment, programs) => {
    const { pki, http, tenancy } = environment;
    const place = await chooseClusterPlace(t, environment);
    const keystone = await startSwitchedKeystone(t, http);

    const keyFile = join(place.folder, 'keys.json');
    const now = Date.now();
    writeKeys(keyFile, [await makeSigningKey('ES256', { createdAt: now - HOUR_MS, signsFrom: now - HOUR_MS })]);
    const port = await findFreePort();
    const url = `https://127.0.0.1:${port}/keystone`;
    const commandLine = await makeIssuerCommandLine(t, {
      ...{ keystone, keyFile, url, port, pki, args: ISSUER_ARGS },
      audiences: { audiences: [{ name: AUDIENCE, allow: [{ roles: ['member'] }] }] },
    });
    const issuer = await startServerProcess(t, commandLine);
    const [configuration, auditPolicy] = [join(place.folder, 'authn.json'), join(place.folder, 'audit.json')];
    const auditLog = join(place.folder, 'audit.log');
    writeFileSync(configuration, JSON.stringify(makeAuthenticationConfiguration(url, pki.ca)));
    writeFileSync(auditPolicy, JSON.stringify(AUDIT_POLICY));
    const cluster = await startCluster(t, environment, programs, {
      place,
      webhookPort: 1,
      cacheSeconds: 1,
      flags: {
        ...WITHOUT_WEBHOOK,
        'authentication-config': configuration,
        'audit-policy-file': auditPolicy,
        'audit-log-path': auditLog,
      },
    });
    const proxy = await startRecordingProxy(t, pki, cluster.url);
    await cluster.create('/api/v1/namespaces', { metadata: { name: 'web' } });
    await allowReading(cluster, 'web', { kind: 'Group', name: tenancy.projects.demo.id });

    const kubeconfig = join(cluster.home.path, 'exchange');
    const add = await runPlugin({
      home: cluster.home,
      env: { ...cluster.env, OS_AUTH_URL: `${keystone.url}/v3` },
      args: [
        ...['kubeconfig', 'add', `--kubeconfig=${kubeconfig}`, '--name=web', `--server=${proxy.url}`, '--set-current'],
        ...[`--certificate-authority=${pki.ca}`, `--token-exchange-url=${url}`, `--token-exchange-cacert=${pki.ca}`],
        ...[
          `--token-exchange-audience=${AUDIENCE}`,
          '--command=client-keystone-auth-under-test',
          '--auth-type=password',
          ...PATIENT,
        ],
      ],
    });
    t.equal(add.status, 0, add.stderr);
    const stanza = readFileSync(kubeconfig, 'utf8');
    const pluginPath = /"?command"?: "?([^",\n]+)"?/.exec(readFileSync(cluster.kubeconfig, 'utf8'))?.[1] ?? '';
    writeFileSync(kubeconfig, stanza.replace('client-keystone-auth-under-test', pluginPath), { mode: 0o600 });
    const getPods = (): ReturnType<Cluster['kubectl']> =>
      cluster.kubectl('--kubeconfig', kubeconfig, 'get', 'pods', '-n', 'web');
    const getPodsWell = async (t: Test, what: string): Promise<void> => {
      t.match(await getPods(), { status: 0 }, what);
    };

    await t.test('RBAC gives the groups of the JWT their rights', async (t) => {
      await waitUntil('the API server has read the keys, and RBAC applies', async () => (await getPods()).status === 0);
      const who = await cluster.kubectl('--kubeconfig', kubeconfig, 'auth', 'whoami', '-o', 'json');
      t.equal(who.status, 0, who.stderr);
      const { username, groups } = (
        JSON.parse(who.stdout) as { status: { userInfo: { username: string; groups: string[] } } }
      ).status.userInfo;
      t.equal(username, 'alice');
      t.ok(groups.includes(tenancy.projects.demo.id));
      t.match(await cluster.kubectl('--kubeconfig', kubeconfig, 'get', 'pods', '-n', 'default'), { status: 1 });
      t.equal(keystone.countLogins(), 1, 'one login for all commands');
      const { jwts, keystoneTokens } = readTokens(cluster);
      t.same([jwts.length, keystoneTokens.length], [1, 1]);
      t.match(readClaims(jwts[0] ?? ''), { iss: url, aud: AUDIENCE });
    });

    const clients = await findFleetClients();
    const skip = 'missing' in clients && skipBecause(clients.missing);
    await t.test('the Python client of the documents gets JWTs from the stanza too', { skip }, async (t) => {
      if ('missing' in clients) return;
      await allowReading(cluster, 'default', { kind: 'Group', name: tenancy.projects.demo.id });
      const listPods = (): Promise<ChildResult> => {
        const env = { ...cluster.env, KUBECONFIG: kubeconfig };
        const script = resolve('packaging/fleet/list_pods.py');
        return collectResult(
          spawn(clients.python, [script], { env, cwd: cluster.home.path, stdio: ['ignore', 'pipe', 'pipe'] }),
        );
      };
      await waitUntil('RBAC applies', async () => !(await listPods()).stderr.includes('Forbidden'));
      removeJwts(cluster);
      const before = await countExchanges(issuer);
      t.match(await listPods(), { status: 0, stderr: '' });
      t.match(await listPods(), { status: 0, stderr: '' });
      t.equal(await countExchanges(issuer), before + 1, 'a JWT is exchanged once, and then it is cached');
      t.equal(keystone.countLogins(), 1);
      const events = readFileSync(auditLog, 'utf8')
        .split('\n')
        .filter((line) => /"userAgent":"OpenAPI-Generator[^"]*python/.test(line) && line.includes('"code":200'));
      t.ok(events.length >= 2);
      for (const event of events) t.match(JSON.parse(event), { user: { username: 'alice' } });
    });

    await t.test('doctor accepts all of it', async (t) => {
      const run = await runPlugin({
        home: cluster.home,
        env: { ...cluster.env, KUBECONFIG: kubeconfig },
        args: ['doctor', '-o', 'json'],
      });
      const checks = JSON.parse(run.stdout) as DoctorCheck[];
      t.same(
        checks.filter(({ result }) => result === 'bad' || result === 'skipped'),
        [],
      );
      t.match(findCheck(checks, 'keys of the issuer').found, 'verifies the JWT');
      t.match(findCheck(checks, 'API server').found, 'authenticates you as alice');
    });

    await t.test('without Keystone, commands work until the JWT expires, and then again without a login', async (t) => {
      // A new JWT, because a busy machine may have needed most of the time of the first one.
      removeJwts(cluster);
      await getPodsWell(t, 'Keystone is up');
      keystone.switch(false);
      for (let count = 0; count < 3; count += 1) await getPodsWell(t, 'Keystone is down');
      ageJwts(cluster, 110_000);
      await getPodsWell(t, 'in the last two minutes');
      keystone.switch(true);
      removeJwts(cluster);
      const before = await countExchanges(issuer);
      await waitUntil('Keystone is asked again', async () => (await getPods()).status === 0);
      t.ok((await countExchanges(issuer)) > before);
      t.equal(keystone.countLogins(), 1);
    });

    await t.test('a rotation of the keys refuses nobody', async (t) => {
      const [oldKid] = readTokens(cluster).jwts.map(readKeyId);
      const keys = await parseKeyDocument(new Secret(readFileSync(keyFile, 'utf8')), keyFile);
      const now = Date.now();
      const next = await makeSigningKey('ES256', { createdAt: now, signsFrom: now + HOUR_MS });
      const writeNext = (signsFrom: number): void => {
        writeKeys(keyFile, [...keys, { ...next, signsFrom }]);
        issuer.signal('SIGHUP');
      };
      writeNext(next.signsFrom);
      await waitUntil('the issuer publishes the new key', () => issuer.readOutput().includes(next.kid));
      // Its time counts from now on, however long that took.
      const signsFrom = Date.now() + ROTATION_MS;
      writeNext(signsFrom);
      await waitUntil('the new key signs soon', () => Date.now() > signsFrom - 3_000);
      await checkRotation(t, {
        owner: cluster,
        loops: pickSize(20, 2),
        run: getPods,
        rotate: () => waitUntil('the new key signs', () => Date.now() > signsFrom),
        isNewKey: (kid) => kid === next.kid,
      });
      t.not(oldKid, next.kid);
      t.equal(keystone.countLogins(), 1);
    });

    await t.test('no byte of a Keystone token has reached the cluster', async (t) => {
      await getPodsWell(t, 'with the last JWT');
      const { keystoneTokens, jwts } = readTokens(cluster);
      t.equal(keystoneTokens.length, 1);
      const [sent, audited] = [proxy.read(), readFileSync(auditLog, 'utf8')];
      t.ok(proxy.countRequests() > 10);
      t.ok(sent.includes(jwts.at(-1) ?? 'none'), 'the proxy sees what is sent');
      t.ok(audited.includes('"username":"alice"'), 'the audit log has the requests');
      for (const [what, text] of [
        ['the proxy', sent],
        ['the audit log', audited],
      ] as const) {
        for (const token of keystoneTokens) t.notOk(text.includes(token), what);
        t.notMatch(text, /gAAAA[\w-]{20}/, `${what} has seen no other Keystone token`);
      }
    });
  },
  { oldest: OLDEST },
);
