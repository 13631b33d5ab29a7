/** Lays out the files of a Linux package, except for licenses: each distribution has its own folder for those. */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { getCompletionScript } from '../../src/plugin/commands/completion/scripts.ts';
import { PROGRAM_NAME, KUBECTL_PLUGIN_NAME } from './product.ts';

/** The completion scripts of the shells that packages support. */
export type Completions = Readonly<Record<'bash' | 'zsh' | 'fish', string>>;

/** Renders the completion scripts. */
export function renderCompletions(): Completions {
  return { bash: getCompletionScript('bash'), zsh: getCompletionScript('zsh'), fish: getCompletionScript('fish') };
}

/**
 * The levels of xz for packages: quick, and small for a release. Level 9 has room for half an executable in its memory, and
 * needs 65 MiB to unpack. Filters for machine code would save as much, but not every program unpacks them.
 */
export const XZ_LEVELS = { quick: 1, small: 9 } as const;

/** The documents that accompany every executable. */
export interface PackageDocuments {
  readonly manPage: string;
  readonly completions: Completions;
  /** The libraries that the executable needs, as Debian writes them. */
  readonly libraries: string;
  /** Path of the licenses of the packages in the executable. */
  readonly licensesFile: string;
  /** The level of xz, from 0 to 9. */
  readonly xzLevel: number;
}

const run = promisify(execFile);

/** Copies the files to `root` as they will be below `/`, and returns their paths after the installation. */
export async function layOutFiles(
  root: string,
  executable: string,
  { manPage, completions }: PackageDocuments,
  zshFolder: 'vendor-completions' | 'site-functions',
): Promise<readonly string[]> {
  const man = (name: string): string => `usr/share/man/man1/${name}.1.gz`;
  const bash = 'usr/share/bash-completion/completions';
  const fish = (name: string): string => `usr/share/fish/vendor_completions.d/${name}.fish`;
  const files: readonly (readonly [path: string, contents: string | Buffer])[] = [
    // Node's gzip writes no name and no time into the header, so the bytes are reproducible.
    [man(PROGRAM_NAME), gzipSync(manPage, { level: 9 })],
    [`${bash}/${PROGRAM_NAME}`, completions.bash],
    [`usr/share/zsh/${zshFolder}/_${PROGRAM_NAME}`, completions.zsh],
    [fish(PROGRAM_NAME), completions.fish],
  ];
  // bash and fish look for a file with the name of the command.
  const links: readonly (readonly [path: string, to: string])[] = [
    [`usr/bin/${KUBECTL_PLUGIN_NAME}`, PROGRAM_NAME],
    [man(KUBECTL_PLUGIN_NAME), `${PROGRAM_NAME}.1.gz`],
    [`${bash}/${KUBECTL_PLUGIN_NAME}`, PROGRAM_NAME],
    [fish(KUBECTL_PLUGIN_NAME), `${PROGRAM_NAME}.fish`],
  ];
  const program = `usr/bin/${PROGRAM_NAME}`;
  const paths = [program, ...files.map(([path]) => path), ...links.map(([path]) => path)];
  for (const path of paths) await mkdir(dirname(join(root, path)), { recursive: true });
  await copyFile(executable, join(root, program));
  await chmod(join(root, program), 0o755);
  for (const [path, contents] of files) await writeFile(join(root, path), contents);
  for (const [path, to] of links) await symlink(to, join(root, path));
  return paths.map((path) => `/${path}`);
}

/** Copies the licenses to where Fedora, SUSE and Alpine have them. */
export async function copyLicenses(root: string, licensesFile: string): Promise<void> {
  const folder = join(root, 'usr/share/licenses', PROGRAM_NAME);
  await mkdir(folder, { recursive: true });
  await copyFile('LICENSE', join(folder, 'LICENSE'));
  await copyFile(licensesFile, join(folder, 'THIRD-PARTY-LICENSES.txt'));
}

/** Sets the usual permissions, independent of the umask of the build. */
export async function setPermissions(root: string): Promise<void> {
  await run('chmod', ['-R', 'u=rwX,go=rX', root]);
}
