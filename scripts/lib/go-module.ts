/** Downloads the modules that tools are built from, with Go and from the proxy that Go is configured for. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { retryDownload } from './retry-download.ts';

/** One version of a module, and its checksum as in a go.sum. The module has the checksums of its dependencies. */
export interface GoModule {
  readonly path: string;
  readonly version: string;
  readonly sum: string;
}

/**
 * Downloads a module and returns the folder of its files.
 *
 * @throws Error if Go cannot download it, or if it has another checksum
 */
export async function downloadModule(
  go: string,
  { path, version, sum }: GoModule,
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<string> {
  const module = `${path}@${version}`;
  const args = ['mod', 'download', '-json', module];
  const { stdout } = await retryDownload(() => promisify(execFile)(go, args, options));
  const { Dir, Sum } = JSON.parse(stdout) as { readonly Dir: string; readonly Sum: string };
  if (Sum !== sum) throw new Error(`${module} has the checksum ${Sum}, not ${sum}`);
  return Dir;
}

/** Downloads the modules that packages consist of, and no others, so that a build finds them. */
export async function downloadDependencies(
  go: string,
  packages: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<void> {
  await retryDownload(() => promisify(execFile)(go, ['list', '-deps', ...packages], options));
}
