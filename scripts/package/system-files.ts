/** What a package of a Linux distribution puts where, beside licences: each distribution has its own folder for those. */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { renderCompletion } from '../../src/plugin/commands/completion/render-completion.ts';
import { ALL_COMMANDS } from '../../src/plugin/commands/registry.ts';
import { PROGRAM_NAME, KUBECTL_PLUGIN_NAME } from './product.ts';

/** Of the shells that packages install completions for. */
export type Completions = Readonly<Record<'bash' | 'zsh' | 'fish', string>>;

export function renderCompletions(): Completions {
  const render = (shell: keyof Completions): string => renderCompletion(shell, ALL_COMMANDS);
  return { bash: render('bash'), zsh: render('zsh'), fish: render('fish') };
}

/** What goes along with every executable. */
export interface PackageDocuments {
  readonly manPage: string;
  readonly completions: Completions;
  /** The file that holds the licences of what is in an executable. */
  readonly licensesFile: string;
}

const run = promisify(execFile);

/** Lays files out below a root as they will lie below `/`, and returns their paths there. */
export async function layOutFiles(
  root: string,
  executable: string,
  { manPage, completions }: PackageDocuments,
  zshFolder: 'vendor-completions' | 'site-functions',
): Promise<readonly string[]> {
  const man = (name: string): string => `usr/share/man/man1/${name}.1.gz`;
  const bash = 'usr/share/bash-completion/completions';
  const fish = (name: string): string => `usr/share/fish/vendor_completions.d/${name}.fish`;
  const texts: readonly (readonly [path: string, contents: string | Buffer])[] = [
    // Without a name and a time in its header: node's gzip writes neither.
    [man(PROGRAM_NAME), gzipSync(manPage, { level: 9 })],
    [`${bash}/${PROGRAM_NAME}`, completions.bash],
    [`usr/share/zsh/${zshFolder}/_${PROGRAM_NAME}`, completions.zsh],
    [fish(PROGRAM_NAME), completions.fish],
  ];
  // bash and fish look for a file of the command's name.
  const links: readonly (readonly [path: string, to: string])[] = [
    [`usr/bin/${KUBECTL_PLUGIN_NAME}`, PROGRAM_NAME],
    [man(KUBECTL_PLUGIN_NAME), `${PROGRAM_NAME}.1.gz`],
    [`${bash}/${KUBECTL_PLUGIN_NAME}`, PROGRAM_NAME],
    [fish(KUBECTL_PLUGIN_NAME), `${PROGRAM_NAME}.fish`],
  ];
  const program = `usr/bin/${PROGRAM_NAME}`;
  const paths = [program, ...texts.map(([path]) => path), ...links.map(([path]) => path)];
  for (const path of paths) await mkdir(dirname(join(root, path)), { recursive: true });
  await copyFile(executable, join(root, program));
  await chmod(join(root, program), 0o755);
  for (const [path, contents] of texts) await writeFile(join(root, path), contents);
  for (const [path, to] of links) await symlink(to, join(root, path));
  return paths.map((path) => `/${path}`);
}

/** Gives all that is laid out the usual rights, whatever the umask of who builds it. */
export async function setPermissions(root: string): Promise<void> {
  await run('chmod', ['-R', 'u=rwX,go=rX', root]);
}
