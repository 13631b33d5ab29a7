/**
 * `npm run package`: makes everything that can be published. For each platform, it makes a single executable with its
 * bill of materials and licenses, archives, and packages for distributions if their tools are installed. It also makes
 * manifests for package managers and a list of checksums. `out/release/` has all of it under the names that a release
 * publishes. All input comes from this commit, package-lock.json and npm, so a second run gives the same bytes.
 *
 * usage: npm run package [-- [--target NAME]... [--base-url URL] [--runtime node|bun] [--small]]
 *
 * --runtime: what the plugin runs on. By default, it is what a release has: Bun on Linux, Node elsewhere. The webhook runs on
 * Node.
 * --small: compresses .deb and .rpm more, which takes minutes. A release does.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, relative } from 'node:path';
import { parseArgs } from 'node:util';
import manifest from '../package.json' with { type: 'json' };
import { makeApk } from './package/apk.ts';
import { makeChartArchive, makePluginArchive, makeWebhookArchive } from './package/archives.ts';
import { EXECUTABLE_SCRIPT, listAssets, readBundles } from './package/bundle-list.ts';
import { archivePath, imageFolder } from './package/package-paths.ts';
import { listComponents, renderLicenses, renderSbom } from './package/sbom.ts';
import type { ExecutableContents } from './package/sbom.ts';
import { makeDebianPackage } from './package/debian.ts';
import { makeBunExecutable } from './package/bun-binary/executable.ts';
import type { BuiltExecutable } from './package/keyring-addon.ts';
import { describePlugin, makeExecutable, WEBHOOK_PROGRAM } from './package/node-binary/executable.ts';
import { getDefaultRuntime, LINUX_LIBRARIES, RUNTIMES } from './package/runtimes.ts';
import type { Runtime } from './package/runtimes.ts';
import { renderCompletions, XZ_LEVELS } from './package/system-files.ts';
import { makeImages } from './package/images/images.ts';
import { makeNpmPackage } from './package/npm.ts';
import { renderManPage } from './package/man-page.ts';
import { renderManifests } from './package/manifests.ts';
import { makeRelease, PROGRAM_NAME, renderInstaller, WEBHOOK_PROGRAM_NAME } from './package/product.ts';
import { CHECKSUMS, documentPath, INSTALLER, listReleaseFiles, WINDOWS_INSTALLER } from './package/release-files.ts';
import { makeRpm } from './package/rpm.ts';
import { TARGETS } from './package/targets.ts';
import type { Target } from './package/targets.ts';

const LICENSES = 'THIRD-PARTY-LICENSES.txt';

const { values: options } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    'base-url': { type: 'string' },
    runtime: { type: 'string' },
    small: { type: 'boolean', default: false },
  },
});

function chooseTargets(): readonly Target[] {
  return (
    options.target?.map((name) => {
      const target = TARGETS.find((candidate) => candidate.name === name);
      if (target === undefined)
        throw new Error(`--target ${name} does not exist; use one of ${TARGETS.map((each) => each.name).join(', ')}`);
      return target;
    }) ?? TARGETS.filter(({ node }) => node !== undefined || ONLY_RUNTIME !== 'node')
  );
}

/** Returns the runtime that was asked for. */
function chooseRuntime(): Runtime | undefined {
  if (options.runtime === undefined) return undefined;
  const runtime = RUNTIMES.find((candidate) => candidate === options.runtime);
  if (runtime === undefined)
    throw new Error(`--runtime ${options.runtime} does not exist; use one of ${RUNTIMES.join(', ')}`);
  return runtime;
}

const ONLY_RUNTIME = chooseRuntime();
const RELEASE = makeRelease(manifest.version, options['base-url']);
const VERSION = RELEASE.version;

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

function isInstalled(tool: string): boolean {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
}

async function write(path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode });
}

for (const folder of ['krew', 'homebrew', 'scoop', 'winget', 'release'])
  await rm(`out/${folder}`, { recursive: true, force: true });
await import('./build.ts');
const bundles = await readBundles();
const webhookBundles = await readBundles('out/k8s-keystone-auth.bundles.json');
const assets = listAssets(bundles);
const texts = {
  manPage: renderManPage(VERSION),
  completions: renderCompletions(),
};
await write(`out/${PROGRAM_NAME}.1`, texts.manPage);
await write(`out/completions/${PROGRAM_NAME}.bash`, texts.completions.bash);
await write(`out/completions/_${PROGRAM_NAME}`, texts.completions.zsh);
await write(`out/completions/${PROGRAM_NAME}.fish`, texts.completions.fish);
for (const name of [INSTALLER, WINDOWS_INSTALLER])
  await write(`out/${name}`, renderInstaller(name, await readFile(`packaging/${name}`, 'utf8'), RELEASE), 0o755);

