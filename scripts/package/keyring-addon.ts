/** What the executables of both runtimes are made of. */
import { fetchPackageFile } from '../lib/npm-package.ts';

/** An executable that was made. */
export interface BuiltExecutable {
  readonly path: string;
  /** Remarks for the user who builds. */
  readonly notes: readonly string[];
}

/** Returns the native library in a package of the keyring. */
export async function fetchAddon(name: string): Promise<Buffer> {
  const { main } = JSON.parse((await fetchPackageFile(name, 'package.json')).toString()) as { main: string };
  return fetchPackageFile(name, main);
}
