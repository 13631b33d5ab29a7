/**
 * Makes the npm package of the plugin, for `npx client-keystone-auth`. It contains the bundles, so it has no
 * dependencies but the keyring, whose native part npm chooses for the platform.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import manifest from '../../package.json' with { type: 'json' };
import type { Bundle } from '../build.ts';
import { npmPackagePath } from './package-paths.ts';
import { DESCRIPTION, KUBECTL_PLUGIN_NAME, PROGRAM_NAME } from './product.ts';
import { listBundledComponents, renderLicenses } from './sbom.ts';

const KEYRING = '@napi-rs/keyring';

const run = promisify(execFile);

/** Renders the package.json that is published. That of the project is for its development. */
export function renderNpmManifest(): object {
  const { name, version, license, author, repository, homepage, bugs, engines, devDependencies } = manifest;
  const main = `dist/${PROGRAM_NAME}.cjs`;
  return {
    name,
    version,
    description: DESCRIPTION,
    keywords: ['kubectl', 'kubernetes', 'openstack', 'keystone', 'credential-plugin'],
    license,
    author,
    repository,
    homepage,
    bugs,
    bin: { [PROGRAM_NAME]: main, [KUBECTL_PLUGIN_NAME]: main },
    files: ['dist', 'THIRD-PARTY-LICENSES.txt'],
    engines,
    optionalDependencies: { [KEYRING]: devDependencies[KEYRING] },
  };
}

/**
 * Makes the package from the bundles in `dist/`. npm gives all files one time, so the same bundles give the same bytes.
 *
 * @param bundles those of the plugin
 */
export async function makeNpmPackage(version: string, bundles: readonly Bundle[]): Promise<string> {
  const path = npmPackagePath(version);
  await mkdir(dirname(path), { recursive: true });
  const folder = await mkdtemp(join(dirname(path), '.npm-'));
  try {
    const content = join(folder, 'package');
    await mkdir(join(content, 'dist'), { recursive: true });
    await writeFile(join(content, 'package.json'), `${JSON.stringify(renderNpmManifest(), null, 2)}\n`);
    for (const name of ['README.md', 'LICENSE']) await copyFile(name, join(content, name));
    const licenses = renderLicenses(PROGRAM_NAME, await listBundledComponents(bundles));
    await writeFile(join(content, 'THIRD-PARTY-LICENSES.txt'), licenses);
    for (const { name } of bundles)
      await writeFile(join(content, 'dist', name), await readFile(join('dist', name)), {
        mode: name === `${PROGRAM_NAME}.cjs` ? 0o755 : 0o644,
      });
    await run('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', resolve(folder)], {
      cwd: content,
    });
    await rename(join(folder, `${PROGRAM_NAME}-${version}.tgz`), path);
    return path;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
