/** Each way to install the plugin from a release that a machine with Linux can try, without changing the machine. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pathExists } from '../../lib/path-exists.ts';
import { findGoToolPath, KREW } from '../../lib/go-tools.ts';
import { renderManifests } from '../../package/manifests.ts';
import {
  archivePath,
  debianPackagePath,
  imageArchivePath,
  npmPackagePath,
  rpmPath,
} from '../../package/package-paths.ts';
import { KUBECTL_PLUGIN_NAME, PROGRAM_NAME } from '../../package/product.ts';
import { INSTALLER, WINDOWS_INSTALLER } from '../../package/release-files.ts';
import { hostTarget } from '../../package/targets.ts';
import { makeImageCommand, unpackImage } from './run-image.ts';

/** Where a release is, and an empty folder to install it in. */
export interface Installation {
  readonly url: string;
  readonly version: string;
  /** The folder that the URL shows. */
  readonly release: string;
  readonly folder: string;
}

/** A command line. */
export type CommandLine = readonly [program: string, ...args: string[]];

/** One way to install the plugin. */
export interface InstallPath {
  readonly name: string;
  /** The tool without which it cannot be tried here; undefined if it can. */
  readonly findMissingTool: () => Promise<string | undefined>;
  /** Installs the plugin and returns how it is run afterward. */
  readonly install: (installation: Installation) => Promise<CommandLine>;
}

const execute = promisify(execFile);

