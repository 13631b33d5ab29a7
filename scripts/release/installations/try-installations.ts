/** Installs a release by each path that this machine has, from a server on loopback. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listInstallPaths, readVersion } from './install-paths.ts';
import type { InstallPath } from './install-paths.ts';
import { startReleaseServer } from './release-server.ts';

/** What came of one path. */
export interface Attempt {
  readonly name: string;
  /** What this machine lacks, so that the path was not tried. */
  readonly missing?: string;
  /** Why the installation failed. */
  readonly failure?: string;
}

async function attempt(path: InstallPath, installation: Parameters<InstallPath['install']>[0]): Promise<Attempt> {
  const { name } = path;
  const missing = await path.findMissingTool();
  if (missing !== undefined) return { name, missing };
  try {
    const found = await readVersion(installation.folder, await path.install(installation));
    return found === installation.version ? { name } : { name, failure: `its version is "${found}"` };
  } catch (error) {
    return { name, failure: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Tries each path in a folder of its own, which is removed afterward.
 *
 * @param release the folder with the files of a release
 * @param report gets each result as soon as there is one
 */
export async function tryInstallations(
  release: string,
  version: string,
  report: (attempt: Attempt) => void = () => undefined,
): Promise<readonly Attempt[]> {
  const server = await startReleaseServer(release);
  const root = await mkdtemp(join(tmpdir(), 'cka-installations-'));
  try {
    // The user of the image has to reach its files.
    await chmod(root, 0o755);
    const attempts: Attempt[] = [];
    for (const [number, path] of listInstallPaths().entries()) {
      const folder = join(root, String(number));
      await mkdir(folder);
      const result = await attempt(path, { url: server.url, version, release, folder });
      report(result);
      attempts.push(result);
    }
    return attempts;
  } finally {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  }
}

/** Renders a result as a line. */
export function renderAttempt({ name, missing, failure }: Attempt): string {
  const width = Math.max(...listInstallPaths().map((path) => path.name.length));
  const result = missing !== undefined ? `not tried: ${missing} is missing` : (failure ?? 'installed, and it runs');
  return `  ${name.padEnd(width)}  ${result}`;
}