/** Makes all packages of one executable, in parallel. */
async function makePackages(target: Target, runtime: Runtime): Promise<void> {
  console.log(`  packages for ${target.name}${options.small ? ', which can take minutes' : ''} …`);
  const documents = {
    ...texts,
    libraries: LINUX_LIBRARIES[runtime],
    xzLevel: options.small ? XZ_LEVELS.small : XZ_LEVELS.quick,
    licensesFile: documentPath(target, PROGRAM_NAME, LICENSES),
  };
  await Promise.all([
    makePluginArchive(target, VERSION, documents),
    ...(target.debianArchitecture !== undefined && isInstalled('dpkg-deb')
      ? [makeDebianPackage(target, VERSION, documents)]
      : []),
    ...(target.rpmArchitecture !== undefined && isInstalled('rpmbuild') ? [makeRpm(target, VERSION, documents)] : []),
    ...(target.apkArchitecture !== undefined ? [makeApk(target, VERSION, documents)] : []),
  ]);
}

/** Writes the licenses and the bill of materials of an executable, and reports its size. */
async function describeExecutable(
  target: Target,
  program: string,
  { path, notes }: BuiltExecutable,
  contents: ExecutableContents,
): Promise<void> {
  const components = await listComponents(target, contents);
  await writeFile(documentPath(target, program, LICENSES), renderLicenses(program, components));
  await writeFile(documentPath(target, program, 'sbom.cdx.json'), renderSbom(program, target, components, VERSION));
  const { size } = await stat(path);
  console.log(`${path}  ${(size / 1e6).toFixed(1)} MB${notes.map((note) => `  (${note})`).join('')}`);
}

for (const target of chooseTargets()) {
  const runtime = ONLY_RUNTIME ?? getDefaultRuntime(target);
  const plugin = await (runtime === 'bun'
    ? makeBunExecutable(target, assets)
    : makeExecutable(target, describePlugin(assets)));
  await describeExecutable(target, PROGRAM_NAME, plugin, { bundles, hasKeyring: true, runtime });
  await makePackages(target, runtime);
  if (target.hasWebhook) {
    const webhook = await makeExecutable(target, WEBHOOK_PROGRAM);
    const contents = { bundles: webhookBundles, hasKeyring: false, runtime: 'node' } as const;
    await describeExecutable(target, WEBHOOK_PROGRAM_NAME, webhook, contents);
    await makeWebhookArchive(target, VERSION, documentPath(target, WEBHOOK_PROGRAM_NAME, LICENSES));
  }
}

const scripts = bundles.filter(({ name }) => name !== EXECUTABLE_SCRIPT);
await makeChartArchive(VERSION);
await makeNpmPackage(VERSION, scripts);
// They have what is published.
if (ONLY_RUNTIME === undefined && isInstalled('apt-get') && isInstalled('dpkg-deb'))
  for (const { name, digest, architectures } of await makeImages(VERSION))
    console.log(`${imageFolder(name)}  ${digest}  (${architectures.join(', ')})`);

const renderSums = (sums: Iterable<readonly [file: string, sum: string]>): string =>
  [...sums].map(([file, sum]) => `${sum}  ${file}\n`).join('');

// Of all targets, because a run can make only some of them.
const files = listReleaseFiles(VERSION).filter(({ path }) => existsSync(path));
const sums = new Map<string, string>();
for (const { path } of files) sums.set(path, await sha256(path));
await writeFile(`out/${CHECKSUMS}`, renderSums([...sums].map(([path, sum]) => [relative('out', path), sum])));

const downloads = TARGETS.flatMap((target) => {
  const file = archivePath(target, VERSION);
  const sum = sums.get(file);
  return sum === undefined ? [] : [{ target, url: `${RELEASE.baseUrl}/${basename(file)}`, sha256: sum }];
});
const manifests = renderManifests(RELEASE, downloads);
for (const { path, text } of manifests) await write(`out/${path}`, text);

/** Makes the folder that is published. Its files share their contents with those in `out/`, which are large. */
async function makeReleaseFolder(): Promise<void> {
  const published = [
    ...files,
    ...manifests.map(({ path }) => ({ path: `out/${path}`, name: basename(path) })),
  ].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  await mkdir('out/release');
  for (const { path, name } of published) await link(path, `out/release/${name}`);
  const lines: [name: string, sum: string][] = [];
  for (const { path, name } of published) lines.push([name, sums.get(path) ?? (await sha256(path))]);
  await writeFile(`out/release/${CHECKSUMS}`, renderSums(lines));
}

await makeReleaseFolder();
