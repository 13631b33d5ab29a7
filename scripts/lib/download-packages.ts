/** Downloads packages of Debian and Ubuntu, also for other processors and from another release, without installing them. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ARCHIVE_KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';

const run = promisify(execFile);

/** What to download, and for whom. */
export interface PackageDownload {
  /** As apt takes them, such as `musl:arm64`. */
  readonly packages: readonly string[];
  /** The processor, as Debian names it. */
  readonly architecture: string;
  /** The code name of another release of this system, such as `trixie`. Default: the releases that apt is set up for. */
  readonly release?: string;
}

/** Makes apt read the release from the server that this system uses, and from nowhere else. */
async function writeSources(work: string, release: string): Promise<readonly string[]> {
  const { stdout } = await run('apt-get', ['indextargets', '--no-release-info', '--format', '$(REPO_URI) $(RELEASE)']);
  const system = await readFile('/etc/os-release', 'utf8');
  const own = /^VERSION_CODENAME=(.+)$/m.exec(system)?.[1] ?? '';
  const server = stdout
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, name]) => name === own)?.[0];
  if (server === undefined) throw new Error(`apt has no source for ${own}, from which ${release} could come`);
  await writeFile(join(work, 'sources.list'), `deb [signed-by=${ARCHIVE_KEYS}] ${server} ${release} main\n`);
  return [`Dir::Etc::sourcelist=${join(work, 'sources.list')}`, `Dir::Etc::sourceparts=${join(work, 'none')}`];
}

/**
 * Downloads packages into an empty folder, and returns their paths. apt checks their signatures.
 *
 * @throws Error when apt cannot download them
 */
export async function downloadPackages(
  work: string,
  { packages, architecture, release }: PackageDownload,
): Promise<readonly string[]> {
  await mkdir(join(work, 'lists/partial'), { recursive: true });
  await mkdir(join(work, 'none'));
  const options = [
    `Dir::State::lists=${join(work, 'lists')}`,
    `Dir::Cache=${work}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
    'Acquire::Languages=none',
    `APT::Architectures::=${architecture}`,
    ...(release === undefined ? [] : await writeSources(work, release)),
  ].flatMap((option) => ['-o', option]);
  const env = { ...process.env, LC_ALL: 'C.UTF-8' };
  await run('apt-get', [...options, 'update'], { env, cwd: work });
  await run('apt-get', [...options, 'download', ...packages], { env, cwd: work });
  return (await readdir(work)).filter((name) => name.endsWith('.deb')).map((name) => join(work, name));
}
