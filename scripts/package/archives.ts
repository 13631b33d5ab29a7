/**
 * Archives of what a package manager of users (krew, Homebrew, Scoop, winget) unpacks: a tar for those who have tar, a zip
 * for Windows. Written here, for the same bytes wherever it is done: no owner, one time, an order of our own.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, deflateRaw, gzip } from 'node:zlib';
import { PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from './product.ts';
import type { PackageDocuments } from './system-files.ts';
import { executablePath } from './targets.ts';
import type { Target } from './targets.ts';

interface Member {
  readonly name: string;
  readonly contents: Buffer;
  readonly executable: boolean;
}

/** More than this takes several times as long for a few percent. */
const LEVEL = 5;

const compress = promisify<Buffer, object, Buffer>(gzip);
const deflate = promisify<Buffer, object, Buffer>(deflateRaw);

/** The file that a target's archive is written to. */
export function archivePath(target: Target, version: string, program = PROGRAM_NAME): string {
  const kind = target.format === 'pe' ? 'zip' : 'tar.gz';
  return `out/${target.name}/${program}-${version}-${target.name}.${kind}`;
}

/** A header of ustar (POSIX, pax interchange format, "ustar Interchange Format") and the contents, in blocks. */
function writeTarMember({ name, contents, executable }: Member): Buffer {
  const blocks = Buffer.alloc(512 + Math.ceil(contents.length / 512) * 512);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  blocks.write(name, 0, 'latin1');
  blocks.write(octal(executable ? 0o755 : 0o644, 7), 100);
  blocks.write(octal(0, 7), 108);
  blocks.write(octal(0, 7), 116);
  blocks.write(octal(contents.length, 11), 124);
  blocks.write(octal(0, 11), 136);
  // The sum is over a header that has spaces in its place.
  blocks.write(' '.repeat(8), 148);
  blocks.write('0', 156);
  blocks.write('ustar\x0000', 257, 'latin1');
  const sum = blocks.subarray(0, 512).reduce((all, byte) => all + byte, 0);
  blocks.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  contents.copy(blocks, 512);
  return blocks;
}

async function writeTarGz(members: readonly Member[]): Promise<Buffer> {
  const tar = Buffer.concat([...members.map(writeTarMember), Buffer.alloc(1024)]);
  return compress(tar, { level: LEVEL });
}

/** The first of January 1980, which is as far back as a zip goes. */
const FIRST_DAY = 0x21;

/** APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16. */
async function writeZip(members: readonly Member[]): Promise<Buffer> {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, contents, executable } of members) {
    const packed = await deflate(contents, { level: LEVEL });
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(8, 4);
    shared.writeUInt16LE(FIRST_DAY, 8);
    shared.writeUInt32LE(crc32(contents), 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(contents.length, 18);
    shared.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), shared, Buffer.from(name, 'latin1')]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((executable ? 0o100755 : 0o100644) << 16) >>> 0, 6);
    rest.writeUInt32LE(at, 10);
    // Made on Unix, so that the rights count there.
    const head = Buffer.from('PK\x01\x02\x14\x03', 'latin1');
    directory.push(head, shared, rest, Buffer.from(name, 'latin1'));
    locals.push(local, packed);
    at += local.length + packed.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...locals, entries, end]);
}

const text = (name: string, contents: string | Buffer): Member => ({
  name,
  contents: Buffer.from(contents),
  executable: false,
});

/**
 * Makes the archive of the webhook: the executable, its licenses, its documentation and the manifests.
 *
 * @param licenses path of the licences of what it carries
 */
export async function makeWebhookArchive(target: Target, version: string, licenses: string): Promise<string> {
  const pages = (await readdir('docs/webhook')).toSorted().map((name) => `docs/webhook/${name}`);
  const manifests = ['README.md', 'manifests.yaml', 'webhook-kubeconfig.yaml'];
  const members = [
    {
      name: WEBHOOK_PROGRAM_NAME,
      executable: true,
      contents: await readFile(executablePath(target, WEBHOOK_PROGRAM_NAME)),
    },
    text('LICENSE', await readFile('LICENSE')),
    text('THIRD-PARTY-LICENSES.txt', await readFile(licenses)),
  ];
  for (const path of [...pages, ...manifests.map((name) => `packaging/webhook/${name}`)]) {
    members.push(text(path, await readFile(path)));
  }
  const path = archivePath(target, version, WEBHOOK_PROGRAM_NAME);
  await writeFile(path, await writeTarGz(members));
  return path;
}

/** Makes the archive of a target: the executable, its licences, the manual page and the completions. */
export async function makePluginArchive(target: Target, version: string, documents: PackageDocuments): Promise<string> {
  const { manPage, completions, licensesFile } = documents;
  const isWindows = target.format === 'pe';
  const program = { name: `${PROGRAM_NAME}${isWindows ? '.exe' : ''}`, executable: true };
  const members = [
    { ...program, contents: await readFile(executablePath(target)) },
    text('LICENSE', await readFile('LICENSE')),
    text('THIRD-PARTY-LICENSES.txt', await readFile(licensesFile)),
    ...(isWindows
      ? []
      : [
          text(`${PROGRAM_NAME}.1`, manPage),
          text(`completions/${PROGRAM_NAME}.bash`, completions.bash),
          text(`completions/_${PROGRAM_NAME}`, completions.zsh),
          text(`completions/${PROGRAM_NAME}.fish`, completions.fish),
        ]),
  ];
  const path = archivePath(target, version);
  await writeFile(path, await (isWindows ? writeZip(members) : writeTarGz(members)));
  return path;
}