async function run(folder: string, program: string, args: readonly string[], env: object = {}): Promise<string> {
  // The Node of the project first: that of the machine can be too old for the npm package.
  const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
  const variables = { PATH: path, HOME: folder, LC_ALL: 'C', ...env };
  const { stdout } = await execute(program, args, { cwd: folder, env: variables, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Requires programs that are found on PATH. */
const needs =
  (...programs: readonly string[]): InstallPath['findMissingTool'] =>
  async () => {
    for (const program of programs) {
      const found = await execute('sh', ['-c', `command -v ${program}`]).then(
        () => true,
        () => false,
      );
      if (!found) return program;
    }
    return undefined;
  };

async function download({ url, folder }: Installation, name: string): Promise<string> {
  const path = join(folder, name);
  await run(folder, 'curl', ['--fail', '--silent', '--show-error', '--output', path, `${url}/${name}`]);
  return path;
}

/** Changes the root folder, which only root, or a user in a namespace of its own, is allowed to do. */
const asRoot = (): readonly string[] => (process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user']);

/**
 * Makes npm ask only this server. It wants to know about the keyring, which is optional, although it must not install it. A
 * registry that cannot be reached would cost minutes.
 */
const onlyFrom = (url: string): Readonly<Record<string, string>> => ({
  npm_config_registry: url,
  npm_config_update_notifier: 'false',
});

/** A way whose tool this machine lacks: it is not for this system. */
const elsewhere = (name: string, tool: string): InstallPath => ({
  name,
  findMissingTool: () => Promise.resolve(tool),
  install: () => Promise.reject(new Error(`${tool} is missing`)),
});

const INSTALL_PATHS: readonly InstallPath[] = [
  {
    name: INSTALLER,
    findMissingTool: needs('curl', 'sh'),
    install: async (installation) => {
      const { url, folder } = installation;
      await run(folder, 'sh', [await download(installation, INSTALLER), '--base-url', url, '--prefix', folder]);
      return [join(folder, 'bin', PROGRAM_NAME)];
    },
  },
  {
    name: 'archive (.tar.gz)',
    findMissingTool: needs('curl', 'tar'),
    install: async (installation) => {
      const { version, folder } = installation;
      await run(folder, 'tar', ['-xzf', await download(installation, basename(archivePath(hostTarget(), version)))]);
      return [join(folder, PROGRAM_NAME)];
    },
  },
  {
    name: 'dpkg (.deb)',
    findMissingTool: needs('curl', 'dpkg'),
    install: async (installation) => {
      const { version, folder } = installation;
      const root = join(folder, 'root');
      const state = join(root, 'var/lib/dpkg');
      await mkdir(join(state, 'info'), { recursive: true });
      await mkdir(join(state, 'updates'));
      await writeFile(join(state, 'status'), '');
      const path = await download(installation, basename(debianPackagePath(hostTarget(), version)));
      // The dependencies are in the real root, not in this one.
      const options = ['--force-not-root', '--force-depends', '--force-script-chrootless'];
      await run(folder, 'dpkg', [`--root=${root}`, ...options, '--install', path]);
      return [join(root, 'usr/bin', PROGRAM_NAME)];
    },
  },
  {
    name: 'rpm (.rpm)',
    findMissingTool: needs('curl', 'rpm'),
    install: async (installation) => {
      const { version, folder } = installation;
      const root = join(folder, 'root');
      const path = await download(installation, basename(rpmPath(hostTarget(), version)));
      const options = ['--root', root, '--dbpath', '/var/lib/rpm', '--install', '--nodeps', path];
      const [program = '', ...args] = [...asRoot(), 'rpm', ...options];
      await run(folder, program, args);
      return [join(root, 'usr/bin', PROGRAM_NAME)];
    },
  },
  {
    name: 'npm install',
    findMissingTool: needs('npm'),
    install: async ({ url, version, folder }) => {
      const options = ['--global', '--prefix', folder, '--omit=optional', '--no-audit', '--no-fund'];
      const tarball = `${url}/${basename(npmPackagePath(version))}`;
      await run(folder, 'npm', ['install', ...options, tarball], onlyFrom(url));
      return [join(folder, 'bin', PROGRAM_NAME)];
    },
  },
  {
    name: 'npx',
    findMissingTool: needs('npx'),
    install: ({ url, version, folder }) =>
      Promise.resolve([
        'env',
        `HOME=${folder}`,
        ...Object.entries(onlyFrom(url)).map(([name, value]) => `${name}=${value}`),
        'npm_config_omit=optional',
        'npx',
        '--yes',
        `--package=${url}/${basename(npmPackagePath(version))}`,
        PROGRAM_NAME,
      ]),
  },
  {
    name: 'kubectl krew',
    findMissingTool: async () => {
      const missing = await needs('git')();
      if (missing !== undefined) return missing;
      return (await pathExists(findGoToolPath(KREW, 'krew'))) ? undefined : 'krew';
    },
    install: async ({ url, version, release, folder }) => {
      const target = hostTarget();
      const file = basename(archivePath(target, version));
      const sha256 = createHash('sha256')
        .update(await readFile(join(release, file)))
        .digest('hex');
      const [manifest] = renderManifests({ version, baseUrl: url }, [{ target, url: `${url}/${file}`, sha256 }]);
      const path = join(folder, basename(manifest?.path ?? ''));
      await writeFile(path, manifest?.text ?? '');
      await run(folder, findGoToolPath(KREW, 'krew'), ['install', `--manifest=${path}`], {
        KREW_ROOT: join(folder, 'krew'),
      });
      return [join(folder, 'krew/bin', KUBECTL_PLUGIN_NAME)];
    },
  },
  {
    name: 'image',
    findMissingTool: needs('curl', 'tar', 'bwrap', 'setpriv'),
    install: async (installation) => {
      const { version, folder } = installation;
      const archive = await download(installation, basename(imageArchivePath(PROGRAM_NAME, version)));
      const layout = join(folder, 'layout');
      await mkdir(layout);
      await run(folder, 'tar', ['-xf', archive, '-C', layout]);
      return makeImageCommand(await unpackImage(layout, folder));
    },
  },
  elsewhere('Homebrew', 'brew'),
  elsewhere('apk (Alpine)', 'apk'),
  elsewhere('Scoop', 'scoop'),
  elsewhere('winget', 'winget'),
  elsewhere(WINDOWS_INSTALLER, 'PowerShell for Windows'),
];

/** Lists all ways, in the order of docs/install.md. */
export function listInstallPaths(): readonly InstallPath[] {
  return INSTALL_PATHS;
}

/** Returns what the installed plugin says about its version. */
export async function readVersion(folder: string, [program, ...args]: CommandLine): Promise<string> {
  return (await run(dirname(folder), program, [...args, '--version'], { HOME: folder })).trim();
}
