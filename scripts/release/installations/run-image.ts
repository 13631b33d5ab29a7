/**
 * Unpacks an image for this processor, and runs its program with bubblewrap as a container engine would: as the user of the
 * image, without capabilities, with its files read-only. The network is that of the machine.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hostTarget } from '../../package/targets.ts';
import type { ImageConfig } from '../../package/images/oci-layout.ts';

interface Descriptor {
  readonly digest: string;
  readonly platform?: { readonly architecture: string };
}

const run = promisify(execFile);

/** The files of an image, and how its program is run. */
export interface UnpackedImage {
  readonly config: ImageConfig;
  readonly rootfs: string;
}

/**
 * Unpacks the layers for this processor.
 *
 * @param folder an empty folder
 * @throws Error when the image is for other processors only
 */
export async function unpackImage(layout: string, folder: string): Promise<UnpackedImage> {
  const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(join(layout, path), 'utf8'));
  const blob = ({ digest }: Descriptor): string => join('blobs', digest.replace(':', '/'));
  const top = (await readJson('index.json')) as { manifests: Descriptor[] };
  const [index] = top.manifests;
  if (index === undefined) throw new Error(`${layout} has no image`);
  const { manifests } = (await readJson(blob(index))) as { manifests: Descriptor[] };
  const architecture = hostTarget().debianArchitecture;
  const own = manifests.find(({ platform }) => platform?.architecture === architecture);
  if (own === undefined) throw new Error(`${layout} has no image for ${architecture ?? 'this processor'}`);
  const manifest = (await readJson(blob(own))) as { config: Descriptor; layers: Descriptor[] };
  const rootfs = join(folder, 'rootfs');
  await mkdir(rootfs, { recursive: true });
  for (const layer of manifest.layers)
    await run('tar', ['--extract', '--gzip', '--same-permissions', '--file', join(layout, blob(layer)), '-C', rootfs]);
  const { config } = (await readJson(blob(manifest.config))) as { config: ImageConfig };
  return { config, rootfs };
}

/** What a container gets besides its image. */
export interface ContainerSettings {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folders of this machine, below /tmp, that the program can read. */
  readonly folders?: readonly string[];
}

/** Root becomes the user of the image first. Anybody else stays who they are. */
function becomeUser({ User }: ImageConfig): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const [uid = '', gid = ''] = User.split(':');
  const identity = ['--reuid', uid, '--regid', gid, '--clear-groups'];
  return ['setpriv', ...identity, '--bounding-set', '-all', '--inh-caps', '-all', '--no-new-privs'];
}

/** Returns the command line that runs the program of an image. */
export function makeImageCommand(
  { config, rootfs }: UnpackedImage,
  { args = [], env = {}, folders = [] }: ContainerSettings = {},
): readonly [program: string, ...args: string[]] {
  const variables = [...config.Env.map((line) => line.split(/=(.*)/s)), ...Object.entries(env)];
  const binds = folders.flatMap((folder) => ['--ro-bind', folder, folder]);
  // They are below /tmp, where the image has no folder to mount them on.
  const mounts = binds.length === 0 ? [] : ['--tmpfs', '/tmp', ...binds, '--remount-ro', '/tmp'];
  const [program = '', ...words] = [
    ...becomeUser(config),
    ...['bwrap', '--unshare-user', '--unshare-ipc', '--unshare-uts', '--cap-drop', 'ALL', '--die-with-parent'],
    ...['--ro-bind', rootfs, '/', '--ro-bind', '/proc', '/proc', '--dev', '/dev'],
    ...mounts,
    ...['--clearenv', ...variables.flatMap(([name = '', value = '']) => ['--setenv', name, value])],
    ...['--chdir', config.WorkingDir, ...config.Entrypoint, ...args],
  ];
  return [program, ...words];
}
