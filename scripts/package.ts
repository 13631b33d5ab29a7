/**
 * `npm run package`: turns a build into what can be carried: a single executable for each platform, with its bill of
 * materials and the licences of what is in it, packages for Debian where dpkg-deb is, and the checksums of all. Everything comes from this commit, package-lock.json and npm; a second run gives the same bytes.
 *
 * usage: npm run package [-- --target NAME]...
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import manifest from '../package.json' with { type: 'json' };
import type { Bundle } from './build.ts';
import { listComponents, renderLicenses, renderSbom } from './package/contents.ts';
import { debianPackageOf, makeDebianPackage } from './package/debian.ts';
import { makeExecutable } from './package/executable.ts';
import { executableOf, TARGETS } from './package/targets.ts';
import type { Target } from './package/targets.ts';

const LICENSES = 'THIRD-PARTY-LICENSES.txt';
const SBOM = 'sbom.cdx.json';

/** The main scripts; the rest is carried as assets. */
const MAINS = ['client-keystone-auth.cjs', 'executable.cjs'];

function chooseTargets(): readonly Target[] {
  const { values } = parseArgs({ options: { target: { type: 'string', multiple: true } } });
  return (
    values.target?.map((name) => {
      const target = TARGETS.find((one) => one.name === name);
      if (target === undefined)
        throw new Error(`no target ${name}; there are ${TARGETS.map((one) => one.name).join(', ')}`);
      return target;
    }) ?? TARGETS
  );
}

const VERSION = manifest.version;

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

function hasDebianTools(): boolean {
  return spawnSync('dpkg-deb', ['--version'], { stdio: 'ignore' }).status === 0;
}

await import('./build.ts');
const bundles = JSON.parse(await readFile('out/bundles.json', 'utf8')) as Bundle[];
const carried = bundles.map(({ name }) => name).filter((name) => !MAINS.includes(name));
for (const target of chooseTargets()) {
  const { path, notes } = await makeExecutable(target, carried);
  const components = await listComponents(target, bundles);
  await writeFile(join(dirname(path), LICENSES), renderLicenses(components));
  await writeFile(join(dirname(path), SBOM), renderSbom(target, components, VERSION));
  if (target.debian !== undefined && hasDebianTools()) {
    await makeDebianPackage(target, VERSION, join(dirname(path), LICENSES));
  }
  const { size } = await stat(path);
  console.log(`${path}  ${(size / 1e6).toFixed(1)} MB${notes.map((note) => `  (${note})`).join('')}`);
}

// Of all that is there, since one target may have been made anew after the others.
const files = TARGETS.flatMap((target) => [
  executableOf(target),
  ...[LICENSES, SBOM].map((name) => `out/${target.name}/${name}`),
  debianPackageOf(target, VERSION),
]);
const present = files.filter((file) => existsSync(file));
const sums = await Promise.all(present.map(async (file) => `${await sha256(file)}  ${relative('out', file)}\n`));
await writeFile('out/SHA256SUMS', sums.join(''));
