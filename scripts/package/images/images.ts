/** Makes the images of both programs, for all processors whose executables are there. */
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { PROJECT } from '../../lib/project.ts';
import { imageArchivePath, imageFolder } from '../package-paths.ts';
import { findSourceDate, KUBECTL_PLUGIN_NAME, PROGRAM_NAME, SUMMARY, WEBHOOK_PROGRAM_NAME } from '../product.ts';
import { documentPath } from '../release-files.ts';
import { executablePath, TARGETS } from '../targets.ts';
import type { Target } from '../targets.ts';
import { CA_FILE, IMAGE_HOME, IMAGE_USER, listSystemFiles } from './image-files.ts';
import type { ImageMember } from './image-files.ts';
import { writeImageLayout } from './oci-layout.ts';
import type { ImageConfig, PlatformImage } from './oci-layout.ts';

/** What is special about the image of a program. */
interface ImageProgram {
  readonly name: string;
  readonly description: string;
  /** Without a slash at the start. */
  readonly path: string;
  readonly links: readonly ImageMember[];
  readonly config: Pick<ImageConfig, 'WorkingDir' | 'ExposedPorts'>;
}

const PROGRAMS: readonly ImageProgram[] = [
  {
    name: PROGRAM_NAME,
    description: SUMMARY,
    path: `usr/local/bin/${PROGRAM_NAME}`,
    links: [{ path: `usr/local/bin/${KUBECTL_PLUGIN_NAME}`, link: PROGRAM_NAME }],
    config: { WorkingDir: IMAGE_HOME },
  },
  {
    name: WEBHOOK_PROGRAM_NAME,
    description: 'answer the token and access reviews of Kubernetes with OpenStack Keystone',
    // Manifests of the Go webhook run it by this path, or as ./bin/k8s-keystone-auth in the folder /.
    path: `bin/${WEBHOOK_PROGRAM_NAME}`,
    links: [],
    config: { WorkingDir: '/', ExposedPorts: { '8443/tcp': {} } },
  },
];

async function describeImage(program: ImageProgram, target: Target, version: string): Promise<PlatformImage> {
  const { name, description, path, links, config } = program;
  const licenses = documentPath(target, name, 'THIRD-PARTY-LICENSES.txt');
  return {
    architecture: target.debianArchitecture ?? '',
    layers: [
      await listSystemFiles(target),
      [
        { path, mode: 0o755, contents: await readFile(executablePath(target, name)) },
        ...links,
        { path: `usr/share/doc/${name}/LICENSE`, contents: await readFile('LICENSE') },
        { path: `usr/share/doc/${name}/THIRD-PARTY-LICENSES.txt`, contents: await readFile(licenses) },
      ],
    ],
    config: {
      User: `${IMAGE_USER}:${IMAGE_USER}`,
      Env: [`HOME=${IMAGE_HOME}`, 'PATH=/usr/local/bin:/bin', `SSL_CERT_FILE=${CA_FILE}`],
      Entrypoint: [`/${path}`],
      ...config,
      Labels: {
        'org.opencontainers.image.description': description,
        'org.opencontainers.image.licenses': 'Apache-2.0',
        'org.opencontainers.image.source': PROJECT.repositoryUrl,
        'org.opencontainers.image.title': name,
        'org.opencontainers.image.vendor': PROJECT.authors,
        'org.opencontainers.image.version': version,
      },
    },
  };
}

/** Writes a folder into one file, which container engines and skopeo read. */
async function archiveLayout(folder: string, path: string): Promise<void> {
  const archive = pack();
  const written = buffer(archive);
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
  for (const name of names)
    archive.entry({ name, mode: 0o644, mtime: new Date(0) }, await readFile(join(folder, name)));
  archive.finalize();
  await writeFile(path, await written);
}

/** An image that was made. */
export interface MadeImage {
  readonly name: string;
  readonly digest: string;
  /** As Go names them. */
  readonly architectures: readonly string[];
}

/** Makes both images from the executables in `out/`, for the targets that have one. */
export async function makeImages(version: string, targets: readonly Target[] = TARGETS): Promise<readonly MadeImage[]> {
  const made: MadeImage[] = [];
  const time = new Date(Number(findSourceDate()) * 1_000);
  for (const program of PROGRAMS) {
    const built = targets.filter(
      (target) => target.hasWebhook === true && existsSync(executablePath(target, program.name)),
    );
    if (built.length === 0) continue;
    const images: PlatformImage[] = [];
    for (const target of built) images.push(await describeImage(program, target, version));
    const folder = imageFolder(program.name);
    const digest = await writeImageLayout(folder, images, { reference: version, time });
    await archiveLayout(folder, imageArchivePath(program.name, version));
    made.push({ name: program.name, digest, architectures: images.map(({ architecture }) => architecture) });
  }
  return made;
}
