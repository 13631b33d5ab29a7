/**
 * Makes the archives that krew, Homebrew, Scoop and winget unpack: a `.zip` for Windows, a `.tar.gz` for other systems.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeTarGz, writeZip } from './archive-formats.ts';
import type { ArchiveMember } from './archive-formats.ts';
import { archivePath, chartPath } from './package-paths.ts';
import { PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from './product.ts';
import type { PackageDocuments } from './system-files.ts';
import { executablePath } from './targets.ts';
import type { Target } from './targets.ts';

const text = (name: string, contents: string | Buffer): ArchiveMember => ({
  name,
  contents: Buffer.from(contents),
  executable: false,
});

async function listFilesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => `${parentPath}/${name}`)
    .toSorted();
}

/**
 * Makes the archive of the webhook: the executable, its licenses, its documentation, the manifests and the chart.
 *
 * @param licensesFile path of the licenses of the packages in the executable
 */
export async function makeWebhookArchive(target: Target, version: string, licensesFile: string): Promise<string> {
  const paths = [...(await listFilesBelow('docs/webhook')), ...(await listFilesBelow('packaging/chart'))];
  const manifests = ['README.md', 'manifests.yaml', 'webhook-kubeconfig.yaml'];
  const members = [
    {
      name: WEBHOOK_PROGRAM_NAME,
      executable: true,
      contents: await readFile(executablePath(target, WEBHOOK_PROGRAM_NAME)),
    },
    text('LICENSE', await readFile('LICENSE')),
    text('THIRD-PARTY-LICENSES.txt', await readFile(licensesFile)),
  ];
  for (const path of [...paths, ...manifests.map((name) => `packaging/webhook/${name}`)]) {
    members.push(text(path, await readFile(path)));
  }
  const path = archivePath(target, version, WEBHOOK_PROGRAM_NAME);
  await writeFile(path, await writeTarGz(members));
  return path;
}

/** Returns the archive of the chart that helm installs: the files that `helm package` takes, the same bytes every time. */
export async function packChart(): Promise<Buffer> {
  const folder = 'packaging/chart';
  const members: ArchiveMember[] = [];
  for (const path of await listFilesBelow(folder))
    // As in .helmignore.
    if (!path.startsWith(`${folder}/ci/`))
      members.push(text(path.replace(folder, WEBHOOK_PROGRAM_NAME), await readFile(path)));
  return writeTarGz(members);
}

/** Makes the archive of the chart. */
export async function makeChartArchive(version: string): Promise<string> {
  const path = chartPath(version);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await packChart());
  return path;
}

/** Makes the archive of the plugin: the executable, its licenses, the manual page and the completions. */
export async function makePluginArchive(target: Target, version: string, documents: PackageDocuments): Promise<string> {
  const { manPage, completions, licensesFile } = documents;
  const isWindows = target.format === 'pe';
  const program = { name: `${PROGRAM_NAME}${isWindows ? '.exe' : ''}`, executable: true };
  const members = [
    { ...program, contents: await readFile(executablePath(target)) },
    text('LICENSE', await readFile('LICENSE')),
    text('THIRD-PARTY-LICENSES.txt', await readFile(licensesFile)),
    ...(isWindows
      ? []
      : [
          text(`${PROGRAM_NAME}.1`, manPage),
          text(`completions/${PROGRAM_NAME}.bash`, completions.bash),
          text(`completions/_${PROGRAM_NAME}`, completions.zsh),
          text(`completions/${PROGRAM_NAME}.fish`, completions.fish),
        ]),
  ];
  const path = archivePath(target, version);
  await writeFile(path, await (isWindows ? writeZip(members) : writeTarGz(members)));
  return path;
}
