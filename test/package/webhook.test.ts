/** The webhook as one executable: it serves requests and needs no other files. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { archivePath } from '../../scripts/package/package-paths.ts';
import { findNameOffsets, SCRUBBED_NAMES } from '../../scripts/package/node-binary/scrub-env-names.ts';
import { WEBHOOK_PROGRAM_NAME } from '../../scripts/package/product.ts';
import { requireNode } from '../../scripts/package/runtimes.ts';
import { executablePath, TARGETS } from '../../scripts/package/targets.ts';
import type { Target } from '../../scripts/package/targets.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { startStandInCluster } from '../support/stand-in-cluster.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';
import { makeIssuerKey, signJwt, startStandInIssuer } from '../support/stand-in-issuer.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview } from '../support/webhook-client.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { CLIENT_ID, makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

/** The command that runs a target here. A target without an entry cannot run. */
const RUNNERS: Readonly<Record<string, readonly string[]>> = {
  [`${process.platform}-${process.arch}`]: [],
  'linux-arm64': process.arch === 'arm64' ? [] : ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu'],
};

function skip(target: Target): string | false {
  if (PACKAGED_EXECUTABLE === undefined) return 'npm test -- --packaged';
  const file = executablePath(target, WEBHOOK_PROGRAM_NAME);
  const [emulator] = RUNNERS[target.name] ?? ['nothing'];
  return (
    skipWithout(file, () => existsSync(file)) ||
    (emulator !== undefined && skipWithout(`${emulator} with libraries`, () => canRun(emulator, '--version')))
  );
}

const POLICY = JSON.stringify([{ users: { projects: ['demo'] }, resource_permissions: { 'web/pods': ['get'] } }]);

async function serve(t: Test, command: readonly [string, ...string[]]): Promise<void> {
  const key = makeIssuerKey('first');
  const [keystone, cluster, issuer] = await Promise.all([
    startTestKeystone(t),
    startStandInCluster(t),
    startStandInIssuer(t, await shareTestPki(), [key]),
  ]);
  cluster.setConfigMap('keystone-policy', { policies: POLICY });
  const sync = join(makeTestFolder(t), 'sync.yaml');
  writeFileSync(sync, 'role-mappings:\n  - {keystone-role: reader, groups: [mapped]}\ndata-types-to-sync: []\n');
  const webhook = await startWebhookProcess(t, {
    keystone,
    cluster,
    issuer,
    command,
    args: ['--policy-configmap-name', 'keystone-policy', '--sync-config-file', sync],
    // Variables must not change the program.
    env: { NODE_OPTIONS: '--require=/nowhere', NODE_EXTRA_CA_CERTS: '/nowhere' },
  });
  await waitUntil('it is ready', async () => (await webhook.sendRequest({ path: '/readyz' })).status === 200);
  const token = issueToken(keystone);
  await waitUntil('the token is accepted', async () => (await webhook.reviewToken(token))['authenticated'] === true);
  const { user } = await webhook.reviewToken(token);
  t.match(user, { username: 'alice' });
  t.ok((user as { groups: string[] }).groups.includes('mapped'), 'the YAML file was read');
  t.strictSame(await webhook.reviewToken('junk'), { authenticated: false });
  const claims = { iss: issuer.url, sub: 'u-1', aud: CLIENT_ID, exp: Math.floor(Date.now() / 1000) + 3_600 };
  const jwt = signJwt(claims, key);
  await waitUntil('the JWT is accepted', async () => (await webhook.reviewToken(jwt))['authenticated'] === true);
  t.match(await webhook.reviewToken(jwt), { user: { username: `${issuer.url}#u-1` } });
  await checkPolicy(t, webhook);
  t.notOk(await webhook.isAllowed(makeAccessReview({ namespace: 'db' })));
  t.match(await webhook.sendRequest({ path: '/metrics' }), { status: 200, body: /keystone_auth_policy_entries 1/ });
  t.equal(await webhook.stop(), 0);
}

async function checkPolicy(t: Test, webhook: WebhookProcess): Promise<void> {
  t.match(await webhook.postReview(makeAccessReview()), { status: 200, body: { status: { allowed: true } } });
}

