/** The manifests are correct: every URL names a file in out/, with the checksum of that file. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { load } from 'js-yaml';
import t from 'tap';
import type { Test } from 'tap';
import { readZipMember } from '../../scripts/lib/read-archive.ts';
import { archivePath } from '../../scripts/package/package-paths.ts';
import { renderManifests } from '../../scripts/package/manifests.ts';
import { makeRelease } from '../../scripts/package/product.ts';
import { executablePath, TARGETS } from '../../scripts/package/targets.ts';
import type { Target } from '../../scripts/package/targets.ts';
import { skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const knownTargets = TARGETS.filter(({ hasMusl }) => !hasMusl);
const builtTargets = knownTargets.filter((target) => existsSync(archivePath(target, version)));
const skip =
  PACKAGED_EXECUTABLE === undefined
    ? 'npm test -- --packaged'
    : skipWithout('all six archives', () => builtTargets.length === knownTargets.length);

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const read = (path: string): string => readFileSync(join('out', path), 'utf8');
const baseUrl = makeRelease(version, undefined).baseUrl;
const sumOf = new Map(
  builtTargets.map((target) => [archivePath(target, version), sha256(readFileSync(archivePath(target, version)))]),
);

/** Checks the URL and the checksum of a target's archive. */
function checkDownload(t: Test, target: string, url: unknown, sum: unknown): void {
  const match = knownTargets.find(({ name }) => name === target);
  t.ok(match, target);
  const path = match === undefined ? '' : archivePath(match, version);
  t.equal(url, `${baseUrl}/${basename(path)}`);
  t.equal(String(sum).toLowerCase(), sumOf.get(path), 'the checksum of the file');
}

interface Krew {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly version: string;
    readonly platforms: readonly {
      readonly selector: { readonly matchLabels: { readonly os: string; readonly arch: string } };
      readonly uri: string;
      readonly sha256: string;
      readonly bin: string;
    }[];
  };
}

await t.test('the krew manifest describes the archives of the release', { skip }, async (t) => {
  const { apiVersion, kind, metadata, spec } = load(read('krew/keystone-auth.yaml')) as Krew;
  t.strictSame([apiVersion, kind], ['krew.googlecontainertools.github.com/v1alpha2', 'Plugin']);
  t.equal(metadata.name, 'keystone-auth');
  t.equal(spec.version, `v${version}`);
  t.equal(spec.platforms.length, knownTargets.length);
  for (const { selector, uri, sha256, bin } of spec.platforms) {
    const { os, arch } = selector.matchLabels;
    checkDownload(t, `${os.replace('windows', 'win')}-${arch.replace('amd64', 'x64')}`, uri, sha256);
    t.equal(bin, os === 'windows' ? 'client-keystone-auth.exe' : 'client-keystone-auth');
  }
});

