/** The images: what they contain, and that they run as nobody in particular, with everything read-only. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import { PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from '../../scripts/package/product.ts';
import { executablePath, TARGETS } from '../../scripts/package/targets.ts';
import { imageFolder } from '../../scripts/package/package-paths.ts';
import type { ImageConfig } from '../../scripts/package/images/oci-layout.ts';
import { startImage } from '../support/image-process.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/stand-in-login.ts';
import { waitUntil } from '../support/wait-until.ts';
import { connectToWebhook, makeAccessReview } from '../support/webhook-client.ts';
import { findPort, makeTestFolder, makeWebhookCommandLine, shareTestPki } from '../support/webhook-settings.ts';

const USER = 65532;

/** Only root can become the user of the image. */
const isRoot = process.getuid?.() === 0;

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

const skip =
  PACKAGED_EXECUTABLE === undefined
    ? 'npm test -- --packaged'
    : skipWithout('an image', () => existsSync(imageFolder(PROGRAM_NAME)));

const skipRuns = skip === false ? skipWithout('bubblewrap', () => canRun('bwrap', '--version')) : skip;

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

const readBlob = (layout: string, { digest }: Descriptor): Buffer =>
  readFileSync(join(layout, 'blobs', digest.replace(':', '/')));

interface Image {
  readonly architecture: string;
  readonly config: ImageConfig;
  /** The folder with its files. */
  readonly root: string;
}

function readImages(folder: string, layout: string): readonly Image[] {
  const readJson = (descriptor: Descriptor): unknown => JSON.parse(readBlob(layout, descriptor).toString());
  const top = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: [Descriptor] };
  const index = readJson(top.manifests[0]) as { manifests: Descriptor[] };
  return index.manifests.map((descriptor) => {
    const { architecture = '' } = descriptor.platform ?? {};
    const manifest = readJson(descriptor) as { config: Descriptor; layers: Descriptor[] };
    const { config } = readJson(manifest.config) as { config: ImageConfig };
    const root = join(folder, architecture);
    mkdirSync(root);
    for (const layer of manifest.layers)
      execFileSync('tar', ['--extract', '--gzip', '--same-permissions', '--no-same-owner', '-C', root], {
        input: readBlob(layout, layer),
      });
    return { architecture, config, root };
  });
}

const listFiles = (root: string): readonly string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));

/** Lists the libraries that a program or a library loads. */
function listNeeded(path: string): readonly string[] {
  const listed = execFileSync('readelf', ['--dynamic', path], { encoding: 'utf8' });
  return [...listed.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name ?? '');
}

for (const program of [PROGRAM_NAME, WEBHOOK_PROGRAM_NAME]) {
  await t.test(`the image of ${program} contains the program, its libraries and no shell`, { skip }, async (t) => {
    const layout = imageFolder(program);
    for (const name of readdirSync(join(layout, 'blobs/sha256')))
      t.equal(
        createHash('sha256')
          .update(readFileSync(join(layout, 'blobs/sha256', name)))
          .digest('hex'),
        name,
      );
    const images = readImages(makeTestFolder(t), layout);
    const targets = TARGETS.filter(
      (target) => target.hasWebhook === true && existsSync(executablePath(target, program)),
    );
    t.strictSame(
      images.map(({ architecture }) => architecture),
      targets.map(({ debianArchitecture }) => debianArchitecture),
      'for each processor that was built',
    );
    for (const [number, { config, root }] of images.entries()) {
      t.match(config, { User: `${USER}:${USER}`, Labels: { 'org.opencontainers.image.version': version } });
      const [entry = ''] = config.Entrypoint;
      const [target] = targets.slice(number);
      t.ok(target && readFileSync(join(root, entry)).equals(readFileSync(executablePath(target, program))), entry);
      const files = listFiles(root);
      for (const name of ['sh', 'bash', 'busybox', 'apt', 'dpkg'])
        t.notOk(
          files.some((path) => basename(path) === name),
          `no ${name}`,
        );
      for (const path of files) t.equal(lstatSync(join(root, path)).mode & 0o6000, 0, `${path} gives no rights`);
      const loaded = files.filter((path) => path === entry || /\.so[.\d]*$/.test(path));
      for (const path of loaded)
        for (const name of listNeeded(join(root, path)))
          t.ok(
            files.some((other) => basename(other) === name),
            `${name}, for ${path}`,
          );
      t.match(readFileSync(join(root, 'etc/ssl/certs/ca-certificates.crt'), 'utf8'), 'BEGIN CERTIFICATE');
      for (const name of ['libc6', 'libstdc++6', 'libgcc-s1', 'ca-certificates'])
        t.match(readFileSync(join(root, 'var/lib/dpkg/status.d', name), 'utf8'), /^Version: \S+$/m, 'for scanners');
    }
  });
}

await t.test('the plugin logs in from its image, where it cannot write anything', { skip: skipRuns }, async (t) => {
  const keystone = await startKeystoneForTest(t);
  const image = await startImage(t, imageFolder(PROGRAM_NAME), {
    args: ['get-token'],
    env: { ...makeLoginSettings(`${keystone.url}/v3`), NO_PROXY: '*' },
  });
  const status = await image.ended;
  const { stdout, stderr } = image.readOutput();
  t.equal(status, 0, stderr);
  t.match(JSON.parse(stdout), { kind: 'ExecCredential', status: { token: /./ } });
});

await t.test('the webhook answers from its image, without rights', { skip: skipRuns }, async (t) => {
  const shared = await shareTestPki();
  const folder = makeTestFolder(t);
  chmodSync(folder, 0o755);
  const give = (name: string): string => {
    if (isRoot) chownSync(join(folder, name), USER, USER);
    return join(folder, name);
  };
  const copy = (from: string, name: string): string => {
    copyFileSync(from, join(folder, name));
    return give(name);
  };
  const entry = { users: { projects: ['demo'] }, resource_permissions: { 'web/pods': ['get'] } };
  writeFileSync(join(folder, 'policy.json'), JSON.stringify([entry]));
  const pki = {
    ...shared,
    server: { cert: copy(shared.server.cert, 'tls.crt'), key: copy(shared.server.key, 'tls.key') },
  };
  const line = await makeWebhookCommandLine(t, { pki, args: ['--keystone-policy-file', give('policy.json')] });
  const image = await startImage(t, imageFolder(WEBHOOK_PROGRAM_NAME), {
    args: line.args,
    env: line.env,
    folders: [folder],
  });
  const port = await waitUntil('the webhook listens', () => {
    if (image.hasEnded()) throw new Error(JSON.stringify(image.readOutput()));
    return findPort(image.readOutput().stdout);
  });
  const client = connectToWebhook(t, port, pki);
  t.ok(await client.isAllowed(makeAccessReview()));
  t.match(await client.sendRequest({ path: '/readyz' }), { status: 200 });
  const pid = image.findPid();
  const state = readFileSync(`/proc/${pid}/status`, 'utf8');
  if (isRoot) {
    t.match(state, new RegExp(`^Uid:\\s+${USER}\\s+${USER}\\s+${USER}\\s+${USER}$`, 'm'));
    t.match(state, new RegExp(`^Gid:\\s+${USER}\\s`, 'm'));
  }
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    t.match(state, new RegExp(`^${set}:\\s+0+$`, 'm'), set);
  t.match(state, /^NoNewPrivs:\s+1$/m);
  process.kill(pid, 'SIGTERM');
  t.equal(await image.ended, 0);
});
