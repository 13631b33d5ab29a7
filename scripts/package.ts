/**
 * `npm run package`: turns a build into what can be carried: a single executable for each platform, with its bill of
 * materials and the licences of what is in it, archives, packages for distributions where their tools are, manifests for
 * package managers, and the checksums of all. Everything comes from this commit, package-lock.json and npm; a second run
 * gives the same bytes.
 *
 * usage: npm run package [-- [--target NAME]... [--base-url URL]]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import manifest from '../package.json' with { type: 'json' };
import type { Bundle } from './build.ts';
import { archivePath, makePluginArchive, makeWebhookArchive } from './package/archives.ts';
import { listComponents, renderLicenses, renderSbom } from './package/sbom.ts';
import { debianPackagePath, makeDebianPackage } from './package/debian.ts';
import { describePlugin, makeExecutable, WEBHOOK_PROGRAM } from './package/node-binary/executable.ts';
import type { Program } from './package/node-binary/executable.ts';
import { renderCompletions } from './package/system-files.ts';
import { renderManPage } from './package/man-page.ts';
import { renderManifests } from './package/manifests.ts';
import { makeRelease, PROGRAM_NAME, renderInstaller, WEBHOOK_PROGRAM_NAME } from './package/product.ts';
import { makeRpm, rpmPath } from './package/rpm.ts';
import { executablePath, TARGETS } from './package/targets.ts';
import type { Target } from './package/targets.ts';

const LICENSES = 'THIRD-PARTY-LICENSES.txt';
const SBOM = 'sbom.cdx.json';

/** The main scripts; the rest is carried as assets. */
const MAINS = ['client-keystone-auth.cjs', 'executable.cjs'];

const { values: options } = parseArgs({
  options: { target: { type: 'string', multiple: true }, 'base-url': { type: 'string' } },
});

function chooseTargets(): readonly Target[] {
  return (
    options.target?.map((name) => {
      const target = TARGETS.find((one) => one.name === name);
      if (target === undefined)
        throw new Error(`no target ${name}; there are ${TARGETS.map((one) => one.name).join(', ')}`);
      return target;
    }) ?? TARGETS
  );
}

const RELEASE = makeRelease(manifest.version, options['base-url']);
const VERSION = RELEASE.version;
const INSTALLER = 'install.sh';

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

function has(tool: string): boolean {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
}

async function write(path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode });
}

await import('./build.ts');
const readBundles = async (file: string): Promise<Bundle[]> => JSON.parse(await readFile(file, 'utf8')) as Bundle[];
const bundles = await readBundles('out/bundles.json');
const webhookBundles = await readBundles('out/k8s-keystone-auth.bundles.json');
const carried = bundles.map(({ name }) => name).filter((name) => !MAINS.includes(name));
const texts = {
  manPage: renderManPage(VERSION),
  completions: renderCompletions(),
};
await write(`out/${PROGRAM_NAME}.1`, texts.manPage);
await write(`out/completions/${PROGRAM_NAME}.bash`, texts.completions.bash);
await write(`out/completions/_${PROGRAM_NAME}`, texts.completions.zsh);
await write(`out/completions/${PROGRAM_NAME}.fish`, texts.completions.fish);
await write(`out/${INSTALLER}`, renderInstaller(await readFile(`packaging/${INSTALLER}`, 'utf8'), RELEASE), 0o755);

/** All that is made of one executable; the work of one is on several processors. */
async function makePackages(target: Target): Promise<void> {
  const documents = { ...texts, licensesFile: join(dirname(executablePath(target)), LICENSES) };
  await Promise.all([
    makePluginArchive(target, VERSION, documents),
    ...(target.debianArchitecture !== undefined && has('dpkg-deb')
      ? [makeDebianPackage(target, VERSION, documents)]
      : []),
    ...(target.rpmArchitecture !== undefined && has('rpmbuild') ? [makeRpm(target, VERSION, documents)] : []),
  ]);
}

/** A document about the executable of a program, beside it. */
const besides = (target: Target, program: string, file: string): string =>
  `out/${target.name}/${program === PROGRAM_NAME ? '' : `${program}.`}${file}`;

/** Makes the executable of a program, with the documents about what is in it. */
async function makeProgram(target: Target, program: Program, of: readonly Bundle[]): Promise<void> {
  const { path, notes } = await makeExecutable(target, program);
  const components = await listComponents(target, of, program.hasKeyring);
  await writeFile(besides(target, program.name, LICENSES), renderLicenses(program.name, components));
  await writeFile(besides(target, program.name, SBOM), renderSbom(program.name, target, components, VERSION));
  const { size } = await stat(path);
  console.log(`${path}  ${(size / 1e6).toFixed(1)} MB${notes.map((note) => `  (${note})`).join('')}`);
}

for (const target of chooseTargets()) {
  await makeProgram(target, describePlugin(carried), bundles);
  await makePackages(target);
  if (target.hasWebhook) {
    await makeProgram(target, WEBHOOK_PROGRAM, webhookBundles);
    await makeWebhookArchive(target, VERSION, besides(target, WEBHOOK_PROGRAM_NAME, LICENSES));
  }
}

// Of all that is there, since one target may have been made anew after the others.
const files = TARGETS.flatMap((target) => [
  ...[PROGRAM_NAME, WEBHOOK_PROGRAM_NAME].flatMap((program) => [
    executablePath(target, program),
    ...[LICENSES, SBOM].map((name) => besides(target, program, name)),
    archivePath(target, VERSION, program),
  ]),
  debianPackagePath(target, VERSION),
  rpmPath(target, VERSION),
]);
const present = [...files, `out/${INSTALLER}`].filter((file) => existsSync(file));
const sums = new Map<string, string>();
for (const file of present) sums.set(file, await sha256(file));
await writeFile('out/SHA256SUMS', [...sums].map(([file, sum]) => `${sum}  ${relative('out', file)}\n`).join(''));

const downloads = TARGETS.flatMap((target) => {
  const file = archivePath(target, VERSION);
  const sum = sums.get(file);
  return sum === undefined ? [] : [{ target, url: `${RELEASE.baseUrl}/${relative('out', file)}`, sha256: sum }];
});
for (const folder of ['krew', 'homebrew', 'scoop', 'winget'])
  await rm(`out/${folder}`, { recursive: true, force: true });
for (const { path, text } of renderManifests(RELEASE, downloads)) await write(`out/${path}`, text);