await t.test('the Homebrew formula installs the archives of the release', { skip }, async (t) => {
  const formula = read('homebrew/client-keystone-auth.rb');
  t.match(formula, /^class ClientKeystoneAuth < Formula$/m);
  t.match(formula, `  version "${version}"\n`);
  let system = '';
  const names: string[] = [];
  for (const [, on, processor, url, sum] of formula.matchAll(
    /^ {2}on_(macos|linux) do$|^ {4}on_(arm|intel) do\n {6}url "(.*)"\n {6}sha256 "(.*)"\n {4}end$/gm,
  )) {
    if (on !== undefined) system = on === 'macos' ? 'darwin' : on;
    else {
      const target = `${system}-${processor === 'arm' ? 'arm64' : 'x64'}`;
      names.push(target);
      checkDownload(t, target, url, sum);
    }
  }
  t.strictSame(names.toSorted(), ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64']);
  const words = formula.match(/^ *(?:class|def|test do|on_\w+ do|end)\b/gm) ?? [];
  t.equal(words.filter((word) => word.trim() === 'end').length * 2, words.length, 'every block has an end');
});

interface Scoop {
  readonly version: string;
  readonly architecture: Readonly<Record<string, { readonly url: string; readonly hash: string }>>;
}

await t.test('the Scoop manifest describes the archives of the release', { skip }, async (t) => {
  const manifest = JSON.parse(read('scoop/client-keystone-auth.json')) as Scoop;
  t.equal(manifest.version, version);
  t.strictSame(Object.keys(manifest.architecture).toSorted(), ['64bit', 'arm64']);
  for (const [name, { url, hash }] of Object.entries(manifest.architecture))
    checkDownload(t, `win-${name.replace('64bit', 'x64')}`, url, hash);
});

interface Winget {
  readonly PackageIdentifier: string;
  readonly PackageVersion: string;
  readonly ManifestType: string;
  readonly Installers?: readonly {
    readonly Architecture: string;
    readonly InstallerUrl: string;
    readonly InstallerSha256: string;
  }[];
}

await t.test('the winget manifest describes the archives of the release', { skip }, async (t) => {
  const id = 'ClientKeystoneAuth.ClientKeystoneAuth';
  const [main, installer, locale] = ['', '.installer', '.locale.en-US'].map(
    (suffix) => load(read(`winget/${id}${suffix}.yaml`)) as Winget,
  );
  for (const [manifest, ManifestType] of [
    [main, 'version'],
    [installer, 'installer'],
    [locale, 'defaultLocale'],
  ] as const)
    t.match(manifest, { PackageIdentifier: id, PackageVersion: version, ManifestType });
  t.equal(installer?.Installers?.length, 2);
  for (const { Architecture, InstallerUrl, InstallerSha256 } of installer?.Installers ?? []) {
    checkDownload(t, `win-${Architecture}`, InstallerUrl, InstallerSha256);
    t.match(InstallerSha256, /^[0-9A-F]{64}$/, 'in upper case, as winget expects');
  }
});

/** Computes the checksum of an executable in its archive, with independent tools if they are installed. */
async function unpack(target: Target): Promise<string> {
  const path = archivePath(target, version);
  if (target.format === 'pe') return sha256(await readZipMember(readFileSync(path), 'client-keystone-auth.exe'));
  const options = { maxBuffer: 200e6 };
  return sha256(execFileSync('tar', ['--extract', '--to-stdout', '--file', path, 'client-keystone-auth'], options));
}

for (const target of builtTargets) {
  await t.test(
    `the archive for ${target.name} contains what the manifests say`,
    { skip: PACKAGED_EXECUTABLE === undefined && 'npm test -- --packaged' },
    async (t) => {
      t.equal(await unpack(target), sha256(readFileSync(executablePath(target))));
      if (target.format === 'pe') {
        // Python verifies checksums, sizes and offsets.
        const script = 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), *z.namelist())';
        const listed = execFileSync('python3', ['-c', script, archivePath(target, version)], { encoding: 'utf8' });
        t.equal(listed, 'None client-keystone-auth.exe LICENSE THIRD-PARTY-LICENSES.txt\n');
        return;
      }
      const listed = execFileSync('tar', ['--list', '--verbose', '--file', resolve(archivePath(target, version))], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
      });
      t.match(listed, /^-rwxr-xr-x 0\/0 +\d+ 1970-01-01 00:00 client-keystone-auth$/m);
      t.match(listed, /^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00 completions\/_client-keystone-auth$/m);
    },
  );
}

void t.test('the URL of a release can be chosen', async (t) => {
  t.match(baseUrl, /^https:\/\/[\w-]+\.invalid\//, 'a placeholder by default');
  t.equal(makeRelease('1.0.0', 'https://example.org/v1/').baseUrl, 'https://example.org/v1');
  for (const url of ['http://example.org/', 'https://a:b@example.org/', 'https://example.org/?v=1', "https://a/'$(x)"])
    t.throws(() => makeRelease('1.0.0', url), url);
  const [target] = TARGETS;
  if (target === undefined) return;
  const release = makeRelease('1.0.0', 'https://example.org/v1');
  const paths = renderManifests(release, [{ target, url: 'https://example.org/v1/x', sha256: 'ab' }]).map(
    ({ path }) => path,
  );
  t.strictSame(
    paths,
    ['krew/keystone-auth.yaml', 'homebrew/client-keystone-auth.rb'],
    'no manifest for Windows without an archive',
  );
});
