/**
 * Writes an image for several processors as a folder, without a container engine. The same input gives the same digest.
 * Source: OCI Image Format Specification 1.1.
 */
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { completeFolders } from './image-files.ts';
import type { ImageMember } from './image-files.ts';

/** How a container runs by default. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
}

/** The image for one processor. */
export interface PlatformImage {
  /** As Go names it. */
  readonly architecture: string;
  /** What changes rarely comes first. */
  readonly layers: readonly (readonly ImageMember[])[];
  readonly config: ImageConfig;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const TYPES = 'application/vnd.oci.image';

const compress = promisify<Buffer, object, Buffer>(gzip);

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function writeLayer(members: readonly ImageMember[], time: Date): Promise<Buffer> {
  const archive = pack();
  const written = buffer(archive);
  for (const member of completeFolders(members)) {
    const { path: name, owner = 0 } = member;
    const header = { name, uid: owner, gid: owner, mtime: time };
    if ('contents' in member) archive.entry({ ...header, mode: member.mode ?? 0o644 }, member.contents);
    else if ('link' in member) archive.entry({ ...header, type: 'symlink', linkname: member.link, mode: 0o777 });
    else archive.entry({ ...header, type: 'directory', mode: member.mode ?? 0o755 });
  }
  archive.finalize();
  return written;
}

/**
 * Writes the image into an empty folder and returns its digest.
 *
 * @param reference the name of the image in the folder, such as its version
 * @param time of all files, and of the image
 */
export async function writeImageLayout(
  folder: string,
  images: readonly PlatformImage[],
  { reference, time }: { readonly reference: string; readonly time: Date },
): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  const addBlob = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const digest = digestOf(bytes);
    await writeFile(join(folder, 'blobs', digest.replace(':', '/')), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const addJson = (kind: string, value: object): Promise<Descriptor> =>
    addBlob(`${TYPES}.${kind}+json`, Buffer.from(JSON.stringify(value)));

  const manifests: object[] = [];
  for (const { architecture, layers, config } of images) {
    const archives = await Promise.all(layers.map((members) => writeLayer(members, time)));
    const blobs = await Promise.all(
      archives.map(async (archive) => addBlob(`${TYPES}.layer.v1.tar+gzip`, await compress(archive, { level: 6 }))),
    );
    const platform = { architecture, os: 'linux' };
    const configBlob = await addJson('config.v1', {
      created: time.toISOString(),
      ...platform,
      config,
      rootfs: { type: 'layers', diff_ids: archives.map(digestOf) },
    });
    const manifest = await addJson('manifest.v1', {
      schemaVersion: 2,
      mediaType: `${TYPES}.manifest.v1+json`,
      config: configBlob,
      layers: blobs,
    });
    manifests.push({ ...manifest, platform });
  }
  const index = await addJson('index.v1', { schemaVersion: 2, mediaType: `${TYPES}.index.v1+json`, manifests });
  const annotations = { 'org.opencontainers.image.ref.name': reference };
  const top = { schemaVersion: 2, mediaType: `${TYPES}.index.v1+json`, manifests: [{ ...index, annotations }] };
  await writeFile(join(folder, 'index.json'), JSON.stringify(top));
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return index.digest;
}