/** Checks an emulated webhook, which is slow: it starts with TLS and responds. */
async function answer(t: Test, command: readonly [string, ...string[]]): Promise<void> {
  const policy = join(makeTestFolder(t), 'policy.json');
  writeFileSync(policy, POLICY);
  const webhook = await startWebhookProcess(t, { command, args: ['--keystone-policy-file', policy] });
  await checkPolicy(t, webhook);
  t.strictSame(await webhook.reviewToken('junk'), { authenticated: false });
  t.equal(await webhook.stop(), 0);
}

for (const target of TARGETS.filter(({ hasWebhook }) => hasWebhook)) {
  await t.test(target.name, { skip: skip(target) }, async (t) => {
    const file = resolve(executablePath(target, WEBHOOK_PROGRAM_NAME));
    const [first, ...words] = [...(RUNNERS[target.name] ?? []), file];
    const run = (...args: readonly string[]): string =>
      execFileSync(first, [...words, ...args], { encoding: 'utf8', env: {}, cwd: '/' });
    t.equal(run('--version'), `${version}\n`);
    t.match(run('--help'), '--oidc-issuer-url');
    const policy = join(makeTestFolder(t), 'policy.json');
    writeFileSync(policy, POLICY);
    const question = ['--projects', 'demo', '--verb', 'get', '--resource', 'pods', '--namespace', 'web'];
    t.match(run('policy', 'test', '--keystone-policy-file', policy, ...question), /allow/);
    const program = readFileSync(file);
    t.ok(program.includes(readFileSync('out/k8s-keystone-auth.cjs')), 'it contains the bundle');
    for (const name of SCRUBBED_NAMES) t.strictSame(findNameOffsets(program, name), [], `it does not contain ${name}`);
    await t.test('the executable of the webhook serves requests', (t) =>
      (words.length === 0 ? serve : answer)(t, [first, ...words]),
    );
  });

  await t.test(
    `the archive for ${target.name} contains the webhook and its files`,
    { skip: skip(target) },
    async (t) => {
      const folder = join(makeTestFolder(t), 'unpacked');
      mkdirSync(folder);
      execFileSync('tar', ['-xzf', resolve(archivePath(target, version, WEBHOOK_PROGRAM_NAME))], { cwd: folder });
      t.ok(
        readFileSync(join(folder, WEBHOOK_PROGRAM_NAME)).equals(
          readFileSync(executablePath(target, WEBHOOK_PROGRAM_NAME)),
        ),
      );
      const files = [
        'LICENSE',
        'docs/webhook/install.md',
        'docs/webhook/operations/absent.md',
        'packaging/webhook/manifests.yaml',
        'packaging/chart/Chart.yaml',
        'packaging/chart/files/alerts.yaml',
        'packaging/chart/files/issuer-alerts.yaml',
      ];
      for (const name of files) {
        t.ok(readFileSync(join(folder, name)).equals(readFileSync(name)), name);
      }
      const licenses = readFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
      const sbom = JSON.parse(readFileSync(`out/${target.name}/${WEBHOOK_PROGRAM_NAME}.sbom.cdx.json`, 'utf8')) as {
        metadata: { component: { name: string } };
        components: { name: string; version: string }[];
      };
      t.equal(sbom.metadata.component.name, WEBHOOK_PROGRAM_NAME);
      const names = sbom.components.map(({ name }) => name);
      const carried = [
        'pino',
        'prom-client',
        'jose',
        'got',
        'js-yaml',
        '@kubernetes/client-node',
        'yargs',
        requireNode(target).name,
      ];
      for (const name of carried) t.ok(names.includes(name), name);
      for (const name of ['@inquirer/core', target.keyringPackage]) t.notOk(names.includes(name), `no ${name}`);
      for (const { name, version: of } of sbom.components) {
        t.ok(licenses.includes(`\n${name} ${of} (`), `the license of ${name}`);
      }
      const sums = readFileSync('out/SHA256SUMS', 'utf8');
      t.match(sums, `  ${target.name}/${WEBHOOK_PROGRAM_NAME}\n`);
    },
  );
}
