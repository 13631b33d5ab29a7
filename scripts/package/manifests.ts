/**
 * Renders the manifests of krew, Homebrew, Scoop and winget. Each names the archives that exist, by URL and SHA-256.
 */
import { PROJECT } from '../lib/project.ts';
import { DESCRIPTION, PROGRAM_NAME, KUBECTL_PLUGIN_NAME, SUMMARY } from './product.ts';
import type { Release } from './product.ts';
import type { Target } from './targets.ts';

/** An archive that a package manager downloads. */
export interface Download {
  readonly target: Target;
  readonly url: string;
  readonly sha256: string;
}

/** A manifest of a package manager. */
export interface Manifest {
  /** Relative to `out/`. */
  readonly path: string;
  readonly text: string;
}

const getPlatform = ({ target }: Download): [system: string, processor: string] => {
  const [system = '', processor = ''] = target.name.split('-');
  return [system, processor];
};

const isFor =
  (system: string) =>
  (download: Download): boolean =>
    getPlatform(download)[0] === system;

/** Go's names, which krew uses. */
const GO_NAMES: Readonly<Record<string, string>> = { win: 'windows', x64: 'amd64' };

function renderKrew({ version }: Release, downloads: readonly Download[]): string {
  const platforms = downloads.map((download) => {
    const [system, processor] = getPlatform(download).map((word) => GO_NAMES[word] ?? word);
    return `    - selector:
        matchLabels:
          os: ${system ?? ''}
          arch: ${processor ?? ''}
      uri: ${download.url}
      sha256: ${download.sha256}
      bin: ${PROGRAM_NAME}${download.target.format === 'pe' ? '.exe' : ''}
`;
  });
  return `apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: keystone-auth
spec:
  version: v${version}
  homepage: ${PROJECT.homepage}
  shortDescription: Log in with OpenStack Keystone
  description: |
    ${DESCRIPTION}
  caveats: |
    In your kubeconfig, set the command of a user's exec section to ${KUBECTL_PLUGIN_NAME}.
  platforms:
${platforms.join('')}`;
}

/** Homebrew's names. */
const HOMEBREW_NAMES: Readonly<Record<string, string>> = { darwin: 'macos', x64: 'intel', arm64: 'arm' };

function renderFormula({ version }: Release, downloads: readonly Download[]): string {
  const blocks = ['darwin', 'linux'].flatMap((system) => {
    const own = downloads.filter(isFor(system)).map(
      (download) => `    on_${HOMEBREW_NAMES[getPlatform(download)[1]] ?? ''} do
      url "${download.url}"
      sha256 "${download.sha256}"
    end
`,
    );
    return own.length === 0 ? [] : [`  on_${HOMEBREW_NAMES[system] ?? system} do\n${own.join('')}  end\n`];
  });
  return `class ClientKeystoneAuth < Formula
  desc "${SUMMARY.charAt(0).toUpperCase()}${SUMMARY.slice(1)}"
  homepage "${PROJECT.homepage}"
  version "${version}"
  license "Apache-2.0"

${blocks.join('\n')}
  def install
    bin.install "${PROGRAM_NAME}"
    bin.install_symlink "${PROGRAM_NAME}" => "${KUBECTL_PLUGIN_NAME}"
    man1.install "${PROGRAM_NAME}.1"
    bash_completion.install "completions/${PROGRAM_NAME}.bash" => "${PROGRAM_NAME}"
    zsh_completion.install "completions/_${PROGRAM_NAME}"
    fish_completion.install "completions/${PROGRAM_NAME}.fish"
  end

  test do
    assert_equal version.to_s, shell_output("#{bin}/${PROGRAM_NAME} --version").strip
  end
end
`;
}

/** Scoop's names. */
const SCOOP_NAMES: Readonly<Record<string, string>> = { x64: '64bit' };

function renderScoop({ version }: Release, downloads: readonly Download[]): string {
  const entries = downloads.map((download) => {
    const [, processor] = getPlatform(download);
    return [SCOOP_NAMES[processor] ?? processor, { url: download.url, hash: download.sha256 }] as const;
  });
  const manifest = {
    version,
    description: DESCRIPTION,
    homepage: PROJECT.homepage,
    license: 'Apache-2.0',
    architecture: Object.fromEntries(entries),
    bin: [`${PROGRAM_NAME}.exe`, [`${PROGRAM_NAME}.exe`, KUBECTL_PLUGIN_NAME]],
  };
  return `${JSON.stringify(manifest, null, 4)}\n`;
}

const WINGET_ID = 'ClientKeystoneAuth.ClientKeystoneAuth';
const WINGET_SCHEMA = '1.6.0';

function renderWinget(version: string, downloads: readonly Download[]): readonly Manifest[] {
  const make = (kind: 'version' | 'installer' | 'defaultLocale', suffix: string, body: string): Manifest => ({
    path: `winget/${WINGET_ID}${suffix}.yaml`,
    text: `PackageIdentifier: ${WINGET_ID}
PackageVersion: ${version}
${body}ManifestType: ${kind}
ManifestVersion: ${WINGET_SCHEMA}
`,
  });
  const installers = downloads.map(
    (download) => `  - Architecture: ${getPlatform(download)[1]}
    InstallerUrl: ${download.url}
    InstallerSha256: ${download.sha256.toUpperCase()}
`,
  );
  return [
    make('version', '', 'DefaultLocale: en-US\n'),
    make(
      'installer',
      '.installer',
      `InstallerType: zip
NestedInstallerType: portable
NestedInstallerFiles:
  - RelativeFilePath: ${PROGRAM_NAME}.exe
    PortableCommandAlias: ${PROGRAM_NAME}
Installers:
${installers.join('')}`,
    ),
    make(
      'defaultLocale',
      '.locale.en-US',
      `PackageLocale: en-US
Publisher: ${PROJECT.authors}
PublisherUrl: ${PROJECT.repositoryUrl}
PublisherSupportUrl: ${PROJECT.issuesUrl}
PackageName: ${PROGRAM_NAME}
PackageUrl: ${PROJECT.homepage}
License: Apache-2.0
ShortDescription: ${SUMMARY}
Moniker: ${PROGRAM_NAME}
`,
    ),
  ];
}

/** Renders all manifests, except those for systems without an archive. These package managers do not know musl. */
export function renderManifests(release: Release, available: readonly Download[]): readonly Manifest[] {
  const downloads = available.filter(({ target }) => !target.hasMusl);
  const windows = downloads.filter(isFor('win'));
  const others = downloads.filter((download) => !isFor('win')(download));
  return [
    { path: 'krew/keystone-auth.yaml', text: renderKrew(release, downloads) },
    ...(others.length === 0 ? [] : [{ path: `homebrew/${PROGRAM_NAME}.rb`, text: renderFormula(release, others) }]),
    ...(windows.length === 0
      ? []
      : [
          { path: `scoop/${PROGRAM_NAME}.json`, text: renderScoop(release, windows) },
          ...renderWinget(release.version, windows),
        ]),
  ];
}
